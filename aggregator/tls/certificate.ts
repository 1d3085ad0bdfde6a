/** Makes X.509 v3 certificates: an authority's own, and a server's that it signs.
 *
 * In: names, times, a serial number, keys. Out: PEM.
 * Everything is ECDSA P-256 with SHA-256, which every client understands.
 * Invariant: an authority may only sign (CA, path length 0), a server's certificate may only serve (no CA, serverAuth):
 * TLS libraries refuse one in the other's place.
 * Why written out here: it is one fixed structure that is only ever written;
 * the library that does it brings twenty packages. @module */

import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { parseIp } from "../../shared/ip.ts";

export interface KeyPair {
  privateKey: KeyObject;
  publicKey: KeyObject;
}

export interface Validity {
  fromMs: number;
  toMs: number;
}

export interface Issuer {
  name: string;
  keys: KeyPair;
}

export function makeKeys(): KeyPair {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

/** The authority's own certificate. `serial` is 16 random octets. */
export function makeAuthority(issuer: Issuer, validity: Validity, serial: Uint8Array): string {
  const extensions = [
    extension(oids.basicConstraints, sequence(boolean(true), integer(Uint8Array.of(0))), true),
    extension(oids.keyUsage, bitString(Uint8Array.of(0b0000_0110), 1), true), // keyCertSign, cRLSign
    extension(oids.subjectKey, octets(keyIdOf(issuer.keys.publicKey))),
  ];
  return certificate({
    subject: issuer.name,
    key: issuer.keys.publicKey,
    issuer,
    validity,
    serial,
    extensions,
  });
}

/** A server's certificate for `names`: DNS names and IP addresses. */
export function makeServerCertificate(
  { names, key, issuer, validity, serial }: {
    names: readonly string[];
    key: KeyObject;
    issuer: Issuer;
    validity: Validity;
    serial: Uint8Array;
  },
): string {
  const extensions = [
    extension(oids.basicConstraints, sequence(), true),
    extension(oids.keyUsage, bitString(Uint8Array.of(0b1000_0000), 7), true), // digitalSignature
    extension(oids.extendedKeyUsage, sequence(oid(oids.serverAuth))),
    extension(oids.subjectNames, sequence(...names.map(generalName))),
    extension(oids.subjectKey, octets(keyIdOf(key))),
    extension(oids.authorityKey, sequence(tagged(0x80, keyIdOf(issuer.keys.publicKey)))),
  ];
  return certificate({ subject: "Picket aggregator", key, issuer, validity, serial, extensions });
}

export function privateKeyPem({ privateKey }: KeyPair): string {
  return privateKey.export({ format: "pem", type: "pkcs8" }) as string;
}

interface Parts {
  subject: string;
  key: KeyObject;
  issuer: Issuer;
  validity: Validity;
  serial: Uint8Array;
  extensions: Uint8Array[];
}

function certificate({ subject, key, issuer, validity, serial, extensions }: Parts): string {
  const algorithm = sequence(oid(oids.ecdsaWithSha256));
  const signed = sequence(
    tagged(0xa0, integer(Uint8Array.of(2))), // Version 3.
    integer(serial),
    algorithm,
    commonName(issuer.name),
    sequence(time(validity.fromMs), time(validity.toMs)),
    commonName(subject),
    new Uint8Array(key.export({ format: "der", type: "spki" }) as Uint8Array),
    tagged(0xa3, sequence(...extensions)),
  );
  const signature = new Uint8Array(sign("sha256", signed, issuer.keys.privateKey));
  return pem(sequence(signed, algorithm, bitString(signature)));
}

const oids = {
  commonName: "2.5.4.3",
  subjectKey: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectNames: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKey: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
} as const;

function extension(id: string, value: Uint8Array, isCritical = false): Uint8Array {
  return sequence(oid(id), ...(isCritical ? [boolean(true)] : []), octets(value));
}

function generalName(name: string): Uint8Array {
  const address = parseIp(name);
  return address ? tagged(0x87, address) : tagged(0x82, new TextEncoder().encode(name));
}

function commonName(name: string): Uint8Array {
  return sequence(tagged(0x31, sequence(oid(oids.commonName), tagged(0x0c, new TextEncoder().encode(name)))));
}

/** As in RFC 5280, 4.2.1.2: SHA-1 is an identifier here, it protects nothing. */
function keyIdOf(key: KeyObject): Uint8Array {
  const { x, y } = key.export({ format: "jwk" });
  const point = concat([Uint8Array.of(4), fromBase64Url(x!), fromBase64Url(y!)]);
  return new Uint8Array(createHash("sha1").update(point).digest());
}

function fromBase64Url(text: string): Uint8Array {
  return Uint8Array.fromBase64(text, { alphabet: "base64url" });
}

/** RFC 5280: two digits of the year until 2049, four from then on. */
function time(ms: number): Uint8Array {
  const text = new Date(ms).toISOString().replace(/[-:T]|\.[0-9]+/g, "");
  const isShort = Number(text.slice(0, 4)) < 2_050;
  return tagged(isShort ? 0x17 : 0x18, new TextEncoder().encode(isShort ? text.slice(2) : text));
}

function boolean(value: boolean): Uint8Array {
  return tagged(0x01, Uint8Array.of(value ? 0xff : 0));
}

/** A whole number that is not negative, big-endian. */
function integer(bytes: Uint8Array): Uint8Array {
  let at = 0;
  while (at < bytes.length - 1 && bytes[at] === 0) at++;
  const digits = bytes.subarray(at);
  return tagged(0x02, digits[0] > 0x7f ? concat([Uint8Array.of(0), digits]) : digits);
}

function octets(value: Uint8Array): Uint8Array {
  return tagged(0x04, value);
}

function bitString(value: Uint8Array, unusedBits = 0): Uint8Array {
  return tagged(0x03, concat([Uint8Array.of(unusedBits), value]));
}

function oid(text: string): Uint8Array {
  const [first, second, ...rest] = text.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (const number of rest) {
    const groups = [number & 0x7f];
    for (let left = number >>> 7; left > 0; left >>>= 7) groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return tagged(0x06, Uint8Array.from(bytes));
}

function sequence(...parts: Uint8Array[]): Uint8Array {
  return tagged(0x30, concat(parts));
}

function tagged(tag: number, value: Uint8Array): Uint8Array {
  const length = value.length < 0x80
    ? [value.length]
    : value.length < 0x100
    ? [0x81, value.length]
    : [0x82, value.length >> 8, value.length & 0xff];
  return concat([Uint8Array.of(tag, ...length), value]);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function pem(der: Uint8Array): string {
  const lines = der.toBase64().match(/.{1,64}/g)!;
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}
