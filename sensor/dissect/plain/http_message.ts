/** Reads plain HTTP/1 headers where they arrive, without the dissector.
 *
 * In: the payload of one packet that begins with a request or a response.
 * Out: one entry of facts, or false: "not plain, ask tshark".
 * Invariant: what is read here is what tshark would have said. Left to it are headers that go over the segment, that
 * are followed by another message, that change what the connection carries (CONNECT and its answer, Upgrade), that hold
 * a login it can read (NTLM, Kerberos), and whatever is spelt in an odd way: repeated or folded lines, octets beyond
 * ASCII.
 * Bounded: {@link linesMax} lines.
 * Why places first and text last: of a header's ten lines three matter,
 * and a message that is not plain leaves nothing behind. @module */

import { FactText } from "../facts/fact_text.ts";
import { writeBody } from "./http_body.ts";
import { textAt } from "./read_octets.ts";
import type { SegmentFacts } from "../facts/segment_facts.ts";

const linesMax = 64;
const valueOctetsMax = 1_000;
const octetsOf = (text: string) => new TextEncoder().encode(text);
const methods = [
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
].map(octetsOf);
const version = octetsOf("HTTP/1.");

/** What a header is to us. */
const kind = {
  host: 0,
  userAgent: 1,
  contentType: 2,
  referrer: 3,
  contentLength: 4,
  login: 5,
  upgrade: 6,
  /** Spring Cloud runs what stands in it (CVE-2022-22963). */
  routing: 7,
} as const;
const kept = [
  `,"host":`,
  `,"user_agent":`,
  `,"content_type":`,
  `,"referrer":`,
  `,"length":`,
] as const;
/** Headers by the length of their name. */
const headers: ({ name: Uint8Array; kind: number }[] | undefined)[] = [];
for (
  const [name, what] of [
    ["host", kind.host],
    ["user-agent", kind.userAgent],
    ["content-type", kind.contentType],
    ["referer", kind.referrer],
    ["content-length", kind.contentLength],
    ["upgrade", kind.upgrade],
    ["spring.cloud.function.routing-expression", kind.routing],
    ["authorization", kind.login],
    ["proxy-authorization", kind.login],
    ["www-authenticate", kind.login],
    ["proxy-authenticate", kind.login],
  ] as const
) (headers[name.length] ??= []).push({ name: octetsOf(name), kind: what });
const loginWeRead = /^\s*(ntlm|negotiate|kerberos)\b/i;
const tab = 9,
  lineFeed = 10,
  carriageReturn = 13,
  space = 32,
  quote = 34,
  zero = 48,
  colon = 58,
  backslash = 92;

/** What an octet of a line is: usual, perhaps part of an attack, or a reason to look closer at the line. */
const usual = 0, telling = 1, odd = 2;
const octetKinds = new Uint8Array(256).fill(odd).fill(usual, 0x20, 0x7f);
for (const octet of "'{O<") octetKinds[octet.charCodeAt(0)] = telling;
const isLookUp = new Uint8Array(256);
for (const octet of "$%#*@") isLookUp[octet.charCodeAt(0)] = 1;
/** Octets of a telling header's name, and of its value before and behind what tells. */
const tellingNameMax = 40, tellingBefore = 24, tellingBehind = 150;
const tellingHeader = new Uint8Array(tellingNameMax + tellingBefore + tellingBehind + 2);

/** The message being read. */
const text = new FactText();
let isRequest = false;
/** Where the line just measured tells of an attack; -1 = it does not. */
let tells = -1;
let tellingLength = 0;
let isEstablished = false;
/** Where the value of each header that is kept begins and ends; begin -1 = not seen. */
const starts = new Int32Array(kept.length);
const ends = new Int32Array(kept.length);

/** Adds the message in `buffer[at, at + length)` to `facts`; false when it is not plain, and then nothing was added. */
export function readHttpMessage(
  buffer: Uint8Array,
  at: number,
  length: number,
  facts: SegmentFacts,
): boolean {
  const limit = at + length;
  let end = lineEnd(buffer, at, limit);
  text.begin();
  if (end < 0 || !readFirstLine(buffer, at, end)) return false;
  starts.fill(-1);
  tellingLength = 0;
  for (let lines = 0; lines < linesMax; lines++) {
    const start = end + 2;
    end = lineEnd(buffer, start, limit);
    if (end === start) {
      if (holdsAnother(buffer, end + 2, limit) || mayOpenTunnel(end + 2, limit)) return false;
      keep(buffer, facts, end + 2, limit);
      return true;
    }
    if (end < 0 || !readHeader(buffer, start, end)) return false;
  }
  return false;
}

function keep(buffer: Uint8Array, facts: SegmentFacts, body: number, limit: number): void {
  for (let i = 0; i < kept.length; i++) {
    if (starts[i] < 0) continue;
    text.words(kept[i]);
    if (i === kind.contentLength) text.append(buffer, starts[i], ends[i]);
    else text.quotedOctets(buffer, starts[i], ends[i]);
  }
  if (tellingLength > 0) {
    text.words(`,"header":`);
    text.quotedOctets(tellingHeader, 0, tellingLength);
  }
  writeBody(text, buffer, body, limit, isRequest);
  facts.addHttp(text, 0, text.length);
  facts.cut(text.cut);
}

/** Where the text of the line ends and its CR LF begins;
 * -1 when there is no such end, or an octet is neither printable nor a tab. */
function lineEnd(buffer: Uint8Array, start: number, limit: number): number {
  tells = -1;
  for (let i = start; i < limit; i++) {
    const octet = buffer[i], octetKind = octetKinds[octet];
    if (octetKind === usual) continue;
    if (octetKind === telling) {
      if (tells < 0 && isTelling(buffer, i, start)) tells = i;
      continue;
    }
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

/** Writes method and target, or the status; false when the line is not plain. */
function readFirstLine(buffer: Uint8Array, start: number, end: number): boolean {
  let first = start;
  while (first < end && buffer[first] !== space) first++;
  let last = end;
  while (last > first && buffer[last - 1] !== space) last--;
  isRequest = last - 1 > first && end - last === version.length + 1 && isVersion(buffer, last);
  return isRequest ? readRequest(buffer, start, first, last - 1) : readStatus(buffer, start, end);
}

/** "200 Connection established", without any content: behind it the dissector is to expect another protocol. */
function mayOpenTunnel(body: number, limit: number): boolean {
  return !isRequest && isEstablished && body === limit && starts[kind.contentType] < 0 &&
    starts[kind.contentLength] < 0;
}

function readRequest(buffer: Uint8Array, start: number, first: number, last: number): boolean {
  if (!isPlain(buffer, first + 1, last)) return false;
  for (let i = first + 1; i < last; i++) if (buffer[i] === space) return false;
  for (const method of methods) {
    if (method.length !== first - start || !equals(buffer, start, method, 0)) continue;
    text.words(`{"method":`);
    text.quotedOctets(buffer, start, first);
    text.words(`,"uri":`);
    text.quotedOctets(buffer, first + 1, last);
    return true;
  }
  return false;
}

/** "HTTP/1.1 200", and what follows a space. */
function readStatus(buffer: Uint8Array, start: number, end: number): boolean {
  const code = start + version.length + 2;
  if (code + 3 > end || !isVersion(buffer, start) || buffer[code - 1] !== space) return false;
  if (code + 3 < end && buffer[code + 3] !== space) return false;
  const hundreds = buffer[code] - zero, tens = buffer[code + 1] - zero, ones = buffer[code + 2] - zero;
  isEstablished = hundreds === 2 && tens === 0 && ones === 0 && (buffer[code + 4] | 0x20) === 0x63;
  if (hundreds < 2 || hundreds > 5 || tens < 0 || tens > 9 || ones < 0 || ones > 9) return false;
  text.words(`{"status":`);
  text.ensure(3);
  text.append(buffer, code, code + 3);
  return true;
}

/** "HTTP/1.0" or "HTTP/1.1". */
function isVersion(buffer: Uint8Array, at: number): boolean {
  const minor = buffer[at + version.length];
  return (minor === zero || minor === zero + 1) && equals(buffer, at, version, 0);
}

/** Takes one header line; false when it is not plain. */
function readHeader(buffer: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end && buffer[at] !== colon) at++;
  // A folded line begins with a space.
  if (at === end || at === start || buffer[start] <= space) return false;
  const candidates = headers[at - start];
  if (candidates === undefined) return keepTelling(buffer, start, at, end);
  let what = -1;
  for (const { name, kind } of candidates) if (equals(buffer, start, name, 0x20)) what = kind;
  switch (what) {
    case -1:
    case kind.routing:
      if (what === kind.routing) tells = at + 1;
      return keepTelling(buffer, start, at, end);
    case kind.upgrade:
      return false;
    case kind.login:
      return !loginWeRead.test(textAt(buffer, at + 1, end)) && keepTelling(buffer, start, at, end);
    case kind.contentType:
      return setOnce(buffer, at + 1, end, what);
    case kind.contentLength:
      return setOnce(buffer, at + 1, end, what) && isNumber(buffer, starts[what], ends[what]);
    default:
      // In a response these are headers like any other.
      return !isRequest || setOnce(buffer, at + 1, end, what);
  }
}

/** Whether the octet at `at` begins or joins what honest headers do not hold: "${", "%{", "#{", "*{", "@{", "{{",
 * "() {", a quote before a gap or a comment, "<?", "<!", "<s", "rO0AB".
 * JSON and names of products have none of them. */
function isTelling(buffer: Uint8Array, at: number, start: number): boolean {
  const next = buffer[at + 1];
  let last = at - 1;
  switch (buffer[at]) {
    case 0x27: // '
      return next === space || next === 0x25 || next === 0x29 || next === 0x2b || next === 0x2d ||
        next === 0x2f || next === 0x7c; // " % ) + - / |"
    case 0x3c: // <
      return next === 0x3f || next === 0x21 || (next | 0x20) === 0x73; // "?", "!", "s"
    case 0x4f: // O
      return at > start && buffer[last] === 0x72 && next === zero && buffer[at + 2] === 0x41 &&
        buffer[at + 3] === 0x42;
  }
  if (last >= start && (next === 0x7b || isLookUp[buffer[last]] === 1)) return true;
  while (last > start && buffer[last] === space) last--;
  return last > start && buffer[last] === 0x29;
}

/** Keeps the first telling header of a request: its name, and its value around what tells. */
function keepTelling(buffer: Uint8Array, start: number, at: number, end: number): true {
  if (!isRequest || tells <= at || tellingLength > 0) return true;
  const nameEnd = Math.min(at, start + tellingNameMax);
  for (let i = start; i < nameEnd; i++) tellingHeader[tellingLength++] = buffer[i];
  tellingHeader[tellingLength++] = colon;
  tellingHeader[tellingLength++] = space;
  let from = Math.max(at + 1, tells - tellingBefore);
  const to = Math.min(end, tells + tellingBehind);
  while (from < to && buffer[from] === space) from++;
  for (let i = from; i < to; i++) tellingHeader[tellingLength++] = buffer[i] === tab ? space : buffer[i];
  return true;
}

/** Whether `name` stands at `start`; `caseBit` 0x20: in capitals or not. */
function equals(buffer: Uint8Array, start: number, name: Uint8Array, caseBit: number): boolean {
  for (let i = 0; i < name.length; i++) if ((buffer[start + i] | caseBit) !== name[i]) return false;
  return true;
}

function setOnce(buffer: Uint8Array, from: number, end: number, what: number): boolean {
  let start = from;
  while (start < end && buffer[start] === space) start++;
  if (starts[what] >= 0 || !isPlain(buffer, start, end)) return false;
  if (start === end) return true;
  starts[what] = start;
  ends[what] = end;
  return true;
}

/** Up to fifteen digits, of which the first is no zero unless it is alone: a number of JSON. */
function isNumber(buffer: Uint8Array, start: number, end: number): boolean {
  if (start < 0 || end - start > 15 || (buffer[start] === zero && end - start > 1)) return false;
  for (let i = start; i < end; i++) if (buffer[i] < zero || buffer[i] > zero + 9) return false;
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
