/** SHA-1 of the one block that a Community ID needs.
 *
 * In: up to 55 octets in `block`. Out: 20 octets of digest.
 * Equal to `communityIdDigest` in shared/, which says what is hashed.
 * Why not node:crypto: an object a flow costs ten times the hash itself; a segment has microseconds, not tens of them.
 * @module */

import { icmpCounterpart } from "../../shared/community_id.ts";

const block = new Uint8Array(64);
const schedule = new Int32Array(80);

/** Writes the 20 octets of the Community ID digest (version 1, seed 0) to `out`.
 * Addresses are big-endian words, `count` (1 or 4) of them. */
export function communityHash(
  protocol: number,
  words: Int32Array,
  src: number,
  dst: number,
  count: number,
  srcPort: number,
  dstPort: number,
  out: Uint8Array,
): void {
  let isOneWay = false;
  if (protocol === 1 || protocol === 58) {
    const counterpart = icmpCounterpart(protocol, srcPort);
    isOneWay = counterpart < 0;
    if (!isOneWay) dstPort = counterpart;
  }
  const hasPorts = protocol === 1 || protocol === 6 || protocol === 17 || protocol === 58 || protocol === 132;
  let order = 0;
  for (let i = 0; i < count && order === 0; i++) order = (words[src + i] >>> 0) - (words[dst + i] >>> 0);
  const swap = !isOneWay && (order > 0 || (order === 0 && hasPorts && srcPort > dstPort));
  block.fill(0);
  let end = putWords(words, swap ? dst : src, count, 2);
  end = putWords(words, swap ? src : dst, count, end);
  block[end] = protocol;
  end += 2;
  if (hasPorts) {
    const first = swap ? dstPort : srcPort, second = swap ? srcPort : dstPort;
    block[end] = first >> 8;
    block[end + 1] = first;
    block[end + 2] = second >> 8;
    block[end + 3] = second;
    end += 4;
  }
  block[end] = 0x80;
  block[62] = end >> 5;
  block[63] = end << 3;
  sha1(out);
}

function putWords(words: Int32Array, from: number, count: number, at: number): number {
  for (let i = 0; i < count; i++) {
    const value = words[from + i];
    block[at++] = value >> 24;
    block[at++] = value >> 16;
    block[at++] = value >> 8;
    block[at++] = value;
  }
  return at;
}

function sha1(out: Uint8Array): void {
  const w = schedule;
  for (let i = 0; i < 16; i++) {
    w[i] = block[4 * i] << 24 | block[4 * i + 1] << 16 | block[4 * i + 2] << 8 | block[4 * i + 3];
  }
  for (let i = 16; i < 80; i++) {
    const x = w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16];
    w[i] = x << 1 | x >>> 31;
  }
  let a = 0x67452301, b = 0xefcdab89 | 0, c = 0x98badcfe | 0, d = 0x10325476, e = 0xc3d2e1f0 | 0;
  for (let i = 0; i < 80; i++) {
    let f: number;
    if (i < 20) f = ((b & c) | (~b & d)) + 0x5a827999;
    else if (i < 40) f = (b ^ c ^ d) + 0x6ed9eba1;
    else if (i < 60) f = ((b & c) | (b & d) | (c & d)) + (0x8f1bbcdc | 0);
    else f = (b ^ c ^ d) + (0xca62c1d6 | 0);
    const t = ((a << 5 | a >>> 27) + f + e + w[i]) | 0;
    e = d;
    d = c;
    c = b << 30 | b >>> 2;
    b = a;
    a = t;
  }
  put(out, 0, (a + 0x67452301) | 0);
  put(out, 4, (b + 0xefcdab89) | 0);
  put(out, 8, (c + 0x98badcfe) | 0);
  put(out, 12, (d + 0x10325476) | 0);
  put(out, 16, (e + 0xc3d2e1f0) | 0);
}

function put(out: Uint8Array, at: number, value: number): void {
  out[at] = value >> 24;
  out[at + 1] = value >> 16;
  out[at + 2] = value >> 8;
  out[at + 3] = value;
}
