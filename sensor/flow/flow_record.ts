/** What a packet changes in an open flow.
 *
 * In: the table's memory, the flow's base, a packet, its direction and stamp. Out: nothing but changed words.
 * Invariant: counts are of the current segment;
 * state, TTLs, initial sequence number and chooser memory are of the whole flow.
 * Hot path: plain functions over typed arrays, small enough to be inlined. @module */

import type { Packet } from "../decode/packet.ts";
import { float, word } from "./layout.ts";
import { flag, nextState, stateBit, turnState } from "./tcp_state.ts";

const { packets, lengthMin, lengthMax, gapMinUs, gapMaxUs, flags, payloads, state, isn } = word;
const { synCount, finCount, rstCount, handshakeUs } = word;
const { startUs, lastUs, bytes, payloadBytes, lengthSquares, gapSumUs, gapSquares, synUs } = float;
const gapMax = 0x7fffffff;

/** Prepares memory that is all zeros for the first packet. */
export function beginSegment(words: Int32Array, base: number): void {
  words[base + lengthMin] = gapMax;
  words[base + gapMinUs] = gapMax;
}

/** Makes the segment empty; the flow goes on. */
export function clearSegment(words: Int32Array, floats: Float64Array, base: number): void {
  const half = base >> 1;
  words.fill(0, base + packets, base + word.isn);
  beginSegment(words, base);
  words[base + flags] &= 0xffff0000;
  floats.fill(0, half + bytes, half + synUs);
  floats[half + float.ticket] = 0;
}

/** Counts one packet in `direction` (0 forward, 1 backward). */
export function countPacket(
  words: Int32Array,
  floats: Float64Array,
  base: number,
  p: Packet,
  direction: number,
  timeUs: number,
): void {
  const half = base >> 1;
  const length = p.ipBytes;
  if (words[base + packets] + words[base + packets + 1] === 0) {
    floats[half + startUs] = timeUs;
    floats[half + lastUs] = timeUs;
  } else {
    let gap = timeUs - floats[half + lastUs];
    if (gap >= 0) floats[half + lastUs] = timeUs;
    else {
      // Out of order: the gap is none, and a segment never ends before it starts.
      gap = 0;
      if (timeUs < floats[half + startUs]) floats[half + startUs] = timeUs;
    }
    floats[half + gapSumUs] += gap;
    floats[half + gapSquares] += gap * gap;
    const bounded = gap > gapMax ? gapMax : gap;
    if (bounded < words[base + gapMinUs]) words[base + gapMinUs] = bounded;
    if (bounded > words[base + gapMaxUs]) words[base + gapMaxUs] = bounded;
  }
  words[base + packets + direction]++;
  floats[half + bytes + direction] += length;
  floats[half + lengthSquares] += length * length;
  if (length < words[base + lengthMin]) words[base + lengthMin] = length;
  if (length > words[base + lengthMax]) words[base + lengthMax] = length;
  const ttlShift = direction === 0 ? 16 : 24;
  if ((words[base + flags] >>> ttlShift & 255) === 0) words[base + flags] |= p.ttl << ttlShift;
  const payload = p.payloadLength;
  if (payload > 0) {
    floats[half + payloadBytes + direction] += payload;
    words[base + payloads + direction]++;
  }
}

/** Many packets at once, already added up; see fragments.ts. */
export interface PacketSum {
  packets: number;
  bytes: number;
  lengthSquares: number;
  lengthMin: number;
  lengthMax: number;
  startUs: number;
  lastUs: number;
  ttl: number;
}

/** Counts packets that were added up elsewhere. */
export function countSum(
  words: Int32Array,
  floats: Float64Array,
  base: number,
  sum: PacketSum,
  direction: number,
): void {
  const half = base >> 1;
  const isEmpty = words[base + packets] + words[base + packets + 1] === 0;
  if (isEmpty || sum.startUs < floats[half + startUs]) floats[half + startUs] = sum.startUs;
  if (isEmpty || sum.lastUs > floats[half + lastUs]) floats[half + lastUs] = sum.lastUs;
  // The gaps between them were not kept: their sum is known, their extremes are taken as the mean.
  const gaps = sum.packets - (isEmpty ? 1 : 0);
  if (gaps > 0) {
    const mean = Math.min(gapMax, Math.floor((sum.lastUs - sum.startUs) / gaps));
    floats[half + gapSumUs] += mean * gaps;
    floats[half + gapSquares] += mean * mean * gaps;
    words[base + gapMinUs] = Math.min(words[base + gapMinUs], mean);
    words[base + gapMaxUs] = Math.max(words[base + gapMaxUs], mean);
  }
  words[base + packets + direction] += sum.packets;
  floats[half + bytes + direction] += sum.bytes;
  floats[half + lengthSquares] += sum.lengthSquares;
  words[base + lengthMin] = Math.min(words[base + lengthMin], sum.lengthMin);
  words[base + lengthMax] = Math.max(words[base + lengthMax], sum.lengthMax);
  const ttlShift = direction === 0 ? 16 : 24;
  if ((words[base + flags] >>> ttlShift & 255) === 0) words[base + flags] |= sum.ttl << ttlShift;
}

/** Follows the TCP connection; returns the new state bits. */
export function followTcp(
  words: Int32Array,
  floats: Float64Array,
  base: number,
  p: Packet,
  direction: number,
  timeUs: number,
): number {
  const seen = p.tcpFlags;
  let bits = words[base + state];
  words[base + flags] |= seen << (direction << 3);
  if ((seen & 7) !== 0) {
    if ((seen & flag.syn) !== 0) {
      words[base + synCount + direction]++;
      bits = noteSyn(words, floats, base, p, direction, timeUs, bits);
    }
    if ((seen & flag.fin) !== 0) words[base + finCount + direction]++;
    if ((seen & flag.rst) !== 0) words[base + rstCount + direction]++;
  } else if ((bits & stateBit.handshakeDone) === 0 && direction === 0 && (seen & flag.ack) !== 0) {
    bits |= stateBit.handshakeDone;
    const both = stateBit.synSeen | stateBit.synAckSeen;
    const elapsed = timeUs - floats[(base >> 1) + synUs];
    // A handshake within one microsecond is still one that was seen, and 0 says it was not.
    if ((bits & both) === both && elapsed >= 0) {
      words[base + handshakeUs] = Math.min(Math.max(elapsed, 1), gapMax);
    }
  }
  bits = nextState(bits, direction === 0, seen, p.payloadLength);
  words[base + state] = bits;
  return bits;
}

function noteSyn(
  words: Int32Array,
  floats: Float64Array,
  base: number,
  p: Packet,
  direction: number,
  timeUs: number,
  bits: number,
): number {
  const hasAck = (p.tcpFlags & flag.ack) !== 0;
  if (direction === 0 && !hasAck) {
    words[base + isn] = p.tcpSeq;
    floats[(base >> 1) + synUs] = timeUs;
    return bits | stateBit.isnKnown | stateBit.synSeen;
  }
  if (direction === 1 && hasAck) {
    if ((bits & stateBit.isnKnown) === 0) words[base + isn] = p.tcpAck - 1 | 0;
    return bits | stateBit.isnKnown | stateBit.synAckSeen;
  }
  return bits;
}

/** Writes the addresses of a packet, four words each. */
export function putAddresses(words: Int32Array, src: number, dst: number, p: Packet): void {
  words[src] = p.src0;
  words[src + 1] = p.src1;
  words[src + 2] = p.src2;
  words[src + 3] = p.src3;
  words[dst] = p.dst0;
  words[dst + 1] = p.dst1;
  words[dst + 2] = p.dst2;
  words[dst + 3] = p.dst3;
}

/** Writes six octets into the twelve of a flow, at octet `at`; none = zeros. */
export function putMac(words: Int32Array, from: number, bytes: Uint8Array, offset: number, at: number): void {
  if (offset < 0) return;
  for (let i = 0; i < 6; i++) {
    const octet = at + i;
    words[from + (octet >> 2)] |= bytes[offset + i] << ((octet & 3) << 3);
  }
}

/** Turns a flow round: who seemed to answer began it. */
export function turnFlow(words: Int32Array, floats: Float64Array, base: number): void {
  const half = base >> 1;
  for (let i = 0; i < 4; i++) swap(words, base + word.src + i, base + word.dst + i);
  for (const pair of [packets, synCount, finCount, rstCount, payloads, word.memory]) {
    swap(words, base + pair, base + pair + 1);
  }
  swap(floats, half + bytes, half + bytes + 1);
  swap(floats, half + payloadBytes, half + payloadBytes + 1);
  const both = words[base + word.ports], seen = words[base + flags];
  words[base + word.ports] = both << 16 | both >>> 16;
  words[base + flags] = (seen & 0x00ff00ff) << 8 | (seen & 0xff00ff00) >>> 8;
  const [first, second, third] = words.subarray(base + word.macs, base + word.macs + 3);
  // Six octets and six: the halves of twelve.
  words[base + word.macs] = second >>> 16 | third << 16;
  words[base + word.macs + 1] = third >>> 16 | first << 16;
  words[base + word.macs + 2] = first >>> 16 | second << 16;
  words[base + state] = turnState(words[base + state]);
}

function swap(values: Int32Array | Float64Array, one: number, other: number): void {
  const value = values[one];
  values[one] = values[other];
  values[other] = value;
}
