/** Rows that wait to be sealed, by bucket.
 *
 * In: sealable rows, each with its bucket. Out: all rows of one bucket, as slots of one block of memory.
 * Invariant: rows added = rows given back + rows open; at most `rowsMax` are open, whatever the number of buckets, and
 * `factsBytesMax` octets of facts and those of one row.
 * Why one block with chains through it: a thousand buckets that may each hold thousands of rows need no memory of their
 * own. @module */

import { endReasons } from "../../shared/segment.ts";
import { strideWords, word } from "../flow/layout.ts";
import { copyFlow } from "../flow/segment_page.ts";
import { noFacts, type SealableRows } from "./parcel.ts";

const rowsAtStart = 512;
const none = -1;
/** The end of a connection is news; what ended by silence, or goes on, was old before it came. */
const awaited = [endReasons.indexOf("fin"), endReasons.indexOf("rst")];
/** Eight hundred octets a row where {@link OpenRows} is full of them; on ordinary traffic it is a sixth of that. */
const factsBytesMax = 16_000_000;

export class OpenRows {
  words: Int32Array = new Int32Array(0);
  floats: Float64Array = new Float64Array(0);
  /** By slot, as in {@link SealableRows}. */
  readonly apps: string[] = [];
  readonly facts: Uint8Array[] = [];
  length = 0;
  readonly counts: Int32Array;
  /** When the first row of each bucket came, ms. */
  readonly sinceMs: Float64Array;
  /** When the first row came that somebody waits for, ms; Infinity = there is none. */
  readonly awaitedMs: Float64Array;
  #heads: Int32Array;
  /** Next slot of the same bucket, or of the free ones. */
  #next = new Int32Array(0);
  #free = none;
  #rowsMax: number;
  #factsBytes = 0;

  constructor(buckets: number, rowsMax: number) {
    this.counts = new Int32Array(buckets);
    this.sinceMs = new Float64Array(buckets);
    this.awaitedMs = new Float64Array(buckets).fill(Infinity);
    this.#heads = new Int32Array(buckets).fill(none);
    this.#rowsMax = rowsMax;
  }

  get isFull(): boolean {
    return this.length === this.#rowsMax || this.#factsBytes >= factsBytesMax;
  }

  /** The bucket with most rows. */
  get fullest(): number {
    let fullest = 0;
    for (let bucket = 1; bucket < this.counts.length; bucket++) {
      if (this.counts[bucket] > this.counts[fullest]) fullest = bucket;
    }
    return fullest;
  }

  /** Copies row `index`. Not to be called when full. */
  add(rows: SealableRows, index: number, bucket: number, nowMs: number): void {
    if (this.#free === none) this.#grow();
    const slot = this.#free;
    this.#free = this.#next[slot];
    copyFlow(rows.words, index * strideWords, this.words, slot * strideWords);
    this.apps[slot] = rows.apps[index];
    this.facts[slot] = rows.facts[index];
    this.#factsBytes += rows.facts[index].length;
    this.#next[slot] = this.#heads[bucket];
    this.#heads[bucket] = slot;
    if (this.counts[bucket]++ === 0) this.sinceMs[bucket] = nowMs;
    const isAwaited = awaited.includes(rows.words[index * strideWords + word.endReason]);
    if (isAwaited && this.awaitedMs[bucket] === Infinity) this.awaitedMs[bucket] = nowMs;
    this.length++;
  }

  /** Slots of all rows of a bucket, in no order. They stay as they are until {@link giveBack}. */
  take(bucket: number): Int32Array {
    const slots = new Int32Array(this.counts[bucket]);
    let slot = this.#heads[bucket];
    for (let i = 0; i < slots.length; i++) {
      slots[i] = slot;
      slot = this.#next[slot];
    }
    this.#heads[bucket] = none;
    this.counts[bucket] = 0;
    this.awaitedMs[bucket] = Infinity;
    return slots;
  }

  /** Leaves out the facts of a row; false when it has none. */
  dropFacts(slot: number): boolean {
    const { length } = this.facts[slot];
    this.#factsBytes -= length;
    this.facts[slot] = noFacts;
    return length > 0;
  }

  giveBack(slots: Int32Array): void {
    for (const slot of slots) {
      this.dropFacts(slot);
      this.#next[slot] = this.#free;
      this.#free = slot;
    }
    this.length -= slots.length;
  }

  #grow(): void {
    const before = this.#next.length;
    const rows = Math.min(this.#rowsMax, Math.max(rowsAtStart, 2 * before));
    const memory = new ArrayBuffer(rows * strideWords * 4);
    const words = new Int32Array(memory);
    words.set(this.words);
    this.words = words;
    this.floats = new Float64Array(memory);
    const next = new Int32Array(rows);
    next.set(this.#next);
    this.#next = next;
    for (let slot = rows - 1; slot >= before; slot--) {
      next[slot] = this.#free;
      this.#free = slot;
    }
  }
}
