/** Times as RFC 3339 beside those in numbers: `start` (epoch seconds) gets `start_at`, `stored_ms` gets `stored_at`.
 *
 * In: an answer, or the JSON Schema of one. Out: the same with the stamps.
 * Invariant: the one place that adds them, to answers and to their schemas.
 * Values from the wire or from a sensor are not examined.
 * Hot path: a page of 1,000 flows has 60,000 names, so what a name means is remembered, of {@link namesMax} names at
 * most. @module */

import { writeTime } from "../model/time_text.ts";

const secondsNames: Readonly<Record<string, string>> = {
  start: "start_at",
  end: "end_at",
  first_seen: "first_seen_at",
  last_seen: "last_seen_at",
  first: "first_at",
  last: "last_at",
  from: "from_at",
  to: "to_at",
  time: "at",
  at_ms: "at",
};
/** Spans, no times. */
const spans = new Set(["clock_offset_ms"]);
const opaque = new Set(["facts", "evidence", "reasons", "check_in", "counters"]);

const namesMax = 1_000;
const stamps = new Map<string, string | null>();

/** Name of the stamp beside a number, or null. */
function stampOf(name: string): string | null {
  let stamp = stamps.get(name);
  if (stamp !== undefined) return stamp;
  stamp = newStampOf(name);
  if (stamps.size < namesMax) stamps.set(name, stamp);
  return stamp;
}

function newStampOf(name: string): string | null {
  if (Object.hasOwn(secondsNames, name)) return secondsNames[name];
  return name.endsWith("_ms") && !spans.has(name) ? `${name.slice(0, -3)}_at` : null;
}

/** A copy with stamps. */
export function withStamps(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withStamps);
  if (typeof value !== "object" || value === null) return value;
  const given = value as Record<string, unknown>, copy: Record<string, unknown> = {};
  for (const name of Object.keys(given)) {
    const part = given[name];
    if (typeof part === "object" && part !== null) {
      copy[name] = opaque.has(name) ? part : withStamps(part);
      continue;
    }
    copy[name] = part;
    if (typeof part !== "number" && part !== null) continue;
    const stamp = stampOf(name);
    if (stamp === null) continue;
    copy[stamp] = part === null ? null : writeTime(name.endsWith("_ms") ? part / 1_000 : part);
  }
  return copy;
}

type Schema = Record<string, unknown>;

/** The same of a schema. */
export function withStampSchemas(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withStampSchemas);
  if (typeof schema !== "object" || schema === null) return schema;
  const { properties, required, ...rest } = schema as {
    properties?: Record<string, Schema>;
    required?: string[];
  };
  const all = Object.fromEntries(Object.entries(rest).map(([key, part]) => [key, withStampSchemas(part)]));
  if (properties === undefined) return all;
  const stamped = stampedProperties(properties);
  const needed = required?.flatMap((name) => {
    const stamp = stampOf(name);
    return stamp !== null && Object.hasOwn(stamped, stamp) ? [name, stamp] : [name];
  });
  return { ...all, properties: stamped, ...needed === undefined ? {} : { required: needed } };
}

function stampedProperties(properties: Record<string, Schema>): Record<string, unknown> {
  const all: Record<string, unknown> = {};
  for (const [name, part] of Object.entries(properties)) {
    all[name] = opaque.has(name) ? part : withStampSchemas(part);
    const stamp = stampOf(name);
    const types = [part, ...(part.anyOf as Schema[] | undefined ?? [])].flatMap(({ type }) => type);
    if (stamp === null || !types.some((type) => type === "number" || type === "integer")) continue;
    const description = `${name} as RFC 3339 in UTC`;
    all[stamp] = types.includes("null")
      ? { anyOf: [{ type: "string", format: "date-time" }, { type: "null" }], description }
      : { type: "string", format: "date-time", description };
  }
  return all;
}
