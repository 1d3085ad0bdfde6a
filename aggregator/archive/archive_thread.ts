/** The archive as retention sees it: a day is archived, or there is a reason why not.
 *
 * Invariant: one thread at a time, ended with its day or with the signal. @module */

import type { StoredDay } from "../model/retention.ts";
import type { ArchiveAnswer, ArchiveRequest } from "./archive_worker.ts";
import type { Manifest } from "./manifest.ts";

/** What is archived, and where. */
export type ArchiveTarget = Omit<ArchiveRequest, "day" | "stored_ms" | "isFinal">;

export interface DayKeeper {
  /** Keeps the flows of a day. `isFinal`: it is about to leave, and what comes later is another part.
   * @throws the reason why it is not kept */
  keep(day: StoredDay, isFinal: boolean, signal: AbortSignal): Promise<Manifest>;
}

export class ArchiveThread implements DayKeeper {
  readonly #target: ArchiveTarget;

  constructor(target: ArchiveTarget) {
    this.#target = target;
  }

  async keep({ day, stored_ms }: StoredDay, isFinal: boolean, signal: AbortSignal): Promise<Manifest> {
    signal.throwIfAborted();
    const worker = new Worker(new URL("./archive_worker.ts", import.meta.url), { type: "module" });
    try {
      const answer = await new Promise<ArchiveAnswer>((resolve) => {
        const failed = (reason: string) => resolve({ ok: false, reason });
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => {
          event.preventDefault();
          failed(event.message);
        };
        signal.addEventListener("abort", () => failed("the program ends"), { once: true });
        worker.postMessage({ ...this.#target, day, stored_ms, isFinal } satisfies ArchiveRequest);
      });
      if (!answer.ok) throw new Error(answer.reason);
      return answer.manifest;
    } finally {
      worker.terminate();
    }
  }
}
