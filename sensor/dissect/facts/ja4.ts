/** JA4, the fingerprint of a TLS client (FoxIO, BSD 3-Clause; specification "technical_details/JA4.md").
 *
 * In: what a ClientHello offers, as numbers in wire order. Out: "t13d1516h2_8daaf6152771_e5627efa2ab1".
 * Invariant: GREASE values never count; the same offers in another order give the same first two hashes.
 * Why here: tshark 4.0 (Debian 12, Raspberry Pi OS) has no such field; what it is made of, every version has.
 * @module */

import { createHash } from "node:crypto";

export interface ClientHello {
  quic: boolean;
  /** Highest version offered in `supported_versions`, else that of the handshake. */
  version: number;
  sni: boolean;
  ciphers: readonly number[];
  extensions: readonly number[];
  /** Of extension 13, in wire order. */
  signatureAlgorithms: readonly number[];
  /** First ALPN value, "" = none. */
  alpn: string;
}

const versionTexts: Readonly<Record<number, string>> = {
  0x0304: "13",
  0x0303: "12",
  0x0302: "11",
  0x0301: "10",
  0x0300: "s3",
  0x0002: "s2",
  0xfeff: "d1",
  0xfefd: "d2",
  0xfefc: "d3",
};
const sniExtension = 0;
const alpnExtension = 16;

/** Reserved values a client mixes in to keep servers tolerant (RFC 8701): 0x0a0a, 0x1a1a, ... */
export function isGrease(value: number): boolean {
  return (value & 0x0f0f) === 0x0a0a && value >> 8 === (value & 0xff);
}

/** JA4 of a ClientHello. */
export function ja4(hello: ClientHello): string {
  const ciphers = hello.ciphers.filter((value) => !isGrease(value));
  const extensions = hello.extensions.filter((value) => !isGrease(value));
  const signatures = hello.signatureAlgorithms.filter((value) => !isGrease(value));
  const head = (hello.quic ? "q" : "t") + (versionTexts[hello.version] ?? "00") + (hello.sni ? "d" : "i") +
    twoDigits(ciphers.length) + twoDigits(extensions.length) + alpnMark(hello.alpn);
  const hashed = extensions.filter((value) => value !== sniExtension && value !== alpnExtension);
  const tail = sortedHex(hashed) + (signatures.length > 0 ? "_" + signatures.map(hex4).join(",") : "");
  return `${head}_${hash12(sortedHex(ciphers))}_${hashed.length === 0 ? emptyHash : hash12(tail)}`;
}

const emptyHash = "000000000000";

/** Texts hashed lately: browsers shuffle their extensions anew for each hello; sorted they are the same few texts. */
const hashes = new Map<string, string>();
const hashesMax = 1_024;
const hashedCharactersMax = 1_024;

function hash12(text: string): string {
  if (text === "") return emptyHash;
  const known = hashes.get(text);
  if (known !== undefined) return known;
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 12);
  if (text.length > hashedCharactersMax) return hash;
  if (hashes.size >= hashesMax) hashes.clear();
  hashes.set(text, hash);
  return hash;
}

function sortedHex(values: readonly number[]): string {
  return values.map(hex4).sort().join(",");
}

function hex4(value: number): string {
  return value.toString(16).padStart(4, "0");
}

function twoDigits(count: number): string {
  return String(Math.min(count, 99)).padStart(2, "0");
}

/** First and last character; of the hex text when either is no letter or digit. */
function alpnMark(alpn: string): string {
  if (alpn === "") return "00";
  const ends = alpn[0] + alpn[alpn.length - 1];
  if (/^[0-9A-Za-z]{2}$/.test(ends)) return ends;
  const bytes = new TextEncoder().encode(alpn);
  return (bytes[0] >> 4).toString(16) + (bytes[bytes.length - 1] & 15).toString(16);
}
