/** Reads for people, on a thread of its own: what they ask may take seconds, and SQLite's calls wait for it.
 *
 * In: the path first, then a statement at a time with its values and the time it may take. Out: rows, or SQLite's
 * message and code; a statement whose time is up ends with {@link timeUp}. @module */

import { systemClock } from "../../shared/clock.ts";
import type { Row, Value } from "./database.ts";
import { Connection } from "./sqlite_connection.ts";

/** Sent to the thread. */
export type QueryRequest =
  | { kind: "open"; path: string }
  | { kind: "read"; sql: string; values: readonly Value[]; timeMs: number }
  | { kind: "checkpoint"; path: string; everyMs: number };

/** Sent back, one for each `read`. */
export type QueryAnswer = { rows: Row[] } | { message: string; errcode: number };

/** In place of SQLite's code. */
export const timeUp = -1;

interface Port {
  onmessage: ((event: MessageEvent<QueryRequest>) => void) | null;
  postMessage(answer: QueryAnswer): void;
}

/** Serves `port`; each open makes a connection anew. */
export function serveQueries(port: Port): void {
  let path = "";
  let connection: Connection | null = null;
  let endsMs = 0;
  const isOver = () => systemClock.monotonicMs() > endsMs;
  port.onmessage = ({ data }) => {
    if (data.kind === "checkpoint") {
      void keepLogShort(data);
      return;
    }
    if (data.kind === "open") {
      path = data.path;
      return;
    }
    endsMs = systemClock.monotonicMs() + data.timeMs;
    try {
      if (connection === null) {
        connection = new Connection(path);
        connection.interruptWhen(isOver);
      }
      port.postMessage({ rows: connection.allNow(data.sql, data.values) });
    } catch (error) {
      const { message, errcode } = error as { message: string; errcode?: number };
      port.postMessage({ message, errcode: isOver() ? timeUp : errcode ?? 0 });
    }
  };
}

/** Ends with the thread. */
async function keepLogShort({ path, everyMs }: { path: string; everyMs: number }): Promise<never> {
  let connection: Connection | null = null;
  for (;;) {
    await systemClock.sleep(everyMs);
    try {
      connection ??= new Connection(path);
      connection.checkpoint();
    } catch {
      // The writer does it in the end, and says what is wrong.
    }
  }
}

// In a worker only: the same module names the messages for the main thread.
if ("WorkerGlobalScope" in globalThis) serveQueries(globalThis as unknown as Port);
