/** One open flow's segment, written as a row.
 *
 * In: the table's memory and the flow's base. Out: one value in every column of `rows`.
 * Invariant: what is written here is what shared/segment.ts documents; strings exist from here on, never before. @module */

import { formatIp } from "../../shared/ip.ts";
import { arpProtocol, protocolName } from "../../shared/protocols.ts";
import type { ConnState, EndReason } from "../../shared/segment.ts";
import { family, tunnelNames } from "../decode/packet.ts";
import { communityHash } from "./community_hash.ts";
import { float, word } from "./layout.ts";
import type { SegmentRows } from "./segment_rows.ts";
import { connStateOf, stateBit } from "./tcp_state.ts";

const hex = Array.from({ length: 256 }, (_, octet) => octet.toString(16).padStart(2, "0"));
const address = new Uint8Array(16);

/** Appends the current segment of the flow at `base`. */
export function appendSegment(
  rows: SegmentRows,
  words: Int32Array,
  floats: Float64Array,
  base: number,
  reason: EndReason,
): void {
  const at = rows.addRow();
  const half = base >> 1;
  const meta = words[base + word.meta];
  const protocol = meta & 511;
  const kind = meta >> 9 & 7;
  const isIcmp = protocol === 1 || protocol === 58;
  const srcPort = words[base + word.ports] >>> 16;
  const dstPort = isIcmp ? words[base + word.code] & 0xffff : words[base + word.ports] & 0xffff;
  const isArp = protocol === arpProtocol;
  const addressWords = kind === family.ipv6 ? 4 : 1;
  if (!isArp) {
    const ports = [srcPort, dstPort] as const;
    const { src, dst } = word;
    communityHash(protocol, words, base + src, base + dst, addressWords, ports, rows.community, at);
  }
  const c = rows.columns;
  const startUs = floats[half + float.startUs];
  c.start_us.push(startUs);
  c.duration_us.push(floats[half + float.lastUs] - startUs);
  c.flow_age_us.push(Math.max(0, startUs - floats[half + float.flowStartUs]));
  c.segment.push(words[base + word.segment]);
  c.ip_depth.push(meta >> 12 & 15);
  c.tunnel.push(tunnelNames[meta >> 16 & 15]);
  c.vlan.push(words[base + word.vlan] & 4095);
  c.vlan_inner.push(words[base + word.vlan] >> 12 & 4095);
  c.protocol.push(protocolName(protocol));
  c.src_ip.push(ipText(words, base + word.src, addressWords));
  c.src_port.push(srcPort);
  c.dst_ip.push(ipText(words, base + word.dst, addressWords));
  c.dst_port.push(dstPort);
  c.src_mac.push(macText(words, base + word.macs, 0));
  c.dst_mac.push(macText(words, base + word.macs, 6));
  appendCounts(rows, words, floats, base);
  c.conn_state.push(connState(words, floats, base, protocol));
  c.handshake_rtt_us.push(words[base + word.handshakeUs]);
  const isIsnKnown = (words[base + word.state] & stateBit.isnKnown) !== 0;
  c.tcp_isn.push(isIsnKnown ? words[base + word.isn] >>> 0 : null);
  appendStatistics(rows, words, floats, base);
  c.end_reason.push(reason);
  c.factor.push(1 << (words[base + word.code] >>> 16));
  c.app_protocol.push("");
  c.facts.push(null);
}

function appendCounts(rows: SegmentRows, words: Int32Array, floats: Float64Array, base: number): void {
  const c = rows.columns;
  const half = base >> 1;
  const flags = words[base + word.flags];
  c.fwd_packets.push(words[base + word.packets] >>> 0);
  c.fwd_bytes.push(floats[half + float.bytes]);
  c.fwd_payload_bytes.push(floats[half + float.payloadBytes]);
  c.bwd_packets.push(words[base + word.packets + 1] >>> 0);
  c.bwd_bytes.push(floats[half + float.bytes + 1]);
  c.bwd_payload_bytes.push(floats[half + float.payloadBytes + 1]);
  c.fwd_tcp_flags.push(flags & 255);
  c.bwd_tcp_flags.push(flags >>> 8 & 255);
  c.fwd_syn_count.push(words[base + word.synCount]);
  c.bwd_syn_count.push(words[base + word.synCount + 1]);
  c.fwd_fin_count.push(words[base + word.finCount]);
  c.bwd_fin_count.push(words[base + word.finCount + 1]);
  c.fwd_rst_count.push(words[base + word.rstCount]);
  c.bwd_rst_count.push(words[base + word.rstCount + 1]);
  c.fwd_ttl.push(flags >>> 16 & 255);
  c.bwd_ttl.push(flags >>> 24 & 255);
}

function appendStatistics(rows: SegmentRows, words: Int32Array, floats: Float64Array, base: number): void {
  const c = rows.columns;
  const half = base >> 1;
  const packets = (words[base + word.packets] >>> 0) + (words[base + word.packets + 1] >>> 0);
  const bytes = floats[half + float.bytes] + floats[half + float.bytes + 1];
  c.packet_length_min.push(words[base + word.lengthMin]);
  c.packet_length_max.push(words[base + word.lengthMax]);
  c.packet_length_mean.push(roundTo3(bytes / packets));
  c.packet_length_deviation.push(deviation(bytes, floats[half + float.lengthSquares], packets));
  const gaps = packets - 1;
  const gapSum = floats[half + float.gapSumUs];
  c.interarrival_us_min.push(gaps > 0 ? roundTo3(words[base + word.gapMinUs]) : 0);
  c.interarrival_us_max.push(gaps > 0 ? roundTo3(words[base + word.gapMaxUs]) : 0);
  c.interarrival_us_mean.push(gaps > 0 ? roundTo3(gapSum / gaps) : 0);
  c.interarrival_us_deviation.push(gaps > 0 ? deviation(gapSum, floats[half + float.gapSquares], gaps) : 0);
}

function deviation(sum: number, squares: number, count: number): number {
  const mean = sum / count;
  const variance = squares / count - mean * mean;
  return variance > 0 ? roundTo3(Math.sqrt(variance)) : 0;
}

/** Three significant digits: more would only make batches larger. */
export function roundTo3(value: number): number {
  if (value >= 100) {
    let unit = 1;
    while (value >= 999.5 * unit) unit *= 10;
    return Math.round(value / unit) * unit;
  }
  if (value >= 10) return Math.round(value * 10) / 10;
  if (value >= 1) return Math.round(value * 100) / 100;
  if (value < 1e-9) return 0;
  const unit = 10 ** (2 - Math.floor(Math.log10(value)));
  return Math.round(value * unit) / unit;
}

function connState(words: Int32Array, floats: Float64Array, base: number, protocol: number): ConnState {
  const half = base >> 1;
  if (protocol === 6) {
    const payload = floats[half + float.payloadBytes] + floats[half + float.payloadBytes + 1];
    return connStateOf(words[base + word.state], payload > 0);
  }
  if (protocol !== 17) return "OTH";
  // A TTL was noted for each direction that was ever heard, whatever the segment.
  const isOrigActive = words[base + word.packets] > 0 || (words[base + word.flags] >>> 16 & 255) > 0;
  const isRespActive = words[base + word.packets + 1] > 0 || (words[base + word.flags] >>> 24 & 255) > 0;
  if (isOrigActive) return isRespActive ? "SF" : "S0";
  return isRespActive ? "SHR" : "OTH";
}

function ipText(words: Int32Array, from: number, count: number): string {
  const first = words[from];
  if (count === 1) return `${first >>> 24}.${first >>> 16 & 255}.${first >>> 8 & 255}.${first & 255}`;
  for (let i = 0; i < 16; i++) address[i] = words[from + (i >> 2)] >>> (24 - ((i & 3) << 3));
  return formatIp(address);
}

/** Six of the twelve octets kept; all zero = none was seen. */
function macText(words: Int32Array, from: number, at: number): string {
  let text = "";
  let any = 0;
  for (let i = at; i < at + 6; i++) {
    const octet = words[from + (i >> 2)] >>> ((i & 3) << 3) & 255;
    any |= octet;
    text += i === at ? hex[octet] : ":" + hex[octet];
  }
  return any === 0 ? "" : text;
}
