/** Parcels: segments on their way to another thread.
 *
 * In: pages, however little there is in each. Out: parcels of {@link parcelRowsMax} rows, fewer when their facts are
 * many; on the other side rows that can be sealed.
 * Invariant: rows packed = rows in parcels taken + rows packed since.
 * Why parcels: a message from thread to thread costs as much as forty rows. @module */

import { copyFlow, pageRowsMax, type SegmentPage } from "../flow/segment_page.ts";
import { strideWords } from "../flow/layout.ts";
import { Octets } from "../flow/octets.ts";

/** So that no page makes more than one parcel full. */
export const parcelRowsMax = pageRowsMax;
/** Memory of parcels kept for reuse, 150 kB each. */
const spareMax = 8;

/** Octets of facts with which a parcel is full; those of one segment may go beyond. */
export const parcelFactsMax = 1_000_000;
/** Memory for facts that an empty packer keeps. */
const factsBytesKept = 131_072;
/** Of a row that has none. */
export const noFacts = new Uint8Array(0);

/** What goes from thread to thread. */
export interface Parcel {
  /** Of the first rows, the rest is free. */
  readonly words: Int32Array<ArrayBuffer>;
  readonly rows: number;
  /** A line a row: the application protocol. */
  readonly apps: string;
  /** Facts as JSON, one row behind the other, and where those of each row end. */
  readonly facts: Uint8Array<ArrayBuffer>;
  readonly factsEnds: Int32Array;
}

export interface SealableRows {
  readonly words: Int32Array;
  /** The same memory. */
  readonly floats: Float64Array;
  readonly length: number;
  /** By row. */
  readonly apps: readonly string[];
  readonly facts: readonly Uint8Array[];
}

export class Packer {
  #spare: Int32Array<ArrayBuffer>[] = [];
  #words: Int32Array<ArrayBuffer> = this.#newWords();
  #apps: string[] = [];
  #facts = new Octets();
  #factsEnds = new Int32Array(parcelRowsMax);

  /** Rows packed since the last parcel. */
  get length(): number {
    return this.#apps.length;
  }

  get isFull(): boolean {
    return this.length === parcelRowsMax || this.#facts.length >= parcelFactsMax;
  }

  /** Copies row `index` of a page. Not to be called when full. */
  add(page: SegmentPage, index: number): void {
    copyFlow(page.words, index * strideWords, this.#words, this.length * strideWords);
    this.#facts.append(page.facts.bytes, page.factsStart(index), page.factsEnds[index]);
    this.#factsEnds[this.length] = this.#facts.length;
    this.#apps.push(page.apps[index]);
  }

  take(): Parcel {
    const words = this.#words;
    const { length } = this;
    const parcel = {
      words,
      rows: length,
      apps: this.#apps.join("\n"),
      facts: this.#facts.bytes.slice(0, this.#facts.length),
      factsEnds: this.#factsEnds.slice(0, length),
    };
    this.#words = this.#spare.pop() ?? this.#newWords();
    this.#apps = [];
    this.#facts.clear(factsBytesKept);
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

export function unpack({ words, rows, apps, facts, factsEnds }: Parcel): SealableRows {
  return {
    words,
    floats: new Float64Array(words.buffer),
    length: rows,
    apps: apps.split("\n"),
    facts: Array.from(factsEnds, (end, row) => {
      const start = row === 0 ? 0 : factsEnds[row - 1];
      return start === end ? noFacts : facts.subarray(start, end);
    }),
  };
}
