/** One group of batches on its way into one transaction.
 *
 * In: waiting batches. Out: the write, the outcome of each, updates. Invariant: between `merge` and `commit` or
 * `rollback` everything remembered can be taken back. A batch whose number is in the ledger is a replay when its hash
 * is the same; with another hash, or sealed by an epoch that a newer one has replaced, its sensor is a clone:
 * quarantined, its batch a dead letter. @module */

import type { Reporter } from "../../shared/reporter.ts";
import type { DeadLetter, EpochRow, IngestWrite, LedgerRow, OffsetRow } from "../model/ledger.ts";
import type { ExpectedBatches } from "./queue.ts";
import { FlowRows } from "../model/flow_rows.ts";
import { SightingRows } from "../model/sighting_rows.ts";
import { flowIdText } from "../model/flow_id.ts";
import type { FlowConflict, FlowStore, IdentityStore, IngestStore } from "../store/store.ts";
import { isSecondLiveEpoch, noteEpoch } from "./epochs.ts";
import type { FlowUpdate } from "../model/flow.ts";
import { GapBook, type SequenceKey } from "./gaps.ts";
import type { IngestOptions, IngestOutcome, WaitingBatch } from "./queue.ts";
import { Merger } from "./merge.ts";
import { MergeWrite } from "./merge_write.ts";
import { type HeaderGetter, type IngestRefusal, type VerifiedBatch, Verifier } from "./verify.ts";

export interface GroupBatch {
  waiting: WaitingBatch;
  verified: VerifiedBatch | IngestRefusal;
}

export interface Group {
  batches: GroupBatch[];
  flows: number;
  nowMs: number;
  /** Batches that were sealed, whether or not they came. */
  expected: ExpectedBatches[];
  /** Ledger rows that were there before. */
  ledger: Map<string, string>;
}

export interface GroupResult {
  outcomes: { waiting: WaitingBatch; outcome: IngestOutcome }[];
  updates: FlowUpdate[];
  /** Long spans of traffic that were counted in their first second. */
  lumpedSpans: number;
}

const sampleBytesMax = 4_096;
const minuteMs = 60_000;
const ownMax = 50_000;
/** A transaction of another instance may end this long after the stamp in its ledger rows. */
const commitMs = 10_000;

export class GroupWriter {
  #options: IngestOptions;
  #store: IngestStore & FlowStore & IdentityStore;
  #reporter: Reporter;
  #tells: boolean;
  /** Of the group at hand; there is one at a time between `merge` and its commit, so their memory is used again. */
  #rows = new FlowRows();
  #sightings = new SightingRows();
  #verifier: Verifier;
  #merger: Merger;
  #gaps: GapBook;
  #epochs = new Map<string, readonly EpochRow[]>();
  #deadLetters = { sinceMs: 0, count: 0 };
  #clones = new Map<string, string>();
  /** Batches whose flows memory has. */
  #own = new Set<string>();
  /** When the flows of each bucket were read last. */
  #readMs: number[];

  constructor(
    options: IngestOptions,
    /** `tells`: whether somebody wants updates for detectors. */
    deps: { store: IngestStore & FlowStore & IdentityStore; reporter: Reporter; tells: boolean },
  ) {
    this.#options = options;
    this.#store = deps.store;
    this.#reporter = deps.reporter;
    this.#tells = deps.tells;
    this.#verifier = new Verifier(options, deps);
    this.#merger = new Merger(options.merge, deps);
    this.#gaps = new GapBook(deps);
    this.#readMs = new Array(options.buckets).fill(0);
  }

  get size(): number {
    return this.#merger.size;
  }

  open(nowMs: number): Group {
    return { batches: [], flows: 0, nowMs, expected: [], ledger: new Map() };
  }

  prepare(getters: readonly HeaderGetter[], nowMs: number): Promise<void> {
    return this.#verifier.prepare(getters, nowMs);
  }

  /** Verifies a batch into the group. */
  add(group: Group, waiting: WaitingBatch): void {
    const { get, body, position, checked } = waiting;
    const verified = position?.fault ?? this.#verifier.verify(get, body, checked);
    this.#reporter.count("batches_received_total");
    if (typeof verified !== "string") group.flows += verified.header.flows;
    group.batches.push({ waiting, verified });
  }

  /** Reads what the store knows of these batches, and quarantines clones. What was verified a while ago is asked again:
   * its sensor may be revoked meanwhile. */
  async read(group: Group, nowMs: number): Promise<void> {
    await this.#verifier.prepare(group.batches.map(({ waiting }) => waiting.get), nowMs);
    for (const batch of group.batches) {
      if (typeof batch.verified !== "string") {
        batch.verified = this.#verifier.refuse(batch.verified.header) ?? batch.verified;
      }
    }
    const verified = group.batches.flatMap(({ verified }) => typeof verified === "string" ? [] : [verified]);
    const rows = await this.#store.readLedger(
      verified.map(({ header }) => ({ ...header, sensor_id: header.sensor })),
    );
    group.ledger = new Map(rows.map((row) => [numberOf({ ...row, sensor: row.sensor_id }), row.sha256]));
    const foreign = this.#foreignOf(rows);
    if (foreign.size > 0) {
      this.forget(foreign);
      await this.rebuild(foreign, group.nowMs);
    }
    await this.#gaps.load(verified.map(({ header }) => header), group.expected, nowMs);
    for (const { header } of verified) {
      if (!this.#epochs.has(header.sensor)) {
        this.#epochs.set(header.sensor, await this.#store.readEpochs(header.sensor));
      }
    }
    for (const [sensor, reason] of this.#findClones(group)) {
      await this.#store.quarantineSensor(sensor, reason, group.nowMs);
      this.#verifier.noteQuarantine(sensor, group.nowMs);
      this.#reporter.count("sensors_quarantined_total");
      this.#reporter.error("sensor quarantined: two copies of it are alive", { sensor, reason });
    }
  }

  /** Merges the group's new batches; to be followed by `commit` or `rollback`. */
  merge(group: Group): { write: IngestWrite; result: GroupResult } {
    this.#merger.begin();
    this.#rows.clear();
    this.#sightings.clear();
    const merged = new MergeWrite({ tells: this.#tells, rows: this.#rows, sightings: this.#sightings });
    const write = emptyWrite(merged);
    const result: GroupResult = { outcomes: [], updates: merged.updates ?? [], lumpedSpans: 0 };
    const accepted = this.#sort(group, write, result);
    const sources = new Set(accepted.map(({ source }) => source.sensor_id));
    if (sources.size > 1) accepted.forEach(({ columns, source }) => this.#merger.learn(columns, source));
    for (const batch of accepted) {
      const { header } = batch;
      this.#merger.take(batch.columns, batch.source, group.nowMs, merged, header.bucket);
      write.ledger.push(ledgerRow(batch, group.nowMs));
      this.#gaps.note(header, header.seq, group.nowMs);
    }
    for (const { seq, ...key } of group.expected) this.#gaps.expect(key, seq, group.nowMs);
    write.traffic = merged.traffic.rows();
    result.lumpedSpans = merged.traffic.lumped;
    write.newSightings = merged.newSightings;
    Object.assign(write, this.#gaps.changes(group.nowMs));
    return { write, result };
  }

  /** After a rollback: the store has flows under ids that this group gave to new ones. Memory learns them. */
  async learnStored(conflict: FlowConflict, nowMs: number): Promise<void> {
    const taken = await this.#store.findFlowKeys(conflict.some);
    const flows = await this.#store.readFlowsById(taken.map(({ us, slot }) => flowIdText(us, slot)));
    const buckets = { count: this.#options.buckets, some: null };
    this.#merger.bringBack(flows, [...taken, ...conflict.twice], nowMs, buckets);
    this.#reporter.count("merge_flows_read_back_total", undefined, flows.length);
  }

  /** The write is stored. */
  commit(group: Group, write: IngestWrite, result: GroupResult): void {
    this.#merger.commit();
    this.#gaps.commit();
    for (const row of write.ledger) {
      const { sensor_id, epoch, sealed_ms, flows, packets } = row;
      this.#noteOwn(numberOf({ ...row, sensor: sensor_id }));
      this.#reporter.count("segments_stored_total", undefined, flows);
      this.#reporter.count("packets_stored_total", undefined, packets);
      const known = this.#epochs.get(sensor_id) ?? [];
      this.#epochs.set(sensor_id, noteEpoch(known, { epoch, sealed: sealed_ms }, group.nowMs));
    }
    for (const { outcome } of result.outcomes) {
      if (outcome.outcome === "refused") {
        this.#reporter.count("batches_refused_total", { reason: outcome.reason });
      } else {this.#reporter.count(
          outcome.outcome === "stored" ? "batches_stored_total" : "batches_replayed_total",
        );}
    }
    if (result.lumpedSpans > 0) {
      this.#reporter.count("traffic_spans_lumped_total", undefined, result.lumpedSpans);
    }
    this.#reporter.count("ingest_transactions_total");
    this.#reporter.gauge("merge_flows", this.#merger.size);
  }

  rollback(): void {
    this.#merger.rollback();
    this.#gaps.rollback();
  }

  expire(nowMs: number): void {
    this.#reporter.count("merge_flows_expired_total", undefined, this.#merger.expire(nowMs));
  }

  /** Buckets of a group's batches. */
  bucketsOf({ batches }: Group): Set<number> {
    return new Set(
      batches.flatMap(({ verified }) => typeof verified === "string" ? [] : [verified.header.bucket]),
    );
  }

  /** Others have these buckets now, or wrote them; the books of their numbers are the store's. */
  forget(buckets: Iterable<number>): void {
    this.#merger.forgetBuckets(new Set(buckets));
    this.#gaps.clear();
    this.#epochs.clear();
  }

  /** Memory of these buckets is what the store has; nothing of them is in memory before. */
  async rebuild(buckets: Iterable<number>, nowMs: number): Promise<void> {
    const some = new Set(buckets), count = this.#options.buckets;
    const keepMs = this.#options.merge.keepMs ?? 3_600_000;
    const chosen = some.size < count ? { count, some: [...some] } : undefined;
    const flows = await this.#store.readRecentFlows(nowMs - keepMs, this.#options.rebuildFlowsMax, chosen);
    this.#merger.restore(flows, { count, some });
    for (const bucket of some) this.#readMs[bucket] = nowMs;
    this.#reporter.count("merge_rebuilds_total");
    this.#reporter.count("merge_buckets_read_total", undefined, some.size);
  }

  /** Outcomes of all batches; returns the new ones. */
  #sort(group: Group, write: IngestWrite, result: GroupResult): VerifiedBatch[] {
    const accepted: VerifiedBatch[] = [];
    const inGroup = new Map<string, string>();
    const offsets = new Map<string, OffsetRow>();
    for (const { waiting, verified } of group.batches) {
      const outcome = this.#outcomeOf(verified, group, inGroup);
      if (outcome.outcome === "stored") accepted.push(verified as VerifiedBatch);
      if (outcome.outcome === "refused") this.#bury(waiting, outcome.reason, group.nowMs, write);
      result.outcomes.push({ waiting, outcome });
      if (waiting.position === null) continue;
      const { topic, partition, offset, mark } = waiting.position;
      const next_offset = String(BigInt(offset) + 1n);
      offsets.set(`${topic}/${partition}`, { topic, partition, next_offset, mark });
    }
    write.offsets = [...offsets.values()];
    return accepted;
  }

  #outcomeOf(
    verified: VerifiedBatch | IngestRefusal,
    group: Group,
    inGroup: Map<string, string>,
  ): IngestOutcome {
    if (typeof verified === "string") return { outcome: "refused", reason: verified };
    const { header } = verified;
    const number = numberOf(header);
    const known = group.ledger.get(number) ?? inGroup.get(number);
    if (known === header.sha256) return { outcome: "replay" };
    if (known !== undefined) return { outcome: "refused", reason: "equivocation" };
    if (this.#gaps.isTaken(header, header.seq)) return { outcome: "replay" };
    if (this.#isTooOld(verified, group.nowMs)) return { outcome: "refused", reason: "two_epochs" };
    if (this.#clones.has(header.sensor)) return { outcome: "refused", reason: "quarantined" };
    inGroup.set(number, header.sha256);
    return { outcome: "stored" };
  }

  #isTooOld({ header, source }: VerifiedBatch, nowMs: number): boolean {
    const epochs = this.#epochs.get(header.sensor) ?? [];
    return isSecondLiveEpoch(epochs, header, source.clock_offset_ms, nowMs);
  }

  /** Buckets of which another instance stored some of these since memory was read: then memory does not have their
   * flows. */
  #foreignOf(rows: readonly LedgerRow[]): Set<number> {
    const buckets = new Set<number>();
    for (const row of rows) {
      const number = numberOf({ ...row, sensor: row.sensor_id });
      if (row.received_ms <= this.#readMs[row.bucket] - commitMs || this.#own.has(number)) continue;
      this.#noteOwn(number);
      buckets.add(row.bucket);
    }
    return buckets;
  }

  #noteOwn(number: string): void {
    this.#own.add(number);
    if (this.#own.size > ownMax) this.#own.delete(this.#own.keys().next().value!);
  }

  /** Sensors of this group that are clones by its batches, with the reason in words. */
  #findClones(group: Group): Map<string, string> {
    this.#clones = new Map();
    const inGroup = new Map<string, string>();
    const found = new Map<string, string>();
    for (const { verified } of group.batches) {
      if (typeof verified === "string") continue;
      const { header } = verified;
      const outcome = this.#outcomeOf(verified, group, inGroup);
      if (outcome.outcome !== "refused") continue;
      const at = `epoch ${header.epoch}, bucket ${header.bucket}, seq ${header.seq}`;
      const reason = outcome.reason === "equivocation"
        ? `two different batches have one number: ${at}`
        : `an older epoch still seals batches: ${at}`;
      if (!found.has(header.sensor)) found.set(header.sensor, reason);
    }
    return this.#clones = found;
  }

  #bury(waiting: WaitingBatch, reason: IngestRefusal, nowMs: number, write: IngestWrite): void {
    if (Math.abs(nowMs - this.#deadLetters.sinceMs) >= minuteMs) {
      this.#deadLetters = { sinceMs: nowMs, count: 0 };
    }
    if (++this.#deadLetters.count > this.#options.deadLettersPerMinuteMax) {
      this.#reporter.count("dead_letters_left_out_total", { reason });
      return;
    }
    const { position } = waiting;
    const letter: DeadLetter = {
      received_ms: nowMs,
      reason,
      origin: position ? `kafka:${position.topic}/${position.partition}@${position.offset}` : "http",
      sensor_id: waiting.get("picket-sensor") ?? "",
      sample: waiting.body.slice(0, sampleBytesMax),
    };
    write.deadLetters.push(letter);
  }
}

function numberOf({ sensor, epoch, bucket, seq }: SequenceKey & { seq: number }): string {
  return `${sensor}|${epoch}|${bucket}|${seq}`;
}

function ledgerRow({ header, packets }: VerifiedBatch, nowMs: number): LedgerRow {
  return {
    sensor_id: header.sensor,
    epoch: header.epoch,
    bucket: header.bucket,
    seq: header.seq,
    sha256: header.sha256,
    flows: header.flows,
    packets,
    sealed_ms: header.sealed,
    received_ms: nowMs,
  };
}

function emptyWrite({ rows, sightings }: MergeWrite): IngestWrite {
  return {
    ledger: [],
    flows: rows,
    sightings,
    newSightings: 0,
    traffic: [],
    gaps: [],
    gapsReplaced: [],
    sequences: [],
    deadLetters: [],
    offsets: [],
  };
}
