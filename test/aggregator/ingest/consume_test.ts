/** Consuming from a real Kafka: every batch once, from the offset the database knows. @module */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { BatchConsumer } from "../../../aggregator/ingest/consume.ts";
import { Ingest } from "../../../aggregator/ingest/ingest.ts";
import { openStore } from "../../../aggregator/store/open.ts";
import type { Store } from "../../../aggregator/store/store.ts";
import { type Batch, writeHeader } from "../../../shared/batch.ts";
import { systemClock } from "../../../shared/clock.ts";
import { createKafka, disconnect, zstdCompression } from "../../../shared/kafka.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { newTopic, useKafka } from "../../services/services.ts";
import { Buffer } from "node:buffer";
import { buckets, segment, TestSensor } from "./fleet.ts";

const kafka = await useKafka();
const reporter = createReporter({ component: "test", write: () => {} });
const deadlineMs = 40_000;

interface Consuming {
  ingest: Ingest;
  stop(): Promise<void>;
  counter(name: string): number;
}

async function consume(store: Store, topic: string, groupId: string): Promise<Consuming> {
  const own = createReporter({ component: "test", write: () => {} });
  const ingest = new Ingest({ buckets }, { store, reporter: own, clock: systemClock });
  await ingest.start();
  const consumer = new BatchConsumer({ topic, groupId, buckets }, {
    kafka: createKafka({ brokers: [kafka.address], clientId: "test-aggregator", reporter: own }),
    ingest,
    store,
    clock: systemClock,
    reporter: own,
    onFailed: (error) => {
      throw error;
    },
  });
  await consumer.start();
  return {
    ingest,
    counter: (name) => own.snapshot().get(name) ?? 0,
    async stop() {
      await consumer.stop();
      await ingest.stop();
    },
  };
}

async function produce(topic: string, batches: Batch[], extra: { value: string }[] = []): Promise<void> {
  const producer = createKafka({ brokers: [kafka.address], clientId: "test-sensor", reporter }).producer();
  await producer.connect();
  const messages = batches.map(({ header, value }) => ({
    key: String(header.bucket),
    partition: header.bucket,
    value: Buffer.from(value),
    headers: writeHeader(header),
  }));
  await producer.send({
    topic,
    acks: -1,
    compression: zstdCompression,
    messages: [
      ...messages,
      ...extra.map(({ value }) => ({ key: "0", partition: 0, value: Buffer.from(value) })),
    ],
  });
  await disconnect(producer);
}

async function until(what: () => Promise<boolean> | boolean): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!await what()) {
    assert(performance.now() < end, `not seen within ${deadlineMs} ms`);
    await systemClock.sleep(50);
  }
}

const packets = async (store: Store) => (await store.readTotals()).packets;

Deno.test({
  name: "consumer stores each batch of a topic once, over restarts, repeats and another group",
  ignore: kafka.ignore,
  // The client keeps timers for a moment after it is disconnected.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const topic = newTopic(), group = newTopic("group");
    const store = openStore("sqlite::memory:", { reporter });
    await store.start();
    const one = new TestSensor("one", 1), two = new TestSensor("two", 2);
    await one.enrol(store);
    await two.enrol(store);
    const segments = Array.from({ length: 40 }, (_, i) => segment({ src_port: 2_000 + i, tcp_isn: i }));
    const first = [...one.seal(segments), ...two.seal(segments)];

    // The consumer makes the topic with a partition for each bucket.
    let consuming = await consume(store, topic, group);
    await produce(topic, [...first, ...first], [{ value: "no batch at all" }]);
    await until(async () =>
      await packets(store) === 40 * 18 && (await store.readDeadLetters(9)).length === 1
    );
    const [letter] = await store.readDeadLetters(9);
    assertEquals([letter.reason, letter.origin.split("@")[0]], ["header_missing", `kafka:${topic}/0`]);
    await until(() => consuming.counter("batches_replayed_total") === first.length);
    await consuming.stop();
    const offsets = await store.readOffsets(topic);
    assertEquals(offsets.map(({ partition }) => partition), [0, 1, 2, 3]);

    // A group that Kafka knows nothing of reads nothing again: the database's offsets decide.
    const more = one.seal(
      segments.map((part) => ({ ...part, segment: 1, start: part.end, end: part.end + 1 })),
    );
    await produce(topic, more);
    consuming = await consume(store, topic, newTopic("group"));
    await until(async () => await packets(store) === 80 * 18);
    assertEquals(consuming.counter("batches_replayed_total"), 0);
    await consuming.stop();

    // A database that was set back is behind Kafka's own offset: what it lost is read again.
    const empty = openStore("sqlite::memory:", { reporter });
    await empty.start();
    await one.enrol(empty);
    await two.enrol(empty);
    consuming = await consume(empty, topic, group);
    await until(async () => await packets(empty) === 80 * 18);
    await consuming.stop();
    await store.stop();
    await empty.stop();
  },
});

Deno.test({
  name: "consumer says that no broker answers",
  ignore: kafka.ignore,
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const store = openStore("sqlite::memory:", { reporter });
    await store.start();
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    listener.close();
    const consumer = new BatchConsumer({ topic: "none", groupId: "none", buckets }, {
      kafka: createKafka({
        brokers: [`127.0.0.1:${port}`],
        clientId: "test",
        reporter,
        connectTimeoutMs: 500,
      }),
      ingest: new Ingest({ buckets }, { store, reporter, clock: systemClock }),
      store,
      clock: systemClock,
      reporter,
      onFailed: () => {},
    });
    await assertRejects(() => consumer.start(), Error, "ECONNREFUSED");
    await consumer.stop();
    await store.stop();
  },
});
