/** Keeps a fact that two sensors read in the same packet from being told twice.
 *
 * In: facts of a segment and the sighting they belong to. Out: those facts that no other sighting has told before.
 * Invariant: a fact belongs to the sighting that told it first; the same one may tell it again, since a question asked
 * twice is two facts. Of a DNS question that one sensor saw without its answer, another tells the answer:
 * its query and its response are two facts.
 * Bounds: {@link factsPerFlowMax} a flow and `factsMax` in all;
 * beyond, only the sighting that the caller calls trusted is believed.
 * Why 32 bits of hash: equal facts meet, and within one flow others rarely do by chance. @module */

import {
  type DnsFact,
  dnsMessages,
  factLimits,
  factLists,
  factParts,
  type Facts,
} from "../../shared/facts.ts";
import { notesOf } from "../model/shared_facts.ts";
import type { MergeState } from "./merge_state.ts";
import { Pool } from "./pool.ts";

const factsPerFlowMax = 2 * factLimits.entriesMax;

export class FactFilter {
  readonly #state: MergeState;
  readonly #factsMax: number;
  readonly #told = new Pool({ fact: Uint32Array, owner: Int32Array, next: Int32Array });
  /** Rows taken since `begin`. */
  readonly #added: number[] = [];
  /** Facts since `begin` that could not be remembered. */
  #unremembered = 0;
  // Of the call at hand.
  #flow = 0;
  #sighting = 0;
  #isTrusted = false;

  constructor(state: MergeState, factsMax: number) {
    this.#state = state;
    this.#factsMax = factsMax;
  }

  begin(): void {
    this.#added.length = 0;
    this.#unremembered = 0;
  }

  get unremembered(): number {
    return this.#unremembered;
  }

  commit(): void {
    this.#added.length = 0;
  }

  /** The heads of the chains are the flows' own and are restored with them. */
  rollback(): void {
    for (const row of this.#added.reverse()) this.#told.give(row);
    this.#added.length = 0;
  }

  /** To be called before the flow itself is removed. */
  forget(flow: number): void {
    const { facts, factCount } = this.#state.flows.columns;
    for (let row = facts[flow]; row >= 0;) {
      const next = this.#told.columns.next[row];
      this.#told.give(row);
      row = next;
    }
    facts[flow] = -1;
    factCount[flow] = 0;
  }

  /** New facts; null = none. The flow must have been touched. */
  take(facts: Facts | null, flow: number, sighting: number, isTrusted: boolean): Facts | null {
    if (facts === null) return null;
    this.#flow = flow;
    this.#sighting = sighting;
    this.#isTrusted = isTrusted;
    const { sightings } = this.#state.flows.columns;
    // Nobody else has told anything: all of it is new, and only has to be remembered.
    if (sightings[flow] === sighting && this.#state.sightings.columns.next[sighting] < 0) {
      this.#remember(facts);
      return facts;
    }
    return this.#filter(facts);
  }

  #remember(facts: Facts): void {
    const notes = notesOf(facts);
    const hashes = notes?.told ?? hashesOf(facts);
    if (notes !== undefined) notes.told ??= Uint32Array.from(hashes);
    for (let i = 0; i < hashes.length; i++) this.#isNew(hashes[i]);
  }

  #filter(facts: Facts): Facts | null {
    const kept: Record<string, unknown> = {};
    let isEmpty = true;
    for (const kind of factLists) {
      const all: readonly unknown[] = facts[kind] ?? [];
      const entries = kind === "dns"
        ? (facts.dns ?? []).flatMap((entry) => this.#newMessages(entry))
        : all.filter((entry) => this.#isNew(hash(JSON.stringify(entry), hash(kind, 7))));
      if (entries.length === 0) continue;
      kept[kind] = entries;
      isEmpty = false;
    }
    for (const kind of factParts) {
      const entries = Object.entries(facts[kind] ?? {}).filter(([key, value]) =>
        this.#isNew(partHash(kind, key, value))
      );
      if (entries.length === 0) continue;
      kept[kind] = Object.fromEntries(entries);
      isEmpty = false;
    }
    if (isEmpty) return null;
    return facts.cut ? { ...kept, cut: facts.cut } : kept;
  }

  /** What is new of a question and its answer: the entry itself, one of its messages, or nothing. */
  #newMessages(entry: DnsFact): DnsFact[] {
    const messages = dnsMessages([entry]);
    const left = messages.filter((message) => this.#isNew(dnsHash(message, message.unasked === true)));
    return left.length === messages.length ? [entry] : left;
  }

  #isNew(fact: number): boolean {
    const flow = this.#flow;
    const { facts, factCount } = this.#state.flows.columns;
    const { columns } = this.#told;
    for (let row = facts[flow]; row >= 0; row = columns.next[row]) {
      if (columns.fact[row] === fact) return columns.owner[row] === this.#sighting;
    }
    if (factCount[flow] >= factsPerFlowMax || this.#told.size >= this.#factsMax) {
      this.#unremembered++;
      return this.#isTrusted;
    }
    const row = this.#told.take();
    const told = this.#told.columns;
    told.fact[row] = fact;
    told.owner[row] = this.#sighting;
    told.next[row] = facts[flow];
    facts[flow] = row;
    factCount[flow]++;
    this.#added.push(row);
    return true;
  }
}

function hashesOf(facts: Facts): number[] {
  const hashes: number[] = [];
  for (const kind of factLists) {
    for (const entry of facts[kind] ?? []) {
      if (kind !== "dns") hashes.push(hash(JSON.stringify(entry), hash(kind, 7)));
      else pushDns(entry as DnsFact, hashes);
    }
  }
  for (const kind of factParts) {
    const part = facts[kind] as Record<string, unknown> | undefined;
    for (const key in part) hashes.push(partHash(kind, key, part[key]));
  }
  return hashes;
}

function pushDns(entry: DnsFact, hashes: number[]): void {
  if (!entry.unasked) hashes.push(dnsHash(entry, false));
  if (entry.rcode !== undefined) hashes.push(dnsHash(entry, true));
}

/** Of a query, or of a response whether it came with its query or not. */
function dnsHash(entry: DnsFact, isResponse: boolean): number {
  let value = hash(entry.name, isResponse ? 2 : 1);
  value = hash(entry.type, value);
  if (isResponse) value = hash(entry.rcode ?? "", value);
  // The answers of an entry with both messages are its response's.
  else if (entry.rcode !== undefined) return value;
  const { answers } = entry;
  if (answers !== undefined) { for (let i = 0; i < answers.length; i++) value = hash(answers[i], value); }
  return value;
}

function partHash(kind: string, key: string, value: unknown): number {
  return hash(typeof value === "string" ? value : JSON.stringify(value), hash(key, hash(kind, 7)));
}

function hash(text: string, seed: number): number {
  let value = seed ^ 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return (value ^ value >>> 15) >>> 0;
}
