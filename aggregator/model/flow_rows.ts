/** Flows as columns of numbers: what a transaction writes, and what is read before it adds.
 *
 * In: merged segments, or stored flows.
 * Out: rows that the store encodes, and flows as objects for those who ask for few.
 * Invariant: a row is a whole flow or an increment to one; {@link FlowRows.add} is the one place where an increment
 * meets a flow, in memory and in the store alike, so that a flow is the same however its segments were grouped.
 * No sum passes 2^53 - 1.
 * Hot path: one row a segment goes through here, so columns are typed arrays and nothing is allocated for a row.
 * Why squares instead of deviations: means of values and of squares combine by weight.
 * Means themselves follow from other columns. @module */

import { formatIp, parseIp } from "../../shared/ip.ts";
import { connStates, endReasons, roundTo3 } from "../../shared/segment.ts";
import type { Facts } from "../../shared/facts.ts";
import type { Flow } from "./flow.ts";
import { flowIdText, readFlowId } from "./flow_id.ts";
import { mergeFacts } from "./facts.ts";

const spec = {
  /** 1 = a flow that the store does not have; 0 = an increment to a stored one. */
  isNew: Uint8Array,
  /** Time and slot of the id. */
  idUs: Float64Array,
  slot: Uint16Array,
  /** First four octets of the Community ID's digest; 0 = it has none. */
  community: Uint32Array,
  startUs: Float64Array,
  endUs: Float64Array,
  srcLength: Uint8Array,
  dstLength: Uint8Array,
  srcPort: Uint16Array,
  dstPort: Uint16Array,
  /** Bit 1: the source has a MAC; bit 2: the destination. */
  macs: Uint8Array,
  ipDepth: Uint8Array,
  vlan: Uint16Array,
  vlanInner: Uint16Array,
  fwdPackets: Float64Array,
  fwdBytes: Float64Array,
  fwdPayload: Float64Array,
  bwdPackets: Float64Array,
  bwdBytes: Float64Array,
  bwdPayload: Float64Array,
  fwdFlags: Uint8Array,
  bwdFlags: Uint8Array,
  fwdSyn: Float64Array,
  bwdSyn: Float64Array,
  fwdFin: Float64Array,
  bwdFin: Float64Array,
  fwdRst: Float64Array,
  bwdRst: Float64Array,
  fwdTtl: Uint8Array,
  bwdTtl: Uint8Array,
  connState: Uint8Array,
  rttUs: Float64Array,
  /** -1 = not seen. */
  isn: Float64Array,
  lengthMin: Float64Array,
  lengthMax: Float64Array,
  lengthSquare: Float64Array,
  gapMin: Float64Array,
  gapMax: Float64Array,
  gapSquare: Float64Array,
  endReason: Uint8Array,
  factor: Uint16Array,
  isSuspect: Uint8Array,
  storedMs: Float64Array,
  updatedMs: Float64Array,
  segments: Float64Array,
  /** Added to the times of the one vantage that saw the flow. */
  offsetUs: Float64Array,
} as const;

type Columns = { [name in keyof typeof spec]: InstanceType<(typeof spec)[name]> };
type NumberArray = Columns[keyof Columns];
const names = Object.keys(spec) as (keyof typeof spec)[];
const firstRows = 1_024;
const sumMax = Number.MAX_SAFE_INTEGER;

export class FlowRows {
  columns: Columns;
  /** 32 octets a row: source, destination. */
  ips: Uint8Array;
  /** 12 octets a row. */
  macs: Uint8Array;
  readonly network: string[] = [];
  readonly protocol: string[] = [];
  readonly tunnel: string[] = [];
  readonly app: string[] = [];
  /** "" = that direction is unseen. */
  readonly fwdSensor: string[] = [];
  readonly bwdSensor: string[] = [];
  readonly facts: (Facts | null)[] = [];
  size = 0;
  #capacity: number;

  constructor(capacity = firstRows) {
    this.#capacity = capacity;
    this.columns = allocate(capacity);
    this.ips = new Uint8Array(32 * capacity);
    this.macs = new Uint8Array(12 * capacity);
  }

  /** A new row at the end, with the values of the row that was there before: the caller sets all of them. */
  append(): number {
    if (this.size === this.#capacity) this.#grow();
    return this.size++;
  }

  /** As if it were new; its memory stays. */
  clear(): void {
    this.size = this.facts.length = 0;
  }

  /** Takes the last row away. */
  drop(): void {
    this.size--;
    this.facts.length = Math.min(this.facts.length, this.size);
  }

  /** Adds the increment in row `j` of `other` to the flow in row `i`. */
  add(i: number, other: FlowRows, j: number): void {
    const a = this.columns, b = other.columns;
    addStatistics(a, i, b, j);
    addCounts(a, i, b, j);
    a.startUs[i] = Math.min(a.startUs[i], b.startUs[j]);
    a.endUs[i] = Math.max(a.endUs[i], b.endUs[j]);
    a.fwdFlags[i] |= b.fwdFlags[j];
    a.bwdFlags[i] |= b.bwdFlags[j];
    if (a.fwdTtl[i] === 0) a.fwdTtl[i] = b.fwdTtl[j];
    if (a.bwdTtl[i] === 0) a.bwdTtl[i] = b.bwdTtl[j];
    if (a.rttUs[i] === 0) a.rttUs[i] = b.rttUs[j];
    if (a.isn[i] < 0) a.isn[i] = b.isn[j];
    this.#addMacs(i, other, j);
    a.connState[i] = b.connState[j];
    a.endReason[i] = b.endReason[j];
    a.factor[i] = Math.min(a.factor[i], b.factor[j]);
    a.isSuspect[i] |= b.isSuspect[j];
    a.storedMs[i] = Math.min(a.storedMs[i], b.storedMs[j]);
    a.updatedMs[i] = Math.max(a.updatedMs[i], b.updatedMs[j]);
    if (this.app[i] === "") this.app[i] = other.app[j];
    this.fwdSensor[i] = other.fwdSensor[j];
    this.bwdSensor[i] = other.bwdSensor[j];
    if (other.facts[j] !== null) this.facts[i] = mergeFacts(this.facts[i], other.facts[j]);
  }

  #addMacs(i: number, other: FlowRows, j: number): void {
    const missing = other.columns.macs[j] & ~this.columns.macs[i];
    if (missing === 0) return;
    for (let end = 0; end < 2; end++) {
      if (!(missing & 1 << end)) continue;
      const from = 12 * j + 6 * end;
      this.macs.set(other.macs.subarray(from, from + 6), 12 * i + 6 * end);
    }
    this.columns.macs[i] |= missing;
  }

  flowIdAt(i: number): string {
    return flowIdText(this.columns.idUs[i], this.columns.slot[i]);
  }

  /** The row as an object, its sightings and its Community ID apart. */
  flowAt(i: number): Omit<Flow, "seen_by"> {
    const c = this.columns;
    const packets = Math.min(sumMax, c.fwdPackets[i] + c.bwdPackets[i]);
    const bytes = Math.min(sumMax, c.fwdBytes[i] + c.bwdBytes[i]);
    const lengthMean = packets > 0 ? bytes / packets : 0;
    const gapMean = packets > 1 ? (c.endUs[i] - c.startUs[i]) / (packets - 1) : 0;
    return {
      flow_id: flowIdText(c.idUs[i], c.slot[i]),
      network: this.network[i],
      community_id: "",
      ip_depth: c.ipDepth[i],
      tunnel: this.tunnel[i],
      vlan: c.vlan[i],
      vlan_inner: c.vlanInner[i],
      protocol: this.protocol[i],
      src_ip: formatIp(this.ips, 32 * i, c.srcLength[i]),
      src_port: c.srcPort[i],
      dst_ip: formatIp(this.ips, 32 * i + 16, c.dstLength[i]),
      dst_port: c.dstPort[i],
      src_mac: c.macs[i] & 1 ? macText(this.macs, 12 * i) : "",
      dst_mac: c.macs[i] & 2 ? macText(this.macs, 12 * i + 6) : "",
      start: c.startUs[i] / 1e6,
      end: c.endUs[i] / 1e6,
      fwd_packets: c.fwdPackets[i],
      fwd_bytes: c.fwdBytes[i],
      fwd_payload_bytes: c.fwdPayload[i],
      bwd_packets: c.bwdPackets[i],
      bwd_bytes: c.bwdBytes[i],
      bwd_payload_bytes: c.bwdPayload[i],
      total_packets: packets,
      total_bytes: bytes,
      fwd_tcp_flags: c.fwdFlags[i],
      bwd_tcp_flags: c.bwdFlags[i],
      fwd_syn_count: c.fwdSyn[i],
      bwd_syn_count: c.bwdSyn[i],
      fwd_fin_count: c.fwdFin[i],
      bwd_fin_count: c.bwdFin[i],
      fwd_rst_count: c.fwdRst[i],
      bwd_rst_count: c.bwdRst[i],
      fwd_ttl: c.fwdTtl[i],
      bwd_ttl: c.bwdTtl[i],
      conn_state: connStates[c.connState[i]],
      handshake_rtt_us: c.rttUs[i],
      tcp_isn: c.isn[i] < 0 ? null : c.isn[i],
      packet_length_min: c.lengthMin[i],
      packet_length_max: c.lengthMax[i],
      packet_length_mean: roundTo3(lengthMean),
      packet_length_deviation: deviation(lengthMean, c.lengthSquare[i]),
      interarrival_us_min: c.gapMin[i],
      interarrival_us_max: c.gapMax[i],
      interarrival_us_mean: roundTo3(gapMean),
      interarrival_us_deviation: deviation(gapMean, c.gapSquare[i]),
      end_reason: endReasons[c.endReason[i]],
      factor: c.factor[i],
      app_protocol: this.app[i],
      facts: this.facts[i],
      fwd_sensor: this.fwdSensor[i],
      bwd_sensor: this.bwdSensor[i],
      time_suspect: c.isSuspect[i] === 1,
      stored_ms: c.storedMs[i],
      updated_ms: c.updatedMs[i],
    };
  }

  /** Appends a flow that is an object. @throws {RangeError} when its id is none. */
  put(flow: Omit<Flow, "seen_by">, rest: { isNew: boolean; community: number }): number {
    const id = readFlowId(flow.flow_id);
    if (id === null) {
      throw new RangeError(
        `Cannot write flow as its id must be 16 hex digits: current value is "${flow.flow_id}"`,
      );
    }
    const i = this.append();
    const c = this.columns;
    c.isNew[i] = rest.isNew ? 1 : 0;
    c.community[i] = rest.community;
    c.idUs[i] = id.us;
    c.slot[i] = id.slot;
    c.startUs[i] = Math.round(flow.start * 1e6);
    c.endUs[i] = Math.round(flow.end * 1e6);
    this.#putEnds(i, flow);
    this.#putCounts(i, flow);
    c.connState[i] = connStates.indexOf(flow.conn_state);
    c.endReason[i] = endReasons.indexOf(flow.end_reason);
    c.factor[i] = flow.factor;
    c.isSuspect[i] = flow.time_suspect ? 1 : 0;
    c.storedMs[i] = flow.stored_ms;
    c.updatedMs[i] = flow.updated_ms;
    c.segments[i] = 1;
    c.offsetUs[i] = 0;
    this.network[i] = flow.network;
    this.protocol[i] = flow.protocol;
    this.tunnel[i] = flow.tunnel;
    this.app[i] = flow.app_protocol;
    this.fwdSensor[i] = flow.fwd_sensor;
    this.bwdSensor[i] = flow.bwd_sensor;
    this.facts[i] = flow.facts;
    return i;
  }

  #putEnds(i: number, flow: Omit<Flow, "seen_by">): void {
    const c = this.columns;
    const src = parseIp(flow.src_ip) ?? new Uint8Array(4), dst = parseIp(flow.dst_ip) ?? new Uint8Array(4);
    this.ips.set(src, 32 * i);
    this.ips.set(dst, 32 * i + 16);
    c.srcLength[i] = src.length;
    c.dstLength[i] = dst.length;
    c.srcPort[i] = flow.src_port;
    c.dstPort[i] = flow.dst_port;
    c.macs[i] = (putMac(this.macs, 12 * i, flow.src_mac) ? 1 : 0) |
      (putMac(this.macs, 12 * i + 6, flow.dst_mac) ? 2 : 0);
    c.ipDepth[i] = flow.ip_depth;
    c.vlan[i] = flow.vlan;
    c.vlanInner[i] = flow.vlan_inner;
  }

  #putCounts(i: number, flow: Omit<Flow, "seen_by">): void {
    const c = this.columns;
    c.fwdPackets[i] = flow.fwd_packets;
    c.fwdBytes[i] = flow.fwd_bytes;
    c.fwdPayload[i] = flow.fwd_payload_bytes;
    c.bwdPackets[i] = flow.bwd_packets;
    c.bwdBytes[i] = flow.bwd_bytes;
    c.bwdPayload[i] = flow.bwd_payload_bytes;
    c.fwdFlags[i] = flow.fwd_tcp_flags;
    c.bwdFlags[i] = flow.bwd_tcp_flags;
    c.fwdSyn[i] = flow.fwd_syn_count;
    c.bwdSyn[i] = flow.bwd_syn_count;
    c.fwdFin[i] = flow.fwd_fin_count;
    c.bwdFin[i] = flow.bwd_fin_count;
    c.fwdRst[i] = flow.fwd_rst_count;
    c.bwdRst[i] = flow.bwd_rst_count;
    c.fwdTtl[i] = flow.fwd_ttl;
    c.bwdTtl[i] = flow.bwd_ttl;
    c.rttUs[i] = flow.handshake_rtt_us;
    c.isn[i] = flow.tcp_isn ?? -1;
    c.lengthMin[i] = flow.packet_length_min;
    c.lengthMax[i] = flow.packet_length_max;
    const packets = flow.fwd_packets + flow.bwd_packets;
    const lengthMean = packets > 0 ? (flow.fwd_bytes + flow.bwd_bytes) / packets : 0;
    const gapMean = packets > 1 ? (c.endUs[i] - c.startUs[i]) / (packets - 1) : 0;
    c.lengthSquare[i] = lengthMean ** 2 + flow.packet_length_deviation ** 2;
    c.gapMin[i] = flow.interarrival_us_min;
    c.gapMax[i] = flow.interarrival_us_max;
    c.gapSquare[i] = gapMean ** 2 + flow.interarrival_us_deviation ** 2;
  }

  #grow(): void {
    this.#capacity *= 2;
    const grown = allocate(this.#capacity);
    for (const name of names) (grown[name] as NumberArray).set(this.columns[name]);
    this.columns = grown;
    this.ips = grownBytes(this.ips);
    this.macs = grownBytes(this.macs);
  }
}

/** Weighed by packets, so before these change. */
function addStatistics(a: Columns, i: number, b: Columns, j: number): void {
  const old = a.fwdPackets[i] + a.bwdPackets[i], fresh = b.fwdPackets[j] + b.bwdPackets[j];
  if (fresh < 1) return;
  a.lengthMin[i] = old < 1 ? b.lengthMin[j] : Math.min(a.lengthMin[i], b.lengthMin[j]);
  a.lengthMax[i] = Math.max(a.lengthMax[i], b.lengthMax[j]);
  a.lengthSquare[i] = (a.lengthSquare[i] * old + b.lengthSquare[j] * fresh) / (old + fresh);
  if (fresh < 2) return;
  a.gapMin[i] = old < 2 ? b.gapMin[j] : Math.min(a.gapMin[i], b.gapMin[j]);
  a.gapMax[i] = Math.max(a.gapMax[i], b.gapMax[j]);
  a.gapSquare[i] = old < 2 ? b.gapSquare[j] : (a.gapSquare[i] * old + b.gapSquare[j] * fresh) / (old + fresh);
}

function addCounts(a: Columns, i: number, b: Columns, j: number): void {
  a.fwdPackets[i] = Math.min(sumMax, a.fwdPackets[i] + b.fwdPackets[j]);
  a.fwdBytes[i] = Math.min(sumMax, a.fwdBytes[i] + b.fwdBytes[j]);
  a.fwdPayload[i] = Math.min(sumMax, a.fwdPayload[i] + b.fwdPayload[j]);
  a.bwdPackets[i] = Math.min(sumMax, a.bwdPackets[i] + b.bwdPackets[j]);
  a.bwdBytes[i] = Math.min(sumMax, a.bwdBytes[i] + b.bwdBytes[j]);
  a.bwdPayload[i] = Math.min(sumMax, a.bwdPayload[i] + b.bwdPayload[j]);
  a.fwdSyn[i] = Math.min(sumMax, a.fwdSyn[i] + b.fwdSyn[j]);
  a.bwdSyn[i] = Math.min(sumMax, a.bwdSyn[i] + b.bwdSyn[j]);
  a.fwdFin[i] = Math.min(sumMax, a.fwdFin[i] + b.fwdFin[j]);
  a.bwdFin[i] = Math.min(sumMax, a.bwdFin[i] + b.bwdFin[j]);
  a.fwdRst[i] = Math.min(sumMax, a.fwdRst[i] + b.fwdRst[j]);
  a.bwdRst[i] = Math.min(sumMax, a.bwdRst[i] + b.bwdRst[j]);
  a.segments[i] = Math.min(sumMax, a.segments[i] + b.segments[j]);
}

function allocate(rows: number): Columns {
  return Object.fromEntries(names.map((name) => [name, new spec[name](rows)])) as Columns;
}

function grownBytes(bytes: Uint8Array): Uint8Array {
  const grown = new Uint8Array(bytes.length * 2);
  grown.set(bytes);
  return grown;
}

/** Three significant digits, as the sensor sends them. */
function deviation(mean: number, square: number): number {
  // Rounded away: what three digits of the mean cannot tell from 0.
  const spread = square - mean * mean;
  return spread <= square * 1e-12 ? 0 : roundTo3(Math.sqrt(spread));
}

export function macText(bytes: Uint8Array, at: number): string {
  let text = "";
  for (let i = 0; i < 6; i++) text += (i > 0 ? ":" : "") + bytes[at + i].toString(16).padStart(2, "0");
  return text;
}

/** False when `text` is no MAC. */
export function putMac(bytes: Uint8Array, at: number, text: string): boolean {
  if (text === "") return false;
  for (let i = 0; i < 6; i++) {
    bytes[at + i] = hexDigit(text.charCodeAt(3 * i)) << 4 | hexDigit(text.charCodeAt(3 * i + 1));
  }
  return true;
}

function hexDigit(code: number): number {
  return code <= 57 ? code - 48 : (code | 32) - 87;
}
