/** Different addresses seen, up to a bound: {@link Distinct} for sets that grow large.
 *
 * In: addresses. Out: how many different ones, and which, in the order in which they came.
 * Invariant: as of Distinct; an IPv4 address takes its 32 bits and a place in an index, and its text is not kept.
 * Why: under a flood each source is a new one, and the texts and sets of all victims were most of the memory.
 * @module */

import type { Address } from "./address.ts";

/** So many are searched one by one. */
const listMax = 8;
const factor = crypto.getRandomValues(new Int32Array(1))[0] | 1;

export class DistinctIps {
  size = 0;
  /** The first one, as most never see a second. */
  #only: Address | null = null;
  /** All, in order: the bits of an IPv4 address as a signed number, the text of any other. */
  #all: (number | string)[] | null = null;
  /** Places in `#all`, counted from 1, by the hash of the address; 0 = empty. Null while there are few. */
  #index: Uint16Array | null = null;
  /** Any other address. */
  #others: Set<string> | null = null;

  /** `max`: below 65536. */
  constructor(readonly max: number) {}

  /** Whether `address` is new. Beyond the bound nothing is. */
  add(address: Address): boolean {
    if (this.size >= this.max) return false;
    if (this.size === 0) {
      this.#only = address;
      this.size = 1;
      return true;
    }
    if (this.#all === null) {
      const only = this.#only!;
      if (only === address || only.ip === address.ip) return false;
      this.#all = [];
      this.#append(only);
      this.#only = null;
    }
    if (this.#has(address)) return false;
    this.#append(address);
    this.size++;
    return true;
  }

  /** There may be more than `size`. */
  get isFull(): boolean {
    return this.size >= this.max;
  }

  /** The number as it is shown. */
  get count(): number | string {
    return this.isFull ? `at least ${this.size}` : this.size;
  }

  *[Symbol.iterator](): Generator<string> {
    if (this.#only !== null) yield this.#only.ip;
    for (const one of this.#all ?? []) {
      yield typeof one === "string"
        ? one
        : `${one >>> 24}.${one >>> 16 & 255}.${one >>> 8 & 255}.${one & 255}`;
    }
  }

  #has({ ip, ipv4 }: Address): boolean {
    if (ipv4 === null) return this.#others !== null && this.#others.has(ip);
    const all = this.#all!, index = this.#index;
    if (index === null) return all.includes(ipv4);
    return index[placeOf(all, index, ipv4)] !== 0;
  }

  #append({ ip, ipv4 }: Address): void {
    const all = this.#all!;
    all.push(ipv4 ?? ip);
    if (ipv4 === null) (this.#others ??= new Set()).add(ip);
    if (all.length <= listMax) return;
    if (this.#index === null || 2 * all.length > this.#index.length) this.#index = indexOf(all);
    else if (ipv4 !== null) this.#index[placeOf(all, this.#index, ipv4)] = all.length;
  }
}

/** Of the number, or the empty one where it would be. */
function placeOf(all: readonly (number | string)[], index: Uint16Array, number: number): number {
  const mask = index.length - 1, hash = Math.imul(number, factor);
  let place = (hash ^ hash >>> 15) & mask;
  while (index[place] !== 0 && all[index[place] - 1] !== number) place = place + 1 & mask;
  return place;
}

/** Twice the places that are needed now. */
function indexOf(all: readonly (number | string)[]): Uint16Array {
  let places = 4 * listMax;
  while (places < 3 * all.length) places *= 2;
  const index = new Uint16Array(places);
  all.forEach((one, i) => {
    if (typeof one === "number") index[placeOf(all, index, one)] = i + 1;
  });
  return index;
}
