/** Reads a fetch answer of Kafka (version 11), the record sets in it by kafka_records.ts.
 *
 * In: the octets after the header of an answer. Out: what kafkajs' own decoder would give. Invariant: counts in the
 * answer are bounded by its length.
 * What is malformed around the record sets throws: that is a broken connection, not a broken record.
 * Source: "Fetch API" in Kafka's protocol guide. @module */

import type { Buffer } from "node:buffer";
import { type KafkaRecord, readRecordSets } from "./kafka_records.ts";

export interface FetchAnswer {
  /** 0: the broker leaves it to the client to slow down, which ours does by {@link clientSideThrottleTime}. */
  throttleTime: 0;
  clientSideThrottleTime: number;
  errorCode: number;
  sessionId: number;
  responses: { topicName: string; partitions: FetchedPartition[] }[];
}

export interface FetchedPartition {
  partition: number;
  errorCode: number;
  highWatermark: string;
  lastStableOffset: string;
  lastStartOffset: string;
  abortedTransactions: { producerId: string; firstOffset: string }[];
  preferredReadReplica: number;
  messages: KafkaRecord[];
}

/** @throws {RangeError} when the answer ends too early. */
export function decodeFetch(bytes: Buffer): FetchAnswer {
  const reader = new Reader(bytes);
  return {
    throttleTime: 0,
    clientSideThrottleTime: reader.int32(),
    errorCode: reader.int16(),
    sessionId: reader.int32(),
    responses: reader.list(() => ({
      topicName: reader.text(),
      partitions: reader.list(() => readPartition(reader)),
    })),
  };
}

function readPartition(reader: Reader): FetchedPartition {
  return {
    partition: reader.int32(),
    errorCode: reader.int16(),
    highWatermark: reader.int64(),
    lastStableOffset: reader.int64(),
    lastStartOffset: reader.int64(),
    abortedTransactions: reader.list(() => ({ producerId: reader.int64(), firstOffset: reader.int64() })),
    preferredReadReplica: reader.int32(),
    messages: readRecordSets(reader.octets(Math.max(0, reader.int32()))),
  };
}

class Reader {
  #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#skip(2));
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#skip(4));
  }

  int64(): string {
    return String(this.#bytes.readBigInt64BE(this.#skip(8)));
  }

  text(): string {
    return this.octets(this.int16()).toString("utf8");
  }

  octets(count: number): Buffer {
    const at = this.#skip(count);
    return this.#bytes.subarray(at, at + count);
  }

  /** -1 is Kafka's null list. Each item takes at least one octet, so a false count ends with the answer. */
  list<Item>(read: () => Item): Item[] {
    const count = this.int32();
    const items: Item[] = [];
    for (let i = 0; i < count; i++) items.push(read());
    return items;
  }

  #skip(count: number): number {
    if (count < 0 || count > this.#bytes.length - this.#at) {
      throw new RangeError("Cannot read fetch answer as it must be whole: it ends too early");
    }
    this.#at += count;
    return this.#at - count;
  }
}
