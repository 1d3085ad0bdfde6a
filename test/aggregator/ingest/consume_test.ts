/** Consuming from a real Kafka: every batch once, from the offset the database knows, whatever else lies in the topic.
 * @module */

import { assertEquals } from "@std/assert";
import type { Ingest } from "../../../aggregator/ingest/ingest.ts";
import { openStore } from "../../../aggregator/store/open.ts";
import type { Store } from "../../../aggregator/store/store.ts";
import { newTopic, useKafka } from "../../services/services.ts";
import { codecs, consume, packets, produce, recordsOf, reporter, until } from "./consuming.ts";
import { segment, TestSensor } from "./fleet.ts";

const kafka = await useKafka();
const broker = kafka.address;
// kafkajs leaves timers and sockets of its own behind for a moment after it is disconnected.
const settings = { ignore: kafka.ignore, sanitizeOps: false, sanitizeResources: false };

async function newStore(...sensors: TestSensor[]): Promise<Store> {
  const store = openStore("sqlite::memory:", { reporter });
  await store.start();
  for (const sensor of sensors) await sensor.enrol(store);
  return store;
}

const reasons = async (store: Store) => {
  const counts: Record<string, number> = {};
  for (const { reason } of await store.readDeadLetters(100)) counts[reason] = (counts[reason] ?? 0) + 1;
  return counts;
};

Deno.test({
  name: "consumer stores each batch of a topic once, over restarts, repeats and another group",
  ...settings,
  fn: async () => {
    const topic = newTopic(), group = newTopic("group");
    const one = new TestSensor("one", 1), two = new TestSensor("two", 2);
    const store = await newStore(one, two);
    const segments = Array.from({ length: 40 }, (_, i) => segment({ src_port: 2_000 + i, tcp_isn: i }));
    const first = [...one.seal(segments), ...two.seal(segments)];

    // The consumer makes the topic with a partition for each bucket.
    let consuming = await consume(store, broker, topic, group);
    await until(() => consuming.counter("kafka_group_joins_total") > 0);
    await produce(broker, topic, [...recordsOf([...first, ...first]), { value: "no batch at all" }]);
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
    await produce(broker, topic, recordsOf(more));
    consuming = await consume(store, broker, topic, newTopic("group"));
    await until(async () => await packets(store) === 80 * 18);
    assertEquals(consuming.counter("batches_replayed_total"), 0);
    assertEquals(consuming.counter("kafka_logs_replaced_total"), 0);
    await consuming.stop();

    // A database that was set back is behind Kafka's own offset:
    // what it lost is read again, without anything new in the topic.
    const empty = await newStore(one, two);
    consuming = await consume(empty, broker, topic, group);
    await until(async () => await packets(empty) === 80 * 18);
    await consuming.stop();
    await store.stop();
    await empty.stop();
  },
});

Deno.test({
  name: "consumer reads every codec, and goes past sets and records that nobody can read",
  ...settings,
  fn: async () => {
    const topic = newTopic();
    const sensor = new TestSensor("one", 1);
    const store = await newStore(sensor);
    let consuming = await consume(store, broker, topic, newTopic("group"));
    await until(() => consuming.counter("kafka_group_joins_total") > 0);
    const batches = Array.from(
      { length: 5 },
      (_, i) => sensor.seal([segment({ src_port: 3_000, tcp_isn: i, start: 1_700_000_000 + i * 500 })]),
    ).flat();
    const partition = batches[0].header.bucket;
    for (const [i, codec] of Object.values(codecs).entries()) {
      await produce(broker, topic, recordsOf([batches[i]]), codec);
    }
    await until(async () => await packets(store) === 5 * 18);
    assertEquals(await reasons(store), {});

    for (const codec of [codecs.gzip, codecs.zstd]) {
      await produce(broker, topic, [{ partition, value: new Uint8Array(17_000_000) }], codec);
    }
    const tiny = Array.from({ length: 10_001 }, () => ({ partition, value: "" }));
    await produce(broker, topic, tiny, codecs.gzip);
    const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`h${i}`, "v"]));
    await produce(broker, topic, [
      { partition, value: null },
      { partition, value: "headers", headers: many },
      { partition, value: "long", headers: { "picket-sensor": "s".repeat(500_000) } },
    ], codecs.snappy);
    const last = sensor.seal([segment({ src_port: 3_000, tcp_isn: 9, start: 1_700_009_000 })]);
    await produce(broker, topic, recordsOf(last), codecs.lz4);
    await until(async () => await packets(store) === 6 * 18);
    await until(async () => (await store.readDeadLetters(100)).length === 6);
    assertEquals(await reasons(store), { too_large: 3, header_missing: 2, header_malformed: 1 });
    assertEquals(consuming.counter("kafka_consumer_restarts_total"), 0);
    await consuming.stop();

    // The next start begins behind all of them.
    consuming = await consume(store, broker, topic, newTopic("group"));
    const next = sensor.seal([segment({ src_port: 3_000, tcp_isn: 10, start: 1_700_010_000 })]);
    await produce(broker, topic, recordsOf(next));
    await until(async () => await packets(store) === 7 * 18);
    assertEquals((await store.readDeadLetters(100)).length, 6);
    await consuming.stop();
    await store.stop();
  },
});

Deno.test({
  name: "consumer buries a record that ingest cannot store, and stores its neighbours",
  ...settings,
  fn: async () => {
    const topic = newTopic();
    const sensor = new TestSensor("one", 1);
    const store = await newStore(sensor);
    const poison = (ingest: Ingest) => ({
      assign: (...all: Parameters<Ingest["assign"]>) => ingest.assign(...all),
      submit: (...[get, body, position]: Parameters<Ingest["submit"]>) =>
        body[0] === 0x21 && position?.fault === undefined
          ? Promise.reject(new Error("this one cannot be stored"))
          : ingest.submit(get, body, position),
    });
    const consuming = await consume(store, broker, topic, newTopic("group"), poison);
    await until(() => consuming.counter("kafka_group_joins_total") > 0);
    const [first] = sensor.seal([segment({ src_port: 3_000, tcp_isn: 1 })]);
    const { partition } = { partition: first.header.bucket };
    await produce(broker, topic, [{ partition, value: "!poison" }, ...recordsOf([first])]);
    await until(async () => await packets(store) === 18);
    await until(async () => (await store.readDeadLetters(9)).length === 1);
    assertEquals(await reasons(store), { unstorable: 1 });
    await consuming.stop();
    await store.stop();
  },
});
