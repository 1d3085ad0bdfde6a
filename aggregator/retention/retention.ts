/** Drops stored days in order, while everything else goes on.
 *
 * In: limits. Out: dropped days, each counted by its reason and logged. Of several aggregators on one database the one
 * with the lease does it. Invariant: one drop at a time; a failure is tried again at the next turn, and never ends the
 * program. Batches are kept in the ledger by their hash for {@link ledgerMs}, so that a second content under one number
 * is noticed; after that ranges say that they arrived. With an archive, a day of flows is dropped once its archive is
 * complete and nothing came since. A day that cannot be archived stays until the disk budget forces it out: that is an
 * error that names the day. @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { DayKeeper } from "../archive/archive_thread.ts";
import { dateOf } from "../archive/manifest.ts";
import type { StoredDay } from "../model/retention.ts";
import type { AuditStore, HealthStore, LeaseStore, RetentionStore } from "../store/store.ts";
import { type Drop, isEmpty, isLeaving, planDrops, type RetentionLimits } from "./plan.ts";

const everyMs = 600_000;
const ledgerMs = 86_400_000;
const closedGapsMs = 30 * 86_400_000;
/** The audit, and suppressions that ended. */
const decisionsMs = 400 * 86_400_000;
const dayMs = 86_400_000;
/** How sensors were is kept in full so long, then by the hour, for as many days as flows. */
const fineHealthMs = 2 * dayMs;
/** A day to which flows are still added is archived anew so often. */
const archivesPerTurnMax = 3;

export interface RetentionDeps {
  store: RetentionStore & LeaseStore & Pick<AuditStore, "pruneDecisions"> & Pick<HealthStore, "pruneHealth">;
  /** Of this process. */
  holder: string;
  clock: Clock;
  reporter: Reporter;
  archive?: DayKeeper;
  /** Called before the flows of a day leave: what rests on them leaves first. Never rejects. */
  onFlowsLeaving?: (day: number) => Promise<void>;
}

const leaseName = "retention";
/** Longer than two turns lie apart. Two that drop the same day at once do no harm. */
const leaseMs = 1_500_000;

export class Retention {
  readonly #limits: RetentionLimits;
  readonly #deps: RetentionDeps;
  readonly #stopping = new AbortController();
  #running: Promise<void> | null = null;
  #archiveProblem: string | null = null;

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
    await this.#guard(() => this.#deps.store.releaseLease(leaseName, this.#deps.holder));
  }

  /** Which day cannot be archived, and why; null = there is none. */
  archiveProblem(): string | null {
    return this.#archiveProblem;
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

  /** Drops what is due, unless another aggregator does. */
  async turn(): Promise<void> {
    const { store, holder, clock, reporter } = this.#deps;
    const isHeld = await store.takeLease(leaseName, holder, leaseMs) !== null;
    reporter.gauge("lease_held", isHeld ? 1 : 0, { lease: leaseName });
    if (!isHeld) return;
    const nowMs = clock.nowMs();
    await store.prepareDays(nowMs);
    let days = await store.readDays();
    const leaving = days.filter(isLeaving);
    for (const { day } of leaving) await store.dropDay(day, "flows");
    if (leaving.length > 0) days = await store.readDays();
    const bytes = await store.readSize();
    reporter.gauge("store_bytes", bytes);
    let problem: string | null = null;
    for (const drop of planDrops(days, bytes, this.#limits, nowMs)) {
      if (this.#stopping.signal.aborted) return;
      const { day, part, reason } = drop;
      if (part === "flows") {
        const failed = await this.#archive(drop);
        problem ??= failed;
        if (failed !== null && reason === "age") continue;
        if (this.#stopping.signal.aborted) return;
        await this.#deps.onFlowsLeaving?.(day);
      }
      await store.dropDay(day, part);
      reporter.count("days_dropped_total", { part, reason });
      if (part === "flows") reporter.info("a day of flows dropped", { day: dateOf(day), reason });
    }
    this.#archiveProblem = problem;
    for (const day of (await store.readDays()).filter(isEmpty)) await store.forgetDay(day.day);
    reporter.count("ledger_rows_pruned_total", undefined, await store.pruneLedger(nowMs - ledgerMs));
    await store.pruneTalkers(nowMs);
    await store.pruneGaps(nowMs - closedGapsMs);
    await store.pruneDecisions(nowMs - decisionsMs);
    const health = { beforeMs: nowMs - this.#limits.flowDays * dayMs, thinBeforeMs: nowMs - fineHealthMs };
    reporter.count("sensor_health_rows_pruned_total", undefined, await store.pruneHealth(health));
  }

  /** Why a day of flows is not archived; null = it is, or nobody wants it to be. */
  async #archive({ day, reason }: Drop): Promise<string | null> {
    const { archive, reporter } = this.#deps;
    if (!archive) return null;
    try {
      await this.#keep(archive, day);
      return null;
    } catch (error) {
      if (this.#stopping.signal.aborted) return "the program ends";
      const why = (error as Error).message;
      reporter.count("archives_failed_total", { reason });
      const fields = { day: dateOf(day), error: why };
      if (reason === "disk") {
        reporter.count("days_dropped_unarchived_total");
        reporter.error("a day of flows is dropped without an archive, as the disk budget is used up", fields);
      } else {
        reporter.error("cannot archive a day of flows, it stays until the disk budget is used up", fields);
      }
      return `${dateOf(day)}: ${why}`;
    }
  }

  async #keep(archive: DayKeeper, day: number): Promise<void> {
    const { store, reporter } = this.#deps;
    const read = async (): Promise<StoredDay> => {
      const found = (await store.readDays()).find((one) => one.day === day);
      if (!found) throw new Error("the day is no longer there");
      return found;
    };
    let before = await read();
    for (let tries = 1; tries <= archivesPerTurnMax; tries++) {
      // Another aggregator of this store archived it and let it leave.
      if (before.gone.includes("flows")) return;
      // The disk budget may drop the day after the last try, whatever comes of it.
      const isLast = tries === archivesPerTurnMax;
      const { rows, octets, unreadable } = await archive.keep(before, isLast, this.#stopping.signal);
      if (unreadable > 0) reporter.count("archive_rows_unreadable_total", undefined, unreadable);
      const after = await read();
      if (after.stored_ms === before.stored_ms && after.flows === before.flows) {
        if (!isLast) await archive.keep(after, true, this.#stopping.signal);
        reporter.count("days_archived_total");
        reporter.info("a day of flows archived", { day: dateOf(day), rows, octets });
        return;
      }
      before = after;
    }
    throw new Error(`flows were added to it while it was archived ${archivesPerTurnMax} times`);
  }
}
