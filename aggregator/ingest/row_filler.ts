/** A segment as a row of flow columns: what it says of its flow, turned the flow's way.
 *
 * In: an arrival whose counts are those that the flow did not have yet. Out: the row, but for what the merger itself
 * knows: id, times, states, owners, facts.
 * Invariant: payload octets and flag counts go with the direction that the sighting owns.
 * Hot path: called once per segment. @module */

import type { FlowRows } from "../model/flow_rows.ts";
import { type Arrival, type Sides, sidesOf, turnedPorts } from "./arrival.ts";
import type { SegmentColumns } from "./columns.ts";

/** Of the batch at hand, so that they are made once a batch. */
let cached: { columns: SegmentColumns; straight: Sides; turned: Sides } | null = null;

export function fillRow(rows: FlowRows, i: number, arrival: Arrival, hasFwd: boolean, hasBwd: boolean): void {
  const { columns, row, isTurned } = arrival;
  if (cached?.columns !== columns) {
    cached = {
      columns,
      straight: sidesOf(columns.numbers, false),
      turned: sidesOf(columns.numbers, true),
    };
  }
  const n = columns.numbers;
  const c = rows.columns;
  fillEnds(rows, i, arrival);
  c.fwdPackets[i] = arrival.fwdPackets;
  c.fwdBytes[i] = arrival.fwdBytes;
  c.bwdPackets[i] = arrival.bwdPackets;
  c.bwdBytes[i] = arrival.bwdBytes;
  c.fwdFlags[i] = arrival.fwdFlags;
  c.bwdFlags[i] = arrival.bwdFlags;
  const sides = isTurned ? cached.turned : cached.straight;
  c.fwdPayload[i] = hasFwd ? sides.fwdPayload[row] : 0;
  c.fwdSyn[i] = hasFwd ? sides.fwdSyn[row] : 0;
  c.fwdFin[i] = hasFwd ? sides.fwdFin[row] : 0;
  c.fwdRst[i] = hasFwd ? sides.fwdRst[row] : 0;
  c.bwdPayload[i] = hasBwd ? sides.bwdPayload[row] : 0;
  c.bwdSyn[i] = hasBwd ? sides.bwdSyn[row] : 0;
  c.bwdFin[i] = hasBwd ? sides.bwdFin[row] : 0;
  c.bwdRst[i] = hasBwd ? sides.bwdRst[row] : 0;
  c.fwdTtl[i] = sides.fwdTtl[row];
  c.bwdTtl[i] = sides.bwdTtl[row];
  c.rttUs[i] = n.handshake_rtt_us[row];
  c.isn[i] = n.tcp_isn[row];
  c.ipDepth[i] = n.ip_depth[row];
  c.vlan[i] = n.vlan[row];
  c.vlanInner[i] = n.vlan_inner[row];
  c.segments[i] = 1;
  c.offsetUs[i] = arrival.offsetUs;
  fillStatistics(rows, i, columns, row);
  rows.protocol[i] = columns.protocol[row];
  rows.tunnel[i] = columns.tunnel[row];
  rows.app[i] = columns.app_protocol[row];
}

function fillEnds(rows: FlowRows, i: number, { columns, row, isTurned }: Arrival): void {
  const n = columns.numbers;
  const c = rows.columns;
  const source = isTurned ? 1 : 0, destination = 1 - source;
  c.srcLength[i] = columns.ipLengths[2 * row + source];
  c.dstLength[i] = columns.ipLengths[2 * row + destination];
  copy(columns.ips, 32 * row + 16 * source, rows.ips, 32 * i, 16);
  copy(columns.ips, 32 * row + 16 * destination, rows.ips, 32 * i + 16, 16);
  copy(columns.macs, 12 * row + 6 * source, rows.macs, 12 * i, 6);
  copy(columns.macs, 12 * row + 6 * destination, rows.macs, 12 * i + 6, 6);
  const macs = columns.hasMacs[row];
  c.macs[i] = isTurned ? macs >> 1 | (macs & 1) << 1 : macs;
  if (isTurned) [c.srcPort[i], c.dstPort[i]] = turnedPorts(columns, row);
  else {
    c.srcPort[i] = n.src_port[row];
    c.dstPort[i] = n.dst_port[row];
  }
  const at = 20 * row;
  const { digests } = columns;
  c.community[i] = columns.isNamed[row]
    ? (digests[at] << 24 | digests[at + 1] << 16 | digests[at + 2] << 8 | digests[at + 3]) >>> 0
    : 0;
}

/** Of the segment as the sensor sent it: they are of both directions together. */
function fillStatistics(rows: FlowRows, i: number, columns: SegmentColumns, row: number): void {
  const n = columns.numbers;
  const c = rows.columns;
  const packets = n.fwd_packets[row] + n.bwd_packets[row];
  const lengthMean = packets > 0 ? (n.fwd_bytes[row] + n.bwd_bytes[row]) / packets : 0;
  const gapMean = packets > 1 ? n.duration_us[row] / (packets - 1) : 0;
  c.lengthMin[i] = n.packet_length_min[row];
  c.lengthMax[i] = n.packet_length_max[row];
  c.lengthSquare[i] = lengthMean ** 2 + n.packet_length_deviation[row] ** 2;
  c.gapMin[i] = n.interarrival_us_min[row];
  c.gapMax[i] = n.interarrival_us_max[row];
  c.gapSquare[i] = gapMean ** 2 + n.interarrival_us_deviation[row] ** 2;
}

function copy(from: Uint8Array, at: number, to: Uint8Array, toAt: number, count: number): void {
  for (let k = 0; k < count; k++) to[toAt + k] = from[at + k];
}
