/** Reads Kafka's record sets (message format 2), so that nothing a producer sent can end a consumer.
 *
 * In: the octets of one partition in a fetch answer. Out: records in the shape kafkajs uses. A set that cannot be read
 * is one record with a `fault` at the set's last offset, so that a reader goes on behind it;
 * what was good before the fault is kept.
 * Invariant: nothing throws; octets unpacked, records a set and headers a record are bounded. A set that is cut off at
 * the end of the answer is left for the next fetch;
 * so is what exceeds {@link recordLimits.answerBytesMax}, but never the first set.
 * Why not kafkajs' own reader: it throws on a codec it lacks, on an unknown version, and on a malformed record, unpacks
 * without limit, reads headers in quadratic time and spreads a set onto the stack:
 * each ends the consumer, again at every start.
 * Source: "Record batch" in Kafka's documentation, implementation/message-format. @module */

import type { Buffer } from "node:buffer";
import { Buffer as Buffers } from "node:buffer";
import { batchLimits } from "./batch.ts";
import { type CodecFault, unpackWith } from "./kafka_codecs.ts";

export const recordLimits = {
  /** Uncompressed octets of the records that one producer sent together; a sensor stays far below. */
  setBytesMax: 2 * batchLimits.valueBytesMax,
  /** Uncompressed octets of one partition in one answer. */
  answerBytesMax: 4 * batchLimits.valueBytesMax,
  setRecordsMax: 10_000,
  headersMax: 64,
  headerNameMax: 256,
} as const;

/** Why a set, or the rest of one, is not read. */
export type RecordFault = CodecFault | "record_malformed" | "record_version";

/** A record as kafkajs hands it on; `fault` is ours. */
export interface KafkaRecord {
  magicByte: number;
  attributes: number;
  timestamp: string;
  offset: string;
  key: Buffer | null;
  value: Buffer | null;
  headers: { [name: string]: Buffer | null };
  isControlRecord: boolean;
  batchContext: { producerId: string; inTransaction: boolean };
  fault?: RecordFault;
}

interface SetHeader {
  baseOffset: bigint;
  lastOffset: bigint;
  magic: number;
  codec: number;
  count: number;
  firstTimestamp: bigint;
  /** Of all records, where the broker stamps them. */
  appendTimestamp: bigint | null;
  isControl: boolean;
  context: { producerId: string; inTransaction: boolean };
  body: Buffer;
}

const prefixBytes = 12; // Base offset, length.
const headerBytes = 61;
const sampleBytesMax = 4_096;

/** Reads all whole sets of `bytes`. */
export function readRecordSets(bytes: Buffer): KafkaRecord[] {
  const records: KafkaRecord[] = [];
  let unpacked = 0;
  for (let at = 0; at + prefixBytes <= bytes.length;) {
    const end = at + prefixBytes + Math.max(0, bytes.readInt32BE(at + 8));
    if (end > bytes.length) break;
    const set = bytes.subarray(at, end);
    const header = readSetHeader(set);
    const body = typeof header === "string" ? header : unpackWith(
      header.codec,
      header.body,
      recordLimits.setBytesMax,
    );
    if (typeof body !== "string") {
      unpacked += body.length;
      if (at > 0 && unpacked > recordLimits.answerBytesMax) break;
    }
    if (typeof header === "string") records.push(faulty(set, header));
    else if (typeof body === "string") records.push(faulty(set, body, header));
    else for (const record of readSet(set, header, body)) records.push(record);
    at = end;
  }
  return records;
}

function readSetHeader(set: Buffer): SetHeader | RecordFault {
  const magic = set.length > 16 ? set[16] : -1;
  if (magic !== 2) return "record_version";
  if (set.length < headerBytes) return "record_malformed";
  const attributes = set.readInt16BE(21), lastDelta = set.readInt32BE(23), count = set.readInt32BE(57);
  if (count < 0 || lastDelta < 0) return "record_malformed";
  if (count > recordLimits.setRecordsMax) return "too_large";
  const baseOffset = set.readBigInt64BE(0);
  return {
    baseOffset,
    lastOffset: baseOffset + BigInt(lastDelta),
    magic,
    codec: attributes & 7,
    count,
    firstTimestamp: set.readBigInt64BE(27),
    appendTimestamp: (attributes & 8) !== 0 ? set.readBigInt64BE(35) : null,
    isControl: (attributes & 32) !== 0,
    context: {
      producerId: String(set.readBigInt64BE(43)),
      inTransaction: (attributes & 16) !== 0,
    },
    body: set.subarray(headerBytes),
  };
}

function readSet(set: Buffer, header: SetHeader, body: Uint8Array): KafkaRecord[] {
  const cursor = new Cursor(Buffers.from(body.buffer, body.byteOffset, body.length));
  const records: KafkaRecord[] = [];
  for (let i = 0; i < header.count; i++) {
    const record = readRecord(cursor, header);
    if (record === null) return [...records, faulty(set, "record_malformed", header)];
    records.push(record);
  }
  // Also past what compaction or a transaction left out at the end, else it is fetched again for ever.
  const last = records.at(-1)?.offset;
  if (last !== String(header.lastOffset)) records.push(filler(header));
  return records;
}

/** Null when there is no whole record within the set's offsets. */
function readRecord(cursor: Cursor, header: SetHeader): KafkaRecord | null {
  const length = cursor.varint();
  if (length === null) return null;
  const inside = cursor.slice(length);
  if (inside === null) return null;
  const attributes = inside.octet(), timeDelta = inside.varint(), offsetDelta = inside.varint();
  const key = inside.octets(), value = inside.octets();
  const offset = header.baseOffset + BigInt(offsetDelta ?? -1);
  if (attributes === null || timeDelta === null || key === undefined || value === undefined) return null;
  if (offset < header.baseOffset || offset > header.lastOffset) return null;
  return {
    magicByte: header.magic,
    attributes,
    timestamp: String(header.appendTimestamp ?? header.firstTimestamp + BigInt(timeDelta)),
    offset: String(offset),
    key,
    value,
    headers: readHeaders(inside),
    isControlRecord: header.isControl,
    batchContext: header.context,
  };
}

/** The first value of each name; none at all when there are too many, which no sensor sends. */
function readHeaders(inside: Cursor): KafkaRecord["headers"] {
  const headers: KafkaRecord["headers"] = Object.create(null);
  const count = inside.varint() ?? 0;
  if (count > recordLimits.headersMax) return headers;
  for (let i = 0; i < count; i++) {
    const name = inside.octets(), value = inside.octets();
    if (!name || value === undefined) return Object.create(null);
    if (name.length > recordLimits.headerNameMax) continue;
    headers[name.toString("utf8")] ??= value;
  }
  return headers;
}

/** One record for a set that cannot be read, with its first octets as a sample. */
function faulty(set: Buffer, fault: RecordFault, header?: SetHeader): KafkaRecord {
  // Where the header is not of our version, the offset in front is that of the set's only or last message.
  const lastDelta = header === undefined && set.length >= headerBytes && set[16] === 2
    ? BigInt(Math.max(0, set.readInt32BE(23)))
    : 0n;
  return {
    ...filler(header ?? null),
    offset: String(header?.lastOffset ?? set.readBigInt64BE(0) + lastDelta),
    value: set.subarray(0, sampleBytesMax),
    isControlRecord: false,
    // A faulty set is told whatever became of its transaction.
    batchContext: { producerId: "-1", inTransaction: false },
    fault,
  };
}

/** A record that kafkajs passes over. */
function filler(header: SetHeader | null): KafkaRecord {
  return {
    magicByte: header?.magic ?? 2,
    attributes: 0,
    timestamp: String(header?.firstTimestamp ?? -1n),
    offset: String(header?.lastOffset ?? 0n),
    key: null,
    value: null,
    headers: {},
    isControlRecord: true,
    batchContext: header?.context ?? { producerId: "-1", inTransaction: false },
  };
}

/** Kafka's zigzag numbers and octets; null or undefined at the end of what there is. */
class Cursor {
  #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  octet(): number | null {
    return this.#at < this.#bytes.length ? this.#bytes[this.#at++] : null;
  }

  /** A number of up to 53 bits. */
  varint(): number | null {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const octet = this.octet();
      if (octet === null) return null;
      value |= BigInt(octet & 127) << shift;
      if (octet < 128) {
        const number = Number((value >> 1n) ^ -(value & 1n));
        return Number.isSafeInteger(number) ? number : null;
      }
    }
    return null;
  }

  slice(length: number): Cursor | null {
    if (length < 0 || length > this.#bytes.length - this.#at) return null;
    return new Cursor(this.#bytes.subarray(this.#at, this.#at += length));
  }

  /** Null is Kafka's own null; undefined is a fault. */
  octets(): Buffer | null | undefined {
    const length = this.varint();
    if (length === null || length < -1) return undefined;
    if (length === -1) return null;
    if (length > this.#bytes.length - this.#at) return undefined;
    return this.#bytes.subarray(this.#at, this.#at += length);
  }
}
