/** Facts that came before are not parsed, checked and hashed again.
 *
 * In: the octets of a batch's value. Out: its facts; those whose octets are known are one object, shared and frozen.
 * Invariant: facts are the same as if all of the value had been parsed: known octets were parsed and checked when they
 * came first, and whatever is not as a sensor writes it is left to the caller.
 * Bounds: {@link placesMax} facts of at most {@link octetsMax} octets. A place belongs to a set of
 * {@link placesPerSet}, chosen by hash; what comes anew takes the place of another of its set, so texts made to collide
 * cost no search.
 * Hot path: reads each octet of the column once. @module */

import { Buffer } from "node:buffer";
import { areFacts, type Facts } from "../../shared/facts.ts";
import { segmentColumnNames } from "../../shared/segment.ts";
import { shareFacts } from "../model/shared_facts.ts";

const placesMax = 8_192;
const placesPerSet = 4;
const octetsMax = 1_024;
const quote = 0x22, comma = 0x2c, backslash = 0x5c, open = 0x7b, close = 0x7d, endOfColumn = 0x5d;
const columnStart = Buffer.from('"facts":[');
const columnsMax = segmentColumnNames.length;
const nothing = Buffer.from("null");
const decoder = new TextDecoder("utf-8", { fatal: true });

export interface FactColumn {
  /** Where the column's array begins in the value; what is before it is the rest of the value. */
  from: number;
  facts: (Facts | null)[];
}

export class KnownFacts {
  readonly #hashes = new Uint32Array(placesMax);
  readonly #octets: (Uint8Array | null)[] = new Array(placesMax).fill(null);
  readonly #facts: (Facts | null)[] = new Array(placesMax).fill(null);
  #turn = 0;
  // Of the element at hand.
  #end = 0;
  #hash = 0;

  /** Null = not the form in which sensors write it, facts last and without blanks, or not all of it is good. */
  read(value: Uint8Array, rows: number): FactColumn | null {
    const from = columnOf(value);
    if (from < 0) return null;
    const facts: (Facts | null)[] = [];
    let at = from + 1;
    for (; facts.length < rows; at++) {
      const isNothing = value[at] === nothing[0];
      if (isNothing ? !isNull(value, at) : !this.#measure(value, at)) return null;
      const one = isNothing ? null : this.#one(value, at, this.#end);
      if (one === undefined) return null;
      facts.push(one);
      at = isNothing ? at + nothing.length : this.#end;
      if (value[at] !== comma || facts.length === rows) break;
    }
    const isWhole = facts.length === rows && value[at] === endOfColumn && value[at + 1] === close &&
      at + 2 === value.length;
    return isWhole ? { from, facts } : null;
  }

  /** Finds the end of the object that begins at `from`, and its hash. */
  #measure(value: Uint8Array, from: number): boolean {
    if (value[from] !== open) return false;
    let hash = 0x811c9dc5, depth = 0, inText = false;
    for (let at = from; at < value.length; at++) {
      const octet = value[at];
      hash = Math.imul(hash ^ octet, 0x01000193);
      if (inText) {
        if (octet === quote) inText = false;
        else if (octet === backslash) hash = Math.imul(hash ^ value[++at], 0x01000193);
      } else if (octet === quote) {
        inText = true;
      } else if (octet === open) {
        depth++;
      } else if (octet === close && --depth === 0) {
        this.#end = at + 1;
        this.#hash = (hash ^ hash >>> 15) >>> 0;
        return true;
      }
    }
    return false;
  }

  /** Undefined = not what facts may be. */
  #one(value: Uint8Array, from: number, to: number): Facts | undefined {
    const hash = this.#hash;
    const set = hash % (placesMax / placesPerSet) * placesPerSet;
    for (let place = set; place < set + placesPerSet; place++) {
      if (this.#hashes[place] === hash && isSame(this.#octets[place], value, from, to)) {
        return this.#facts[place]!;
      }
    }
    const facts = parse(value.subarray(from, to));
    if (facts === undefined || to - from > octetsMax) return facts;
    const place = set + this.#turn++ % placesPerSet;
    this.#hashes[place] = hash;
    this.#octets[place] = value.slice(from, to);
    return this.#facts[place] = shareFacts(facts);
  }
}

/** Where the array of facts begins, or -1. Before it there is one bracket a column. */
function columnOf(value: Uint8Array): number {
  let at = -1;
  for (let column = 0; column < columnsMax; column++) {
    at = value.indexOf(columnStart[columnStart.length - 1], at + 1);
    if (at < 0) return -1;
    if (endsWith(value, at + 1, columnStart)) return at;
  }
  return -1;
}

function endsWith(value: Uint8Array, end: number, octets: Uint8Array): boolean {
  const from = end - octets.length;
  for (let i = 0; i < octets.length; i++) if (value[from + i] !== octets[i]) return false;
  return true;
}

function parse(octets: Uint8Array): Facts | undefined {
  try {
    const facts: unknown = JSON.parse(decoder.decode(octets));
    return areFacts(facts) ? facts : undefined;
  } catch {
    return undefined;
  }
}

function isNull(value: Uint8Array, at: number): boolean {
  for (let i = 0; i < nothing.length; i++) if (value[at + i] !== nothing[i]) return false;
  return true;
}

function isSame(known: Uint8Array | null, value: Uint8Array, from: number, to: number): boolean {
  if (known === null || known.length !== to - from) return false;
  for (let i = 0; i < known.length; i++) if (known[i] !== value[from + i]) return false;
  return true;
}
