/** Facts that many flows share, and what was made of them once.
 *
 * In: facts that were checked. Out: the same, frozen, with notes. Invariant: shared facts never change, so what a note
 * says of them stays right. A note is filled in by whoever needs it first.
 * Why: the questions of a network are few and asked again and again; what would be made of each anew is most of what a
 * flow with facts costs. @module */

import type { Facts } from "../../shared/facts.ts";

export interface FactNotes {
  /** As the store writes them. */
  stored: string | null;
  /** Hashes by which two sensors' facts meet. */
  told: Uint32Array | null;
}

const notes = new WeakMap<Facts, FactNotes>();

export function shareFacts(facts: Facts): Facts {
  notes.set(freeze(facts), { stored: null, told: null });
  return facts;
}

/** Undefined = these facts are not shared. */
export function notesOf(facts: Facts): FactNotes | undefined {
  return notes.get(facts);
}

function freeze<Value extends object>(value: Value): Value {
  for (const part of Object.values(value)) if (typeof part === "object" && part !== null) freeze(part);
  return Object.freeze(value);
}
