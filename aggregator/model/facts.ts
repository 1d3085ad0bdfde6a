/** Two sets of facts as one.
 *
 * In: facts of one flow. Out: facts.
 * Invariant: the result is within `factLimits`; what does not fit is counted in `cut`. @module */

import { factLimits, factLists, factParts, type Facts } from "../../shared/facts.ts";

/** What `before` and `added` say together. Of single values the first one stays. */
export function mergeFacts(before: Facts | null, added: Facts | null): Facts | null {
  if (before === null || added === null) return before ?? added;
  const merged: Record<string, unknown> = {};
  let cut = (before.cut ?? 0) + (added.cut ?? 0);
  for (const name of factLists) {
    const all: unknown[] = [...before[name] ?? [], ...added[name] ?? []];
    if (all.length === 0) continue;
    merged[name] = all.slice(0, factLimits.entriesMax);
    cut += Math.max(0, all.length - factLimits.entriesMax);
  }
  for (const name of factParts) {
    if (!before[name] && !added[name]) continue;
    const all = Object.entries({ ...added[name], ...before[name] });
    merged[name] = Object.fromEntries(all.slice(0, factLimits.entriesMax));
    cut += Math.max(0, all.length - factLimits.entriesMax);
  }
  if (cut > 0) merged.cut = cut;
  return merged as Facts;
}
