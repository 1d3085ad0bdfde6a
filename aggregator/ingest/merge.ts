/** Merges what several sensors saw: segments in, flows out.
 *
 * In: segments of one sensor and `nowMs`. Out: what to write, what to tell the detectors, whose traffic it was.
 * Invariant: for each direction of a flow the counts are those of one vantage (sensor, VLAN, tunnel depth), at any moment. That vantage is
 * the first that shows the direction; ownership.ts says when another one takes over, and the flow's counts become that one's. Every
 * vantage's own counts go to its sighting, so nothing reported is lost.
 * Same flow: same network, same Community ID, and equal TCP initial sequence numbers, or, where one is unknown, times that overlap
 * within {@link MergeOptions.slackMs}.
 * Approximate: on a take-over, payload octets and flag counts go on from the new vantage; what it had before is not known here.
 * State is bounded by `flowsMax`; what was evicted starts a new flow if it comes again, under the same id if its start is the same. @module */

import type { Reporter } from "../../shared/reporter.ts";
import { connStates, endReasons, type Segment } from "../../shared/segment.ts";
import type { FlowWrite } from "../model/flow.ts";
import type { TrafficRow } from "../model/traffic.ts";
import { type Arrival, arrive, isReversible, networkOf, sightingOf, type Source } from "./arrival.ts";
import { FactFilter } from "./fact_filter.ts";
import type { Flow, FlowUpdate } from "../model/flow.ts";
import { Fingerprints, flowId, isnOctet, shortKey } from "./flow_id.ts";
import { hasIsn, highFirst, isSuspect, MergeState } from "./merge_state.ts";
import { acceptSegment, type Owning } from "./ownership.ts";
import { restoreFlow } from "./restore.ts";
import { keyOf } from "./rows.ts";
import { TrafficSums } from "./traffic_sums.ts";
import { isHighFirst, joinedState, turn } from "./turn.ts";
import { Vantages } from "./vantages.ts";

export interface MergeOptions {
  /** Flows remembered. @default 500000 */
  flowsMax: number;
  /** A flow is forgotten after this time without news, on the aggregator's clock. @default 3600000 */
  keepMs: number;
  /** Times this close count as overlapping: clocks are corrected to a few milliseconds, not to none. @default 5000 */
  slackMs: number;
  /** Longer than the 60 s between segments of a long flow, and their way here. @default 90000 */
  silenceMs: number;
}

export type { Source };

export interface Merged {
  writes: FlowWrite[];
  updates: FlowUpdate[];
  traffic: TrafficRow[];
}

const defaults: MergeOptions = { flowsMax: 500_000, keepMs: 3_600_000, slackMs: 5_000, silenceMs: 90_000 };
const active = endReasons.indexOf("active");
/** Beyond what a sensor of ours samples; a factor is a claim of its sensor. */
const factorMax = 1_024;

export class Merger {
  #options: MergeOptions;
  #reporter: Reporter;
  #state = new MergeState();
  #facts = new FactFilter();
  #vantages = new Vantages();
  #owning: Owning;
  #fingerprints = new Fingerprints();
  /** Orientation of flows whose first SYN came in the batches at hand, by fingerprint. */
  #hints = new Map<number, boolean>();

  /** @throws {RangeError} when a limit is out of range. */
  constructor(options: Partial<MergeOptions>, deps: { reporter: Reporter }) {
    this.#options = { ...defaults, ...options };
    for (const [name, value] of Object.entries(this.#options)) {
      if (Number.isFinite(value) && value >= 1) continue;
      throw new RangeError(`Cannot merge as "${name}" must be >= 1: current value is ${value}`);
    }
    this.#reporter = deps.reporter;
    this.#owning = { state: this.#state, silenceMs: this.#options.silenceMs, reporter: deps.reporter };
  }

  /** Flows remembered. */
  get size(): number {
    return this.#state.flows.size;
  }

  /** What follows can be taken back. Makes room first: nothing is evicted inside a transaction. */
  begin(): void {
    if (this.size > this.#options.flowsMax) this.#evict();
    this.#state.begin();
    this.#facts.begin();
  }

  /** What was taken since `begin` is stored. */
  commit(): void {
    this.#state.commit();
    this.#facts.commit();
    this.#reporter.count("merge_facts_forgotten_total", undefined, this.#facts.takeEvicted());
    this.#hints.clear();
  }

  /** What was taken since `begin` is not stored, and never happened. */
  rollback(): void {
    this.#state.rollback();
    this.#facts.rollback();
    this.#hints.clear();
  }

  /** Optional, before `take`: learns from segments that saw the SYN which way round a flow is, for another sensor's that did not. */
  learn(
    segments: readonly Segment[],
    source: Source,
    keys: readonly Uint8Array[] = segments.map(keyOf),
  ): void {
    segments.forEach((segment, i) => {
      if (segment.tcp_isn === null) return;
      const [low, high] = this.#fingerprints.of(networkOf(segment, source.site), keys[i]);
      this.#hints.set(shortKey(low, high), isHighFirst(segment));
    });
  }

  /** Merges `segments` of one sensor. `keys` saves computing them anew. */
  take(
    segments: readonly Segment[],
    source: Source,
    nowMs: number,
    keys: readonly Uint8Array[] = segments.map(keyOf),
  ): Merged {
    const merged: Merged = { writes: [], updates: [], traffic: [] };
    const traffic = new TrafficSums();
    segments.forEach((segment, i) => this.#takeOne(segment, keys[i], source, nowMs, merged, traffic));
    merged.traffic = traffic.rows();
    this.#reporter.count("segments_merged_total", undefined, segments.length);
    return merged;
  }

  /** Forgets flows without news for `keepMs`; returns how many. Not inside a transaction. */
  expire(nowMs: number): number {
    return this.#forget((updatedMs) => updatedMs < nowMs - this.#options.keepMs);
  }

  /** Forgets everything. */
  clear(): void {
    this.#forget(() => true);
  }

  /** Takes stored flows back into memory. Facts are held to be those of the vantage that has the initiator's direction. */
  restore(flows: readonly Flow[]): void {
    for (const stored of flows) {
      const flow = restoreFlow(this.#state, this.#vantages, stored);
      this.#facts.take(stored.facts, flow, this.#state.flows.columns.fwd[flow], true);
    }
  }

  #takeOne(
    given: Segment,
    key: Uint8Array,
    source: Source,
    nowMs: number,
    merged: Merged,
    traffic: TrafficSums,
  ): void {
    const network = networkOf(given, source.site);
    const [low, high] = this.#fingerprints.of(network, key);
    const arrival = arrive(given, source, nowMs);
    let flow = this.#find(low, high, arrival);
    const isFirst = flow < 0;
    if (isFirst) flow = this.#create(low, high, arrival, nowMs);
    const { flows } = this.#state;
    flows.touch(flow);
    const isTurned = isHighFirst(given) !== ((flows.columns.bits[flow] & highFirst) !== 0);
    if (isTurned && isReversible(given)) arrival.segment = turn(given);
    const vantage = this.#vantages.number(source.sensor_id, given.vlan, given.ip_depth);
    let sighting = this.#state.findSighting(flow, vantage);
    const isNewSighting = sighting < 0;
    if (isNewSighting) sighting = this.#state.addSighting(flow, vantage);
    this.#addToSighting(sighting, arrival);
    const segment = acceptSegment(this.#owning, flow, sighting, arrival.segment);
    const facts = this.#facts.take(segment.facts, flow, sighting, flows.columns.fwd[flow] === sighting);
    this.#noteFlow(flow, sighting, arrival, nowMs);
    const conn_state = connStates[flows.columns.connState[flow]];
    const factor = this.#factorOf(flow, segment.factor);
    const accepted = { ...segment, facts, conn_state, factor };
    const write = this.#write(flow, accepted, network, isFirst, nowMs);
    write.sightings.push(sightingOf(arrival, source));
    write.newSightings = isNewSighting ? 1 : 0;
    merged.writes.push(write);
    const flowId = write.flow.flow_id;
    if (isFirst || facts !== null || write.flow.total_packets > 0) {
      const sensors = this.#sensorsOf(flow);
      merged.updates.push({ flow_id: flowId, network, first: isFirst, segment: accepted, sensors });
    }
    const spanUs = arrival.isSuspect
      ? [nowMs * 1e3, nowMs * 1e3] as const
      : [arrival.startUs, arrival.endUs] as const;
    const { fwd_sensor, bwd_sensor } = write.flow;
    const { protocol } = accepted;
    const from = { spanUs, protocol, flows: isFirst ? factor : 0 };
    const owner = fwd_sensor || bwd_sensor || source.sensor_id;
    traffic.add({
      ...from,
      sensor_id: owner,
      packets: accepted.fwd_packets * factor,
      bytes: accepted.fwd_bytes * factor,
    });
    traffic.add({
      ...from,
      flows: 0,
      sensor_id: bwd_sensor || owner,
      packets: accepted.bwd_packets * factor,
      bytes: accepted.bwd_bytes * factor,
    });
  }

  /** The flow was bound to be seen by the sensor that left out least: that one's factor counts. What was added to the sums before it
   * was heard of stays as it is. */
  #factorOf(flow: number, given: number): number {
    const { factor } = this.#state.flows.columns;
    const bounded = Math.min(factorMax, Math.max(1, given));
    factor[flow] = factor[flow] === 0 ? bounded : Math.min(factor[flow], bounded);
    return factor[flow];
  }

  /** The flow that a segment belongs to, or -1. */
  #find(low: number, high: number, { segment, flowStartUs, endUs }: Arrival): number {
    const { startUs, endUs: ends, isn, bits, older } = this.#state.flows.columns;
    const slackUs = this.#options.slackMs * 1e3;
    let overlapping = -1;
    for (let flow = this.#state.newest(low, high); flow >= 0; flow = older[flow]) {
      if (segment.tcp_isn !== null && bits[flow] & hasIsn) {
        if (isn[flow] === segment.tcp_isn) return flow;
        continue;
      }
      const overlaps = flowStartUs <= ends[flow] + slackUs && endUs >= startUs[flow] - slackUs;
      if (overlapping < 0 && overlaps) overlapping = flow;
    }
    return overlapping;
  }

  #create(low: number, high: number, arrival: Arrival, nowMs: number): number {
    const flow = this.#state.addFlow(low, high);
    const { columns } = this.#state.flows;
    const { segment } = arrival;
    columns.idUs[flow] = Math.max(0, arrival.isSuspect ? Math.round(nowMs * 1e3) : arrival.flowStartUs);
    columns.startUs[flow] = arrival.flowStartUs;
    columns.endUs[flow] = arrival.endUs;
    columns.idOctet[flow] = isnOctet(segment.tcp_isn);
    const hint = segment.tcp_isn === null && isReversible(segment)
      ? this.#hints.get(shortKey(low, high))
      : undefined;
    columns.bits[flow] = ((hint ?? isHighFirst(segment)) ? highFirst : 0) |
      (arrival.isSuspect ? isSuspect : 0);
    columns.endReason[flow] = endReasons.indexOf(segment.end_reason);
    return flow;
  }

  #addToSighting(sighting: number, { segment, endUs }: Arrival): void {
    const { sightings } = this.#state;
    sightings.touch(sighting);
    const { columns } = sightings;
    columns.fwdPackets[sighting] += segment.fwd_packets;
    columns.fwdBytes[sighting] += segment.fwd_bytes;
    columns.bwdPackets[sighting] += segment.bwd_packets;
    columns.bwdBytes[sighting] += segment.bwd_bytes;
    if (endUs >= columns.endUs[sighting]) {
      columns.endUs[sighting] = endUs;
      columns.endReason[sighting] = endReasons.indexOf(segment.end_reason);
    }
  }

  /** What the flow as a whole learns from a segment. */
  #noteFlow(flow: number, sighting: number, { segment, flowStartUs, endUs }: Arrival, nowMs: number): void {
    const { columns } = this.#state.flows;
    if (segment.tcp_isn !== null && !(columns.bits[flow] & hasIsn)) {
      columns.isn[flow] = segment.tcp_isn;
      columns.bits[flow] |= hasIsn;
    }
    columns.fwdFlags[flow] |= segment.fwd_tcp_flags;
    columns.bwdFlags[flow] |= segment.bwd_tcp_flags;
    columns.startUs[flow] = Math.min(columns.startUs[flow], flowStartUs);
    columns.updatedMs[flow] = nowMs;
    const isLatest = endUs >= columns.endUs[flow];
    const reason = endReasons.indexOf(segment.end_reason);
    // Of two sensors that saw the same last packet, the one that says why it was the last knows more.
    const saysLess = reason === active && endUs === columns.endUs[flow] && columns.endReason[flow] !== active;
    if (isLatest) {
      columns.endUs[flow] = endUs;
      if (!saysLess) columns.endReason[flow] = reason;
    }
    const fwd = columns.fwd[flow], bwd = columns.bwd[flow];
    if (fwd >= 0 && bwd >= 0 && fwd !== bwd) {
      const joined = joinedState(segment.protocol, columns.fwdFlags[flow], columns.bwdFlags[flow]);
      columns.connState[flow] = connStates.indexOf(joined);
    } else if (isLatest && (fwd === sighting || bwd === sighting)) {
      columns.connState[flow] = connStates.indexOf(segment.conn_state);
    }
  }

  #write(flow: number, accepted: Segment, network: string, isFirst: boolean, nowMs: number): FlowWrite {
    const { columns } = this.#state.flows;
    const { segment: _, flow_start: __, ...fields } = accepted;
    const stored: FlowWrite["flow"] = {
      ...fields,
      flow_id: flowId(columns.idUs[flow], columns.low[flow], columns.high[flow], columns.idOctet[flow]),
      network,
      start: columns.startUs[flow] / 1e6,
      end: columns.endUs[flow] / 1e6,
      total_packets: accepted.fwd_packets + accepted.bwd_packets,
      total_bytes: accepted.fwd_bytes + accepted.bwd_bytes,
      fwd_sensor: this.#ownerOf(columns.fwd[flow]),
      bwd_sensor: this.#ownerOf(columns.bwd[flow]),
      end_reason: endReasons[columns.endReason[flow]],
      time_suspect: (columns.bits[flow] & isSuspect) !== 0,
      stored_ms: nowMs,
      updated_ms: nowMs,
    };
    return { kind: isFirst ? "insert" : "update", flow: stored, sightings: [], newSightings: 0 };
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

  #forget(isOld: (updatedMs: number) => boolean): number {
    const { flows } = this.#state;
    let forgotten = 0;
    for (let flow = 0; flow < flows.end; flow++) {
      const updatedMs = flows.columns.updatedMs[flow];
      if (updatedMs === 0 || !isOld(updatedMs)) continue;
      this.#state.removeFlow(flow);
      this.#facts.forget(flow);
      forgotten++;
    }
    return forgotten;
  }
}
