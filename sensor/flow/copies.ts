/** Copies: packets that a mirror port, or a router beside it, showed a second time.
 *
 * In: the outermost packet of each frame. Out: whether the same packet was seen a moment ago.
 * Rule: the same addresses, ports, identification, sequence numbers or checksum, and length, within {@link windowUs};
 * TTL, MAC addresses and VLAN may differ, as they do behind a router.
 * A retransmission carries another identification, and comes later.
 * Not judged: acknowledgements without identification (IPv6 and some systems), which a receiver repeats in good faith.
 * Of a long capture one packet in {@link sampleOf} is judged, chosen by what it holds, as its copy is then chosen too;
 * a copy found then stands for that many.
 * Bound: {@link setsFirst} pairs of packets while all are judged, {@link setsLater} for the sample, which stay in the
 * cache nearest to the core; a packet that two others of its pair follow is forgotten. Of copies that come 8,000
 * packets later a tenth is missed, before and after; a gigabit link carries no more within the window.
 * One array: a packet costs one line of the cache.
 * Hot path: no allocation.
 * @module */

import { family, type Packet } from "../decode/packet.ts";

const windowUs = 5_000;
/** What carries no identification may be said twice: only what comes at once is a copy. */
const unidentifiedWindowUs = 200;
const setsFirst = 16_384, setsLater = 2_048;
/** Of each set: print and stamp of the newer packet, then of the older. */
const setWords = 4;
/** Packets that are judged one by one, before a sample is enough. */
const allMax = 16_384;
const sampleOf = 16, sampleBits = 4;

export class Copies {
  /** Packets seen before; in a long capture an estimate. */
  count = 0;
  #judged = 0;
  /** Stamps are the lowest 32 bits of microseconds: the window is far below their range. */
  readonly #sets = new Int32Array(setsFirst * setWords);
  #setMask = setsFirst - 1;

  note(p: Packet, b: Uint8Array, timeUs: number): void {
    if (this.#judged < allMax) {
      if (++this.#judged === allMax) this.#setMask = setsLater - 1;
      this.#judge(p, b, timeUs, 1);
    } else {
      const said = p.protocol === 6 ? p.tcpSeq ^ p.tcpAck : p.srcPort ^ p.dstPort ^ p.ipBytes;
      if (Math.imul(said, 0x9e3779b1) >>> 32 - sampleBits === 0) this.#judge(p, b, timeUs, sampleOf);
    }
  }

  #judge(p: Packet, b: Uint8Array, timeUs: number, weight: number): void {
    const o = p.ipOffset;
    const id = p.family === family.ipv4 ? b[o + 4] << 8 | b[o + 5] : 0;
    let content: number;
    if (p.protocol === 6) {
      if (id === 0 && p.payloadLength === 0 && (p.tcpFlags & 7) === 0) return;
      content = Math.imul(p.tcpSeq ^ p.tcpAck << 7, 0x9e3779b1) ^ p.tcpFlags;
    } else {
      if (p.protocol === 256 || p.payloadCaptured < 4) return;
      // The checksum of UDP and ICMP stands before the payload; of others the beginning counts up.
      const at = p.payloadOffset;
      content = b[at] << 24 | b[at + 1] << 16 | b[at + 2] << 8 | b[at + 3];
      if (p.protocol === 17) content = Math.imul(content, 0x9e3779b1) ^ (b[at - 2] << 8 | b[at - 1]);
      else if (p.protocol === 1 || p.protocol === 58) {
        content = Math.imul(b[at - 6] << 8 | b[at - 5], 0x9e3779b1) ^ (b[at - 2] << 8 | b[at - 1]);
      }
    }
    let print = Math.imul(content ^ p.srcPort << 16 ^ p.dstPort, 0x85ebca6b);
    print = Math.imul(print ^ print >>> 15 ^ p.src0 ^ p.src3, 0xc2b2ae35);
    print = Math.imul(print ^ print >>> 13 ^ p.dst0 ^ p.dst3, 0x9e3779b1);
    print ^= print >>> 16 ^ id << 16 ^ p.ipBytes ^ p.fragmentOffset << 3;
    const at = ((print ^ print >>> 12) & this.#setMask) * setWords;
    const seen = this.#sets;
    const isNewer = seen[at] === print;
    if (isNewer || seen[at + 2] === print) {
      const apartUs = (timeUs - seen[isNewer ? at + 1 : at + 3]) | 0;
      if (apartUs >= 0 && apartUs <= (id === 0 ? unidentifiedWindowUs : windowUs)) this.count += weight;
    }
    if (!isNewer) {
      seen[at + 2] = seen[at];
      seen[at + 3] = seen[at + 1];
      seen[at] = print;
    }
    seen[at + 1] = timeUs | 0;
  }
}
