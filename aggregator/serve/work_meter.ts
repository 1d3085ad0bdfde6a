/** Stands before ingest and sees whether what comes in gets done.
 *
 * In: batches from HTTP and Kafka on their way to ingest.
 * Out: how many wait, since when nothing was stored, and since when all fail.
 * Why not ingest's own last store time:
 * after a quiet night the first batch would look as if it had waited since evening.
 * Why failures are remembered: a database that refuses each batch at once leaves none waiting, and stores none.
 * @module */

import type { Progress } from "../api/capabilities.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Ingest } from "../ingest/ingest.ts";

/** Nobody tries again: what failed then says nothing of now. */
const forgetMs = 120_000;

export class WorkMeter {
  /** Asked why a source of batches stands still; null = it does not. */
  sourceProblem: () => string | null = () => null;
  #ingest: Pick<Ingest, "submit" | "assign" | "status">;
  #clock: Clock;
  #pending = 0;
  #sinceMs = 0;
  #failing: { sinceMs: number; lastMs: number } | null = null;

  constructor(ingest: Pick<Ingest, "submit" | "assign" | "status">, clock: Clock) {
    this.#ingest = ingest;
    this.#clock = clock;
  }

  async submit(...batch: Parameters<Ingest["submit"]>): ReturnType<Ingest["submit"]> {
    if (this.#pending++ === 0) this.#sinceMs = this.#clock.nowMs();
    try {
      const result = await this.#ingest.submit(...batch);
      // A refused batch was judged without the database.
      if (result.outcome !== "refused") this.#failing = null;
      return result;
    } catch (error) {
      const nowMs = this.#clock.nowMs();
      this.#failing = { sinceMs: this.#failing?.sinceMs ?? nowMs, lastMs: nowMs };
      throw error;
    } finally {
      this.#pending--;
    }
  }

  assign(...partitions: Parameters<Ingest["assign"]>): void {
    this.#ingest.assign(...partitions);
  }

  progress(): Progress {
    const lastMs = Math.max(this.#sinceMs, this.#ingest.status.stored_ms ?? 0);
    if (this.#failing && this.#clock.nowMs() - this.#failing.lastMs > forgetMs) this.#failing = null;
    return {
      pending: this.#pending,
      lastMs,
      failingSinceMs: this.#failing?.sinceMs ?? null,
      failure: this.sourceProblem(),
    };
  }
}
