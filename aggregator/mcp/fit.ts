/** Cuts an answer to a number of octets.
 *
 * In: JSON, the octets it may take. Out: the same with its longest lists shortened, and where it was cut, in words.
 * Invariant: ends after {@link passesMax} halvings at the latest; what still does not fit then is null. @module */

import type { Json, JsonObject } from "./untrusted.ts";

const passesMax = 400;

interface List {
  path: string;
  items: Json[];
  octets: number;
}

/** Changes `answer`. Null = it cannot be made to fit. */
export function fit(answer: JsonObject, octetsMax: number): { answer: JsonObject; cut: string[] } | null {
  const whole = new Map<string, number>();
  const cut = () => [...whole].map(([path, items]) => `${path}: ${lengthAt(answer, path)} of ${items}`);
  for (let pass = 0; pass < passesMax; pass++) {
    if (octetsOf(answer) <= octetsMax) return { answer, cut: cut() };
    const longest = listsOf(answer, "").reduce<List | null>(
      (most, list) => list.items.length > 1 && list.octets > (most?.octets ?? 0) ? list : most,
      null,
    );
    if (longest === null) return null;
    if (!whole.has(longest.path)) whole.set(longest.path, longest.items.length);
    longest.items.length = longest.items.length >> 1;
  }
  return null;
}

export function octetsOf(value: Json): number {
  return new TextEncoder().encode(JSON.stringify(value)).length;
}

function listsOf(value: Json, path: string): List[] {
  if (value === null || typeof value !== "object") return [];
  const below = Object.entries(value).flatMap(([name, part]) =>
    listsOf(part, path === "" ? name : `${path}.${name}`)
  );
  return Array.isArray(value) ? [{ path, items: value, octets: octetsOf(value) }, ...below] : below;
}

/** 0 = the list itself was cut away with one around it. */
function lengthAt(answer: JsonObject, path: string): number {
  let value: Json = answer;
  for (const name of path.split(".")) {
    if (value === null || typeof value !== "object") return 0;
    value = (value as JsonObject)[name] ?? null;
  }
  return Array.isArray(value) ? value.length : 0;
}
