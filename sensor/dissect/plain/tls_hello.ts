/** Reads plain TLS hellos where they arrive, without the dissector.
 *
 * In: the payload of one packet that begins with a handshake record. Out: the facts of a ClientHello, or of a
 * ServerHello and the certificate behind it, or false: "not plain, ask tshark".
 * Invariant: what is read here is what tshark would have said of the whole flight. Left to it are hellos over a segment
 * border, a certificate whose names are not all in the same segment, more than one server name, names beyond plain
 * ASCII, and every length that does not fit.
 * Hot path: a hello is walked once, in place. What its fingerprints rest on is put into a table of recent hellos; only
 * one that is new there is hashed.
 * GREASE, randoms, session ids, key shares, padding and the server name are no part of that. @module */

import { createHash } from "node:crypto";
import type { Facts } from "../../../shared/facts.ts";
import { type CertificateNames, readCertificateNames } from "./certificate.ts";
import { keepCertificate } from "../columns/certificate_facts.ts";
import { isGrease } from "../facts/ja4.ts";
import { textAt, wordAt } from "./read_octets.ts";
import { RecentHellos } from "./recent_hellos.ts";
import {
  type ChoiceWords,
  choiceWords,
  keepClientOffer,
  keepServerChoice,
  type OfferWords,
  offerWords,
} from "../columns/tls_facts.ts";

const extension = {
  serverName: 0,
  groups: 10,
  pointFormats: 11,
  signatureAlgorithms: 13,
  alpn: 16,
  supportedVersions: 43,
} as const;
const recordHeaderBytes = 5;
const messageHeaderBytes = 4;
/** Version and random. */
const fixedBytes = 34;

export const recentClients = new RecentHellos<OfferWords>();
const recentServers = new RecentHellos<ChoiceWords>();

/** Octets of the buffer. */
class Span {
  from = 0;
  to = 0;

  set(from: number, to: number): true {
    this.from = from;
    this.to = to;
    return true;
  }
}

/** What the extensions of the hello being read hold, without lengths; the last one of a kind counts. Empty: none. */
const found = {
  serverName: new Span(),
  groups: new Span(),
  pointFormats: new Span(),
  signatureAlgorithms: new Span(),
  alpn: new Span(),
  supportedVersions: new Span(),
};
const spans = Object.values(found);

/** Adds the hello in `buffer[at, at + length)` to `facts`; false when it is not plain, and then nothing was added. */
export function readTlsHello(buffer: Uint8Array, at: number, length: number, facts: Facts): boolean {
  const start = at + recordHeaderBytes;
  if (length < recordHeaderBytes + messageHeaderBytes + fixedBytes) return false;
  const limit = at + length;
  const recordEnd = start + wordAt(buffer, at + 3);
  const hello = start + messageHeaderBytes;
  const end = hello + messageBytes(buffer, start);
  if (end > recordEnd || end > limit) return false;
  if (buffer[start] === 1) {
    return end === recordEnd && end === limit && readClientHello(buffer, hello, end, facts);
  }
  if (buffer[start] !== 2) return false;
  // What follows is encrypted, or a ChangeCipherSpec: no certificate to read.
  const isAlone = end === recordEnd && (end === limit || buffer[end] === 20 || buffer[end] === 23);
  const names = isAlone ? null : readFirstCertificate(buffer, end, recordEnd, limit);
  if (!isAlone && names === null) return false;
  if (!readServerHello(buffer, hello, end, facts)) return false;
  if (names !== null) keepCertificate(facts, names);
  return true;
}

/** The first certificate of the message at `at`, or of that in the next record when this one ends there. */
function readFirstCertificate(
  buffer: Uint8Array,
  at: number,
  recordEnd: number,
  limit: number,
): CertificateNames | null {
  let message = at;
  let end = recordEnd;
  if (at === recordEnd) {
    message = at + recordHeaderBytes;
    if (message > limit || buffer[at] !== 22 || buffer[at + 1] !== 3) return null;
    end = message + wordAt(buffer, at + 3);
  }
  // Lengths of the list and of its first certificate stand before it.
  const certificate = message + messageHeaderBytes + 6;
  if (certificate > limit || buffer[message] !== 11) return null;
  return readCertificateNames(buffer, certificate, Math.min(limit, end));
}

/** Octets of the handshake message at `at`, behind its header. */
function messageBytes(buffer: Uint8Array, at: number): number {
  return buffer[at + 1] << 16 | wordAt(buffer, at + 2);
}

function readClientHello(buffer: Uint8Array, start: number, end: number, facts: Facts): boolean {
  let at = start + fixedBytes;
  if (at >= end) return false;
  at += 1 + buffer[at];
  if (at + 2 > end) return false;
  const ciphers = at + 2;
  const ciphersEnd = ciphers + wordAt(buffer, at);
  if (ciphersEnd >= end || (ciphersEnd - ciphers & 1) !== 0) return false;
  at = ciphersEnd + 1 + buffer[ciphersEnd];
  recentClients.begin();
  recentClients.beginList();
  recentClients.put(wordAt(buffer, start));
  putWords(buffer, ciphers, ciphersEnd);
  recentClients.beginList();
  if (!walkExtensions(buffer, at, end, takeOffered)) return false;
  putWords(buffer, found.groups.from, found.groups.to);
  putOctets(recentClients, buffer, found.pointFormats);
  putWords(buffer, found.signatureAlgorithms.from, found.signatureAlgorithms.to);
  putWords(buffer, found.supportedVersions.from, found.supportedVersions.to);
  putOctets(recentClients, buffer, found.alpn);
  const { from, to } = found.serverName;
  keepClientOffer(facts, from < to ? textAt(buffer, from, to) : "", recentClients.words(describeClient));
  return true;
}

/** One extension of a ClientHello; false when it is not plain. */
function takeOffered(buffer: Uint8Array, type: number, from: number, to: number): boolean {
  if (!isGrease(type)) recentClients.put(type);
  switch (type) {
    case extension.serverName:
      return findServerName(buffer, from, to);
    case extension.groups:
      return findWords(buffer, from, to, found.groups);
    case extension.pointFormats:
      return from < to && from + 1 + buffer[from] === to && found.pointFormats.set(from + 1, to);
    case extension.signatureAlgorithms:
      return findWords(buffer, from, to, found.signatureAlgorithms);
    case extension.supportedVersions:
      return from < to && from + 1 + buffer[from] === to && (to - from & 1) !== 0 &&
        found.supportedVersions.set(from + 1, to);
    case extension.alpn:
      return findAlpn(buffer, from, to);
    default:
      return true;
  }
}

function describeClient(
  [[handshakeVersion], ciphers, extensions, groups, formats, signatureAlgorithms, versions, alpn]: number[][],
): OfferWords {
  return offerWords({
    quic: false,
    handshakeVersion,
    versions,
    ciphers,
    extensions,
    signatureAlgorithms,
    alpn: String.fromCharCode(...alpn),
    ja3: md5([handshakeVersion, ...[ciphers, extensions, groups, formats].map((list) => list.join("-"))]),
  });
}

function readServerHello(buffer: Uint8Array, start: number, end: number, facts: Facts): boolean {
  let at = start + fixedBytes;
  if (at >= end) return false;
  at += 1 + buffer[at];
  if (at + 3 > end) return false;
  recentServers.begin();
  recentServers.beginList();
  recentServers.put(wordAt(buffer, start));
  recentServers.put(wordAt(buffer, at));
  recentServers.beginList();
  if (!walkExtensions(buffer, at + 3, end, takeChosen)) return false;
  recentServers.beginList();
  const { from, to } = found.supportedVersions;
  if (from < to) recentServers.put(wordAt(buffer, from));
  putOctets(recentServers, buffer, found.alpn);
  keepServerChoice(facts, recentServers.words(describeServer));
  return true;
}

/** One extension of a ServerHello; false when it is not plain. */
function takeChosen(buffer: Uint8Array, type: number, from: number, to: number): boolean {
  recentServers.put(type);
  if (type === extension.supportedVersions && to - from === 2) found.supportedVersions.set(from, to);
  return type !== extension.alpn || findAlpn(buffer, from, to);
}

function describeServer(
  [[legacyVersion, cipher], extensions, [version = legacyVersion], alpn]: number[][],
): ChoiceWords {
  const ja3s = md5([legacyVersion, cipher, extensions.join("-")]);
  return choiceWords({ version, cipher, alpn: String.fromCharCode(...alpn), ja3s });
}

/** Calls `take` for each extension of the list at `at`, which must end at `end`;
 * false when it does not, or `take` says so. */
function walkExtensions(
  buffer: Uint8Array,
  at: number,
  end: number,
  take: (buffer: Uint8Array, type: number, from: number, to: number) => boolean,
): boolean {
  for (const span of spans) span.set(0, 0);
  if (at === end) return true;
  if (at + 2 > end || at + 2 + wordAt(buffer, at) !== end) return false;
  let next = at + 2;
  while (next + 4 <= end) {
    const from = next + 4;
    const to = from + wordAt(buffer, next + 2);
    if (to > end || !take(buffer, wordAt(buffer, next), from, to)) return false;
    next = to;
  }
  return next === end;
}

/** The one host name of a list of one; false when it is anything else. */
function findServerName(buffer: Uint8Array, from: number, to: number): boolean {
  if (to - from < 6 || buffer[from + 2] !== 0) return false;
  if (from + 2 + wordAt(buffer, from) !== to || from + 5 + wordAt(buffer, from + 3) !== to) return false;
  return isToken(buffer, from + 5, to) && found.serverName.set(from + 5, to);
}

/** First of the protocols; false when the list is not plain. */
function findAlpn(buffer: Uint8Array, from: number, to: number): boolean {
  if (to - from < 4 || from + 2 + wordAt(buffer, from) !== to) return false;
  const end = from + 3 + buffer[from + 2];
  return end <= to && isToken(buffer, from + 3, end) && found.alpn.set(from + 3, end);
}

/** A list of words, its length in front; false when it does not fit. */
function findWords(buffer: Uint8Array, from: number, to: number, span: Span): boolean {
  if (to - from < 2 || from + 2 + wordAt(buffer, from) !== to || (to - from & 1) !== 0) return false;
  return span.set(from + 2, to);
}

/** Letters, digits, and what else names are made of. */
function isToken(buffer: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const octet = buffer[i];
    if (octet <= 0x20 || octet > 0x7e || octet === 0x5c || octet === 0x22 || octet === 0x2c) return false;
  }
  return true;
}

/** A list of what the client offers. */
function putWords(buffer: Uint8Array, from: number, to: number): void {
  recentClients.beginList();
  for (let at = from; at < to; at += 2) {
    const word = wordAt(buffer, at);
    if (!isGrease(word)) recentClients.put(word);
  }
}

function putOctets(recent: RecentHellos<unknown>, buffer: Uint8Array, { from, to }: Span): void {
  recent.beginList();
  for (let at = from; at < to; at++) recent.put(buffer[at]);
}

function md5(parts: readonly (string | number)[]): string {
  return createHash("md5").update(parts.join(",")).digest("hex");
}
