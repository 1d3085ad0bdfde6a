/** Reads who asks for which NetBIOS name, and who answers.
 *
 * In: a datagram of port 137 (RFC 1002, 4.2). Out: an entry of `facts.dns` of type "NB" or "NBSTAT", its name as tshark
 * writes it ("WPAD<00>"); an answer brings the addresses that somebody claims for it.
 * Invariant: one name per message, complete or not at all. Registrations and other requests than queries add nothing.
 * @module */

import { rcodeName } from "../facts/dns_names.ts";
import { DnsText } from "../facts/dns_text.ts";
import type { SegmentFacts } from "../facts/segment_facts.ts";
import { wordAt } from "./read_octets.ts";

const headerBytes = 12;
const nameBytes = 34;
const addressesMax = 8;
const types: Readonly<Record<number, string>> = { 0x20: "NB", 0x21: "NBSTAT" };
const letterA = 0x41;

const text = new DnsText();
/** The name read last: fifteen characters without the spaces behind them, and the kind of it in hexadecimal. */
const name = new Uint8Array(19);
let nameLength = 0;

/** Whether a query or its answer, with one name, begins here. */
export function isNbns(buffer: Uint8Array, at: number, length: number): boolean {
  return length >= headerBytes + nameBytes + 4 && (buffer[at + 2] & 0x78) === 0 &&
    buffer[at + headerBytes] === 32 &&
    wordAt(buffer, at + 4) + wordAt(buffer, at + 6) === 1 && buffer[at + headerBytes + 33] === 0;
}

/** Adds the message in `buffer[at, at + length)`, for which {@link isNbns}. */
export function readNbns(buffer: Uint8Array, at: number, length: number, facts: SegmentFacts): void {
  const place = at + headerBytes + nameBytes;
  const type = types[wordAt(buffer, place)];
  if (type === undefined || !readName(buffer, at + headerBytes + 1)) return;
  const flags = wordAt(buffer, at + 2);
  const isResponse = (flags & 0x8000) !== 0;
  text.begin();
  text.questionOctets(name, nameLength, type);
  // Class, time to live, length; then two octets of flags and an address each.
  if (isResponse && type === "NB" && place + 10 <= at + length) {
    const end = Math.min(at + length, place + 10 + wordAt(buffer, place + 8));
    for (let i = 0, next = place + 12; i < addressesMax && next + 4 <= end; i++, next += 6) {
      text.answerIpv4(buffer, next);
    }
  }
  text.addTo(facts, wordAt(buffer, at), isResponse ? rcodeName(flags & 15) : null);
}

/** Two letters from A to P an octet. */
function readName(buffer: Uint8Array, at: number): boolean {
  let end = 0;
  let kind = 0;
  for (let i = 0; i < 16; i++) {
    const high = buffer[at + 2 * i] - letterA, low = buffer[at + 2 * i + 1] - letterA;
    if (high < 0 || high > 15 || low < 0 || low > 15) return false;
    const octet = high << 4 | low;
    if (i === 15) kind = octet;
    else {
      // What is not printable, as the star's padding, ends it.
      name[i] = octet >= 0x20 && octet < 0x7f ? octet : 0x20;
      if (name[i] !== 0x20) end = i + 1;
    }
  }
  const hex = kind.toString(16).padStart(2, "0");
  for (const sign of `<${hex}>`) name[end++] = sign.charCodeAt(0);
  nameLength = end;
  return true;
}
