/** Sealable rows: segments on their way to another thread.
 *
 * In: pages, however little there is in each. Out: parcels of {@link parcelRowsMax} rows, facts as JSON text; on the other side rows that
 * can be sealed. Invariant: rows packed = rows in parcels taken + rows packed since.
 * Why text, and one for all rows: copying an object between threads costs twice what writing it as JSON does, a thousand texts ten
 * times what one does, and JSON is what a batch wants in the end. Why parcels: a message costs as much as forty rows. @module */

import { copyFlow, pageRowsMax, type SegmentPage } from "../flow/segment_page.ts";
import { strideWords } from "../flow/layout.ts";

/** So that no page makes more than one parcel full. */
export const parcelRowsMax = pageRowsMax;
/** Memory of parcels kept for reuse, 150 kB each. */
const spareMax = 8;

/** What goes from thread to thread. */
export interface Parcel {
  /** Of the first rows, the rest is free. */
  readonly words: Int32Array<ArrayBuffer>;
  readonly rows: number;
  /** A line a row: the application protocol. */
  readonly apps: string;
  /** A line a row: facts as JSON, empty = none. */
  readonly facts: string;
}

export interface SealableRows {
  readonly words: Int32Array;
  /** The same memory. */
  readonly floats: Float64Array;
  readonly length: number;
  /** By row. */
  readonly apps: readonly string[];
  readonly facts: readonly string[];
}

export class Packer {
  #spare: Int32Array<ArrayBuffer>[] = [];
  #words: Int32Array<ArrayBuffer> = this.#newWords();
  #apps: string[] = [];
  #facts: string[] = [];

  /** Rows packed since the last parcel. */
  get length(): number {
    return this.#apps.length;
  }

  get isFull(): boolean {
    return this.length === parcelRowsMax;
  }

  /** Copies row `index` of a page. Not to be called when full. */
  add(page: SegmentPage, index: number): void {
    copyFlow(page.words, index * strideWords, this.#words, this.length * strideWords);
    const facts = page.facts[index];
    this.#apps.push(page.apps[index]);
    this.#facts.push(facts === null ? "" : JSON.stringify(facts));
  }

  take(): Parcel {
    const words = this.#words;
    const parcel = { words, rows: this.length, apps: this.#apps.join("\n"), facts: this.#facts.join("\n") };
    this.#words = this.#spare.pop() ?? this.#newWords();
    this.#apps = [];
    this.#facts = [];
    return parcel;
  }

  /** The memory of a parcel that was read. */
  giveBack(words: Int32Array<ArrayBuffer>): void {
    if (this.#spare.length < spareMax) this.#spare.push(words);
  }

  #newWords(): Int32Array<ArrayBuffer> {
    return new Int32Array(parcelRowsMax * strideWords);
  }
}

export function unpack({ words, rows, apps, facts }: Parcel): SealableRows {
  return {
    words,
    floats: new Float64Array(words.buffer),
    length: rows,
    apps: apps.split("\n"),
    facts: facts.split("\n"),
  };
}
