/** An aggregator's Kafka side for tests: a store, ingest and a consumer on a real broker, and a producer of anything.
 *
 * Out: {@link consume}, {@link produce}, {@link until}, {@link packets}. Codecs that kafkajs cannot write are written
 * in their plainest form, which the broker checks before it takes a set. @module */

import { assert } from "@std/assert";
import { Buffer } from "node:buffer";
import kafkajs from "kafkajs";
import { BatchConsumer } from "../../../aggregator/ingest/consume.ts";
import { Ingest } from "../../../aggregator/ingest/ingest.ts";
import type { Store } from "../../../aggregator/store/store.ts";
import { type Batch, writeHeader } from "../../../shared/batch.ts";
import { systemClock } from "../../../shared/clock.ts";
import { createKafka, disconnect, type Kafka } from "../../../shared/kafka.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { buckets } from "./fleet.ts";

export const reporter = createReporter({ component: "test", write: () => {} });
export const codecs = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const;
const deadlineMs = 60_000;

export interface Consuming {
  ingest: Ingest;
  consumer: BatchConsumer;
  stop(): Promise<void>;
  counter(name: string): number;
  said: string[];
}

export async function consume(
  store: Store,
  broker: string,
  topic: string,
  groupId: string,
  wrapped: (ingest: Ingest) => Pick<Ingest, "submit" | "assign"> = (ingest) => ingest,
  { sessionMs, ...client }: { sessionMs?: number; requestTimeoutMs?: number; connectTimeoutMs?: number } = {},
): Promise<Consuming> {
  const said: string[] = [];
  const own = createReporter({ component: "test", write: (line) => said.push(line) });
  const ingest = new Ingest({ buckets }, { store, reporter: own, clock: systemClock });
  await ingest.start({ isLater: true });
  const consumer = new BatchConsumer({ topic, groupId, buckets, ...sessionMs && { sessionMs } }, {
    kafka: createKafka({ brokers: [broker], clientId: "test-aggregator", reporter: own, ...client }),
    ingest: wrapped(ingest),
    store,
    clock: systemClock,
    reporter: own,
  });
  consumer.start();
  return {
    ingest,
    consumer,
    said,
    counter: (name) => own.snapshot().get(name) ?? 0,
    async stop() {
      await consumer.stop();
      await ingest.stop();
    },
  };
}

export interface TestRecord {
  key?: string | null;
  value: Uint8Array | string | null;
  headers?: Record<string, string>;
  partition?: number;
}

export function recordsOf(batches: readonly Batch[]): TestRecord[] {
  return batches.map(({ header, value }) => ({
    key: String(header.bucket),
    partition: header.bucket,
    value,
    headers: writeHeader(header),
  }));
}

/** Sends records in one request: those of a partition are one record set. */
export async function produce(
  broker: string,
  topic: string,
  records: readonly TestRecord[],
  compression: number = codecs.zstd,
): Promise<void> {
  const kafka = createKafka({ brokers: [broker], clientId: "test-sensor", reporter });
  const writers = kafkajs.CompressionCodecs as Record<number, () => unknown>;
  writers[codecs.snappy] = () => writerOf(snappyLiterals);
  writers[codecs.lz4] = () => writerOf(lz4Stored);
  const producer = kafka.producer({ allowAutoTopicCreation: false });
  await producer.connect();
  const messages = records.map(({ key = null, value, partition = 0, headers = {} }) => ({
    key,
    partition,
    headers,
    value: value === null ? null : Buffer.from(value as string),
  }));
  await producer.send({ topic, acks: -1, compression, messages });
  await disconnect(producer);
}

export async function withAdmin<Result>(
  broker: string,
  work: (admin: ReturnType<Kafka["admin"]>) => Promise<Result>,
): Promise<Result> {
  const admin = createKafka({ brokers: [broker], clientId: "test-admin", reporter }).admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await disconnect(admin);
  }
}

/** Deletes the topic and makes it again, empty. */
export async function makeAnew(broker: string, topic: string, numPartitions = buckets): Promise<void> {
  await withAdmin(broker, async (admin) => {
    await admin.deleteTopics({ topics: [topic] });
    await until(async () => !(await admin.listTopics()).includes(topic));
    await admin.createTopics({ topics: [{ topic, numPartitions }], waitForLeaders: false });
    // A busy broker may say for a moment that it does not know the topic that it has just made.
    await until(() =>
      admin.fetchTopicMetadata({ topics: [topic] })
        .then(({ topics: [{ partitions }] }) => partitions.every(({ leader }) => leader >= 0), () => false)
    );
  });
}

export async function until(what: () => Promise<boolean> | boolean, waitMs = deadlineMs): Promise<void> {
  const end = performance.now() + waitMs;
  while (!await what()) {
    assert(performance.now() < end, `not seen within ${waitMs} ms`);
    await systemClock.sleep(50);
  }
}

export async function packets(store: Store): Promise<number> {
  return (await store.readTotals()).packets;
}

function writerOf(write: (octets: Buffer) => Buffer) {
  return { compress: ({ buffer }: { buffer: Buffer }) => Promise.resolve(write(buffer)) };
}

/** Snappy in snappy-java's frame, all literals. */
function snappyLiterals(octets: Buffer): Buffer {
  const parts: Buffer[] = [
    Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]),
  ];
  for (let at = 0; at < octets.length; at += 32_768) {
    const literal = octets.subarray(at, at + 32_768);
    const claim = [literal.length & 127 | 128, literal.length >> 7 & 127 | 128, literal.length >> 14];
    const tag = [61 << 2, literal.length - 1 & 255, literal.length - 1 >> 8];
    const size = Buffer.alloc(4);
    size.writeInt32BE(6 + literal.length);
    parts.push(size, Buffer.from([...claim, ...tag]), literal);
  }
  return Buffer.concat(parts);
}

/** An LZ4 frame of blocks that are stored as they are. */
function lz4Stored(octets: Buffer): Buffer {
  const parts: Buffer[] = [Buffer.from([4, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82])];
  for (let at = 0; at < octets.length; at += 65_536) {
    const block = octets.subarray(at, at + 65_536);
    const size = Buffer.alloc(4);
    size.writeUInt32LE(block.length + 2 ** 31);
    parts.push(size, block);
  }
  return Buffer.concat([...parts, Buffer.alloc(4)]);
}
