/** Reads LDAP requests and the answers to binds where they arrive, without the dissector.
 *
 * In: a payload on a directory's port that begins with an LDAP message (RFC 4511, BER).
 * Out: entries of `facts.ldap`, or null: "ask tshark".
 * Invariant: what does not fit its own lengths adds nothing; a filter is written as RFC 4515 has it, at most
 * {@link depthMax} deep and {@link termsMax} terms wide. Bounds: {@link messagesMax} messages a packet.
 * Why here: tshark shows no filter as a whole. Sealed messages cannot be read by either. @module */

import { factLimits, type Facts, type LdapFact } from "../../../shared/facts.ts";
import { boundText, countEntry } from "../facts/bounds.ts";
import { readText, textAt } from "./read_octets.ts";

const messagesMax = 16;
const depthMax = 8;
const termsMax = 32;
const attributesMax = 16;
const integer = 2, enumerated = 10, sequence = 0x30;
const bind = 0x60, bindResponse = 0x61, search = 0x63, extended = 0x77;
const operations: Readonly<Record<number, string>> = {
  [bind]: "bind",
  [bindResponse]: "bind_response",
  [search]: "search",
  0x66: "modify",
  0x68: "add",
  0x4a: "delete",
  0x6c: "rename",
  0x6e: "compare",
  [extended]: "extended",
};
const scopes = ["base", "one", "subtree"] as const;
const ntlmSignature = new TextEncoder().encode("NTLMSSP\0");
const ntlmAuthenticate = 3;

/** The element read last: its tag, and its content `buffer[from, to)`. */
let tag: number = 0, from = 0, to = 0;

/** Whether a message that matters begins here: not an entry that was found. */
export function isLdap(buffer: Uint8Array, at: number, length: number): boolean {
  return length >= 8 && findOperation(buffer, at, at + length) && operations[tag] !== undefined;
}

/** Adds the messages in `buffer[at, at + length)`. */
export function readLdap(buffer: Uint8Array, at: number, length: number, facts: Facts): boolean {
  const limit = at + length;
  let start = at;
  for (let messages = 0; messages < messagesMax && start + 8 <= limit; messages++) {
    if (!enter(buffer, start, limit) || !isTag(sequence)) break;
    const end = to;
    if (findOperation(buffer, start, limit)) readOperation(buffer, limit, facts);
    start = end;
  }
  return start > at;
}

/** Sequence, number of the message, operation. */
function findOperation(buffer: Uint8Array, at: number, limit: number): boolean {
  if (!enter(buffer, at, limit) || !isTag(sequence)) return false;
  if (!enter(buffer, from, limit) || !isTag(integer) || to - from > 4) return false;
  return enter(buffer, to, limit);
}

function readOperation(buffer: Uint8Array, limit: number, facts: Facts): void {
  const operation = operations[tag];
  if (operation === undefined) return;
  const entry: LdapFact = { operation };
  const end = Math.min(to, limit);
  if (tag === bind) readBind(buffer, from, end, facts, entry);
  else if (tag === search) readSearch(buffer, from, end, facts, entry);
  else if (tag === bindResponse) {
    if (!skip(buffer, from, end) || !isTag(enumerated)) return;
    entry.result = numberOf(buffer);
  } else {
    // A delete is its name; others begin with it.
    if (tag !== 0x4a && !skip(buffer, from, end)) return;
    setName(buffer, facts, entry);
  }
  countEntry(facts, facts.ldap ??= [], entry);
}

/** Version, name, proof. */
function readBind(buffer: Uint8Array, at: number, limit: number, facts: Facts, entry: LdapFact): void {
  if (!skip(buffer, at, limit) || !skip(buffer, to, limit)) return;
  setName(buffer, facts, entry);
  if (!enter(buffer, to, limit)) return;
  const proof = tag;
  const end = Math.min(to, limit);
  if (proof === 0x80) entry.method = from === to ? "anonymous" : "simple";
  else if (proof === 0xa3 && skip(buffer, from, end)) {
    entry.method = boundText(facts, textAt(buffer, from, to));
  } else if (proof >= 0x89 && proof <= 0x8b) entry.method = "NTLM";
  const user = ntlmUser(buffer, from, end);
  if (user !== "") entry.name = boundText(facts, user);
}

/** User name of an NTLM message that proves it (MS-NLMP, 2.2.1.3), anywhere in these octets; "" = there is none. */
function ntlmUser(buffer: Uint8Array, start: number, limit: number): string {
  for (let at = start; at + 64 <= limit; at++) {
    if (!equals(buffer, at, ntlmSignature)) continue;
    if (buffer[at + 8] !== ntlmAuthenticate) return "";
    const length = buffer[at + 36] | buffer[at + 37] << 8;
    const place = at + (buffer[at + 40] | buffer[at + 41] << 8);
    if (place + length > limit) return "";
    const isWide = (buffer[at + 60] & 1) !== 0;
    return isWide
      ? textAt(buffer, place, place + length).replaceAll("\0", "")
      : textAt(buffer, place, place + length);
  }
  return "";
}

function equals(buffer: Uint8Array, at: number, wanted: Uint8Array): boolean {
  for (let i = 0; i < wanted.length; i++) if (buffer[at + i] !== wanted[i]) return false;
  return true;
}

/** Base, scope, four limits, filter, attributes. */
function readSearch(buffer: Uint8Array, at: number, limit: number, facts: Facts, entry: LdapFact): void {
  if (!skip(buffer, at, limit)) return;
  setName(buffer, facts, entry);
  if (!skip(buffer, to, limit)) return;
  const scope = scopes[numberOf(buffer)];
  if (scope !== undefined) entry.scope = scope;
  for (let i = 0; i < 4; i++) if (!skip(buffer, to, limit)) return;
  if (!skip(buffer, to, limit)) return;
  const end = to;
  const filter = filterText(buffer, 0);
  if (filter !== null) entry.filter = boundText(facts, filter);
  if (!skip(buffer, end, limit)) return;
  const last = to;
  const attributes: string[] = [];
  for (let next = from; attributes.length < attributesMax && skip(buffer, next, last); next = to) {
    attributes.push(boundText(facts, textAt(buffer, from, to)));
  }
  if (attributes.length > 0) entry.attributes = attributes;
}

const signs: Readonly<Record<number, string>> = { 0xa3: "=", 0xa5: ">=", 0xa6: "<=", 0xa8: "~=" };

/** The filter that was entered last; null = it does not add up, or is too deep. */
function filterText(buffer: Uint8Array, depth: number): string | null {
  const kind = tag, start = from, end = to;
  if (depth > depthMax) return null;
  if (kind === 0x87) return `(${valueText(buffer, start, end)}=*)`;
  if (kind === 0xa0 || kind === 0xa1 || kind === 0xa2) {
    let terms = "";
    let next = start;
    for (let count = 0; count < termsMax && terms.length <= factLimits.charactersMax; count++) {
      if (!skip(buffer, next, end)) break;
      next = to;
      const term = filterText(buffer, depth + 1);
      if (term === null) return null;
      terms += term;
    }
    return `(${"&|!"[kind - 0xa0]}${terms})`;
  }
  if (kind === 0xa9) return matchText(buffer, start, end);
  if (!skip(buffer, start, end)) return null;
  const attribute = valueText(buffer, from, to);
  if (kind === 0xa4) return substringText(buffer, attribute, to, end);
  if (signs[kind] === undefined || !skip(buffer, to, end)) return null;
  return `(${attribute}${signs[kind]}${valueText(buffer, from, to)})`;
}

/** Beginning, any number in the middle, end. */
function substringText(buffer: Uint8Array, attribute: string, at: number, limit: number): string | null {
  if (!skip(buffer, at, limit)) return null;
  const end = to;
  let value = "", isClosed = false;
  let next = from;
  for (let count = 0; count < termsMax && skip(buffer, next, end); count++, next = to) {
    if (tag !== 0x80) value += "*";
    value += valueText(buffer, from, to);
    isClosed = tag === 0x82;
  }
  return `(${attribute}=${value}${isClosed ? "" : "*"})`;
}

/** Rule, attribute, value: "(userAccountControl:1.2.840.113556.1.4.803:=4194304)". */
function matchText(buffer: Uint8Array, at: number, limit: number): string {
  let rule = "", attribute = "", value = "";
  let next = at;
  for (let count = 0; count < 4 && skip(buffer, next, limit); count++, next = to) {
    if (tag === 0x81) rule = `:${valueText(buffer, from, to)}`;
    else if (tag === 0x82) attribute = valueText(buffer, from, to);
    else if (tag === 0x83) value = valueText(buffer, from, to);
  }
  return `(${attribute}${rule}:=${value})`;
}

/** Text, or hexadecimal where octets are none, as much as a fact may hold. */
function valueText(buffer: Uint8Array, start: number, end: number): string {
  const last = Math.min(end, start + factLimits.charactersMax);
  const text = readText(buffer, start, last);
  if (text === null) return buffer.subarray(start, last).toHex().replace(/../g, "\\$&");
  return text.replace(/[()*]/g, (sign) => `\\${sign.charCodeAt(0).toString(16)}`);
}

function setName(buffer: Uint8Array, facts: Facts, entry: LdapFact): void {
  if (to > from) entry.name = boundText(facts, utf8At(buffer, from, to));
}

const decoder = new TextDecoder();

function utf8At(buffer: Uint8Array, start: number, end: number): string {
  return readText(buffer, start, end) ?? decoder.decode(buffer.subarray(start, Math.min(end, start + 1_024)));
}

/** Of the element read last. */
function numberOf(buffer: Uint8Array): number {
  return to - from === 1 ? buffer[from] : to - from === 2 ? buffer[from] << 8 | buffer[from + 1] : 255;
}

function isTag(wanted: number): boolean {
  return tag === wanted;
}

/** Goes into the element at `at`, of which the end may not be here. */
function enter(buffer: Uint8Array, at: number, limit: number): boolean {
  if (at + 2 > limit) return false;
  tag = buffer[at];
  let length = buffer[at + 1];
  from = at + 2;
  if (length >= 0x80) {
    const octets = length & 0x7f;
    if (octets === 0 || octets > 4 || from + octets > limit) return false;
    length = 0;
    for (let i = 0; i < octets; i++) length = length * 256 + buffer[from + i];
    from += octets;
  }
  to = from + length;
  return true;
}

/** The same, and its end is here. */
function skip(buffer: Uint8Array, at: number, limit: number): boolean {
  return enter(buffer, at, limit) && to <= limit;
}
