/** Words made of TLS hellos lately, by the numbers they were made of.
 *
 * In: the numbers of one hello, put list by list.
 * Out: what was made of the same numbers before, or what is made of them now.
 * Invariant: words are made of the numbers put here and of nothing else. Each list begins with its length and the Map
 * compares whole keys, so that no choice of octets gives one hello the words of another.
 * Bound: {@link recentMax} hellos of {@link recentWordsMax} numbers. When there are more, all are forgotten: whoever
 * sends a new hello each time makes reading as slow as it is without this table.
 * Why: the clients of a network are few programs,
 * and fingerprints cost more than ten times what it takes to see that one is known.
 * Why a text as the key: the engine hashes and compares texts in the time that hashing takes in a loop here,
 * and needs no code of ours.
 * Hot path: the numbers of each hello are put into the same array. @module */

import { Buffer } from "node:buffer";

export const recentMax = 1_024;
/** Of the largest hello kept; browsers need 60 to 80. */
const recentWordsMax = 512;
/** One for each octet of the longest record. */
const wordsMax = 65_536;

export class RecentHellos<Words> {
  readonly #made = new Map<string, Words>();
  readonly #put = new Uint16Array(wordsMax);
  readonly #octets = Buffer.from(this.#put.buffer);
  #length = 0;
  /** Where the current list has its length. */
  #list = 0;

  /** Hellos remembered. */
  get size(): number {
    return this.#made.size;
  }

  /** Begins a hello. */
  begin(): void {
    this.#length = 0;
  }

  /** Begins a list of the hello. */
  beginList(): void {
    this.#list = this.#length++;
    this.#put[this.#list] = 0;
  }

  /** Adds a number to the list. */
  put(value: number): void {
    this.#put[this.#length++] = value;
    this.#put[this.#list]++;
  }

  /** Words for the hello put. */
  words(make: (lists: number[][]) => Words): Words {
    if (this.#length > recentWordsMax) return make(this.#lists());
    const key = this.#octets.toString("latin1", 0, this.#length * 2);
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const words = make(this.#lists());
    if (this.#made.size >= recentMax) this.#made.clear();
    this.#made.set(key, words);
    return words;
  }

  #lists(): number[][] {
    const lists: number[][] = [];
    for (let at = 0; at < this.#length;) {
      const list: number[] = [];
      const end = at + 1 + this.#put[at];
      while (++at < end) list.push(this.#put[at]);
      lists.push(list);
    }
    return lists;
  }
}
