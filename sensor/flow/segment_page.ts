/** Exported segments, as the flow table left them: each the words of its flow at the moment it was cut.
 *
 * In: the flow table appends. Out: words for the sealer, objects for `replay --flows` and `analyze`.
 * Invariant: segment `i` lies at `i * strideWords`; a page holds at most {@link pageRowsMax} of them. A page is lent:
 * whoever takes it copies what it keeps, since the page is used again.
 * Why words and not columns of values: exporting is then one copy; what was 46 pushes and six strings a segment cost
 * more than counting its packets. @module */

import { formatCommunityId } from "../../shared/community_id.ts";
import type { Facts } from "../../shared/facts.ts";
import { arpProtocol } from "../../shared/protocols.ts";
import {
  type EndReason,
  endReasons,
  meansOf,
  type Segment,
  type SegmentColumn,
} from "../../shared/segment.ts";
import { communityHash } from "./community_hash.ts";
import { addressWords, type Field, fields, ipText, macText, protocolOf } from "./fields.ts";
import { strideWords, word } from "./layout.ts";
import { Octets } from "./octets.ts";

export const pageRowsMax = 512;
const rowsAtStart = 32;
const factsBytesAtStart = 1_024;
/** Memory for facts that an empty page keeps. */
const factsBytesKept = 131_072;
const decoder = new TextDecoder();
const digest = new Uint8Array(20);
const columns = Object.entries(fields) as [SegmentColumn, Field][];

export class SegmentPage {
  words!: Int32Array<ArrayBuffer>;
  floats!: Float64Array;
  length = 0;
  /** By row; the application protocol that the deep lane read. */
  readonly apps: string[] = [];
  /** Facts as JSON, one row behind the other; those of row `i` end at `factsEnds[i]`. */
  readonly facts: Octets = new Octets(factsBytesAtStart);
  readonly factsEnds: Int32Array = new Int32Array(pageRowsMax);

  constructor() {
    this.#resize(rowsAtStart);
  }

  get isFull(): boolean {
    return this.length === pageRowsMax;
  }

  /** Copies the flow at `base` of `words`. */
  append(words: Int32Array, base: number, reason: EndReason): void {
    const at = this.length * strideWords;
    if (at === this.words.length) this.#resize(Math.min(2 * this.length, pageRowsMax));
    copyFlow(words, base, this.words, at);
    this.words[at + word.endReason] = endReasons.indexOf(reason);
    this.apps.push("");
    this.factsEnds[this.length] = this.facts.length;
    this.length++;
  }

  /** Empty again, its memory kept. */
  clear(): void {
    this.length = this.apps.length = 0;
    this.facts.clear(factsBytesKept);
  }

  /** What the deep lane read for segment `index` has been added to `facts`. Rows get theirs in order. */
  endFacts(index: number, appProtocol: string): void {
    this.apps[index] = appProtocol;
    this.factsEnds[index] = this.facts.length;
  }

  /** Where the facts of segment `index` begin. */
  factsStart(index: number): number {
    return index === 0 ? 0 : this.factsEnds[index - 1];
  }

  /** Segment `index` as an object, times in epoch seconds. */
  object(index: number): Segment {
    const { words, floats } = this;
    const base = index * strideWords;
    const row: Record<string, unknown> = {};
    for (const [name, field] of columns) row[name] = valueOf(field, words, floats, base);
    const { start_us, duration_us, flow_age_us, ...rest } = row as Record<string, number>;
    return {
      community_id: communityIdOf(words, floats, base),
      ...rest as unknown as Omit<Segment, "community_id" | "start" | "end" | "flow_start">,
      ...meansOf(row as unknown as Parameters<typeof meansOf>[0]),
      app_protocol: this.apps[index],
      facts: this.#factsOf(index),
      start: start_us / 1e6,
      end: (start_us + duration_us) / 1e6,
      flow_start: (start_us - flow_age_us) / 1e6,
    };
  }

  #factsOf(index: number): Facts | null {
    const start = this.factsStart(index), end = this.factsEnds[index];
    return start === end ? null : JSON.parse(decoder.decode(this.facts.bytes.subarray(start, end)));
  }

  #resize(rows: number): void {
    const memory = new ArrayBuffer(rows * strideWords * 4);
    const words = new Int32Array(memory);
    if (this.words !== undefined) words.set(this.words);
    this.words = words;
    this.floats = new Float64Array(memory);
  }
}

/** Copies the words of one flow. A loop, as a view for each copy would cost more than the copy. */
export function copyFlow(from: Int32Array, at: number, to: Int32Array, target: number): void {
  for (let i = 0; i < strideWords; i++) to[target + i] = from[at + i];
}

/** Writes the digest that places the flow at `base` in a bucket:
 * its Community ID's, for ARP one over both addresses alone. */
export function flowHash(words: Int32Array, floats: Float64Array, base: number, out: Uint8Array): void {
  const protocol = protocolOf(words, floats, base);
  const isArp = protocol === arpProtocol;
  const ports = isArp ? 0 : words[base + word.ports];
  const code = words[base + word.code] & 0xffff;
  const isIcmp = protocol === 1 || protocol === 58;
  const count = addressWords(words, base);
  const { src, dst } = word;
  const hashed = isArp ? 0 : protocol;
  communityHash(
    hashed,
    words,
    base + src,
    base + dst,
    count,
    ports >>> 16,
    isIcmp ? code : ports & 0xffff,
    out,
  );
}

function communityIdOf(words: Int32Array, floats: Float64Array, base: number): string {
  if (protocolOf(words, floats, base) === arpProtocol) return "";
  flowHash(words, floats, base, digest);
  return formatCommunityId(digest);
}

function valueOf(
  field: Field,
  words: Int32Array,
  floats: Float64Array,
  base: number,
): string | number | null {
  switch (field.kind) {
    case "number": {
      const value = field.read(words, floats, base);
      return value === -1 ? null : value;
    }
    case "name":
      return field.nameOf(field.read(words, floats, base));
    case "ip":
      return ipText(words, base + field.at, addressWords(words, base));
    case "mac":
      return macText(words, base, field.at);
  }
}
