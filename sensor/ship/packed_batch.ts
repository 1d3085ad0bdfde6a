/** A batch as one file of the spool, and as one HTTP body.
 *
 * | part   | form                                                              |
 * | ------ | ----------------------------------------------------------------- |
 * | header | one line of JSON: what `writeHeader` makes, and the SHA-256 `body` |
 * | body   | the value, one zstd frame                                         |
 *
 * In: a sealed batch. Out: its octets; on the way back the batch, or why it cannot be used.
 * Invariant: a body never unpacks to more than `batchLimits.ratioMax` times its size,
 * so that no receiver takes it for a bomb. @module */

import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import {
  type Batch,
  type BatchHeader,
  batchLimits,
  readHeader,
  sha256Hex,
  writeHeader,
} from "../../shared/batch.ts";

/** Why a file of the spool is set aside. */
export const damages = ["header", "name", "body", "identity"] as const;
export type Damage = typeof damages[number];

export interface PackedBatch {
  header: BatchHeader;
  /** The value as one zstd frame. */
  body: Uint8Array;
}

/** Columns of digits shrink no further at level 3, and take twice as long. */
const compressionLevel = 1;
const headerBytesMax = 4_096;
const storedBlockBytesMax = 128 * 1024;

/** A batch as it is written. */
export interface BatchFile {
  header: BatchHeader;
  bytes: Uint8Array<ArrayBuffer>;
}

/** The file of a batch. */
export function packBatch({ header, value }: Batch): BatchFile {
  return packFile(header, packValue(value));
}

/** The file of a batch whose value is packed already. */
export function packFile(header: BatchHeader, body: Uint8Array): BatchFile {
  const line = JSON.stringify({ ...writeHeader(header), body: sha256Hex(body) }) + "\n";
  return { header, bytes: concat([new TextEncoder().encode(line), body]) };
}

/** Reads the octets that {@link packBatch} made, and checks it as far as that is possible without the sensor's key. */
export function unpackBatch(file: Uint8Array): PackedBatch | Damage {
  const end = file.subarray(0, headerBytesMax).indexOf(10);
  if (end < 0) return "header";
  let named: unknown;
  try {
    named = JSON.parse(new TextDecoder().decode(file.subarray(0, end)));
  } catch {
    return "header";
  }
  if (typeof named !== "object" || named === null) return "header";
  const text = (name: string) => {
    const value = (named as Record<string, unknown>)[name];
    return typeof value === "string" ? value : undefined;
  };
  const header = readHeader(text);
  if (typeof header === "string") return "header";
  const body = file.subarray(end + 1);
  // Of what was compressed, not of the value: HTTP ships it as it is, and need not unpack it for this.
  return sha256Hex(body) === text("body") ? { header, body } : "body";
}

/** The columnar JSON of a batch that {@link unpackBatch} gave back. */
export function valueOf({ body }: PackedBatch): Uint8Array {
  return new Uint8Array(zstdDecompressSync(body, { maxOutputLength: batchLimits.valueBytesMax }));
}

/** One zstd frame. Ten thousand flows of one scan can shrink a hundredfold; those travel stored, not compressed. */
export function packValue(value: Uint8Array): Uint8Array {
  const packed = zstdCompressSync(value, {
    params: { [constants.ZSTD_c_compressionLevel]: compressionLevel },
  });
  return packed.length * (batchLimits.ratioMax - 1) < value.length ? storedFrame(value) : packed;
}

/** A zstd frame of raw blocks (RFC 8878, 3.1.1): single segment, 4-octet content size. */
function storedFrame(value: Uint8Array): Uint8Array {
  const size = value.length;
  const parts: Uint8Array[] = [
    Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0xa0, size & 255, size >> 8 & 255, size >> 16 & 255, size >>> 24),
  ];
  for (let from = 0; from < size; from += storedBlockBytesMax) {
    const to = Math.min(size, from + storedBlockBytesMax);
    const block = (to - from) << 3 | (to === size ? 1 : 0);
    parts.push(Uint8Array.of(block & 255, block >> 8 & 255, block >> 16 & 255), value.subarray(from, to));
  }
  return concat(parts);
}

function concat(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
