/** Joins facts to segments: what was read in the packets of each segment of each flow.
 *
 * In: lines of the dissector, or payloads read on the spot, with the flow and the segment their packet was counted in. Out: the JSON of
 * their {@link Facts} when that segment is reported. Answers lag, so facts of several segments of one flow may be held at a time.
 * Invariant: facts stand in the segment whose packets brought them; those that come after it was reported stand in a later one. The
 * name of a flow's application protocol stays known for its later segments.
 * Bounds: `flowsMax` flows and `charactersMax` characters held; when there is no room the older half goes, counted where it was unread.
 * One segment holds {@link segmentCharactersMax} characters; a packet beyond it is counted in `cut`.
 * Why halves: taking single oldest keys out of a large Map makes V8 walk over all the holes left before. @module */

import type { Octets } from "../flow/octets.ts";
import { FactPool } from "./fact_pool.ts";
import { readFacts } from "./facts.ts";
import { type PlainPayload, readPlain } from "./plain.ts";
import { SegmentFacts } from "./segment_facts.ts";

/** With room for escapes and the other columns, one segment always fits a batch of 900 kB. */
export const segmentCharactersMax = 131_072;
const charactersMaxDefault = 33_554_432;
/** Octets of memory for each character held: the last block of an entry is seldom full. */
const poolShare = 2;

/** What is held of one flow. */
interface Held {
  app: string;
  /** Segments reported so far. */
  taken: number;
  /** In the order of their first facts; mostly one. */
  first: SegmentFacts | null;
}

export class FactsJoin {
  #young = new Map<number, Held>();
  #old = new Map<number, Held>();
  /** Characters added since the last change of halves. */
  #youngCharacters = 0;
  readonly #flowsHalf: number;
  readonly #charactersHalf: number;
  readonly #pool: FactPool;
  /** Flows whose facts were dropped unread because the join was full. */
  dropped = 0;

  constructor(flowsMax: number, charactersMax = charactersMaxDefault) {
    if (!(flowsMax >= 2)) {
      throw new RangeError(`Cannot join facts as "flowsMax" must be >= 2: current value is ${flowsMax}`);
    }
    this.#flowsHalf = Math.floor(flowsMax / 2);
    this.#charactersHalf = charactersMax / 2;
    this.#pool = new FactPool(poolShare * charactersMax);
  }

  /** Flows held. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** Adds what one line says about a flow. */
  add(flowId: number, segment: number, columns: readonly string[]): void {
    const held = this.#find(flowId);
    const part = this.#open(held, segment);
    const before = part.characters;
    const target = before < segmentCharactersMax ? part : new SegmentFacts(segment, this.#pool);
    const app = readFacts(columns, target);
    this.#keep(flowId, held, part, target, app, before);
  }

  /** Adds what can be read of a plain payload; false when it is not plain, and then nothing is added. */
  addPlain(flowId: number, segment: number, payload: PlainPayload, buffer: Uint8Array): boolean {
    const held = this.#find(flowId);
    const part = this.#open(held, segment);
    const before = part.characters;
    const target = before < segmentCharactersMax ? part : new SegmentFacts(segment, this.#pool);
    const app = readPlain(payload, buffer, target);
    if (app === null) return false;
    this.#keep(flowId, held, part, target, app, before);
    return true;
  }

  /** Adds the JSON of what was read in the packets of this segment to `out`, nothing when there was nothing; returns the application
   * protocol, "" = not recognised. The segments of a flow are asked for in order, each once. */
  take(flowId: number, segment: number, out: Octets): string {
    const held = this.#young.get(flowId) ?? this.#old.get(flowId);
    if (!held) return "";
    held.taken = segment + 1;
    let before: SegmentFacts | null = null;
    for (let part = held.first; part !== null; before = part, part = part.next) {
      if (part.segment > segment) continue;
      if (before === null) held.first = part.next;
      else before.next = part.next;
      part.writeTo(out);
      break;
    }
    return held.app;
  }

  /** The part facts of this segment go to; a new one is not yet held. */
  #open(held: Held | undefined, segment: number): SegmentFacts {
    const place = held !== undefined && held.taken > segment ? held.taken : segment;
    for (let part = held?.first ?? null; part !== null; part = part.next) {
      if (part.segment === place) return part;
    }
    return new SegmentFacts(place, this.#pool);
  }

  /** `target` is `part`, or when that was full something else, which is given up. */
  #keep(
    flowId: number,
    held: Held | undefined,
    part: SegmentFacts,
    target: SegmentFacts,
    app: string,
    before: number,
  ): void {
    const { isEmpty } = target;
    if (held === undefined && app === "" && isEmpty) return;
    const kept = held ?? this.#hold(flowId);
    if (kept.app === "") kept.app = app;
    if (isEmpty) return;
    if (target !== part) {
      target.free();
      part.cut(1);
      return;
    }
    if (before === 0 && !holds(kept, part)) append(kept, part);
    this.#youngCharacters += part.characters - before;
  }

  /** The flow being added to; it moves to the younger half. */
  #find(flowId: number): Held | undefined {
    const young = this.#young.get(flowId);
    if (young) return young;
    const old = this.#old.get(flowId);
    if (!old) return undefined;
    this.#old.delete(flowId);
    this.#put(flowId, old);
    return old;
  }

  #hold(flowId: number): Held {
    const held: Held = { app: "", taken: 0, first: null };
    this.#put(flowId, held);
    return held;
  }

  #put(flowId: number, held: Held): void {
    if (this.#young.size >= this.#flowsHalf || this.#youngCharacters >= this.#charactersHalf) {
      for (const one of this.#old.values()) {
        if (one.first !== null) this.dropped++;
        for (let part = one.first; part !== null; part = part.next) part.free();
      }
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngCharacters = 0;
    }
    this.#young.set(flowId, held);
  }
}

function holds(held: Held, wanted: SegmentFacts): boolean {
  for (let part = held.first; part !== null; part = part.next) if (part === wanted) return true;
  return false;
}

function append(held: Held, part: SegmentFacts): void {
  if (held.first === null) {
    held.first = part;
    return;
  }
  let last = held.first;
  while (last.next !== null) last = last.next;
  last.next = part;
}
