/** Reads plain TLS hellos where they arrive, without the dissector.
 *
 * In: the payload of one packet that begins with a handshake record. Out: the facts of a ClientHello, or of a ServerHello that no
 * certificate follows, or false: "not plain, ask tshark".
 * Invariant: what is read here is what tshark would have said. Left to it are hellos over a segment border, several handshake messages,
 * more than one server name, names beyond plain ASCII, and every length that does not fit. @module */

import { createHash } from "node:crypto";
import type { Facts } from "../../shared/facts.ts";
import { isGrease } from "./ja4.ts";
import { wordAt } from "./octets.ts";
import { type ClientOffer, keepClientOffer, keepServerChoice, type ServerChoice } from "./tls_facts.ts";

const extension = {
  serverName: 0,
  groups: 10,
  pointFormats: 11,
  signatureAlgorithms: 13,
  alpn: 16,
  supportedVersions: 43,
} as const;
const recordHeaderBytes = 5;
const helloHeaderBytes = 4;
/** Version and random. */
const fixedBytes = 34;

/** Adds the hello in `buffer[at, at + length)` to `facts`; false when it is not plain, and then nothing was added. */
export function readTlsHello(buffer: Uint8Array, at: number, length: number, facts: Facts): boolean {
  const start = at + recordHeaderBytes;
  if (length < recordHeaderBytes + helloHeaderBytes + fixedBytes) return false;
  const end = start + wordAt(buffer, at + 3);
  const helloBytes = buffer[start + 1] << 16 | wordAt(buffer, start + 2);
  if (end > at + length || start + helloHeaderBytes + helloBytes !== end) return false;
  const type = buffer[start];
  if (type === 1) {
    const offer = end === at + length ? readOffer(buffer, start + helloHeaderBytes, end) : null;
    if (offer) keepClientOffer(facts, offer);
    return offer !== null;
  }
  // What follows is encrypted, or a ChangeCipherSpec: no certificate to read.
  if (type !== 2 || (end < at + length && buffer[end] !== 20 && buffer[end] !== 23)) return false;
  const choice = readChoice(buffer, start + helloHeaderBytes, end);
  if (choice) keepServerChoice(facts, choice);
  return choice !== null;
}

function readOffer(buffer: Uint8Array, start: number, end: number): ClientOffer | null {
  let at = start + fixedBytes;
  at += 1 + buffer[at];
  if (at + 2 > end) return null;
  const ciphers = words(buffer, at + 2, wordAt(buffer, at), end);
  if (ciphers === null) return null;
  at += 2 + wordAt(buffer, at);
  if (at >= end) return null;
  at += 1 + buffer[at];
  const offer: ClientOffer = {
    quic: false,
    handshakeVersion: wordAt(buffer, start),
    versions: [],
    sni: "",
    ciphers,
    extensions: [],
    signatureAlgorithms: [],
    alpn: "",
    ja3: "",
  };
  const curves = { groups: [] as number[], formats: [] as number[] };
  if (
    !walkExtensions(buffer, at, end, (type, from, to) => {
      offer.extensions.push(type);
      return readOffered(buffer, type, from, to, offer, curves);
    })
  ) return null;
  const lists = [ciphers, offer.extensions, curves.groups].map((list) =>
    list.filter((value) => !isGrease(value)).join("-")
  );
  offer.ja3 = md5([offer.handshakeVersion, ...lists, curves.formats.join("-")].join(","));
  return offer;
}

/** One extension of a ClientHello; false when it is not plain. */
function readOffered(
  buffer: Uint8Array,
  type: number,
  from: number,
  to: number,
  offer: ClientOffer,
  curves: { groups: number[]; formats: number[] },
): boolean {
  switch (type) {
    case extension.serverName: {
      const name = readServerName(buffer, from, to);
      offer.sni = name ?? "";
      return name !== null;
    }
    case extension.groups: {
      const groups = listOfWords(buffer, from, to);
      if (groups) curves.groups = groups;
      return groups !== null;
    }
    case extension.pointFormats:
      if (from >= to || from + 1 + buffer[from] !== to) return false;
      curves.formats = [...buffer.subarray(from + 1, to)];
      return true;
    case extension.signatureAlgorithms: {
      const algorithms = listOfWords(buffer, from, to);
      if (algorithms) offer.signatureAlgorithms = algorithms;
      return algorithms !== null;
    }
    case extension.supportedVersions: {
      const versions = from < to ? words(buffer, from + 1, buffer[from], to) : null;
      if (versions) offer.versions = versions;
      return versions !== null && from + 1 + buffer[from] === to;
    }
    case extension.alpn: {
      const alpn = readAlpn(buffer, from, to);
      offer.alpn = alpn ?? "";
      return alpn !== null;
    }
    default:
      return true;
  }
}

function readChoice(buffer: Uint8Array, start: number, end: number): ServerChoice | null {
  let at = start + fixedBytes;
  at += 1 + buffer[at];
  if (at + 3 > end) return null;
  const legacyVersion = wordAt(buffer, start);
  const cipher = wordAt(buffer, at);
  const choice: ServerChoice = { version: legacyVersion, cipher, alpn: "", ja3s: "" };
  const extensions: number[] = [];
  const isPlain = walkExtensions(buffer, at + 3, end, (type, from, to) => {
    extensions.push(type);
    if (type === extension.supportedVersions && to - from === 2) choice.version = wordAt(buffer, from);
    if (type !== extension.alpn) return true;
    const alpn = readAlpn(buffer, from, to);
    choice.alpn = alpn ?? "";
    return alpn !== null;
  });
  if (!isPlain) return null;
  choice.ja3s = md5([legacyVersion, cipher, extensions.join("-")].join(","));
  return choice;
}

/** Calls `take` for each extension of the list at `at`, which must end at `end`; false when it does not, or `take` says so. */
function walkExtensions(
  buffer: Uint8Array,
  at: number,
  end: number,
  take: (type: number, from: number, to: number) => boolean,
): boolean {
  if (at === end) return true;
  if (at + 2 > end || at + 2 + wordAt(buffer, at) !== end) return false;
  let next = at + 2;
  while (next + 4 <= end) {
    const from = next + 4;
    const to = from + wordAt(buffer, next + 2);
    if (to > end || !take(wordAt(buffer, next), from, to)) return false;
    next = to;
  }
  return next === end;
}

/** The one host name of a list of one; null when it is anything else. */
function readServerName(buffer: Uint8Array, from: number, to: number): string | null {
  if (to - from < 6 || buffer[from + 2] !== 0) return null;
  if (from + 2 + wordAt(buffer, from) !== to || from + 5 + wordAt(buffer, from + 3) !== to) return null;
  return readToken(buffer, from + 5, to);
}

/** First of the protocols; null when the list is not plain. */
function readAlpn(buffer: Uint8Array, from: number, to: number): string | null {
  if (to - from < 4 || from + 2 + wordAt(buffer, from) !== to) return null;
  const end = from + 3 + buffer[from + 2];
  return end > to ? null : readToken(buffer, from + 3, end);
}

/** Letters, digits, and what else names are made of; null when an octet is anything else. */
function readToken(buffer: Uint8Array, start: number, end: number): string | null {
  let text = "";
  for (let i = start; i < end; i++) {
    const octet = buffer[i];
    if (octet <= 0x20 || octet > 0x7e || octet === 0x5c || octet === 0x22 || octet === 0x2c) return null;
    text += String.fromCharCode(octet);
  }
  return text;
}

function listOfWords(buffer: Uint8Array, from: number, to: number): number[] | null {
  if (to - from < 2 || from + 2 + wordAt(buffer, from) !== to) return null;
  return words(buffer, from + 2, to - from - 2, to);
}

function words(buffer: Uint8Array, from: number, bytes: number, end: number): number[] | null {
  if (from + bytes > end || (bytes & 1) !== 0) return null;
  const list: number[] = [];
  for (let at = from; at < from + bytes; at += 2) list.push(wordAt(buffer, at));
  return list;
}

function md5(text: string): string {
  return createHash("md5").update(text).digest("hex");
}
