/** ETags, so that a client that polls gets a body only when something has changed.
 *
 * In: an answer; the tags its caller has. Out: its tag; whether the caller already has it.
 * Invariant: two answers with one tag have the same content. Why weak: `now_ms` differs in every answer and is no news;
 * the `Date` header of a 304 carries it. @module */

import { sha256Hex } from "../../shared/batch.ts";

export function etagOf(json: unknown): string {
  const text = JSON.stringify(json, (key, value) => key === "now_ms" ? undefined : value);
  return `W/"${sha256Hex(text).slice(0, 32)}"`;
}

/** Whether `given`, the header `If-None-Match`, names the tag. */
export function isKnown(etag: string, given: string | undefined): boolean {
  if (given === undefined) return false;
  const opaque = (tag: string) => tag.trim().replace(/^W\//, "");
  return given.trim() === "*" || given.split(",").some((tag) => opaque(tag) === opaque(etag));
}
