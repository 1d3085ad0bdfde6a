/** Fragments: counts every fragment to the flow of its datagram, though only the first one carries ports.
 *
 * In: packets that are fragments.
 * Out: the place (see find.ts) each was counted at, or -1 while the first fragment has not come.
 * Invariant: every fragment is counted in exactly one flow, at the latest by `flush`: with the first fragment's ports
 * when that came within `lifetimeUs`, before or after; else in a flow with ports 0.
 * Bound: {@link entriesMax} datagrams, four to a set; the one untouched longest makes room.
 * Hot path for fragmented traffic only.
 * @module */

import { Packet } from "../decode/packet.ts";
import { type PacketSum, putAddresses } from "./flow_record.ts";
import { notSampled } from "./sampling.ts";
import type { FlowTable } from "./table.ts";

const sets = 1_024;
const ways = 4;
export const entriesMax = sets * ways;
const lifetimeUs = 30_000_000;

const keyWords = 11;
/** Words of an entry behind its key. */
const field = {
  status: 11,
  srcPort: 12,
  dstPort: 13,
  lengthMin: 14,
  lengthMax: 15,
  ttl: 16,
  macs: 17,
  packets: 21,
};
const entryWords = 22;
const value = { touchedUs: 0, startUs: 1, lastUs: 2, bytes: 3, lengthSquares: 4 };
const entryFloats = 5;
const free = 0, known = 1, pending = 2;

export class Fragments {
  /** Fragments whose first fragment never came. */
  orphans = 0;
  /** Outermost fragments first held to be in a flow, which then turned out to be one that is left out. */
  notSampled = 0;
  #words = new Int32Array(entriesMax * entryWords);
  #floats = new Float64Array(entriesMax * entryFloats);
  #key = new Int32Array(keyWords);
  #pendingCount = 0;
  #sweepUs = 0;
  #scratch = new Packet();
  #macs = new Uint8Array(12);
  #table: FlowTable;

  constructor(table: FlowTable) {
    this.#table = table;
  }

  /** Counts one fragment, unless its flow is left out. */
  count(p: Packet, bytes: Uint8Array, timeUs: number): number {
    const nowUs = this.#table.nowUs;
    if (nowUs >= this.#sweepUs) this.#sweep(nowUs);
    const entry = this.#entryOf(p, nowUs);
    const words = this.#words;
    const base = entry * entryWords;
    this.#floats[entry * entryFloats + value.touchedUs] = nowUs;
    if (p.fragmentOffset === 0) return this.#first(entry, p, bytes, timeUs);
    if (words[base + field.status] === known) {
      p.srcPort = words[base + field.srcPort];
      p.dstPort = words[base + field.dstPort];
      const place = this.#table.locate(p, bytes, timeUs);
      if (place !== notSampled) this.#table.count(place, p, timeUs);
      return place;
    }
    this.#keep(entry, p, bytes, timeUs);
    return -1;
  }

  /** Gives up first fragments that are overdue, also when no other fragment comes. */
  expire(): void {
    const nowUs = this.#table.nowUs;
    if (this.#pendingCount > 0 && nowUs >= this.#sweepUs) this.#sweep(nowUs);
  }

  /** Counts all that still wait, in flows with ports 0. */
  flush(): void {
    for (let entry = 0; entry < entriesMax && this.#pendingCount > 0; entry++) this.#giveUp(entry);
  }

  #first(entry: number, p: Packet, bytes: Uint8Array, timeUs: number): number {
    const words = this.#words;
    const base = entry * entryWords;
    const place = this.#table.locate(p, bytes, timeUs);
    if (place !== notSampled) this.#table.count(place, p, timeUs);
    if (words[base + field.status] === pending) {
      this.#countSum(place, entry);
      this.#pendingCount--;
    }
    words[base + field.status] = known;
    words[base + field.srcPort] = p.srcPort;
    words[base + field.dstPort] = p.dstPort;
    return place;
  }

  #keep(entry: number, p: Packet, bytes: Uint8Array, timeUs: number): void {
    const words = this.#words, floats = this.#floats;
    const base = entry * entryWords, half = entry * entryFloats;
    if (words[base + field.status] === free) {
      words.fill(0, base + keyWords, base + entryWords);
      floats.fill(0, half + value.startUs, half + entryFloats);
      words[base + field.status] = pending;
      words[base + field.lengthMin] = p.ipBytes;
      words[base + field.ttl] = p.ttl;
      for (let i = 0; i < 6; i++) {
        if (p.srcMacOffset >= 0) {
          words[base + field.macs + (i >> 2)] |= bytes[p.srcMacOffset + i] << ((i & 3) << 3);
        }
        if (p.dstMacOffset >= 0) {
          words[base + field.macs + 2 + (i >> 2)] |= bytes[p.dstMacOffset + i] << ((i & 3) << 3);
        }
      }
      floats[half + value.startUs] = timeUs;
      floats[half + value.lastUs] = timeUs;
      this.#pendingCount++;
    }
    words[base + field.packets]++;
    floats[half + value.bytes] += p.ipBytes;
    floats[half + value.lengthSquares] += p.ipBytes * p.ipBytes;
    words[base + field.lengthMin] = Math.min(words[base + field.lengthMin], p.ipBytes);
    words[base + field.lengthMax] = Math.max(words[base + field.lengthMax], p.ipBytes);
    floats[half + value.startUs] = Math.min(floats[half + value.startUs], timeUs);
    floats[half + value.lastUs] = Math.max(floats[half + value.lastUs], timeUs);
  }

  #sumOf(entry: number): PacketSum {
    const words = this.#words, floats = this.#floats;
    const base = entry * entryWords, half = entry * entryFloats;
    return {
      packets: words[base + field.packets],
      bytes: floats[half + value.bytes],
      lengthSquares: floats[half + value.lengthSquares],
      lengthMin: words[base + field.lengthMin],
      lengthMax: words[base + field.lengthMax],
      startUs: floats[half + value.startUs],
      lastUs: floats[half + value.lastUs],
      ttl: words[base + field.ttl],
    };
  }

  /** Frees an entry; what waited in it goes to a flow without ports. */
  #giveUp(entry: number): void {
    const words = this.#words;
    const base = entry * entryWords;
    const status = words[base + field.status];
    words[base + field.status] = free;
    if (status !== pending) return;
    this.#pendingCount--;
    const startUs = this.#floats[entry * entryFloats + value.startUs];
    this.orphans += words[base + field.packets];
    this.#countSum(this.#table.locate(this.#packetOf(base), this.#macs, startUs), entry);
  }

  #countSum(place: number, entry: number): void {
    if (place === notSampled) this.notSampled += this.#words[entry * entryWords + field.packets];
    else this.#table.countSum(place, this.#sumOf(entry));
  }

  #packetOf(base: number): Packet {
    const words = this.#words, p = this.#scratch, macs = this.#macs;
    p.src0 = words[base];
    p.src1 = words[base + 1];
    p.src2 = words[base + 2];
    p.src3 = words[base + 3];
    p.dst0 = words[base + 4];
    p.dst1 = words[base + 5];
    p.dst2 = words[base + 6];
    p.dst3 = words[base + 7];
    const meta = words[base + 9];
    p.protocol = meta & 511;
    p.family = meta >> 9 & 7;
    p.depth = meta >> 12 & 15;
    p.tunnel = meta >> 16 & 255;
    p.vlan = words[base + 10] & 4095;
    p.vlanInner = words[base + 10] >> 12 & 4095;
    p.isFragment = true;
    p.fragmentOffset = 8;
    p.srcPort = p.dstPort = 0;
    for (let i = 0; i < 12; i++) {
      const octet = i < 6 ? i : i + 2;
      macs[i] = words[base + field.macs + (octet >> 2)] >>> ((octet & 3) << 3);
    }
    p.srcMacOffset = 0;
    p.dstMacOffset = 6;
    return p;
  }

  /** The entry of a datagram; a free or the oldest one of its set is made its own. */
  #entryOf(p: Packet, nowUs: number): number {
    const key = this.#key, words = this.#words, floats = this.#floats;
    putAddresses(key, 0, 4, p);
    key[8] = p.fragmentId;
    key[9] = p.protocol | p.family << 9 | p.depth << 12 | p.tunnel << 16;
    key[10] = p.vlan | p.vlanInner << 12;
    let hash = 0;
    for (let i = 0; i < keyWords; i++) hash = Math.imul(hash ^ key[i] ^ hash >>> 15, 0x9e3779b1 | 0);
    const set = ((hash ^ hash >>> 16) & sets - 1) * ways;
    let oldest = set;
    for (let entry = set; entry < set + ways; entry++) {
      const isLive = words[entry * entryWords + field.status] !== free;
      const isStale = nowUs - floats[entry * entryFloats + value.touchedUs] > lifetimeUs;
      if (isLive && this.#equals(entry * entryWords)) {
        if (!isStale) return entry;
        this.#giveUp(entry);
      }
      if (words[entry * entryWords + field.status] === free) oldest = entry;
      else if (
        words[oldest * entryWords + field.status] !== free &&
        floats[entry * entryFloats + value.touchedUs] < floats[oldest * entryFloats + value.touchedUs]
      ) oldest = entry;
    }
    this.#giveUp(oldest);
    words.set(key, oldest * entryWords);
    return oldest;
  }

  #equals(base: number): boolean {
    for (let i = 0; i < keyWords; i++) if (this.#words[base + i] !== this.#key[i]) return false;
    return true;
  }

  /** Gives up, now and then, what has waited too long. */
  #sweep(nowUs: number): void {
    this.#sweepUs = nowUs + lifetimeUs / 4;
    for (let entry = 0; entry < entriesMax && this.#pendingCount > 0; entry++) {
      if (this.#words[entry * entryWords + field.status] !== pending) continue;
      if (nowUs - this.#floats[entry * entryFloats + value.touchedUs] > lifetimeUs) this.#giveUp(entry);
    }
  }
}
