/** Splits an answer of the API into what Picket says and what the network says.
 *
 * In: any JSON. Out: the same objects; in each, every text that a packet, a sensor's owner or a model may have worded
 * sits under `untrusted`, inert and of bounded length.
 * Invariant: a text is outside `untrusted` only when its key is listed here and the text has the form that the key
 * demands. A field that is not listed is untrusted with everything below it,
 * so that a new one is never trusted by oversight.
 * Why by key and form: a name like `ignore.all.previous.instructions.example` has the form of many harmless words, and
 * a key alone would let anything through that a faulty row holds. @module */

import { escapeLine } from "../../shared/escape.ts";
import { parseIp } from "../../shared/ip.ts";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

const textMax = 2_000;
const depthMax = 12;
const key = /^[a-z][a-z0-9_]{0,39}$/;

const hexId = /^[0-9a-f]{16}$/;
const word = /^[a-z0-9._-]{0,32}$/;
const site = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const sensor = /^[A-Za-z0-9_-]{1,64}$/;
const instant = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,15}Z$/;
const ip = { test: (text: string) => parseIp(text) !== null };

interface Form {
  test(text: string): boolean;
}

/** Texts, and lists of texts, that Picket made itself. */
const forms: Readonly<Record<string, Form>> = {
  id: hexId,
  flow_id: hexId,
  threat_id: hexId,
  sensor_id: sensor,
  sensors: sensor,
  community_id: /^(1:[A-Za-z0-9+/]{27}=)?$/,
  detector: /^[a-z0-9_]{1,64}$/,
  technique: /^(T[0-9]{4}(\.[0-9]{3})?)?$/,
  severity: /^(info|low|medium|high|critical)$/,
  rules_severity: /^(info|low|medium|high|critical)$/,
  status: /^[a-z_]{1,20}$/,
  stage: /^[a-z_]{1,30}$/,
  stages: /^[a-z_]{1,30}$/,
  network: site,
  protocol: word,
  conn_state: /^[A-Z0-9]{1,6}$/,
  end_reason: word,
  macs: /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/,
  next_cursor: /^[A-Za-z0-9._:~|=-]{1,200}$/,
  ip,
  src_ip: ip,
  dst_ip: ip,
  src_ips: ip,
  dst_ips: ip,
  actors: ip,
  targets: ip,
};

/** Objects and lists of objects that are split in turn; all others are untrusted as a whole. */
const splitKeys = new Set([
  "rows",
  "timeline",
  "sensors",
  "summary",
  "conservation",
  "delivery",
  "left_out",
  "holes",
  "seen_by",
  "services",
  "uses",
  "peers",
  "series",
  "threats",
]);

/** The answer, split. */
export function splitUntrusted(answer: JsonObject): JsonObject {
  return split(answer, 0);
}

function split(from: JsonObject, depth: number): JsonObject {
  const own: JsonObject = {};
  const untrusted: [string, Json][] = [];
  for (const [name, value] of Object.entries(from)) {
    const trusted = key.test(name) && name !== "untrusted" ? trustedOf(name, value, depth) : undefined;
    if (trusted !== undefined) own[name] = trusted;
    else untrusted.push([inert(name), inertOf(value, depth)]);
  }
  return untrusted.length === 0 ? own : { ...own, untrusted: Object.fromEntries(untrusted) };
}

/** Undefined = it is not Picket's own. */
function trustedOf(name: string, value: Json, depth: number): Json | undefined {
  if (value === null || typeof value === "number" || typeof value === "boolean") return value;
  const form = name === "at" || name.endsWith("_at")
    ? instant
    : Object.hasOwn(forms, name)
    ? forms[name]
    : null;
  if (typeof value === "string") return form?.test(value) ? value : undefined;
  if (depth >= depthMax) return undefined;
  if (!Array.isArray(value)) return splitKeys.has(name) ? split(value, depth + 1) : undefined;
  if (value.length > 0 && value.every((part) => typeof part === "number")) return value;
  if (form !== null && value.every((part) => typeof part === "string" && form.test(part))) return value;
  const isSplit = splitKeys.has(name) && value.every(isObject);
  return isSplit ? value.map((part) => split(part as JsonObject, depth + 1)) : undefined;
}

function inertOf(value: Json, depth: number): Json {
  if (typeof value === "string") return inert(value);
  if (value === null || typeof value !== "object") return value;
  if (depth >= depthMax) return "(nested too deeply)";
  if (Array.isArray(value)) return value.map((part) => inertOf(part, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [inert(name), inertOf(part, depth + 1)]),
  );
}

/** Of bounded length, without control characters, zero-width characters and changes of direction. */
export function inert(text: string): string {
  const shown = escapeLine(text.slice(0, textMax));
  return text.length > textMax ? `${shown}... (${text.length} characters)` : shown;
}

function isObject(value: Json): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
