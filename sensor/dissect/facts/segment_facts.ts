/** Facts of one segment: what was read in its packets, until it is reported.
 *
 * In: DNS messages and HTTP messages as octets of JSON, other facts as an object. Out: the JSON of {@link Facts}.
 * DNS: a query and the response of the same id, name and type are one {@link DnsFact}; as in Zeek the response may come
 * first, for answers of the dissector lag. From the entries every message can be rebuilt with what it said, see
 * `dnsMessages`; so a query that carries answers of its own (mDNS: those it knows already) takes no others.
 * Invariant: what is not kept is counted in `cut`. Bound: `entriesMax` entries a list, and the pool's own.
 * The search for the other half begins at the newest of those that miss one: half a microsecond for a thousand,
 * and mostly there is one.
 * Why octets for these two: they are nine facts in ten. Why responses are counted: a query seldom comes late, so it
 * seldom has anything to look for. @module */

import { factLimits, type Facts } from "../../../shared/facts.ts";
import type { Octets } from "../../flow/octets.ts";
import { charactersKept } from "./bounds.ts";
import { type FactPool, none } from "./fact_pool.ts";
import type { FactText } from "./fact_text.ts";

/** Beside the DNS id in the lower 16 bits of an entry's tag: the question was not seen. */
const unasked = 1 << 16;
const brace = 0x7b, braceEnd = 0x7d, bracketEnd = 0x5d, comma = 0x2c;
const unaskedText = `,"unasked":true`;
/** Names of the lists and what stands around an entry. */
const wordsMax = 64;
/** Tag of an HTTP message; a DNS id is no such number. */
const httpTag = -1;

export class SegmentFacts {
  readonly segment: number;
  /** Octets of entries so far. */
  characters = 0;
  next: SegmentFacts | null = null;
  readonly #pool: FactPool;
  /** Entries of both kinds in the order they came, and how many there are of each. */
  #first = none;
  #last = none;
  #dnsCount = 0;
  #httpCount = 0;
  #lastHttp = none;
  /** DNS entries that miss their query or their response, the oldest apart, and how many of them are responses. */
  #half = none;
  #laterHalves: number[] | null = null;
  #responses = 0;
  /** Facts that are one object, and short lists. */
  #others: Facts | null = null;

  constructor(segment: number, pool: FactPool) {
    this.segment = segment;
    this.#pool = pool;
  }

  get isEmpty(): boolean {
    return this.#first === none && this.#others === null;
  }

  /** Counts what was left out. */
  cut(count: number): void {
    if (count === 0) return;
    const others = this.#others ??= {};
    others.cut = (others.cut ?? 0) + count;
  }

  /** Lets `read` add to the facts that are objects; what it returns is returned. */
  addOthers<Result>(read: (facts: Facts) => Result): Result {
    const others = this.#others ?? {};
    const before = charactersKept();
    const result = read(others);
    this.characters += charactersKept() - before;
    if (!isNothing(others)) this.#others = others;
    return result;
  }

  /** An HTTP message: `text[start, end)` is its JSON without the last brace. */
  addHttp(text: FactText, start: number, end: number): void {
    const entry = this.#push(this.#httpCount, httpTag, text, start, end, 0);
    if (entry === none) return;
    this.#lastHttp = entry;
    this.#httpCount++;
  }

  /** Adds `text`, which begins with a comma, to the last HTTP message if it begins with `head`;
   * else it is an entry of its own. */
  growHttp(head: Uint8Array, text: FactText): void {
    const last = this.#lastHttp;
    if (last !== none && this.#pool.startsWith(last, head, 0, head.length)) {
      if (this.#pool.hasRoom(text.length)) this.#grow(last, text, 0, text.length);
      else this.cut(1);
      return;
    }
    text.bytes[0] = brace;
    this.addHttp(text, 0, text.length);
  }

  /** A question of a query: `text[start, end)` is `{"name":..,"type":..`, `text[restStart, restEnd)` the answers it
   * knows, if any. Returns whether it is an entry of its own. */
  addDnsQuery(
    id: number,
    text: FactText,
    start: number,
    end: number,
    restStart: number,
    restEnd: number,
  ): boolean {
    const rest = restEnd - restStart;
    if (rest === 0 && this.#responses > 0) {
      const answer = this.#takeHalf(id | unasked, text, start, end);
      if (answer !== none) {
        this.#pool.setTag(answer, id);
        this.#responses--;
        return false;
      }
    }
    const entry = this.#push(this.#dnsCount, id, text, start, end, rest);
    if (entry === none) return false;
    this.#dnsCount++;
    if (rest > 0) this.#grow(entry, text, restStart, restEnd);
    else this.#keepHalf(entry);
    return true;
  }

  /** What a response says of one question: `text[start, end)` is `{"name":..,"type":..`, `text[restStart, restEnd)`
   * what follows. `isNamed`: it says of which. Returns whether it is an entry of its own. */
  addDnsResponse(
    id: number,
    isNamed: boolean,
    text: FactText,
    start: number,
    end: number,
    restStart: number,
    restEnd: number,
  ): boolean {
    const rest = restEnd - restStart;
    const question = this.#takeHalf(id, text, start, end);
    if (question !== none) {
      if (this.#pool.hasRoom(rest)) this.#grow(question, text, restStart, restEnd);
      else this.cut(1);
      return false;
    }
    const entry = this.#push(this.#dnsCount, id | unasked, text, start, end, rest);
    if (entry === none) return false;
    this.#dnsCount++;
    this.#grow(entry, text, restStart, restEnd);
    if (isNamed) {
      this.#keepHalf(entry);
      this.#responses++;
    }
    return true;
  }

  /** Adds the JSON of all of them to `out`, nothing when there are none, and frees their memory. */
  writeTo(out: Octets): void {
    if (this.isEmpty) return;
    out.ensure(wordsMax);
    out.put(brace);
    if (this.#dnsCount > 0) this.#writeList(`"dns":[`, false, out);
    if (this.#httpCount > 0) this.#writeList(`"http":[`, true, out);
    if (this.#others !== null) out.utf8(JSON.stringify(this.#others).slice(1));
    // A comma behind a list, or the brace of the object.
    out.bytes[out.length - 1] = braceEnd;
    this.free();
  }

  /** Frees the memory of all entries. */
  free(): void {
    for (let entry = this.#first; entry !== none;) entry = this.#pool.free(entry);
    this.#first =
      this.#last =
      this.#half =
      this.#lastHttp =
        none;
    this.#dnsCount = this.#httpCount = this.#responses = 0;
    this.#laterHalves = null;
    this.#others = null;
  }

  /** Appends an entry that will grow by `more`, behind `count` of its kind; -1 = there is no room, which is counted. */
  #push(count: number, tag: number, text: FactText, start: number, end: number, more: number): number {
    const pool = this.#pool;
    if (count >= factLimits.entriesMax || !pool.hasRoom(end - start + more)) {
      this.cut(1);
      return none;
    }
    const entry = pool.begin(tag);
    this.#grow(entry, text, start, end);
    if (this.#first === none) this.#first = entry;
    else pool.link(this.#last, entry);
    this.#last = entry;
    return entry;
  }

  #grow(entry: number, text: FactText, start: number, end: number): void {
    this.#pool.append(entry, text.bytes, start, end);
    this.characters += end - start;
  }

  #keepHalf(entry: number): void {
    if (this.#half === none) this.#half = entry;
    else (this.#laterHalves ??= []).push(entry);
  }

  /** The half with this tag, name and type, which is a half no more; -1 = there is none. */
  #takeHalf(tag: number, text: FactText, start: number, end: number): number {
    const later = this.#laterHalves;
    for (let i = later === null ? -1 : later.length - 1; i >= 0; i--) {
      const entry = later![i];
      if (!this.#isHalf(entry, tag, text, start, end)) continue;
      // The last one goes where this one was: of several halves that would do it matters little which is taken.
      later![i] = later![later!.length - 1];
      later!.pop();
      return entry;
    }
    const entry = this.#half;
    if (entry === none || !this.#isHalf(entry, tag, text, start, end)) return none;
    this.#half = none;
    return entry;
  }

  #isHalf(entry: number, tag: number, text: FactText, start: number, end: number): boolean {
    return this.#pool.tagOf(entry) === tag && this.#pool.startsWith(entry, text.bytes, start, end);
  }

  #writeList(head: string, isHttp: boolean, out: Octets): void {
    const pool = this.#pool;
    out.ascii(head);
    for (let entry = this.#first; entry !== none; entry = pool.nextOf(entry)) {
      const tag = pool.tagOf(entry);
      if ((tag === httpTag) !== isHttp) continue;
      pool.copy(entry, out);
      out.ensure(wordsMax);
      if (!isHttp && (tag & unasked) !== 0) out.ascii(unaskedText);
      out.put(braceEnd);
      out.put(comma);
    }
    out.bytes[out.length - 1] = bracketEnd;
    out.put(comma);
  }
}

function isNothing(facts: Facts): boolean {
  for (const _ in facts) return false;
  return true;
}
