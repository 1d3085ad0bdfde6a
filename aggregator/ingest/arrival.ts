/** A segment on its way into a flow: whose it is, when it was by our clock, which way round.
 *
 * In: a row of a batch, its source, `nowMs`.
 * Out: corrected times and whether they can be trusted; counts as the flow has its ends.
 * Invariant: the sensor's own times stay as they are; what was added to them is kept beside them. One {@link Arrival}
 * is used again for every row, so nobody holds on to it. @module */

import { icmpCounterpart } from "../../shared/community_id.ts";
import type { NumberColumns, SegmentColumns } from "./columns.ts";
import { mirroredStates } from "./turn.ts";

const year2000Us = 946_684_800e6, year2100Us = 4_102_444_800e6;
/** Later than the aggregator's clock by more than this is no time to trust. */
const futureUs = 300e6;
/** Offsets below this are within the error of measuring them. */
const offsetMsMin = 250;

/** Who reports. */
export interface Source {
  sensor_id: string;
  site: string;
  /** Sensor's clock minus aggregator's clock. */
  clock_offset_ms: number;
}

export class Arrival {
  columns!: SegmentColumns;
  row = 0;
  /** Microseconds since the epoch, corrected. */
  startUs = 0;
  endUs = 0;
  flowStartUs = 0;
  offsetUs = 0;
  isSuspect = false;
  isTurned = false;
  connState = 0;
  /** -1 = not seen. */
  isn = -1;
  endReason = 0;
  fwdPackets = 0;
  fwdBytes = 0;
  bwdPackets = 0;
  bwdBytes = 0;
  fwdFlags = 0;
  bwdFlags = 0;

  /** Takes in a row; its ends are those that the sensor gave. */
  set(columns: SegmentColumns, row: number, offsetUs: number, nowMs: number): void {
    const n = columns.numbers;
    this.columns = columns;
    this.row = row;
    this.offsetUs = offsetUs;
    this.startUs = n.start_us[row] + offsetUs;
    this.endUs = this.startUs + n.duration_us[row];
    this.flowStartUs = this.startUs - n.flow_age_us[row];
    this.isSuspect = this.flowStartUs < year2000Us || this.endUs > nowMs * 1e3 + futureUs ||
      this.endUs >= year2100Us;
    this.isn = n.tcp_isn[row];
    this.endReason = n.end_reason[row];
    this.orient(false);
  }

  /** Reads the counts one way round or the other. */
  orient(isTurned: boolean): void {
    const { row } = this;
    const n = this.columns.numbers;
    this.isTurned = isTurned;
    this.fwdPackets = isTurned ? n.bwd_packets[row] : n.fwd_packets[row];
    this.fwdBytes = isTurned ? n.bwd_bytes[row] : n.fwd_bytes[row];
    this.bwdPackets = isTurned ? n.fwd_packets[row] : n.bwd_packets[row];
    this.bwdBytes = isTurned ? n.fwd_bytes[row] : n.bwd_bytes[row];
    this.fwdFlags = isTurned ? n.bwd_tcp_flags[row] : n.fwd_tcp_flags[row];
    this.bwdFlags = isTurned ? n.fwd_tcp_flags[row] : n.bwd_tcp_flags[row];
    const state = n.conn_state[row];
    this.connState = isTurned && this.columns.protocol[row] === "tcp" ? mirroredStates[state] : state;
  }
}

/** Microseconds to add to the times of a source. */
export function offsetUsOf(source: Source): number {
  return Math.abs(source.clock_offset_ms) < offsetMsMin ? 0 : -Math.round(source.clock_offset_ms * 1e3);
}

/** Whether the two directions of such a flow have one key. */
export function isReversible(columns: SegmentColumns, row: number): boolean {
  const protocol = columns.protocol[row];
  if (protocol === "arp") return false;
  if (protocol === "icmp") return icmpCounterpart(1, columns.numbers.src_port[row]) >= 0;
  return protocol !== "icmp6" || icmpCounterpart(58, columns.numbers.src_port[row]) >= 0;
}

/** Which of the two possible ways round a row is: both sensors compare the same two ends. */
export function isHighFirst(columns: SegmentColumns, row: number): boolean {
  const { ips, ipLengths } = columns;
  const at = 32 * row;
  if (ipLengths[2 * row] !== ipLengths[2 * row + 1]) return ipLengths[2 * row] > ipLengths[2 * row + 1];
  for (let i = 0; i < ipLengths[2 * row]; i++) {
    const difference = ips[at + i] - ips[at + 16 + i];
    if (difference !== 0) return difference > 0;
  }
  return columns.numbers.src_port[row] > columns.numbers.dst_port[row];
}

/** The columns of one direction, and of the other, for a row that is or is not turned round. */
export interface Sides {
  fwdPayload: Float64Array;
  bwdPayload: Float64Array;
  fwdSyn: Float64Array;
  bwdSyn: Float64Array;
  fwdFin: Float64Array;
  bwdFin: Float64Array;
  fwdRst: Float64Array;
  bwdRst: Float64Array;
  fwdTtl: Uint8Array;
  bwdTtl: Uint8Array;
}

export function sidesOf(n: NumberColumns, isTurned: boolean): Sides {
  const [fwd, bwd] = isTurned ? ["bwd", "fwd"] as const : ["fwd", "bwd"] as const;
  return {
    fwdPayload: n[`${fwd}_payload_bytes`],
    bwdPayload: n[`${bwd}_payload_bytes`],
    fwdSyn: n[`${fwd}_syn_count`],
    bwdSyn: n[`${bwd}_syn_count`],
    fwdFin: n[`${fwd}_fin_count`],
    bwdFin: n[`${bwd}_fin_count`],
    fwdRst: n[`${fwd}_rst_count`],
    bwdRst: n[`${bwd}_rst_count`],
    fwdTtl: n[`${fwd}_ttl`],
    bwdTtl: n[`${bwd}_ttl`],
  };
}

/** Ports as a row that is turned round has them. */
export function turnedPorts(columns: SegmentColumns, row: number): readonly [number, number] {
  const { src_port, dst_port } = columns.numbers;
  const protocol = columns.protocol[row];
  const icmp = protocol === "icmp" ? 1 : protocol === "icmp6" ? 58 : 0;
  return icmp > 0 ? [icmpCounterpart(icmp, src_port[row]), dst_port[row]] : [dst_port[row], src_port[row]];
}
