/** The indicators of one list in typed arrays: over a million look-ups a second among a million and a half entries.
 *
 * In: indicators while the list is read; addresses, names and hashes of flows afterwards.
 * Out: the number of a note, or -1.
 * Layout: open addressing over 64-bit fingerprints of (kind, octets), at most two thirds full, 12 octets a slot.
 * Invariant: a miss is certain. A hit is wrong with a probability of 2^-64 for each entry: the fingerprint is keyed
 * with random numbers of this process, so nobody can choose a name that collides.
 * Why domains are hashed from their end: one pass over a name gives the fingerprint of each of its parents. @module */

import { parseIp } from "../../shared/ip.ts";
import { type Indicator, type IndicatorKind, indicatorKinds } from "./indicator.ts";

/** Random numbers that key the fingerprints. */
export type HashKey = readonly [number, number];

const firstSlots = 1_024;
/** Distinct notes of one list; further entries share the last. */
const notesMax = 65_536;
const multiplierLow = 0x9e3779b1, multiplierHigh = 0x85ebca6b;

export class IndicatorTable {
  /** What the list says of its entries; a note's number is what look-ups give. */
  readonly notes: string[] = [];
  #noteNumbers = new Map<string, number>();
  #key: HashKey;
  #low = new Uint32Array(firstSlots);
  #high = new Uint32Array(firstSlots);
  /** Note + 1; 0 = empty. */
  #note = new Uint32Array(firstSlots);
  #size = 0;
  /** Prefix lengths that occur, by octets of the address. */
  #prefixes = { 4: new Set<number>(), 16: new Set<number>() };
  #counts = new Map<IndicatorKind, number>();
  // Fingerprint at hand: two numbers cannot be returned without allocating.
  #a = 0;
  #b = 0;

  constructor(key: HashKey) {
    this.#key = key;
  }

  /** Entries of all kinds, each once. */
  get size(): number {
    return this.#size;
  }

  countOf(kind: IndicatorKind): number {
    return this.#counts.get(kind) ?? 0;
  }

  add({ kind, value }: Indicator, note: string): void {
    if (kind === "ip" || kind === "cidr") {
      const [address, length] = value.split("/");
      const bytes = parseIp(address)!;
      const prefix = length === undefined ? bytes.length * 8 : Number(length);
      this.#prefixes[bytes.length as 4 | 16].add(prefix);
      this.#hashAddress(bytes, prefix);
    } else this.#hashText(kind, value);
    if (this.#insert(this.#numberOf(note))) this.#counts.set(kind, this.countOf(kind) + 1);
  }

  /** The entries of this one that `before`, made with the same key, lacks. */
  without(before: IndicatorTable): IndicatorTable {
    const rest = new IndicatorTable(this.#key);
    rest.notes.push(...this.notes);
    rest.#prefixes = this.#prefixes;
    // Of kinds that are gone too: then a look-up is one comparison more.
    rest.#counts = this.#counts;
    for (let i = 0; i < this.#note.length; i++) {
      if (this.#note[i] === 0 || before.#has(this.#low[i], this.#high[i])) continue;
      rest.#a = this.#low[i];
      rest.#b = this.#high[i];
      rest.#insert(this.#note[i] - 1);
    }
    return rest;
  }

  /** `bytes` are the 4 or 16 octets of an address; the longest network that holds it wins. */
  findAddress(bytes: Uint8Array): number {
    const lengths = this.#prefixes[bytes.length as 4 | 16];
    let best = -1, bestPrefix = -1;
    for (const prefix of lengths) {
      if (prefix <= bestPrefix) continue;
      this.#hashAddress(bytes, prefix);
      const note = this.#find();
      if (note >= 0) {
        best = note;
        bestPrefix = prefix;
      }
    }
    return best;
  }

  /** The name itself or any parent of it; the longest wins. */
  findDomain(name: string): number {
    if (this.countOf("domain") === 0) return -1;
    let best = -1;
    this.#begin("domain");
    let end = name.length;
    while (end > 0 && name.charCodeAt(end - 1) === 46) end--;
    for (let i = end - 1; i >= 0; i--) {
      const code = lower(name.charCodeAt(i));
      if (code === 46) best = this.#foundOr(best);
      this.#mix(code);
    }
    return this.#foundOr(best);
  }

  /** `host` with its port if that is odd; `path` with the query. */
  findUrl(host: string, path: string): number {
    if (this.countOf("url") === 0) return -1;
    this.#hashText("url", host.toLowerCase() + path);
    return this.#find();
  }

  /** A fingerprint or hash in hex. */
  findText(kind: "ja3" | "ja4" | "certificate", value: string): number {
    if (this.countOf(kind) === 0) return -1;
    this.#hashText(kind, value.toLowerCase());
    return this.#find();
  }

  #numberOf(note: string): number {
    let number = this.#noteNumbers.get(note);
    if (number !== undefined) return number;
    if (this.notes.length >= notesMax) return notesMax - 1;
    number = this.notes.push(note) - 1;
    this.#noteNumbers.set(note, number);
    return number;
  }

  #begin(kind: IndicatorKind): void {
    const tag = indicatorKinds.indexOf(kind) + 1;
    this.#a = Math.imul(this.#key[0] ^ tag, multiplierLow);
    this.#b = Math.imul(this.#key[1] ^ tag, multiplierHigh);
  }

  #mix(octet: number): void {
    this.#a = Math.imul(this.#a ^ octet, multiplierLow);
    this.#a ^= this.#a >>> 15;
    this.#b = Math.imul(this.#b ^ (octet + this.#a), multiplierHigh);
    this.#b ^= this.#b >>> 13;
  }

  #hashText(kind: IndicatorKind, text: string): void {
    this.#begin(kind);
    for (let i = text.length - 1; i >= 0; i--) this.#mix(text.charCodeAt(i));
  }

  #hashAddress(bytes: Uint8Array, prefix: number): void {
    this.#begin("ip");
    this.#mix(prefix);
    const whole = prefix >> 3, rest = prefix & 7;
    for (let i = 0; i < whole; i++) this.#mix(bytes[i]);
    if (rest > 0) this.#mix(bytes[whole] & (0xff00 >> rest));
    this.#mix(bytes.length);
  }

  #foundOr(before: number): number {
    const note = this.#find();
    return note >= 0 ? note : before;
  }

  #find(): number {
    return this.#note[this.#slot()] - 1;
  }

  #has(low: number, high: number): boolean {
    this.#a = low;
    this.#b = high;
    return this.#find() >= 0;
  }

  #slot(): number {
    const mask = this.#low.length - 1;
    const low = this.#a >>> 0, high = this.#b >>> 0;
    let slot = (low ^ (high >>> 7)) & mask;
    while (this.#note[slot] !== 0 && (this.#low[slot] !== low || this.#high[slot] !== high)) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  /** False when it was there before; the first note stays. */
  #insert(note: number): boolean {
    const slot = this.#slot();
    if (this.#note[slot] !== 0) return false;
    this.#low[slot] = this.#a;
    this.#high[slot] = this.#b;
    this.#note[slot] = note + 1;
    if (++this.#size * 3 > this.#low.length * 2) this.#grow();
    return true;
  }

  #grow(): void {
    const [low, high, note] = [this.#low, this.#high, this.#note];
    const slots = low.length * 2;
    this.#low = new Uint32Array(slots);
    this.#high = new Uint32Array(slots);
    this.#note = new Uint32Array(slots);
    for (let i = 0; i < low.length; i++) {
      if (note[i] === 0) continue;
      this.#a = low[i];
      this.#b = high[i];
      const slot = this.#slot();
      this.#low[slot] = low[i];
      this.#high[slot] = high[i];
      this.#note[slot] = note[i];
    }
  }
}

function lower(code: number): number {
  return code >= 65 && code <= 90 ? code + 32 : code;
}
