/** Stands before ingest and sees whether what comes in gets done.
 *
 * In: batches from HTTP and Kafka on their way to ingest. Out: how many wait, and since when nothing was stored.
 * Why not ingest's own last store time: after a quiet night the first batch would look as if it had waited since evening. @module */

import type { Progress } from "../api/route.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Ingest } from "../ingest/ingest.ts";

export class WorkMeter {
  /** Why the data path stands still; null = it does not. */
  failure: string | null = null;
  #ingest: Pick<Ingest, "submit" | "rebuild" | "status">;
  #clock: Clock;
  #pending = 0;
  #sinceMs = 0;

  constructor(ingest: Pick<Ingest, "submit" | "rebuild" | "status">, clock: Clock) {
    this.#ingest = ingest;
    this.#clock = clock;
  }

  async submit(...batch: Parameters<Ingest["submit"]>): ReturnType<Ingest["submit"]> {
    if (this.#pending++ === 0) this.#sinceMs = this.#clock.nowMs();
    try {
      return await this.#ingest.submit(...batch);
    } finally {
      this.#pending--;
    }
  }

  rebuild(): void {
    this.#ingest.rebuild();
  }

  progress(): Progress {
    const lastMs = Math.max(this.#sinceMs, this.#ingest.status.stored_ms ?? 0);
    return { pending: this.#pending, lastMs, failure: this.failure };
  }
}
