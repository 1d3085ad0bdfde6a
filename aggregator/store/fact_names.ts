/** Names and facts of a flow, as the store keeps them.
 *
 * In: facts. Out: one bounded lower-case line of all names in them, for searching; and two sets of facts as one.
 * Invariant: the result is within `factLimits`; what does not fit is counted in `cut`. @module */

import { factLimits, factLists, factParts, type Facts } from "../../shared/facts.ts";

const namesCharactersMax = 1_000;

/** DNS names, SNI, hosts and the like, lower-case, each once, between spaces. */
export function namesOf(facts: Facts): string {
  const found = new Set<string>();
  const add = (name: string | undefined) => {
    // A control character helps nobody to search, and SQLite ends text at the first NUL.
    // deno-lint-ignore no-control-regex
    if (name) found.add(name.toWellFormed().toLowerCase().replace(/[\u0000-\u0020]/g, "_"));
  };
  for (const { name } of facts.dns ?? []) add(name);
  add(facts.tls?.sni);
  add(facts.quic?.sni);
  for (const { host } of facts.http ?? []) add(host);
  for (const { hostname } of facts.dhcp ?? []) add(hostname);
  add(facts.tls?.certificate_subject);
  let line = "";
  for (const name of found) {
    if (line.length + name.length + 1 > namesCharactersMax) break;
    line += ` ${name}`;
  }
  return line.slice(1);
}

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
