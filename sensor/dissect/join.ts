/** Joins facts to segments: what was read in the packets of each segment of each flow.
 *
 * In: lines of the dissector, or payloads read on the spot, with the flow and the segment their packet was counted in.
 * Out: the JSON of their {@link Facts} when that segment is reported.
 * Answers lag, so facts of several segments of one flow may be held at a time.
 * Invariant: facts stand in the segment whose packets brought them; those that come after it was reported stand in a
 * later one. The name of a flow's application protocol stays known for its later segments.
 * Bounds: `flowsMax` flows; when there is no place for one more, of eight the flow goes that was added to longest ago,
 * counted where its facts were unread. `charactersMax` characters in all and {@link segmentCharactersMax} in one
 * segment; a packet beyond is counted in `cut`.
 * Why places and not a Map: flow numbers rise one by one, so their last bits are a good hash,
 * and eight of them are one cache line.
 * @module */

import type { Octets } from "../flow/octets.ts";
import { FirstOctets } from "./facts/first_octets.ts";
import { FactPool } from "./facts/fact_pool.ts";
import { readFacts } from "./columns/line.ts";
import { PlainMemory, type PlainPayload, readPlain } from "./plain/plain.ts";
import { SegmentFacts } from "./facts/segment_facts.ts";

/** With room for escapes and the other columns, one segment always fits a batch of 900 kB. */
export const segmentCharactersMax = 131_072;
const charactersMaxDefault = 33_554_432;
/** Octets of memory for each character held: the last block of an entry is seldom full. */
const poolShare = 2;

/** Places a flow may take. */
const waysMax = 8;

export class FactsJoin {
  /** Flows whose facts were dropped unread because there was no place. */
  dropped = 0;
  /** By place: the flow, NaN = none, and when it was added to last. */
  readonly #flows: Float64Array;
  readonly #touched: Float64Array;
  /** By place: application protocol, segments reported so far, facts in the order of the first of each segment;
   * mostly one. */
  readonly #apps: string[];
  readonly #taken: Int32Array;
  readonly #firsts: (SegmentFacts | null)[];
  readonly #ways: number;
  readonly #setMask: number;
  readonly #charactersMax: number;
  readonly #pool: FactPool;
  readonly #memory = new PlainMemory();
  readonly #starts = new FirstOctets();
  #characters = 0;
  #touches = 0;

  constructor(flowsMax: number, charactersMax = charactersMaxDefault) {
    if (!(flowsMax >= 2)) {
      throw new RangeError(`Cannot join facts as "flowsMax" must be >= 2: current value is ${flowsMax}`);
    }
    this.#ways = Math.min(waysMax, Math.floor(flowsMax));
    const sets = 2 ** Math.floor(Math.log2(flowsMax / this.#ways));
    const places = sets * this.#ways;
    this.#setMask = sets - 1;
    this.#flows = new Float64Array(places).fill(NaN);
    this.#touched = new Float64Array(places);
    this.#apps = new Array(places).fill("");
    this.#taken = new Int32Array(places);
    this.#firsts = new Array(places).fill(null);
    this.#charactersMax = charactersMax;
    this.#pool = new FactPool(poolShare * charactersMax);
  }

  /** Flows held. */
  get size(): number {
    return this.#flows.reduce((count, flowId) => Number.isNaN(flowId) ? count : count + 1, 0);
  }

  /** Adds what one line says about a flow. */
  add(flowId: number, segment: number, columns: readonly string[]): void {
    const place = this.#find(flowId);
    const part = this.#open(place, segment);
    const target = this.#hasRoom(part) ? part : new SegmentFacts(segment, this.#pool);
    const before = part.characters;
    const app = readFacts(columns, target);
    this.#keep(flowId, place, part, target, app, before);
  }

  /** Adds what can be read of a plain payload; false when it is not plain, and then nothing is added. */
  addPlain(flowId: number, segment: number, payload: PlainPayload, buffer: Uint8Array): boolean {
    const place = this.#find(flowId);
    const part = this.#open(place, segment);
    const target = this.#hasRoom(part) ? part : new SegmentFacts(segment, this.#pool);
    const before = part.characters;
    const app = readPlain(payload, buffer, target, flowId, this.#memory);
    if (app === null) return false;
    this.#keep(flowId, place, part, target, app, before);
    return true;
  }

  /** Keeps the first octets of a flow's direction, for flows that nothing names. */
  noteStart(flowId: number, direction: number, buffer: Uint8Array, at: number, captured: number): void {
    this.#starts.keep(flowId, direction, buffer, at, captured);
  }

  /** Adds the JSON of what was read in the packets of this segment to `out`, nothing when there was nothing; returns
   * the application protocol, "" = not recognised. The segments of a flow are asked for in order, each once. */
  take(flowId: number, segment: number, out: Octets): string {
    const place = this.#find(flowId);
    const app = place < 0 ? "" : this.#apps[place];
    const first = app === "" ? this.#starts.take(flowId) : null;
    if (place >= 0) this.#taken[place] = segment + 1;
    const part = place < 0 ? null : this.#takePart(place, segment);
    if (part !== null) {
      if (first !== null) part.addOthers((facts) => facts.first = first);
      part.writeTo(out);
    } else if (first !== null) {
      out.utf8(JSON.stringify({ first }));
    }
    return app;
  }

  /** The facts of this segment, which are held no more; null = there are none. */
  #takePart(place: number, segment: number): SegmentFacts | null {
    let before: SegmentFacts | null = null;
    for (let part = this.#firsts[place]; part !== null; before = part, part = part.next) {
      if (part.segment > segment) continue;
      if (before === null) this.#firsts[place] = part.next;
      else before.next = part.next;
      this.#characters -= part.characters;
      return part;
    }
    return null;
  }

  #hasRoom(part: SegmentFacts): boolean {
    return part.characters < segmentCharactersMax && this.#characters < this.#charactersMax;
  }

  /** The part facts of this segment go to; a new one is not yet held. */
  #open(place: number, segment: number): SegmentFacts {
    if (place < 0) return new SegmentFacts(segment, this.#pool);
    const wanted = this.#taken[place] > segment ? this.#taken[place] : segment;
    for (let part = this.#firsts[place]; part !== null; part = part.next) {
      if (part.segment === wanted) return part;
    }
    return new SegmentFacts(wanted, this.#pool);
  }

  /** `target` is `part`, or when that was full something else, which is given up. */
  #keep(
    flowId: number,
    known: number,
    part: SegmentFacts,
    target: SegmentFacts,
    app: string,
    before: number,
  ): void {
    const { isEmpty } = target;
    if (known < 0 && app === "" && isEmpty) return;
    const place = known < 0 ? this.#hold(flowId) : known;
    this.#touched[place] = ++this.#touches;
    if (this.#apps[place] === "") this.#apps[place] = app;
    if (isEmpty) return;
    if (target !== part) {
      target.free();
      part.cut(1);
    }
    this.#append(place, part);
    this.#characters += part.characters - before;
  }

  /** The place of a flow, -1 = it has none. */
  #find(flowId: number): number {
    const flows = this.#flows;
    const first = this.#firstPlace(flowId);
    for (let place = first; place < first + this.#ways; place++) if (flows[place] === flowId) return place;
    return -1;
  }

  #firstPlace(flowId: number): number {
    return (flowId & this.#setMask) * this.#ways;
  }

  /** Gives a flow a place: a free one, or that of the flow added to longest ago. */
  #hold(flowId: number): number {
    const first = this.#firstPlace(flowId);
    let oldest = first;
    for (let place = first; place < first + this.#ways; place++) {
      if (this.#touched[place] < this.#touched[oldest]) oldest = place;
    }
    if (this.#firsts[oldest] !== null) this.dropped++;
    for (let part = this.#firsts[oldest]; part !== null; part = part.next) {
      this.#characters -= part.characters;
      part.free();
    }
    this.#flows[oldest] = flowId;
    this.#apps[oldest] = "";
    this.#taken[oldest] = 0;
    this.#firsts[oldest] = null;
    return oldest;
  }

  #append(place: number, part: SegmentFacts): void {
    let last = this.#firsts[place];
    if (last === null) {
      this.#firsts[place] = part;
      return;
    }
    while (last !== part && last.next !== null) last = last.next;
    if (last !== part) last.next = part;
  }
}
