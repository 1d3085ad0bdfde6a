/** A batch: segments sealed together, as it travels in Kafka, over HTTP and on disk.
 *
 * | part      | where                         | form                                                               |
 * | --------- | ----------------------------- | ------------------------------------------------------------------ |
 * | value     | Kafka record value, HTTP body | columnar JSON, `{"start_us":[..], ..}`, see {@link segmentColumns} |
 * | sensor    | header `picket-sensor`        | sensor id                                                          |
 * | key       | header `picket-key`           | key id: first 16 hex digits of SHA-256 of the raw public key       |
 * | epoch     | header `picket-epoch`         | rises at each start of the sensor                                  |
 * | bucket    | header `picket-bucket`        | 0 .. buckets-1; also the Kafka record key                          |
 * | seq       | header `picket-seq`           | rises by one in each (epoch, bucket), from 1                       |
 * | flows     | header `picket-flows`         | rows in the value                                                  |
 * | sealed    | header `picket-sealed`        | sensor's clock when sealed, ms since the epoch                     |
 * | sha256    | header `picket-sha256`        | of the uncompressed value, hex                                     |
 * | signature | header `picket-signature`     | Ed25519 over {@link signedText}, base64                            |
 *
 * In: segment columns and a private key. Out: header and value; on the other side a checked table, or a reason.
 * Invariant: nothing of a batch is used before its signature, size and every column have been checked.
 * Why synchronous crypto: a seed then replays a simulation exactly. @module */

import { Buffer } from "node:buffer";
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";

export const batchTopic = "picket.batches.v1";

/** Limits of one batch, checked before anything is allocated for it. */
export const batchLimits = {
  /** Octets of the uncompressed value. */
  valueBytesMax: 8 * 1024 * 1024,
  /** Uncompressed octets for each compressed one. */
  ratioMax: 64,
  flowsMax: 20_000,
} as const;

export interface BatchHeader {
  sensor: string;
  key: string;
  epoch: number;
  bucket: number;
  seq: number;
  flows: number;
  sealed: number;
  sha256: string;
  signature: string;
}

export interface Batch {
  header: BatchHeader;
  /** Columnar JSON, uncompressed. */
  value: Uint8Array;
}

/** Why a batch is refused. The label set of `batches_refused_total`. */
export const refusals = [
  "header_missing",
  "header_malformed",
  "too_large",
  "ratio",
  "compression",
  "sha256",
  "unknown_sensor",
  "revoked",
  "unknown_key",
  "signature",
  "not_json",
  "column_unknown",
  "column_length",
  "column_value",
  "flow_count",
  "bucket",
] as const;
export type Refusal = typeof refusals[number];

const headerNames = [
  "sensor",
  "key",
  "epoch",
  "bucket",
  "seq",
  "flows",
  "sealed",
  "sha256",
  "signature",
] as const;
const encoder = new TextEncoder();

/** The text a sensor signs. */
export function signedText(header: Omit<BatchHeader, "signature">): string {
  return `picket.batch.v1\n${headerNames.slice(0, 8).map((name) => header[name as "sensor"]).join("\n")}`;
}

/** Signs `value` and makes its header.
 *
 * @example From a sensor to an aggregator, and a value that was changed on the way.
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { keyId, keysFromSeed, publicKeyFromRaw, readHeader, sealBatch, verifyBatch, writeHeader } from "./batch.ts";
 *
 * const { privateKey, publicKey } = keysFromSeed(new Uint8Array(32).fill(7));
 * const value = new TextEncoder().encode('{"src_ip":["10.0.0.5"]}');
 * const position = { epoch: 1, bucket: 0, seq: 1, flows: 1, sealed: 1_700_000_000_000 };
 * const batch = sealBatch(value, { sensor: "s1", key: keyId(publicKey), privateKey }, position);
 *
 * const headers = writeHeader(batch.header);
 * assertEquals(readHeader((name) => headers[name]), batch.header);
 * assertEquals(verifyBatch(batch, publicKeyFromRaw(publicKey)), null);
 * const changed = { ...batch, value: value.with(2, 0x53) };
 * assertEquals(verifyBatch(changed, publicKeyFromRaw(publicKey)), "sha256");
 * ``` */
export function sealBatch(
  value: Uint8Array,
  identity: { sensor: string; key: string; privateKey: KeyObject },
  position: { epoch: number; bucket: number; seq: number; flows: number; sealed: number },
): Batch {
  const unsigned = { sensor: identity.sensor, key: identity.key, ...position, sha256: sha256Hex(value) };
  const signature = sign(null, encoder.encode(signedText(unsigned)), identity.privateKey).toString("base64");
  return { header: { ...unsigned, signature }, value };
}

/** Header as string pairs, for Kafka, HTTP and the spool. */
export function writeHeader(header: BatchHeader): Record<string, string> {
  return Object.fromEntries(headerNames.map((name) => [`picket-${name}`, String(header[name])]));
}

/** Reads what {@link writeHeader} wrote. `get` answers undefined for a missing name. */
export function readHeader(get: (name: string) => string | undefined): BatchHeader | Refusal {
  const text = {} as Record<typeof headerNames[number], string>;
  for (const name of headerNames) {
    const value = get(`picket-${name}`);
    if (value === undefined) return "header_missing";
    if (value.length > 128) return "header_malformed";
    text[name] = value;
  }
  const numbers = [text.epoch, text.bucket, text.seq, text.flows, text.sealed];
  if (!numbers.every((digits) => /^(0|[1-9][0-9]{0,14})$/.test(digits))) return "header_malformed";
  if (!/^[0-9a-f]{64}$/.test(text.sha256) || !/^[0-9a-f]{16}$/.test(text.key)) return "header_malformed";
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(text.sensor) || !/^[A-Za-z0-9+/]{86}==$/.test(text.signature)) {
    return "header_malformed";
  }
  const [epoch, bucket, seq, flows, sealed] = numbers.map(Number);
  if (flows < 1 || flows > batchLimits.flowsMax) return "flow_count";
  const { sensor, key, sha256, signature } = text;
  return { sensor, key, epoch, bucket, seq, flows, sealed, sha256, signature };
}

/** A header whose signature was found good. To have one is the proof: nothing but {@link checkHeader} makes one. */
class CheckedHeader {
  readonly header: Readonly<BatchHeader>;
  readonly #key: string;

  constructor(header: BatchHeader, key: KeyObject) {
    this.header = Object.freeze({ ...header });
    this.#key = spkiOf(key);
  }

  /** Whether this is the key by which it is good. */
  isBy(key: KeyObject): boolean {
    return this.#key === spkiOf(key);
  }
}
export type { CheckedHeader };

const spkis = new WeakMap<KeyObject, string>();

/** A public key as text, once for each key. Not `equals`, which Deno 2.9.3 does not have. */
function spkiOf(key: KeyObject): string {
  let spki = spkis.get(key);
  if (spki === undefined) {
    spki = key.export({ format: "der", type: "spki" }).toString("base64");
    spkis.set(key, spki);
  }
  return spki;
}

/** Checks the signature of a header against the sensor's public key. Null = it is not good. */
export function checkHeader(header: BatchHeader, publicKey: KeyObject): CheckedHeader | null {
  const isGood = verifyText(signedText(header), header.signature, publicKey);
  return isGood ? new CheckedHeader(header, publicKey) : null;
}

/** Checks hash and signature of a batch against the sensor's public key. Null = good. The signature of a header that
 * was checked with the same key is not checked again. */
export function verifyBatch(
  batch: Batch,
  publicKey: KeyObject,
  checked: CheckedHeader | null = null,
): Refusal | null {
  const { header, value } = batch;
  if (value.length > batchLimits.valueBytesMax) return "too_large";
  if (sha256Hex(value) !== header.sha256) return "sha256";
  if (checked?.header === header && checked.isBy(publicKey)) return null;
  return checkHeader(header, publicKey) === null ? "signature" : null;
}

export function sha256Hex(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Key id of a raw Ed25519 public key. */
export function keyId(publicKey: Uint8Array): string {
  return sha256Hex(publicKey).slice(0, 16);
}

const spkiPrefix = Buffer.from("302a300506032b6570032100", "hex"); // RFC 8410: SubjectPublicKeyInfo of Ed25519.
const pkcs8Prefix = Buffer.from("302e020100300506032b657004220420", "hex"); // RFC 8410: PrivateKeyInfo of Ed25519.

/** Public key object from 32 raw bytes. @throws {RangeError} on another length. */
export function publicKeyFromRaw(raw: Uint8Array): KeyObject {
  if (raw.length !== 32) {
    throw new RangeError(`Cannot read public key as it must have 32 bytes: current length is ${raw.length}`);
  }
  return createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: "der", type: "spki" });
}

/** Private key object from its 32-byte seed, and the raw public key. @throws {RangeError} on another length. */
export function keysFromSeed(seed: Uint8Array): { privateKey: KeyObject; publicKey: Uint8Array } {
  if (seed.length !== 32) {
    throw new RangeError(
      `Cannot read private key as it must have 32 bytes: current length is ${seed.length}`,
    );
  }
  const privateKey = createPrivateKey({
    key: Buffer.concat([pkcs8Prefix, seed]),
    format: "der",
    type: "pkcs8",
  });
  const spki = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  return { privateKey, publicKey: new Uint8Array(spki.subarray(spki.length - 32)) };
}

/** Signs any text with a sensor's key; base64. */
export function signText(text: string, privateKey: KeyObject): string {
  return sign(null, encoder.encode(text), privateKey).toString("base64");
}

/** Checks what {@link signText} made. */
export function verifyText(text: string, signature: string, publicKey: KeyObject): boolean {
  const bytes = Buffer.from(signature, "base64");
  return bytes.length === 64 && verify(null, encoder.encode(text), publicKey, bytes);
}
