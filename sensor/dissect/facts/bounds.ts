/** Keeps facts within {@link factLimits}, and counts what was left out in `cut`.
 *
 * In: text and entries from the wire. Out: the same, bounded. Invariant: nothing is left out uncounted.
 * Why a running count: readers finish one packet before they begin the next, so what {@link charactersKept} grew by
 * meanwhile is what that packet brought; see join.ts for the bound on a segment. @module */

import { factLimits, type Facts } from "../../../shared/facts.ts";

/** What one entry of a list costs in a batch beside its text: names of fields, quotes, commas. */
const entryCharacters = 64;

let kept = 0;

/** Characters kept by all readers so far. */
export function charactersKept(): number {
  return kept;
}

/** `text`, at most `charactersMax` long. */
export function boundText(facts: Facts, text: string): string {
  if (text.length <= factLimits.charactersMax) {
    kept += text.length;
    return text;
  }
  kept += factLimits.charactersMax;
  facts.cut = (facts.cut ?? 0) + text.length - factLimits.charactersMax;
  return text.slice(0, factLimits.charactersMax);
}

/** Appends `entry`; false when the list is full. */
export function pushEntry<Entry>(facts: Facts, list: Entry[], entry: Entry): boolean {
  if (list.length >= factLimits.entriesMax) {
    facts.cut = (facts.cut ?? 0) + 1;
    return false;
  }
  list.push(entry);
  kept += entryCharacters;
  return true;
}

/** A finite integer >= 0 from decimal or 0x text; 0 when it is none. */
export function wireNumber(text: string | undefined): number {
  const value = Number(text);
  return Number.isSafeInteger(value) && value >= 0 ? value : 0;
}

/** Whether a boolean field is set: "1" up to tshark 4.2, "True" after it. */
export function wireFlag(text: string | undefined): boolean {
  return text === "1" || text === "True";
}

/** Appends `entry`, or counts it with the entry that says the same. Bound: `countedMax` different ones. */
export function countEntry<Entry extends { count?: number }>(
  facts: Facts,
  list: Entry[],
  entry: Entry,
): void {
  const same = list.find((one) => saysTheSame(one, entry));
  if (same !== undefined) same.count = (same.count ?? 1) + 1;
  else if (list.length < factLimits.countedMax) pushEntry(facts, list, entry);
  else facts.cut = (facts.cut ?? 0) + 1;
}

/** No field is an object other than a list of text. */
function saysTheSame(one: object, other: object): boolean {
  const left = one as Record<string, unknown>, right = other as Record<string, unknown>;
  for (const name in right) if (String(left[name]) !== String(right[name])) return false;
  for (const name in left) if (name !== "count" && !(name in right)) return false;
  return true;
}
