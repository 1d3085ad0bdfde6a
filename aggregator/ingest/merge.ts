/** Merges what several sensors saw: segments in, flows out.
 *
 * In: columns of one sensor's segments and `nowMs`.
 * Out: rows to write, what to tell the detectors, whose traffic it was.
 * Invariant: for each direction of a flow the counts are those of one vantage (sensor, VLAN, tunnel depth), at any
 * moment. That vantage is the first that shows the direction; ownership.ts says when another one takes over, and the
 * flow's counts become that one's. Every vantage's own counts go to its sighting, so nothing reported is lost.
 * Same flow: same network, same Community ID, and equal TCP initial sequence numbers, or, where one is unknown, times
 * that overlap within `slackMs`.
 * Approximate: on a take-over, payload octets and flag counts go on from the new vantage;
 * what it had before is not known here.
 * State is bounded by `flowsMax`; what was evicted and comes again is found in the store by its id, and read back.
 * Hot path: what a segment changes goes from typed columns to typed columns; see also row_filler.ts. @module */

import type { Reporter } from "../../shared/reporter.ts";
import type { Facts } from "../../shared/facts.ts";
import type { Flow } from "../model/flow.ts";
import type { FlowRows } from "../model/flow_rows.ts";
import { Arrival, isHighFirst, isReversible, offsetUsOf, type Source } from "./arrival.ts";
import { ownKey, type SegmentColumns } from "./columns.ts";
import { FactFilter } from "./fact_filter.ts";
import { highOf, lowOf, Salts, shortKey, slotOf } from "./flow_id.ts";
import { noteFlow } from "./learning.ts";
import { hasIsn, highFirst, isSuspect, MergeState } from "./merge_state.ts";
import { accept, type Owning } from "./ownership.ts";
import { isPrivate } from "./read_ip.ts";
import { allBuckets, type BucketChoice, restoreFlows } from "./restore.ts";
import { fillRow } from "./row_filler.ts";
import { mergeDefaults, type MergeOptions } from "./merge_options.ts";
import type { MergeWrite } from "./merge_write.ts";
import type { TrafficSums } from "./traffic_sums.ts";
import { SightingWriter } from "./sighting_writer.ts";
import { turnFacts } from "./turn.ts";
import { MergedUpdate } from "./update.ts";
import { Vantages } from "./vantages.ts";

export class Merger {
  #options: MergeOptions;
  #reporter: Reporter;
  #state = new MergeState();
  #facts: FactFilter;
  #vantages = new Vantages();
  #sightings = new SightingWriter(this.#state, this.#vantages);
  #owning: Owning;
  #salts = new Salts();
  /** Orientation of flows whose first SYN came in the batches at hand, by fingerprint. */
  #hints = new Map<number, boolean>();
  /** Ids that a new flow cannot have, as other flows have them. */
  #taken = new Set<string>();
  /** Flows that have a row in the write at hand. */
  #pending: number[] = [];
  /** Stand-ins of times that are not trusted, so that two of them differ. */
  #standIns = 0;
  #arrival = new Arrival();
  /** Of the batch at hand. */
  #bucket = 0;
  #segments = 0;

  /** @throws {RangeError} when a limit is out of range. */
  constructor(options: Partial<MergeOptions>, deps: { reporter: Reporter }) {
    this.#options = { ...mergeDefaults, ...options };
    for (const [name, value] of Object.entries(this.#options)) {
      if (Number.isFinite(value) && value >= 1) continue;
      throw new RangeError(`Cannot merge as "${name}" must be >= 1: current value is ${value}`);
    }
    this.#reporter = deps.reporter;
    this.#facts = new FactFilter(this.#state, this.#options.factsMax);
    this.#owning = { state: this.#state, silenceMs: this.#options.silenceMs, reporter: deps.reporter };
  }

  /** Flows remembered. */
  get size(): number {
    return this.#state.flows.size;
  }

  /** What follows can be taken back. Makes room first: nothing is evicted inside a transaction. */
  begin(): void {
    // What was just brought back must not go again.
    if (this.size > this.#options.flowsMax && this.#taken.size === 0) this.#evict();
    this.#state.begin();
    this.#facts.begin();
  }

  /** What was taken since `begin` is stored. */
  commit(): void {
    const { pending } = this.#state.flows.columns;
    for (const flow of this.#pending) pending[flow] = 0;
    this.#state.commit();
    this.#facts.commit();
    this.#end();
    this.#taken.clear();
    this.#reporter.count("segments_merged_total", undefined, this.#segments);
    const { unremembered } = this.#facts;
    if (unremembered > 0) this.#reporter.count("merge_facts_unremembered_total", undefined, unremembered);
    this.#segments = 0;
  }

  /** What was taken since `begin` is not stored, and never happened. */
  rollback(): void {
    this.#state.rollback();
    this.#facts.rollback();
    this.#end();
    this.#segments = 0;
  }

  #end(): void {
    this.#pending.length = 0;
    this.#hints.clear();
  }

  /** After a rollback: ids that were given to new flows are taken, by stored flows that memory had forgotten, or by two
   * new ones at once. The stored ones come back. */
  bringBack(
    stored: readonly Flow[],
    taken: readonly { us: number; slot: number }[],
    nowMs: number,
    buckets: BucketChoice,
  ): void {
    this.restore(stored.map((flow) => ({ ...flow, updated_ms: nowMs })), buckets);
    for (const { us, slot } of taken) this.#taken.add(`${us}|${slot}`);
  }

  /** Optional, before `take`: learns from segments that saw the SYN which way round a flow is,
   * for another sensor's that did not. */
  learn(columns: SegmentColumns, source: Source): void {
    const { tcp_isn } = columns.numbers;
    for (let row = 0; row < columns.size; row++) {
      if (tcp_isn[row] < 0) continue;
      const salt = this.#salts.of(networkOf(columns, row, source.site));
      const low = lowOf(columns.digests, 20 * row, salt), high = highOf(columns.digests, 20 * row, salt);
      this.#hints.set(shortKey(low, high), isHighFirst(columns, row));
    }
  }

  /** Merges the segments of one batch, all of one bucket, into `write`. */
  take(columns: SegmentColumns, source: Source, nowMs: number, write: MergeWrite, bucket = 0): void {
    this.#bucket = bucket;
    const offsetUs = offsetUsOf(source);
    const sensors = [source.sensor_id];
    for (let i = 0; i < columns.size; i++) {
      this.#arrival.set(columns, columns.order[i], offsetUs, nowMs);
      this.#takeOne(this.#arrival, source, sensors, nowMs, write);
    }
    this.#segments += columns.size;
  }

  /** Forgets flows without news for `keepMs`; returns how many. Not inside a transaction. */
  expire(nowMs: number): number {
    return this.#forget((updatedMs) => updatedMs < nowMs - this.#options.keepMs);
  }

  /** Forgets the flows of some buckets. Not inside a transaction. */
  forgetBuckets(buckets: ReadonlySet<number>): void {
    const { bucket } = this.#state.flows.columns;
    this.#forget((_, flow) => buckets.has(bucket[flow]));
  }

  /** Takes stored flows back into memory, those of some buckets.
   * Facts are held to be those of the vantage that has the initiator's direction. */
  restore(flows: readonly Flow[], buckets: BucketChoice = allBuckets): void {
    restoreFlows(flows, this.#state, this.#vantages, this.#salts, buckets, {
      remember: (stored, flow) =>
        void this.#facts.take(stored, flow, this.#state.flows.columns.fwd[flow], true),
      forget: (flow) => this.#remove(flow),
    });
  }

  #remove(flow: number): void {
    this.#facts.forget(flow);
    this.#state.removeFlow(flow);
  }

  #takeOne(arrival: Arrival, source: Source, alone: string[], nowMs: number, write: MergeWrite): void {
    const { columns, row } = arrival;
    const network = networkOf(columns, row, source.site);
    const salt = this.#salts.of(network);
    const isNamed = columns.isNamed[row] === 1;
    const key = isNamed ? columns.digests : ownKey(columns, row);
    const low = lowOf(key, isNamed ? 20 * row : 0, salt), high = highOf(key, isNamed ? 20 * row : 0, salt);
    let flow = this.#find(low, high, arrival);
    const isFirst = flow < 0;
    if (isFirst) flow = this.#create(low, high, arrival, nowMs);
    const { flows } = this.#state;
    flows.touch(flow);
    const isTurned = isHighFirst(columns, row) !== ((flows.columns.bits[flow] & highFirst) !== 0);
    if (isTurned && isReversible(columns, row)) arrival.orient(true);
    const n = columns.numbers;
    const vantage = this.#vantages.number(source.sensor_id, n.vlan[row], n.ip_depth[row]);
    let sighting = this.#state.findSighting(flow, vantage);
    const isNewSighting = sighting < 0;
    if (isNewSighting) {
      sighting = this.#state.addSighting(flow, vantage);
      write.newSightings++;
    }
    this.#sightings.add(sighting, arrival, isNewSighting);
    this.#sightings.write(flow, sighting, isNewSighting, arrival, write.sightings);
    accept(this.#owning, flow, sighting, arrival);
    const isOwner = flows.columns.fwd[flow] === sighting;
    const told = arrival.isTurned ? turnFacts(columns.facts[row]) : columns.facts[row];
    const facts = told === null ? null : this.#facts.take(told, flow, sighting, isOwner);
    const isChanged = noteFlow(this.#state, flow, sighting, arrival, nowMs);
    const packets = arrival.fwdPackets + arrival.bwdPackets;
    if (isFirst || isChanged || facts !== null || packets > 0) {
      this.#writeRow(flow, sighting, arrival, facts, network, isFirst, nowMs, write.rows);
    }
    if (isFirst || facts !== null || packets > 0) {
      this.#tell(flow, sighting, arrival, facts, network, isFirst, alone, write);
    }
    this.#addTraffic(flow, arrival, isFirst, source, nowMs, write.traffic);
  }

  #addTraffic(
    flow: number,
    arrival: Arrival,
    isFirst: boolean,
    source: Source,
    nowMs: number,
    traffic: TrafficSums,
  ): void {
    const { fwd, bwd, factor } = this.#state.flows.columns;
    const scale = factor[flow];
    const firstUs = arrival.isSuspect ? nowMs * 1e3 : arrival.startUs;
    const lastUs = arrival.isSuspect ? nowMs * 1e3 : arrival.endUs;
    const protocol = arrival.columns.protocol[arrival.row];
    const fwdSensor = this.#ownerOf(fwd[flow]), bwdSensor = this.#ownerOf(bwd[flow]);
    const owner = fwdSensor || bwdSensor || source.sensor_id;
    const flows = isFirst ? scale : 0;
    const fwdBytes = arrival.fwdBytes * scale, bwdBytes = arrival.bwdBytes * scale;
    traffic.add(firstUs, lastUs, owner, protocol, flows, arrival.fwdPackets * scale, fwdBytes);
    traffic.add(firstUs, lastUs, bwdSensor || owner, protocol, 0, arrival.bwdPackets * scale, bwdBytes);
  }

  /** The flow that a segment belongs to, or -1. */
  #find(low: number, high: number, { isn, flowStartUs, endUs }: Arrival): number {
    const columns = this.#state.flows.columns;
    const slackUs = this.#options.slackMs * 1e3;
    let overlapping = -1;
    for (let flow = this.#state.newest(low, high); flow >= 0; flow = columns.older[flow]) {
      if (isn >= 0 && columns.bits[flow] & hasIsn) {
        if (columns.isn[flow] === isn) return flow;
        continue;
      }
      const overlaps = flowStartUs <= columns.endUs[flow] + slackUs &&
        endUs >= columns.startUs[flow] - slackUs;
      if (overlapping < 0 && overlaps) overlapping = flow;
    }
    return overlapping;
  }

  #create(low: number, high: number, arrival: Arrival, nowMs: number): number {
    const flow = this.#state.addFlow(low, high);
    const { columns } = this.#state.flows;
    const slot = slotOf(low, high, arrival.isn);
    columns.slot[flow] = slot;
    columns.bucket[flow] = this.#bucket;
    columns.idUs[flow] = this.#freeTime(
      arrival.isSuspect ? nowMs * 1e3 + this.#standIns++ % 1e6 : arrival.flowStartUs,
      slot,
    );
    columns.startUs[flow] = arrival.flowStartUs;
    columns.endUs[flow] = arrival.endUs;
    const { row } = arrival;
    const hint = this.#hints.size > 0 && arrival.isn < 0 && isReversible(arrival.columns, row)
      ? this.#hints.get(shortKey(low, high))
      : undefined;
    columns.bits[flow] = ((hint ?? isHighFirst(arrival.columns, row)) ? highFirst : 0) |
      (arrival.isSuspect ? isSuspect : 0);
    columns.endReason[flow] = arrival.endReason;
    return flow;
  }

  /** `us`, or the next microsecond in which the slot is free. */
  #freeTime(us: number, slot: number): number {
    if (this.#taken.size === 0) return us;
    let free = us;
    while (this.#taken.has(`${free}|${slot}`)) free++;
    this.#taken.add(`${free}|${slot}`);
    return free;
  }

  /** Adds to the flow's row in the write, or begins one. */
  #writeRow(
    flow: number,
    sighting: number,
    arrival: Arrival,
    facts: Facts | null,
    network: string,
    isFirst: boolean,
    nowMs: number,
    rows: FlowRows,
  ): void {
    const { columns } = this.#state.flows;
    const i = rows.append();
    fillRow(rows, i, arrival, columns.fwd[flow] === sighting, columns.bwd[flow] === sighting);
    const c = rows.columns;
    c.isNew[i] = isFirst ? 1 : 0;
    c.idUs[i] = columns.idUs[flow];
    c.slot[i] = columns.slot[flow];
    c.startUs[i] = columns.startUs[flow];
    c.endUs[i] = columns.endUs[flow];
    c.connState[i] = columns.connState[flow];
    c.endReason[i] = columns.endReason[flow];
    c.factor[i] = columns.factor[flow];
    c.isSuspect[i] = columns.bits[flow] & isSuspect ? 1 : 0;
    c.storedMs[i] = c.updatedMs[i] = nowMs;
    rows.network[i] = network;
    rows.fwdSensor[i] = this.#ownerOf(columns.fwd[flow]);
    rows.bwdSensor[i] = this.#ownerOf(columns.bwd[flow]);
    rows.facts[i] = facts;
    if (columns.pending[flow] === 0) {
      columns.pending[flow] = i + 1;
      this.#pending.push(flow);
      return;
    }
    rows.add(columns.pending[flow] - 1, rows, i);
    rows.drop();
  }

  #tell(
    flow: number,
    sighting: number,
    arrival: Arrival,
    facts: Facts | null,
    network: string,
    isFirst: boolean,
    alone: string[],
    { updates }: MergeWrite,
  ): void {
    if (updates === null) return;
    const { columns } = this.#state.flows;
    const isAlone = this.#state.sightings.columns.next[columns.sightings[flow]] < 0;
    updates.push(
      new MergedUpdate(arrival, {
        idUs: columns.idUs[flow],
        slot: columns.slot[flow],
        network,
        first: isFirst,
        sensors: isAlone ? alone : this.#sensorsOf(flow),
        facts,
        connState: columns.connState[flow],
        factor: columns.factor[flow],
        hasFwd: columns.fwd[flow] === sighting,
        hasBwd: columns.bwd[flow] === sighting,
      }),
    );
  }

  #ownerOf(sighting: number): string {
    return sighting < 0 ? "" : this.#vantages.sensorOf(this.#state.sightings.columns.vantage[sighting]);
  }

  #sensorsOf(flow: number): string[] {
    const { vantage, next } = this.#state.sightings.columns;
    const found = new Set<string>();
    for (let one = this.#state.flows.columns.sightings[flow]; one >= 0; one = next[one]) {
      found.add(this.#vantages.sensorOf(vantage[one]));
    }
    return [...found].sort();
  }

  #evict(): void {
    const { columns, end } = this.#state.flows;
    const times = columns.updatedMs.slice(0, end).filter((time) => time > 0).sort();
    // A sixteenth at once, so that the sort is rare.
    const limit = times[Math.max(0, times.length - Math.floor(this.#options.flowsMax * 15 / 16))];
    const evicted = this.#forget((updatedMs) => updatedMs < limit) || this.#forget(() => true);
    this.#reporter.count("merge_flows_evicted_total", undefined, evicted);
  }

  #forget(isOld: (updatedMs: number, flow: number) => boolean): number {
    const { flows } = this.#state;
    let forgotten = 0;
    for (let flow = 0; flow < flows.end; flow++) {
      const updatedMs = flows.columns.updatedMs[flow];
      if (updatedMs === 0 || !isOld(updatedMs, flow)) continue;
      this.#remove(flow);
      forgotten++;
    }
    return forgotten;
  }
}

/** Private addresses mean something only on their own site. */
function networkOf({ ips, ipLengths }: SegmentColumns, row: number, site: string): string {
  const isLocal = isPrivate(ips, 32 * row, ipLengths[2 * row]) ||
    isPrivate(ips, 32 * row + 16, ipLengths[2 * row + 1]);
  return isLocal ? site : "global";
}
