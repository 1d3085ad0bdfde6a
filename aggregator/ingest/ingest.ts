/** Takes batches in: verify, drop replays, merge, store, and only then acknowledge.
 *
 * In: batches over HTTP or from Kafka, one at a time or many at once. Out: an outcome for each, after its transaction
 * is committed; updates for the detectors. Invariant: an outcome is given only when the store has the batch; memory
 * never keeps what the store does not have.
 * One group of batches at a time is merged and stored: all that wait, up to a limit, become one transaction.
 * Refused batches become dead letters with their reason, at most {@link IngestOptions.deadLettersPerMinuteMax},
 * and never block.
 * A store that does not answer is asked again with growing pauses;
 * meanwhile the queue fills and callers are told to wait. @module */

import type { CheckedHeader } from "../../shared/batch.ts";
import { type Clock, systemClock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { IngestWrite, LedgerRow } from "../model/ledger.ts";
import { BucketsHeld } from "./buckets_held.ts";
import { FlowConflict, LedgerConflict, type Store, StoreUnavailable } from "../store/store.ts";
import type { FlowUpdate } from "../model/flow.ts";
import { type Group, type GroupResult, GroupWriter } from "./group.ts";
import type { HeaderGetter } from "./verify.ts";
import {
  type ExpectedBatches,
  ingestDefaults,
  type IngestOptions,
  type IngestOutcome,
  type RecordPosition,
  type WaitingBatch,
} from "./queue.ts";

export type { IngestOptions, IngestOutcome } from "./queue.ts";

export interface IngestDeps {
  store: Store;
  reporter: Reporter;
  clock: Clock;
  /** Told after the batches were acknowledged, one group after another. The next group is stored meanwhile;
   * the one behind it waits. */
  onStored?: (updates: FlowUpdate[], nowMs: number) => void | Promise<void>;
}

const retryMsFirst = 200;
const retryMsMax = 5_000;
const conflictsMax = 5;
const expireEveryMs = 60_000;
/** One for each bucket of many sensors. */
const expectedMax = 20_000;
/** Flows decoded without letting others run: some 5 ms. */
const flowsPerTurn = 1_500;
/** Octets that wait and are a group of their own. */
const gatheredBytes = 262_144;

export class Ingest {
  #options: IngestOptions;
  #deps: IngestDeps;
  #writer: GroupWriter;
  #queue: WaitingBatch[] = [];
  #queuedBytes = 0;
  #expected: ExpectedBatches[] = [];
  #wake: () => void = () => {};
  #stopping = new AbortController();
  #running: Promise<void> | null = null;
  #held: BucketsHeld;
  #expiredMs = 0;
  #storedMs: number | null = null;
  /** Null = nobody is being told. */
  #telling: Promise<void> | null = null;
  #waitingFor: string | null = null;
  #groupMs = -Infinity;

  /** @throws {RangeError} when a limit is out of range. */
  constructor(options: Partial<IngestOptions> & { buckets: number }, deps: IngestDeps) {
    this.#options = { ...ingestDefaults, ...options };
    for (const [name, value] of Object.entries(this.#options)) {
      const least = name === "gatherMs" ? 0 : 1;
      if (typeof value !== "number" || (Number.isInteger(value) && value >= least)) continue;
      throw new RangeError(`Cannot ingest as "${name}" must be >= ${least}: current value is ${value}`);
    }
    this.#deps = deps;
    this.#held = new BucketsHeld(this.#options.buckets);
    this.#writer = new GroupWriter(this.#options, { ...deps, tells: deps.onStored !== undefined });
  }

  /** Reads back recent flows and begins to work; `isLater`:
   * each bucket's when it is known that they are ours. @throws {StoreUnavailable} */
  async start({ isLater = false } = {}): Promise<void> {
    if (!isLater) await this.#read(new Set([0]));
    this.#running = this.#run();
  }

  /** Ends the group at work; refuses what waits, as nothing of it was acknowledged. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    await this.#running;
    this.#running = null;
    for (const waiting of this.#queue.splice(0)) waiting.reject(stopped());
    this.#queuedBytes = 0;
  }

  /** How far it is; for health. */
  get status(): {
    queued: number;
    stored_ms: number | null;
    waiting_for: string | null;
    flows_remembered: number;
  } {
    return {
      queued: this.#queue.length,
      stored_ms: this.#storedMs,
      waiting_for: this.#waitingFor,
      flows_remembered: this.#writer.size,
    };
  }

  /** Takes one batch; `body` is its value, as it is or as one zstd frame. Resolves after its transaction is committed.
   * With `position` the queue's limits do not hold: a consumer is bounded by itself, and refusing one record of a
   * partition but not the next would store an offset beyond it. With `checked` its signature is not looked at again.
   * @throws {StoreUnavailable} when it has to be sent again later. */
  submit(
    get: HeaderGetter,
    body: Uint8Array,
    position: RecordPosition | null = null,
    checked: CheckedHeader | null = null,
  ): Promise<IngestOutcome> {
    const { queueBatchesMax, queueBytesMax } = this.#options;
    if (this.#running === null || this.#stopping.signal.aborted) return Promise.reject(stopped());
    const isFull = this.#queue.length >= queueBatchesMax ||
      (this.#queue.length > 0 && this.#queuedBytes + body.length > queueBytesMax);
    if (isFull && position === null) {
      this.#deps.reporter.count("ingest_queue_full_total");
      return Promise.reject(
        new StoreUnavailable("Cannot take batch as the ingest queue is full: send it again later"),
      );
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ get, body, position, checked, resolve, reject });
      this.#queuedBytes += body.length;
      this.#wake();
    });
  }

  /** Opens gaps, with the next group, for those of these batches that did not come. */
  expect(batches: readonly ExpectedBatches[]): void {
    this.#expected = [...this.#expected, ...batches].slice(-expectedMax);
    this.#wake();
  }

  /** Our Kafka partitions of `count`, and those of them that another instance wrote since we did.
   * Of these alone memory is read anew. */
  assign(partitions: readonly number[], changed: readonly number[], count: number): void {
    this.#held.assign(partitions, changed, count);
  }

  /** The next group is verified and decoded while the store works on the one before. */
  async #run(): Promise<void> {
    let next: Promise<Group | null> | null = null;
    while (!this.#stopping.signal.aborted) {
      if (this.#queue.length === 0 && this.#expected.length === 0 && next === null) {
        await new Promise<void>((resolve) => this.#wake = resolve);
        continue;
      }
      const group = await (next ?? this.#nextGroup());
      if (group === null) break;
      const worked = this.#work(group);
      next = this.#queue.length > 0 ? this.#nextGroup() : null;
      await worked;
      this.#deps.reporter.gauge("ingest_queue_batches", this.#queue.length);
    }
    for (const { waiting } of (await next)?.batches ?? []) waiting.reject(stopped());
    await this.#telling;
  }

  /** Leaves those time to arrive that came while the store was busy. Not where many wait already. */
  async #gather(): Promise<void> {
    const { clock } = this.#deps, { gatherMs, groupBatchesMax } = this.#options;
    const waitMs = this.#groupMs + gatherMs - clock.monotonicMs();
    const isMuch = this.#queue.length >= groupBatchesMax || this.#queuedBytes >= gatheredBytes;
    if (waitMs > 0 && !isMuch) await clock.sleep(waitMs, this.#stopping.signal);
    this.#groupMs = clock.monotonicMs();
  }

  /** Verified batches of one transaction, or null when stopped. */
  async #nextGroup(): Promise<Group | null> {
    const { groupBatchesMax, groupFlowsMax } = this.#options;
    await this.#gather();
    const first = this.#queue.slice(0, groupBatchesMax);
    const prepared = await this.#retry(() =>
      this.#writer.prepare(first.map(({ get }) => get), this.#deps.clock.nowMs())
    );
    if (!prepared) return null;
    const group = this.#writer.open(this.#deps.clock.nowMs());
    group.expected = this.#expected.splice(0);
    let turnAt = flowsPerTurn;
    for (let taken = 0; taken < first.length && group.flows < groupFlowsMax; taken++) {
      // Now and then the loop turns, so that the database is fed meanwhile.
      if (group.flows >= turnAt) {
        await systemClock.sleep(0);
        turnAt = group.flows + flowsPerTurn;
      }
      const waiting = this.#queue.shift()!;
      this.#queuedBytes -= waiting.body.length;
      this.#writer.add(group, waiting);
    }
    return group;
  }

  async #work(group: Group): Promise<void> {
    try {
      const result = await this.#store(group);
      if (result === null) {
        for (const { waiting } of group.batches) waiting.reject(stopped());
        return;
      }
      const nowMs = this.#deps.clock.nowMs();
      this.#storedMs = nowMs;
      this.#observeLag(group, result, nowMs);
      // Last: a crash before this makes the sensor send again, and the ledger drops it.
      for (const { waiting, outcome } of result.outcomes) waiting.resolve(outcome);
      if (this.#telling !== null) await this.#telling;
      this.#telling = this.#tell(result.updates, group.nowMs).finally(() => this.#telling = null);
    } catch (error) {
      this.#deps.reporter.error("cannot store batches", { error });
      for (const { waiting } of group.batches) waiting.reject(error);
    }
  }

  /** From the sensor's seal to the commit: both clocks' difference is in it. */
  #observeLag({ batches }: Group, { outcomes }: GroupResult, nowMs: number): void {
    const stored = new Set(
      outcomes.filter(({ outcome }) => outcome.outcome === "stored").map(({ waiting }) => waiting),
    );
    for (const { waiting, verified } of batches) {
      if (typeof verified === "string" || !stored.has(waiting)) continue;
      this.#deps.reporter.observe("ingest_lag_seconds", (nowMs - verified.header.sealed) / 1_000);
    }
  }

  /** Stores a group, however often that has to be tried; null when stopped. */
  async #store(group: Group): Promise<GroupResult | null> {
    for (let conflicts = 0;; conflicts++) {
      const ready = await this.#retry(async () => {
        await this.#read(this.#writer.bucketsOf(group));
        await this.#writer.read(group, this.#deps.clock.nowMs());
      });
      if (!ready) return null;
      this.#expire(group.nowMs);
      const { write, result } = this.#writer.merge(group);
      try {
        const written = await this.#retry(() => this.#write(write));
        if (!written) {
          this.#writer.rollback();
          return null;
        }
        this.#writer.commit(group, write, result);
        return result;
      } catch (error) {
        this.#writer.rollback();
        if (conflicts >= conflictsMax) throw error;
        if (error instanceof FlowConflict) {
          this.#deps.reporter.count("ingest_flow_conflicts_total");
          if (!await this.#retry(() => this.#writer.learnStored(error, group.nowMs))) return null;
          continue;
        }
        if (!(error instanceof LedgerConflict)) throw error;
        this.#deps.reporter.count("ingest_conflicts_total");
        // Another instance wrote some of these batches; what it merged is not in our memory.
        this.#held.drop(this.#writer.bucketsOf(group));
      }
    }
  }

  async #write(write: IngestWrite): Promise<void> {
    if (isEmpty(write)) return;
    try {
      await this.#deps.store.ingest(write);
    } catch (error) {
      // After a lost reply the ledger tells whether our own commit went through: then its rows are ours to the
      // millisecond.
      if (error instanceof LedgerConflict && await this.#isStored(write.ledger)) return;
      throw error;
    }
  }

  async #isStored(rows: LedgerRow[]): Promise<boolean> {
    const stored = await this.#deps.store.readLedger(rows);
    return rows.every((row) =>
      stored.some((other) =>
        other.sensor_id === row.sensor_id && other.epoch === row.epoch && other.bucket === row.bucket &&
        other.seq === row.seq && other.sha256 === row.sha256 && other.received_ms === row.received_ms
      )
    );
  }

  /** Runs `work` until the store answers; false when stopped first. */
  async #retry(work: () => Promise<void>): Promise<boolean> {
    for (let waitMs = retryMsFirst;; waitMs = Math.min(waitMs * 2, retryMsMax)) {
      try {
        await work();
        this.#waitingFor = null;
        return true;
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) throw error;
        this.#waitingFor = error.message;
        this.#deps.reporter.count("ingest_retries_total");
        this.#deps.reporter.warn("store does not answer, will retry", { error });
        if (this.#stopping.signal.aborted) return false;
        await this.#deps.clock.sleep(waitMs, this.#stopping.signal);
        if (this.#stopping.signal.aborted) return false;
      }
    }
  }

  /** Before a group of these buckets: memory has what the store has of them. */
  async #read(buckets: ReadonlySet<number>): Promise<void> {
    const stale = this.#held.takeStale();
    if (stale.length > 0) this.#writer.forget(stale);
    const due = this.#held.dueFor(buckets);
    if (due.length === 0) return;
    await this.#writer.rebuild(due, this.#deps.clock.nowMs());
    this.#held.read(due);
  }

  #expire(nowMs: number): void {
    if (Math.abs(nowMs - this.#expiredMs) < expireEveryMs) return;
    this.#expiredMs = nowMs;
    this.#writer.expire(nowMs);
  }

  async #tell(updates: FlowUpdate[], nowMs: number): Promise<void> {
    if (updates.length === 0 || !this.#deps.onStored) return;
    try {
      await this.#deps.onStored(updates, nowMs);
    } catch (error) {
      // What is stored stays stored, whatever a detector makes of it.
      this.#deps.reporter.count("updates_failed_total");
      this.#deps.reporter.error("cannot use flow updates", { error });
    }
  }
}

function isEmpty({ ledger, deadLetters, offsets, gaps }: IngestWrite): boolean {
  return ledger.length === 0 && deadLetters.length === 0 && offsets.length === 0 && gaps.length === 0;
}

function stopped(): StoreUnavailable {
  return new StoreUnavailable("Cannot take batch as the aggregator is stopping: send it again later");
}
