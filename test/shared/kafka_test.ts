/** Tests of what the Kafka wrapper promises without a broker: its codec takes no bomb. @module */

import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import kafkajs from "kafkajs";
import { createReporter } from "../../shared/reporter.ts";
import { createKafka, isRetriable, recordSetBytesMax, zstdCompression } from "../../shared/kafka.ts";

interface Codec {
  compress(encoder: { buffer: Buffer }): Promise<Buffer>;
  decompress(packed: Buffer): Promise<Buffer>;
}

function codec(): Codec {
  const reporter = createReporter({ component: "test", write: () => {} });
  createKafka({ brokers: ["127.0.0.1:9"], clientId: "test", reporter });
  return kafkajs.CompressionCodecs[zstdCompression]() as Codec;
}

Deno.test("zstd codec gives back what it compressed, as plain zstd", async () => {
  const value = Buffer.from("flow ".repeat(1_000));
  const packed = await codec().compress({ buffer: value });
  assert(packed.length < value.length / 10);
  assertEquals(Buffer.from(zstdDecompressSync(packed)), value);
  assertEquals(await codec().decompress(packed), value);
});

Deno.test("zstd codec hands a bomb, or garbage, on as records without key, value and headers", async () => {
  const bomb = Buffer.from(zstdCompressSync(Buffer.alloc(recordSetBytesMax + 1)));
  for (const hostile of [bomb, Buffer.from("garbage")]) {
    const records = await codec().decompress(hostile);
    assert(records.length < 1_000_000);
    // Record 0: 6 octets (zigzag 12), attributes, two deltas, null key, null value, no headers; record 1 differs in its offset.
    assertEquals([...records.subarray(0, 14)], [12, 0, 0, 0, 1, 1, 0, 12, 0, 0, 2, 1, 1, 0]);
  }
});

Deno.test("only what the broker will never take is not worth a retry", () => {
  assert(isRetriable(new Error("connection lost")));
  assert(isRetriable({ type: "UNKNOWN_TOPIC_OR_PARTITION", retriable: false }));
  assert(!isRetriable({ type: "MESSAGE_TOO_LARGE" }));
  assert(!isRetriable({ name: "KafkaJSNumberOfRetriesExceeded", cause: { type: "MESSAGE_TOO_LARGE" } }));
});
