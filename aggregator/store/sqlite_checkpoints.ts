/** Moves what was committed from SQLite's log into the database file, on a thread of its own.
 *
 * In: a path. Out: a log that stays short. Invariant: nobody waits for it: neither writers nor readers, nor whoever
 * closes the store. Should it not get on, the writer's connection does the work itself when the log is long, so that
 * the log is bounded either way.
 * Why: the move waits for the disk twice. On the thread that answers requests, each took a tenth of a second from a
 * thousand sensors that check in. @module */

import type { QueryRequest } from "./sqlite_worker.ts";

const everyMs = 250;

export class Checkpoints {
  #worker: Worker;

  constructor(path: string) {
    this.#worker = new Worker(new URL("./sqlite_worker.ts", import.meta.url), { type: "module" });
    this.#worker.onerror = (event) => event.preventDefault(); // Else the program ends.
    this.#worker.postMessage({ kind: "checkpoint", path, everyMs } satisfies QueryRequest);
  }

  close(): void {
    this.#worker.terminate();
  }
}
