/** Memory of facts that wait for their segment: entries of octets, in chains of blocks.
 *
 * | words of a block | first of an entry              | later ones |
 * | ---------------- | ------------------------------ | ---------- |
 * | 0                | next block, -1 = last          | the same   |
 * | 1                | next entry of the list         | text       |
 * | 2, 3, 4          | octets, last block, tag        | text       |
 * | 5 to 15          | text                           | text       |
 *
 * In: entries that begin, grow and are read once. Out: their octets.
 * Invariant: every block is in one entry or free; an entry is named by its first block.
 * Bound: `bytesMax`, asked for with `hasRoom`.
 * Why not strings: a quarter of a million of them in a second, each living until its flow ends,
 * is what the collector is worst at.
 * @module */

import type { Octets } from "../../flow/octets.ts";

const blockWords = 16;
const blockBytes = 4 * blockWords;
const firstText = 20;
const laterText = 4;
const laterBytes = blockBytes - laterText;
const at = { nextBlock: 0, nextEntry: 1, length: 2, last: 3, tag: 4 } as const;
const blocksAtStart = 1_024;

/** No block, no entry. */
export const none = -1;

export class FactPool {
  #words = new Int32Array(0);
  #octets = new Uint8Array(0);
  #blocks = 0;
  #free = none;
  #used = 0;
  readonly #blocksMax: number;

  constructor(bytesMax: number) {
    this.#blocksMax = Math.max(1, Math.floor(bytesMax / blockBytes));
  }

  /** Blocks in entries. */
  get used(): number {
    return this.#used;
  }

  /** Whether one more entry, or one that is there, may take `bytes` more. */
  hasRoom(bytes: number): boolean {
    return (this.#blocksMax - this.#used) * laterBytes >= bytes + blockBytes;
  }

  /** A new entry; `hasRoom` was asked. */
  begin(tag: number): number {
    const entry = this.#take();
    const base = entry * blockWords;
    this.#words[base + at.nextEntry] = none;
    this.#words[base + at.length] = 0;
    this.#words[base + at.last] = entry;
    this.#words[base + at.tag] = tag;
    return entry;
  }

  /** Adds `from[start, end)` to an entry; `hasRoom` was asked. */
  append(entry: number, from: Uint8Array, start: number, end: number): void {
    const base = entry * blockWords;
    let length = this.#words[base + at.length];
    let block = this.#words[base + at.last];
    let next = start;
    while (next < end) {
      let place = placeIn(length);
      if (place === blockBytes) {
        const added = this.#take();
        this.#words[block * blockWords + at.nextBlock] = added;
        block = added;
        place = laterText;
      }
      const count = Math.min(end - next, blockBytes - place);
      const octets = this.#octets;
      const target = block * blockBytes + place;
      for (let i = 0; i < count; i++) octets[target + i] = from[next + i];
      next += count;
      length += count;
    }
    this.#words[base + at.length] = length;
    this.#words[base + at.last] = block;
  }

  /** Whether the entry begins with `from[start, end)`. */
  startsWith(entry: number, from: Uint8Array, start: number, end: number): boolean {
    const words = this.#words, octets = this.#octets;
    if (words[entry * blockWords + at.length] < end - start) return false;
    let place = entry * blockBytes + firstText;
    let stop = (entry + 1) * blockBytes;
    for (let i = start, block = entry; i < end; i++) {
      if (place === stop) {
        block = words[block * blockWords + at.nextBlock];
        place = block * blockBytes + laterText;
        stop = (block + 1) * blockBytes;
      }
      if (octets[place++] !== from[i]) return false;
    }
    return true;
  }

  tagOf(entry: number): number {
    return this.#words[entry * blockWords + at.tag];
  }

  setTag(entry: number, tag: number): void {
    this.#words[entry * blockWords + at.tag] = tag;
  }

  nextOf(entry: number): number {
    return this.#words[entry * blockWords + at.nextEntry];
  }

  /** Puts `next` behind `entry` in its list. */
  link(entry: number, next: number): void {
    this.#words[entry * blockWords + at.nextEntry] = next;
  }

  /** Adds the octets of an entry to `out`. */
  copy(entry: number, out: Octets): void {
    let left = this.#words[entry * blockWords + at.length];
    let place = firstText;
    for (let block = entry; left > 0; block = this.#words[block * blockWords + at.nextBlock]) {
      const count = Math.min(left, blockBytes - place);
      const start = block * blockBytes + place;
      out.append(this.#octets, start, start + count);
      left -= count;
      place = laterText;
    }
  }

  /** Frees an entry; returns the next of its list. */
  free(entry: number): number {
    const words = this.#words;
    const next = words[entry * blockWords + at.nextEntry];
    let block = entry;
    while (block !== none) {
      const following = words[block * blockWords + at.nextBlock];
      words[block * blockWords + at.nextBlock] = this.#free;
      this.#free = block;
      this.#used--;
      block = following;
    }
    return next;
  }

  #take(): number {
    if (this.#free === none) this.#grow();
    const block = this.#free;
    const base = block * blockWords;
    this.#free = this.#words[base + at.nextBlock];
    this.#words[base + at.nextBlock] = none;
    this.#used++;
    return block;
  }

  #grow(): void {
    const before = this.#blocks;
    const blocks = Math.min(this.#blocksMax, Math.max(blocksAtStart, 2 * before));
    const memory = new ArrayBuffer(blocks * blockBytes);
    const words = new Int32Array(memory);
    words.set(this.#words);
    this.#words = words;
    this.#octets = new Uint8Array(memory);
    this.#blocks = blocks;
    for (let block = blocks - 1; block >= before; block--) {
      words[block * blockWords + at.nextBlock] = this.#free;
      this.#free = block;
    }
  }
}

/** Where in the last block the text of an entry of this length goes on; the size of a block when it is full. */
function placeIn(length: number): number {
  const beyond = length - (blockBytes - firstText);
  if (beyond <= 0) return firstText + length;
  const inLast = beyond % laterBytes;
  return inLast === 0 ? blockBytes : laterText + inLast;
}
