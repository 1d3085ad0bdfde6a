/** Lets stored days leave in order, while everything else goes on.
 *
 * In: limits. Out: dropped days, each counted with its reason and told. Invariant: one thing at a time; what fails is tried again at the
 * next turn, and never ends the program. Batches are kept in the ledger by their hash for {@link ledgerMs}, so that two contents of one
 * number are seen; after that ranges say that they came. @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { RetentionStore } from "../store/store.ts";
import { isEmpty, planDrops, type RetentionLimits } from "./plan.ts";

const everyMs = 600_000;
const ledgerMs = 86_400_000;
const closedGapsMs = 30 * 86_400_000;

export interface RetentionDeps {
  store: RetentionStore;
  clock: Clock;
  reporter: Reporter;
  /** Called before the flows of a day leave: what rests on them leaves first. Never rejects. */
  onFlowsLeaving?: (day: number) => Promise<void>;
}

export class Retention {
  readonly #limits: RetentionLimits;
  readonly #deps: RetentionDeps;
  readonly #stopping = new AbortController();
  #running: Promise<void> | null = null;

  constructor(
    limits: RetentionLimits,
    deps: RetentionDeps,
  ) {
    if (!(limits.flowDays >= 1) || !(limits.bytesMax >= 0)) {
      throw new RangeError(
        `Cannot keep flows as days must be >= 1 and octets >= 0: current values are ${limits.flowDays} and ${limits.bytesMax}`,
      );
    }
    this.#limits = limits;
    this.#deps = deps;
  }

  /** Makes the days ready before anything is written, where nobody else does just then. */
  async start(): Promise<void> {
    await this.#guard(() => this.#deps.store.prepareDays(this.#deps.clock.nowMs()));
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      await this.#guard(() => this.turn());
      await this.#deps.clock.sleep(everyMs, this.#stopping.signal);
    }
  }

  async #guard(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#deps.reporter.count("retention_turns_failed_total");
      this.#deps.reporter.warn("cannot drop what is old, will retry", { error });
    }
  }

  /** Drops what is due. */
  async turn(): Promise<void> {
    const { store, clock, reporter } = this.#deps;
    const nowMs = clock.nowMs();
    await store.prepareDays(nowMs);
    const [days, bytes] = [await store.readDays(), await store.readSize()];
    reporter.gauge("store_bytes", bytes);
    for (const { day, part, reason } of planDrops(days, bytes, this.#limits, nowMs)) {
      if (this.#stopping.signal.aborted) return;
      if (part === "flows") await this.#deps.onFlowsLeaving?.(day);
      await store.dropDay(day, part);
      reporter.count("days_dropped_total", { part, reason });
      if (part === "flows") reporter.info("a day of flows dropped", { day: dateOf(day), reason });
    }
    for (const day of (await store.readDays()).filter(isEmpty)) await store.forgetDay(day.day);
    reporter.count("ledger_rows_pruned_total", undefined, await store.pruneLedger(nowMs - ledgerMs));
    await store.pruneGaps(nowMs - closedGapsMs);
  }
}

function dateOf(day: number): string {
  return new Date(day * 1e3).toISOString().slice(0, 10);
}
