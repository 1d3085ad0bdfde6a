/** Reads plain HTTP/1 headers where they arrive, without the dissector.
 *
 * In: the payload of one packet that begins with a request or a response. Out: one {@link HttpFact}, or false: "not plain, ask tshark".
 * Invariant: what is read here is what tshark would have said. Left to it are headers that go over the segment, that are followed by
 * another message, that change what the connection carries (CONNECT, Upgrade), that hold a login it can read (NTLM, Kerberos), and
 * whatever is spelt in an odd way: repeated or folded lines, octets beyond ASCII. Bounded: {@link linesMax} lines. @module */

import type { Facts, HttpFact } from "../../shared/facts.ts";
import { boundText, pushEntry } from "./bounds.ts";
import { textAt } from "./octets.ts";

const linesMax = 64;
const valueOctetsMax = 1_000;
const methods = new Set([
  "GET",
  "POST",
  "HEAD",
  "PUT",
  "DELETE",
  "OPTIONS",
  "NOTIFY",
  "M-SEARCH",
  "SUBSCRIBE",
  "UNSUBSCRIBE",
]);
const requestEnd = /^HTTP\/1\.[01]$/;
const statusLine = /^HTTP\/1\.[01] ([2-5]\d\d)( .*)?$/;
/** What a header is to us, by its name. */
const headers: ReadonlyMap<string, "host" | "user_agent" | "content_type" | "login" | "upgrade"> = new Map([
  ["host", "host"],
  ["user-agent", "user_agent"],
  ["content-type", "content_type"],
  ["upgrade", "upgrade"],
  ["authorization", "login"],
  ["proxy-authorization", "login"],
  ["www-authenticate", "login"],
  ["proxy-authenticate", "login"],
]);
const nameLengths = new Set([...headers.keys()].map((name) => name.length));
const loginWeRead = /^\s*(ntlm|negotiate|kerberos)\b/i;
const tab = 9, lineFeed = 10, carriageReturn = 13, space = 32, quote = 34, colon = 58, backslash = 92;

/** Adds the message in `buffer[at, at + length)` to `facts`; false when it is not plain, and then nothing was added. */
export function readHttpMessage(buffer: Uint8Array, at: number, length: number, facts: Facts): boolean {
  const limit = at + length;
  let end = lineEnd(buffer, at, limit);
  const fact = end < 0 ? null : readFirstLine(buffer, at, end);
  if (fact === null) return false;
  for (let lines = 0; lines < linesMax; lines++) {
    const start = end + 2;
    end = lineEnd(buffer, start, limit);
    if (end === start) {
      if (holdsAnother(buffer, end + 2, limit)) return false;
      keep(fact, facts);
      return true;
    }
    if (end < 0 || !readHeader(buffer, start, end, fact)) return false;
  }
  return false;
}

function keep(fact: HttpFact, facts: Facts): void {
  for (const name of ["method", "host", "uri", "user_agent", "content_type"] as const) {
    const value = fact[name];
    if (value !== undefined) fact[name] = boundText(facts, value);
  }
  pushEntry(facts, facts.http ??= [], fact);
}

/** Where the text of the line ends and its CR LF begins; -1 when there is no such end, or an octet is neither printable nor a tab. */
function lineEnd(buffer: Uint8Array, start: number, limit: number): number {
  for (let i = start; i < limit; i++) {
    const octet = buffer[i];
    if (octet >= 0x20 && octet < 0x7f) continue;
    if (octet === carriageReturn) return i + 1 < limit && buffer[i + 1] === lineFeed ? i : -1;
    if (octet !== tab) return -1;
  }
  return -1;
}

/** "HTTP/" in the body: requests in a row, "100 Continue" with the answer at once. */
function holdsAnother(buffer: Uint8Array, start: number, limit: number): boolean {
  for (let i = start; i + 4 < limit; i++) {
    if (buffer[i] !== 0x48 || buffer[i + 1] !== 0x54 || buffer[i + 2] !== 0x54) continue;
    if (buffer[i + 3] === 0x50 && buffer[i + 4] === 0x2f) return true;
  }
  return false;
}

function readFirstLine(buffer: Uint8Array, start: number, end: number): HttpFact | null {
  let first = start;
  while (first < end && buffer[first] !== space) first++;
  let last = end;
  while (last > first && buffer[last - 1] !== space) last--;
  if (last - 1 > first && requestEnd.test(textAt(buffer, last, end))) {
    const method = textAt(buffer, start, first);
    const isOne = isPlain(buffer, first + 1, last - 1) &&
      buffer.subarray(first + 1, last - 1).indexOf(space) < 0;
    return methods.has(method) && isOne ? { method, uri: textAt(buffer, first + 1, last - 1) } : null;
  }
  const status = statusLine.exec(textAt(buffer, start, end));
  return status ? { status: Number(status[1]) } : null;
}

/** Takes one header line; false when it is not plain. */
function readHeader(buffer: Uint8Array, start: number, end: number, fact: HttpFact): boolean {
  let at = start;
  while (at < end && buffer[at] !== colon) at++;
  // A folded line begins with a space.
  if (at === end || at === start || buffer[start] <= space) return false;
  const kind = nameLengths.has(at - start) ? headers.get(textAt(buffer, start, at).toLowerCase()) : undefined;
  switch (kind) {
    case undefined:
      return true;
    case "upgrade":
      return false;
    case "login":
      return !loginWeRead.test(textAt(buffer, at + 1, end));
    case "content_type":
      return setOnce(buffer, at + 1, end, fact, kind);
    default:
      // In a response these are headers like any other.
      return fact.method === undefined || setOnce(buffer, at + 1, end, fact, kind);
  }
}

function setOnce(
  buffer: Uint8Array,
  from: number,
  end: number,
  fact: HttpFact,
  name: "host" | "user_agent" | "content_type",
): boolean {
  let start = from;
  while (start < end && buffer[start] === space) start++;
  if (fact[name] !== undefined || !isPlain(buffer, start, end)) return false;
  if (start < end) fact[name] = textAt(buffer, start, end);
  return true;
}

/** Neither escaped nor cut by the dissector. */
function isPlain(buffer: Uint8Array, start: number, end: number): boolean {
  if (end - start > valueOctetsMax || buffer[end - 1] === space) return false;
  for (let i = start; i < end; i++) {
    const octet = buffer[i];
    if (octet === backslash || octet === quote || octet === tab) return false;
  }
  return true;
}
