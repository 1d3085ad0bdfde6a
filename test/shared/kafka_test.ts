/** Tests of what the Kafka wrapper promises without a broker: its codec is Kafka's own zstd. @module */

import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { zstdDecompressSync } from "node:zlib";
import kafkajs from "kafkajs";
import { createReporter } from "../../shared/reporter.ts";
import { createKafka, isRetriable, zstdCompression } from "../../shared/kafka.ts";

interface Codec {
  compress(encoder: { buffer: Buffer }): Promise<Buffer>;
}

function codec(): Codec {
  const reporter = createReporter({ component: "test", write: () => {} });
  createKafka({ brokers: ["127.0.0.1:9"], clientId: "test", reporter });
  return kafkajs.CompressionCodecs[zstdCompression]() as Codec;
}

Deno.test("zstd codec writes plain zstd", async () => {
  const value = Buffer.from("flow ".repeat(1_000));
  const packed = await codec().compress({ buffer: value });
  assert(packed.length < value.length / 10);
  assertEquals(Buffer.from(zstdDecompressSync(packed)), value);
});

Deno.test("only what the broker will never take is not worth a retry", () => {
  assert(isRetriable(new Error("connection lost")));
  assert(isRetriable({ type: "UNKNOWN_TOPIC_OR_PARTITION", retriable: false }));
  assert(!isRetriable({ type: "MESSAGE_TOO_LARGE" }));
  assert(!isRetriable({ name: "KafkaJSNumberOfRetriesExceeded", cause: { type: "MESSAGE_TOO_LARGE" } }));
});
