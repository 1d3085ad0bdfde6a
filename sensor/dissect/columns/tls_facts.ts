/** Reads TLS handshakes, in TCP or in QUIC, out of the columns of one packet.
 *
 * In: the columns of one line. Out: {@link TlsFact} and, for QUIC, `facts.quic`.
 * Invariant: what the server chose replaces what the client offered, never the other way round; the server name of a
 * QUIC connection stands in `quic` only. @module */

import type { Facts, TlsFact } from "../../../shared/facts.ts";
import { boundText, wireNumber } from "../facts/bounds.ts";
import { readCertificate } from "./certificate_facts.ts";
import { isGrease, ja4 } from "../facts/ja4.ts";
import { slot } from "./slots.ts";
import { splitPlain } from "./split.ts";
import { cipherName, tlsVersionName } from "../facts/tls_names.ts";

const clientHello = 1;
const serverHello = 2;
const certificate = 11;
const signatureAlgorithmsExtension = 13;
const delegatedCredentialsExtension = 34;
const signatureAlgorithmsCertExtension = 50;

/** What a client offers, numbers in wire order. */
export interface ClientOffer {
  quic: boolean;
  handshakeVersion: number;
  /** Of `supported_versions`. */
  versions: readonly number[];
  ciphers: readonly number[];
  extensions: readonly number[];
  signatureAlgorithms: readonly number[];
  /** The first one, "" = none. */
  alpn: string;
  /** "" = not known. */
  ja3: string;
}

/** The same in the words of facts. */
export interface OfferWords {
  readonly quic: boolean;
  readonly version: string;
  readonly alpn: string;
  readonly ja3: string;
  readonly ja4: string;
}

/** What a server chose; undefined or "" = not known. */
export interface ServerChoice {
  version: number | undefined;
  cipher: number | undefined;
  alpn: string;
  ja3s: string;
}

/** The same in the words of facts; "" = not known. */
export interface ChoiceWords {
  readonly version: string;
  readonly cipher: string;
  readonly alpn: string;
  readonly ja3s: string;
}

/** Adds the handshake messages of one packet to `facts`. */
export function readTls(columns: readonly string[], facts: Facts, quic: boolean): void {
  if (quic) readQuicVersion(columns, facts);
  const types = splitPlain(columns[slot.kind]).map(wireNumber);
  if (types.length === 0) return;
  if (types.includes(clientHello)) readClientHello(columns, facts, quic);
  else if (types.includes(serverHello)) readServerHello(columns, facts);
  if (types.includes(certificate)) readCertificate(columns, facts);
}

function readQuicVersion(columns: readonly string[], facts: Facts): void {
  const versions = splitPlain(columns[slot.responseType]);
  const version = versions.map(wireNumber).find((value) => value !== 0);
  const fact = facts.quic ??= {};
  if (version !== undefined) fact.version ??= quicVersionName(version);
}

function readClientHello(columns: readonly string[], facts: Facts, quic: boolean): void {
  const extensions = numbers(columns[slot.answers]);
  const words = offerWords({
    quic,
    handshakeVersion: numbers(columns[slot.status])[0] ?? 0,
    versions: numbers(columns[slot.rcode]),
    ciphers: numbers(columns[slot.questions]),
    extensions,
    signatureAlgorithms: signatureAlgorithms(columns, extensions),
    alpn: firstAlpn(columns[slot.srv]),
    ja3: splitPlain(columns[slot.ptr])[0] ?? "",
  });
  keepClientOffer(facts, columns[slot.name], words);
}

/** Words for what a client offers. */
export function offerWords(offer: ClientOffer): OfferWords {
  const { quic, alpn, ja3 } = offer;
  const offered = offer.versions.filter((value) => !isGrease(value));
  const version = offered.length > 0 ? Math.max(...offered) : offer.handshakeVersion;
  const fingerprint = ja4({ ...offer, version, sni: offer.extensions.includes(0) });
  return { quic, version: tlsVersionName(version), alpn, ja3, ja4: fingerprint };
}

/** Keeps what a client offers, unless something was kept of it before; `sni` "" = none. */
export function keepClientOffer(
  facts: Facts,
  sni: string,
  { quic, version, alpn, ja3, ja4 }: OfferWords,
): void {
  const tls: TlsFact = facts.tls ??= {};
  const fact = quic ? facts.quic ??= {} : tls;
  if (sni !== "") fact.sni ??= boundText(facts, sni);
  fact.ja4 ??= ja4;
  tls.version ??= version;
  if (alpn !== "") tls.alpn ??= boundText(facts, alpn);
  if (ja3 !== "") tls.ja3 ??= boundText(facts, ja3);
}

function readServerHello(columns: readonly string[], facts: Facts): void {
  const words = choiceWords({
    version: numbers(columns[slot.rcode])[0] ?? numbers(columns[slot.status])[0],
    cipher: numbers(columns[slot.questions])[0],
    alpn: firstAlpn(columns[slot.srv]),
    ja3s: splitPlain(columns[slot.mx])[0] ?? "",
  });
  keepServerChoice(facts, words);
}

/** Words for what a server chose. */
export function choiceWords({ version, cipher, alpn, ja3s }: ServerChoice): ChoiceWords {
  return {
    version: version === undefined ? "" : tlsVersionName(version),
    cipher: cipher === undefined ? "" : cipherName(cipher),
    alpn,
    ja3s,
  };
}

/** Keeps what a server chose, in place of what its client offered. */
export function keepServerChoice(facts: Facts, { version, cipher, alpn, ja3s }: ChoiceWords): void {
  const tls: TlsFact = facts.tls ??= {};
  if (version !== "") tls.version = version;
  if (cipher !== "") tls.cipher = cipher;
  if (alpn !== "") tls.alpn = boundText(facts, alpn);
  if (ja3s !== "") tls.ja3s ??= boundText(facts, ja3s);
}

/** Algorithms of extension 13 alone: tshark lists those of three extensions in one row,
 * and the lengths of each apart. */
function signatureAlgorithms(columns: readonly string[], extensions: readonly number[]): readonly number[] {
  const all = numbers(columns[slot.type]);
  const lengths = numbers(columns[slot.text]);
  const owners = extensions.filter((type) =>
    type === signatureAlgorithmsExtension || type === delegatedCredentialsExtension ||
    type === signatureAlgorithmsCertExtension
  );
  if (!owners.includes(signatureAlgorithmsExtension)) return [];
  if (owners.length !== lengths.length) return all;
  let start = 0;
  for (let i = 0; i < owners.length; i++) {
    const end = start + lengths[i] / 2;
    if (owners[i] === signatureAlgorithmsExtension) return all.slice(start, end);
    start = end;
  }
  return all;
}

function firstAlpn(text: string): string {
  const comma = text.indexOf(",");
  return comma < 0 ? text : text.slice(0, comma);
}

function numbers(text: string): number[] {
  return splitPlain(text).map(wireNumber);
}

function quicVersionName(version: number): string {
  if (version === 1) return "1";
  if (version === 0x6b3343cf) return "2";
  if (version >>> 8 === 0xff0000) return `draft-${version & 0xff}`;
  return `0x${version.toString(16).padStart(8, "0")}`;
}
