/** Fields: how each column of a segment is read from the words of its flow.
 *
 * In: the memory of a flow as layout.ts places it, in the table or in a page of exported segments. Out: one number a
 * field, and its word where the column holds words. Invariant: what is read here is what shared/segment.ts documents.
 * Why numbers first: a segment is copied, sorted, compared with defaults and written to bytes as numbers; a string is
 * made only for those who want an object. @module */

import { formatIp } from "../../shared/ip.ts";
import { protocolName } from "../../shared/protocols.ts";
import { connStates, endReasons, roundTo3, type SegmentColumn } from "../../shared/segment.ts";
import { family, tunnelNames } from "../decode/packet.ts";
import { float, word } from "./layout.ts";
import { connStateOf, stateBit } from "./tcp_state.ts";

/** Reads a number from the flow at `base`. */
type Read = (words: Int32Array, floats: Float64Array, base: number) => number;

/** A column of numbers; -1 stands for null. */
export interface NumberField {
  kind: "number";
  read: Read;
}
/** A column of words, each known by a number. */
export interface NameField {
  kind: "name";
  read: Read;
  nameOf(code: number): string;
}
/** A column of addresses: where they begin. */
export interface AddressField {
  kind: "ip" | "mac";
  /** Word offset; for a MAC the octet in {@link word.macs}. */
  at: number;
}
export type Field = NumberField | NameField | AddressField;

/** What a page keeps beside the words. */
type Beside = "app_protocol" | "facts";

const number = (read: Read): NumberField => ({ kind: "number", read });
const integer = (offset: number): NumberField => number((words, _, base) => words[base + offset] >>> 0);
/** Octets of one segment: with the other direction, and times the largest sampling factor, still below 2^53. */
const bytesMax = 2 ** 42 - 1;
const counted = (offset: number): NumberField =>
  number((_, floats, base) => Math.min(bytesMax, floats[(base >> 1) + offset]));
const octet = (offset: number, shift: number): NumberField =>
  number((words, _, base) => words[base + offset] >>> shift & 255);
const name = (read: Read, nameOf: (code: number) => string): NameField => ({ kind: "name", read, nameOf });

/** Number of the IP protocol, 256 for ARP. */
export const protocolOf: Read = (words, _, base) => words[base + word.meta] & 511;
/** 32-bit words of an address. */
export function addressWords(words: Int32Array, base: number): 1 | 4 {
  return (words[base + word.meta] >> 9 & 7) === family.ipv6 ? 4 : 1;
}
const startUs: Read = (_, floats, base) => floats[(base >> 1) + float.startUs];
const packetsOf: Read = (words, _, base) =>
  (words[base + word.packets] >>> 0) + (words[base + word.packets + 1] >>> 0);
const dstPort: Read = (words, floats, base) => {
  const protocol = protocolOf(words, floats, base);
  const isIcmp = protocol === 1 || protocol === 58;
  return (isIcmp ? words[base + word.code] : words[base + word.ports]) & 0xffff;
};

/** Every column but those a page keeps beside its words. */
export const fields: { readonly [column in Exclude<SegmentColumn, Beside>]: Field } = {
  start_us: number(startUs),
  duration_us: number((words, floats, base) =>
    floats[(base >> 1) + float.lastUs] - startUs(words, floats, base)
  ),
  flow_age_us: number((words, floats, base) =>
    Math.max(0, startUs(words, floats, base) - floats[(base >> 1) + float.flowStartUs])
  ),
  segment: integer(word.segment),
  ip_depth: number((words, _, base) => words[base + word.meta] >> 12 & 15),
  tunnel: name((words, _, base) => words[base + word.meta] >> 16 & 255, (code) => tunnelNames[code]),
  vlan: number((words, _, base) => words[base + word.vlan] & 4095),
  vlan_inner: number((words, _, base) => words[base + word.vlan] >> 12 & 4095),
  protocol: name(protocolOf, protocolName),
  src_ip: { kind: "ip", at: word.src },
  src_port: number((words, _, base) => words[base + word.ports] >>> 16),
  dst_ip: { kind: "ip", at: word.dst },
  dst_port: number(dstPort),
  src_mac: { kind: "mac", at: 0 },
  dst_mac: { kind: "mac", at: 6 },
  fwd_packets: integer(word.packets),
  fwd_bytes: counted(float.bytes),
  fwd_payload_bytes: counted(float.payloadBytes),
  bwd_packets: integer(word.packets + 1),
  bwd_bytes: counted(float.bytes + 1),
  bwd_payload_bytes: counted(float.payloadBytes + 1),
  fwd_tcp_flags: octet(word.flags, 0),
  bwd_tcp_flags: octet(word.flags, 8),
  fwd_syn_count: integer(word.synCount),
  bwd_syn_count: integer(word.synCount + 1),
  fwd_fin_count: integer(word.finCount),
  bwd_fin_count: integer(word.finCount + 1),
  fwd_rst_count: integer(word.rstCount),
  bwd_rst_count: integer(word.rstCount + 1),
  fwd_ttl: octet(word.flags, 16),
  bwd_ttl: octet(word.flags, 24),
  conn_state: name(connState, (code) => connStates[code]),
  handshake_rtt_us: integer(word.handshakeUs),
  tcp_isn: number((words, _, base) =>
    (words[base + word.state] & stateBit.isnKnown) !== 0 ? words[base + word.isn] >>> 0 : -1
  ),
  packet_length_min: integer(word.lengthMin),
  packet_length_max: integer(word.lengthMax),
  packet_length_deviation: number((words, floats, base) => {
    const half = base >> 1;
    const bytes = floats[half + float.bytes] + floats[half + float.bytes + 1];
    return deviation(bytes, floats[half + float.lengthSquares], packetsOf(words, floats, base));
  }),
  interarrival_us_min: number((words, floats, base) =>
    packetsOf(words, floats, base) > 1 ? roundTo3(words[base + word.gapMinUs]) : 0
  ),
  interarrival_us_max: number((words, floats, base) =>
    packetsOf(words, floats, base) > 1 ? roundTo3(words[base + word.gapMaxUs]) : 0
  ),
  interarrival_us_deviation: number((words, floats, base) => {
    const half = base >> 1;
    const gaps = packetsOf(words, floats, base) - 1;
    return deviation(floats[half + float.gapSumUs], floats[half + float.gapSquares], gaps);
  }),
  direction_guess: number((words, _, base) =>
    (words[base + word.state] & stateBit.directionGuessed) !== 0 ? 1 : 0
  ),
  end_reason: name((words, _, base) => words[base + word.endReason], (code) => endReasons[code]),
  factor: number((words, _, base) => 1 << (words[base + word.code] >>> 16)),
};

function deviation(sum: number, squares: number, count: number): number {
  if (count < 2) return 0;
  const mean = sum / count;
  const variance = squares / count - mean * mean;
  return variance > 0 ? roundTo3(Math.sqrt(variance)) : 0;
}

const stateCodes = new Map(connStates.map((state, code) => [state, code]));
const [bothWays, unanswered, onlyAnswers, other] = (["SF", "S0", "SHR", "OTH"] as const).map((state) =>
  stateCodes.get(state)!
);

/** Index into `connStates`. */
function connState(words: Int32Array, floats: Float64Array, base: number): number {
  const half = base >> 1;
  const protocol = protocolOf(words, floats, base);
  if (protocol === 6) {
    const payload = floats[half + float.payloadBytes] + floats[half + float.payloadBytes + 1];
    return stateCodes.get(connStateOf(words[base + word.state], payload > 0))!;
  }
  if (protocol !== 17) return other;
  // A TTL was noted for each direction that was ever heard, whatever the segment.
  const isOrigActive = words[base + word.packets] > 0 || (words[base + word.flags] >>> 16 & 255) > 0;
  const isRespActive = words[base + word.packets + 1] > 0 || (words[base + word.flags] >>> 24 & 255) > 0;
  if (isOrigActive) return isRespActive ? bothWays : unanswered;
  return isRespActive ? onlyAnswers : other;
}

const address = new Uint8Array(16);

/** Text of the address whose first word is `words[from]`; `count` (1 or 4) words. */
export function ipText(words: Int32Array, from: number, count: 1 | 4): string {
  for (let i = 0; i < 4 * count; i++) address[i] = words[from + (i >> 2)] >>> (24 - ((i & 3) << 3));
  return formatIp(address, 0, 4 * count);
}

/** Octet `index` of the twelve kept from `words[from]` on. */
export function macOctet(words: Int32Array, from: number, index: number): number {
  return words[from + (index >> 2)] >>> ((index & 3) << 3) & 255;
}

/** Whether a MAC was seen: six octets from octet `at` on are not all zero. */
export function hasMac(words: Int32Array, base: number, at: number): boolean {
  for (let i = at; i < at + 6; i++) if (macOctet(words, base + word.macs, i) !== 0) return true;
  return false;
}

/** "aa:bb:cc:dd:ee:ff", "" = none was seen. */
export function macText(words: Int32Array, base: number, at: number): string {
  if (!hasMac(words, base, at)) return "";
  const octets = Array.from({ length: 6 }, (_, i) => macOctet(words, base + word.macs, at + i));
  return octets.map((octet) => octet.toString(16).padStart(2, "0")).join(":");
}
