/** Reads plain DNS messages where they arrive, without the dissector.
 *
 * In: the payload of one UDP datagram. Out: entries of facts, or false: "not plain, ask tshark".
 * Invariant: what is read here is, letter for letter, what tshark would have said; anything it might say otherwise (odd
 * octets in names, records we do not know,
 * a length that does not fit) is left to it. `test/golden/facts_yield.ts` compares the two.
 * Of a message that the capture cut, what is whole is read; tshark does the same.
 * Bounded: at most {@link recordsMax} records and {@link pointersMax} compression pointers; no recursion.
 * Why: one packet in six of ordinary traffic is DNS, and tshark takes 12 us for each. This takes 2. @module */

import { formatIp } from "../../../shared/ip.ts";
import { dnsTypeName, rcodeName } from "../facts/dns_names.ts";
import { DnsText } from "../facts/dns_text.ts";
import { isPrintable, wordAt } from "./read_octets.ts";
import type { SegmentFacts } from "../facts/segment_facts.ts";

const headerBytes = 12;
const questionsMax = 8;
const recordsMax = 64;
const pointersMax = 32;
const nameBytesMax = 255;

/** Record types whose value stays away, as it does when tshark reads them: SOA, OPT, DS, RRSIG, NSEC, DNSKEY, NSEC3. */
const silentTypes = new Set([6, 41, 43, 46, 47, 48, 50]);

const rootName = new TextEncoder().encode("<Root>");

/** Instead of where something ends: it is not plain; it goes on behind the octets that are here. */
const odd = -1, short = -2;

/** Where the name read last ended, or why it has no end. */
let nameEnd = 0;
/** The name read last, with dots between its labels. */
const nameOctets = new Uint8Array(nameBytesMax + 64);
let nameLength = 0;
/** The message being read, until it is known to be plain. */
const text = new DnsText();

/** Adds the message in `buffer[at, at + length)` to `facts`; false when it is not plain, and then nothing was added.
 * `isCut`: it was longer on the wire. */
export function readDnsMessage(
  buffer: Uint8Array,
  at: number,
  length: number,
  isCut: boolean,
  facts: SegmentFacts,
): boolean {
  if (length < headerBytes) return false;
  const flags = wordAt(buffer, at + 2);
  const questions = wordAt(buffer, at + 4);
  const records = wordAt(buffer, at + 6);
  // Only queries (opcode 0); an update lays out its sections otherwise.
  if ((flags & 0x7800) !== 0 || questions > questionsMax || records > recordsMax) return false;
  const isResponse = (flags & 0x8000) !== 0;
  if (!isResponse && records > 0) return false;
  const limit = at + length;
  text.begin();
  let next = at + headerBytes;
  for (let i = 0; i < questions && next >= 0; i++) next = readQuestion(buffer, at, next, limit);
  for (let i = 0; i < records && next >= 0; i++) next = readRecord(buffer, at, next, limit);
  if (next === odd || (next === short && !isCut)) return false;
  text.addTo(facts, wordAt(buffer, at), isResponse ? rcodeName(flags & 15) : null);
  return true;
}

/** Adds one question; returns where the next one begins, or why there is none. */
function readQuestion(buffer: Uint8Array, message: number, start: number, limit: number): number {
  readName(buffer, message, start, limit);
  if (nameEnd < 0) return nameEnd;
  if (nameEnd + 4 > limit) return short;
  text.questionOctets(nameOctets, nameLength, dnsTypeName(wordAt(buffer, nameEnd)));
  return nameEnd + 4;
}

/** Adds the value of one record to the answers; returns where the next one begins, or why there is none. */
function readRecord(
  buffer: Uint8Array,
  message: number,
  start: number,
  limit: number,
): number {
  readName(buffer, message, start, limit);
  const at = nameEnd;
  if (at < 0) return at;
  if (at + 10 > limit) return short;
  const type = wordAt(buffer, at);
  const length = wordAt(buffer, at + 8);
  const data = at + 10;
  const end = data + length;
  if (end > limit) return short;
  return silentTypes.has(type) || readValue(buffer, message, type, data, end) ? end : odd;
}

/** Adds the value of a record's data in `buffer[data, end)`; false when it is not plain. */
function readValue(
  buffer: Uint8Array,
  message: number,
  type: number,
  data: number,
  end: number,
): boolean {
  switch (type) {
    case 1:
      if (end - data !== 4) return false;
      text.answerIpv4(buffer, data);
      return true;
    case 28:
      // Addresses with an IPv4 tail have two spellings; leave them.
      if (end - data !== 16 || (buffer[data] | buffer[data + 1]) === 0) return false;
      text.answer(formatIp(buffer, data, 16));
      return true;
    case 2:
    case 5:
    case 12:
      return wholeName(buffer, message, data, end);
    case 15:
      return wholeName(buffer, message, data + 2, end);
    case 33:
      return wholeName(buffer, message, data + 6, end);
    case 16:
      if (end - data !== 1 + buffer[data] || !isPrintable(buffer, data + 1, end)) return false;
      if (end > data + 1) text.answerOctets(buffer, data + 1, end);
      return true;
    default:
      return false;
  }
}

function wholeName(buffer: Uint8Array, message: number, start: number, end: number): boolean {
  if (start >= end) return false;
  readName(buffer, message, start, end);
  if (nameEnd !== end) return false;
  text.answerOctets(nameOctets, 0, nameLength);
  return true;
}

/** Name at `start`, its own octets ending by `limit`, into {@link nameOctets};
 * `nameEnd` tells where they end, or why they do not. */
function readName(buffer: Uint8Array, message: number, start: number, limit: number): void {
  let length = 0;
  let at = start;
  let bound = limit;
  let end = -1;
  let pointers = 0;
  nameEnd = short;
  for (;;) {
    if (at >= bound) return;
    const size = buffer[at];
    if (size === 0) break;
    if (size >= 0xc0) {
      if (at + 1 >= bound) return;
      if (++pointers > pointersMax) return isOdd();
      if (end < 0) end = at + 2;
      const target = message + ((size & 0x3f) << 8 | buffer[at + 1]);
      // A pointer leads back; one that does not may loop.
      if (target >= at) return isOdd();
      at = target;
      bound = limit;
      continue;
    }
    if (size > 63 || length + size > nameBytesMax) return isOdd();
    if (at + size >= bound) return;
    if (length > 0) nameOctets[length++] = 0x2e;
    for (const last = at + size; at < last;) {
      const octet = buffer[++at];
      if (octet < 0x20 || octet > 0x7e) return isOdd();
      nameOctets[length++] = octet;
    }
    at++;
  }
  nameEnd = end < 0 ? at + 1 : end;
  if (length === 0) {
    nameOctets.set(rootName);
    length = rootName.length;
  }
  nameLength = length;
}

function isOdd(): void {
  nameEnd = odd;
}
