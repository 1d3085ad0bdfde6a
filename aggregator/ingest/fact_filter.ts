/** Keeps a fact that two sensors read in the same packet from being told twice.
 *
 * In: facts of a segment and the sighting they belong to. Out: those facts that no other sighting has told before.
 * Invariant: a fact belongs to the sighting that told it first; the same one may tell it again, since a question asked twice is two
 * facts. Of a DNS question that one sensor saw without its answer, another tells the answer: its query and its response are two facts.
 * Bounds: {@link factsPerFlowMax} a flow; beyond, only the sighting that the caller calls trusted is believed. `factsMax` over all flows, some
 * 50 octets each; beyond, those of the flows first remembered are forgotten, which costs at most a fact told twice. @module */

import {
  type DnsFact,
  dnsMessages,
  factLimits,
  factLists,
  factParts,
  type Facts,
} from "../../shared/facts.ts";

const factsPerFlowMax = 2 * factLimits.entriesMax;

export class FactFilter {
  /** Flow to fact to sighting, in the order in which flows told their first fact. */
  #owners = new Map<number, Map<number, number>>();
  #factsMax: number;
  #size = 0;
  #evicted = 0;
  #added: { flow: number; fact: number }[] | null = null;

  /** @param factsMax over all flows. @default 1000000 */
  constructor(factsMax = 1_000_000) {
    this.#factsMax = factsMax;
  }

  /** Facts remembered. */
  get size(): number {
    return this.#size;
  }

  /** Facts forgotten for want of room since this was asked last. */
  takeEvicted(): number {
    const evicted = this.#evicted;
    this.#evicted = 0;
    return evicted;
  }

  begin(): void {
    this.#added = [];
  }

  commit(): void {
    this.#added = null;
  }

  rollback(): void {
    for (const { flow, fact } of this.#added ?? []) {
      const owners = this.#owners.get(flow);
      if (owners?.delete(fact)) this.#size--;
      if (owners?.size === 0) this.#owners.delete(flow);
    }
    this.#added = null;
  }

  forget(flow: number): void {
    this.#size -= this.#owners.get(flow)?.size ?? 0;
    this.#owners.delete(flow);
  }

  /** New facts; null = none. */
  take(facts: Facts | null, flow: number, sighting: number, isTrusted: boolean): Facts | null {
    if (facts === null) return null;
    const isNew = (kind: string, entry: unknown) => this.#isNew(flow, sighting, isTrusted, kind, entry);
    const kept: Record<string, unknown> = {};
    for (const kind of factLists) {
      const all: unknown[] = facts[kind] ?? [];
      const entries = kind === "dns" && facts.dns
        ? facts.dns.flatMap((entry) => newMessages(entry, isNew))
        : all.filter((entry) => isNew(kind, entry));
      if (entries.length > 0) kept[kind] = entries;
    }
    for (const kind of factParts) {
      const entries = Object.entries(facts[kind] ?? {}).filter((entry) => isNew(kind, entry));
      if (entries.length > 0) kept[kind] = Object.fromEntries(entries);
    }
    if (Object.keys(kept).length === 0) return null;
    return facts.cut ? { ...kept, cut: facts.cut } : kept;
  }

  #isNew(flow: number, sighting: number, isTrusted: boolean, kind: string, entry: unknown): boolean {
    const fact = hash(kind + JSON.stringify(entry));
    let owners = this.#owners.get(flow);
    const owner = owners?.get(fact);
    if (owner !== undefined) return owner === sighting;
    if (owners && owners.size >= factsPerFlowMax) return isTrusted;
    if (!owners) this.#owners.set(flow, owners = new Map());
    owners.set(fact, sighting);
    this.#added?.push({ flow, fact });
    if (++this.#size > this.#factsMax) this.#evict(flow);
    return true;
  }

  /** Forgets the facts of the flow first remembered; of the one at hand only when there is no other. */
  #evict(flow: number): void {
    for (const oldest of this.#owners.keys()) {
      if (oldest === flow && this.#owners.size > 1) continue;
      this.#evicted += this.#owners.get(oldest)!.size;
      this.forget(oldest);
      return;
    }
  }
}

/** What is new of a question and its answer: the entry itself, one of its messages, or nothing. */
function newMessages(entry: DnsFact, isNew: (kind: string, message: DnsFact) => boolean): DnsFact[] {
  const messages = dnsMessages([entry]);
  const left = messages.filter((message) => isNew("dns", message));
  return left.length === messages.length ? [entry] : left;
}

/** 53 bits of two multiplicative hashes: equal facts meet, others do not by chance within one flow. */
function hash(text: string): number {
  let a = 0x811c9dc5, b = 0x9e3779b9;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 0x01000193);
    b = Math.imul(b ^ code, 0x85ebca6b);
  }
  return ((a ^ a >>> 15) >>> 0) * 0x20_0000 + ((b ^ b >>> 13) >>> 11);
}
