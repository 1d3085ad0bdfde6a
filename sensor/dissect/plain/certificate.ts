/** Reads whom a TLS server's certificate names, straight from its octets.
 *
 * In: the first octets of a DER certificate (RFC 5280, 4.1), at least up to the end of its subject; the key and what
 * follows is not needed. Out: {@link CertificateNames}, or null: "not plain, ask tshark".
 * Invariant: what is read here is what certificate_facts.ts makes of tshark's columns. Left to it are names with
 * several attributes in one part, strings beyond printable ASCII, dates after 2049, and every length that does not fit.
 * Bounded: {@link partsMax} parts a name.
 * Why: a certificate is three segments and costs tshark 200 us; all that we tell of it stands in the first. @module */

import { readText } from "./read_octets.ts";

export interface CertificateNames {
  /** Common name, else organisation; "" = neither. */
  issuer: string;
  subject: string;
  /** ISO 8601, UTC; "" = not known. */
  notBefore: string;
  notAfter: string;
  /** All attributes of both names are equal. */
  isSelfIssued: boolean;
}

const tag = {
  integer: 0x02,
  objectId: 0x06,
  utf8: 0x0c,
  printable: 0x13,
  teletex: 0x14,
  utcTime: 0x17,
  sequence: 0x30,
  set: 0x31,
  version: 0xa0,
} as const;
const partsMax = 32;
/** Last octet of the object identifiers 2.5.4.3 and 2.5.4.10. */
const commonName = 3, organization = 10;

/** Content of the element read last: `buffer[from, to)`. */
let from = 0, to = 0;

/** Names of the certificate at `at`; of the octets only those before `limit` are here. */
export function readCertificateNames(buffer: Uint8Array, at: number, limit: number): CertificateNames | null {
  if (!enter(buffer, at, tag.sequence, limit) || !enter(buffer, from, tag.sequence, limit)) return null;
  let next = from;
  if (buffer[next] === tag.version) {
    if (!skip(buffer, next, tag.version, limit)) return null;
    next = to;
  }
  // Serial number, algorithm of the signature.
  if (!skip(buffer, next, tag.integer, limit) || !skip(buffer, to, tag.sequence, limit)) return null;
  const issuerAt = to;
  const issuer = readName(buffer, issuerAt, limit);
  const issuerEnd = to;
  const dates = issuer === null ? null : readValidity(buffer, issuerEnd, limit);
  const subjectAt = to;
  const subject = dates === null ? null : readName(buffer, subjectAt, limit);
  if (issuer === null || dates === null || subject === null) return null;
  const isSelfIssued = to - subjectAt === issuerEnd - issuerAt &&
    isEqual(buffer, issuerAt, subjectAt, to - subjectAt);
  return { issuer, subject, ...dates, isSelfIssued: isSelfIssued && issuer !== "" };
}

/** A name (RFC 5280, 4.1.2.4); {@link to} is then its end. */
function readName(buffer: Uint8Array, at: number, limit: number): string | null {
  if (!skip(buffer, at, tag.sequence, limit)) return null;
  const end = to;
  let common = "", organisation = "";
  let next = from;
  for (let parts = 0; next < end; parts++) {
    if (parts === partsMax || !skip(buffer, next, tag.set, end)) return null;
    next = to;
    // One attribute a part: a sequence as long as its set.
    if (!skip(buffer, from, tag.sequence, to) || to !== next) return null;
    if (!skip(buffer, from, tag.objectId, next)) return null;
    const isDirectory = to - from === 3 && buffer[from] === 0x55 && buffer[from + 1] === 0x04;
    const type = isDirectory ? buffer[from + 2] : 0;
    if (type !== commonName && type !== organization) continue;
    const kind = buffer[to];
    if (kind !== tag.utf8 && kind !== tag.printable && kind !== tag.teletex) return null;
    if (!skip(buffer, to, kind, next) || to !== next) return null;
    const text = readText(buffer, from, to);
    if (text === null || text.includes("\\")) return null;
    if (type === commonName) common = text;
    else organisation = text;
  }
  to = end;
  return common || organisation;
}

function isEqual(buffer: Uint8Array, first: number, second: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (buffer[first + i] !== buffer[second + i]) return false;
  return true;
}

/** Both dates; {@link to} is then their end. */
function readValidity(
  buffer: Uint8Array,
  at: number,
  limit: number,
): { notBefore: string; notAfter: string } | null {
  if (!skip(buffer, at, tag.sequence, limit)) return null;
  const end = to;
  const notBefore = skip(buffer, from, tag.utcTime, end) ? readDate(buffer) : null;
  const notAfter = notBefore !== null && skip(buffer, to, tag.utcTime, end) ? readDate(buffer) : null;
  return notBefore === null || notAfter === null || to !== end ? null : { notBefore, notAfter };
}

/** The element read last. */
function readDate(buffer: Uint8Array): string | null {
  const text = readText(buffer, from, to);
  if (text === null || !/^\d{12}Z$/.test(text)) return null;
  const [year, month, day, hour, minute, second] = text.match(/\d\d/g)!;
  const century = Number(year) < 50 ? "20" : "19";
  return `${century}${year}-${month}-${day}T${hour}:${minute}:${second}Z`;
}

/** Goes into the element at `at`, of which the end may not be here. */
function enter(buffer: Uint8Array, at: number, wanted: number, limit: number): boolean {
  if (at + 2 > limit || buffer[at] !== wanted) return false;
  let length = buffer[at + 1];
  from = at + 2;
  if (length >= 0x80) {
    const octets = length & 0x7f;
    if (octets === 0 || octets > 3 || from + octets > limit) return false;
    length = 0;
    for (let i = 0; i < octets; i++) length = length << 8 | buffer[from + i];
    from += octets;
  }
  to = from + length;
  return true;
}

/** The same, and its end is here. */
function skip(buffer: Uint8Array, at: number, wanted: number, limit: number): boolean {
  return enter(buffer, at, wanted, limit) && to <= limit;
}
