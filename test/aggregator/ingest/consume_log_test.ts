/** Another log under the same name, on a real Kafka:
 * it is read from its start, said aloud, and nothing is stored twice. @module */

import { assert, assertEquals } from "@std/assert";
import { openStore } from "../../../aggregator/store/open.ts";
import type { Store } from "../../../aggregator/store/store.ts";
import { newTopic, useKafka } from "../../services/services.ts";
import {
  consume,
  type Consuming,
  makeAnew,
  packets,
  produce,
  recordsOf,
  reporter,
  type TestRecord,
  until,
  withAdmin,
} from "./consuming.ts";
import { segment, TestSensor } from "./fleet.ts";

const kafka = await useKafka();
const broker = kafka.address;
// kafkajs leaves timers and sockets of its own behind for a moment after it is disconnected.
const settings = { ignore: kafka.ignore, sanitizeOps: false, sanitizeResources: false };

interface World {
  store: Store;
  topic: string;
  /** `count` new batches, all of one partition. */
  parts(count: number): TestRecord[];
  /** Runs a consumer until so many flows are stored. */
  run(flows: number, meanwhile?: (consuming: Consuming) => Promise<void>): Promise<Consuming>;
}

async function inWorld(work: (world: World) => Promise<void>): Promise<void> {
  const store = openStore("sqlite::memory:", { reporter });
  await store.start();
  const sensor = new TestSensor("one", 1);
  await sensor.enrol(store);
  const topic = newTopic(), group = newTopic("group");
  let made = 0;
  await work({
    store,
    topic,
    parts: (count) =>
      Array.from({ length: count }, () => {
        const start = 1_700_000_000 + ++made * 500;
        return recordsOf(sensor.seal([segment({ src_port: 3_000, tcp_isn: made, start })]));
      }).flat(),
    async run(flows, meanwhile = () => Promise.resolve()) {
      const consuming = await consume(store, broker, topic, group);
      try {
        await until(() => consuming.counter("kafka_group_joins_total") > 0);
        await meanwhile(consuming);
        await until(async () => await packets(store) === flows * 18);
      } finally {
        await consuming.stop();
      }
      return consuming;
    },
  });
  await store.stop();
}

const replaced = (consuming: Consuming) => consuming.counter("kafka_logs_replaced_total");

for (
  const [size, count] of [["shorter than", 2], ["as long as", 5], ["one shorter than", 4], [
    "longer than",
    9,
  ]] as const
) {
  Deno.test({
    name: `a topic made anew while nobody consumed, ${size} the stored offset, is read from its start`,
    ...settings,
    fn: () =>
      inWorld(async ({ topic, parts, run }) => {
        await run(5, () => produce(broker, topic, parts(5)));
        await makeAnew(broker, topic);
        await produce(broker, topic, parts(count));
        const consuming = await run(5 + count);
        assertEquals(replaced(consuming), 1);
        assert(consuming.said.some((line) => line.includes("another log has this topic's name")));
        // And it is known from then on.
        await produce(broker, topic, parts(1));
        assertEquals(replaced(await run(6 + count)), 0);
      }),
  });
}

Deno.test({
  name: "a topic made anew while it is consumed is read from its start",
  ...settings,
  fn: () =>
    inWorld(async ({ store, topic, parts, run }) => {
      const consuming = await run(8, async () => {
        await produce(broker, topic, parts(5));
        await until(async () => await packets(store) === 5 * 18);
        await makeAnew(broker, topic);
        await produce(broker, topic, parts(3));
      });
      assertEquals(consuming.counter("batches_replayed_total"), 0);
    }),
});

Deno.test({
  name: "a mirrored log, the same records at other offsets, is read from its start and stores nothing twice",
  ...settings,
  fn: () =>
    inWorld(async ({ topic, parts, run }) => {
      const old = parts(6), fresh = parts(3);
      await run(6, () => produce(broker, topic, old));
      await makeAnew(broker, topic);
      await produce(broker, topic, [...old.slice(3), ...fresh, ...parts(1)]);
      const consuming = await run(10);
      assertEquals(replaced(consuming), 1);
      assertEquals(consuming.counter("batches_replayed_total"), 3);
    }),
});

Deno.test({
  name: "a topic made anew with fewer, then with more partitions loses nothing",
  ...settings,
  fn: () =>
    inWorld(async ({ topic, parts, run }) => {
      await run(4, () => produce(broker, topic, parts(4)));
      for (const [flows, partitions] of [[6, 1], [8, 9]] as const) {
        await makeAnew(broker, topic, partitions);
        const records = parts(2).map((record) => ({ ...record, partition: partitions - 1 }));
        await produce(broker, topic, records);
        await run(flows);
      }
    }),
});

Deno.test({
  name: "records that retention took are counted as gone, and are no other log",
  ...settings,
  fn: () =>
    inWorld(async ({ topic, parts, run }) => {
      const [first, ...rest] = parts(6);
      await run(1, () => produce(broker, topic, [first]));
      await produce(broker, topic, rest);
      await withAdmin(broker, async (admin) => {
        await admin.fetchTopicOffsets(topic); // The client deletes only where it knows the leaders.
        const partitions = [{ partition: first.partition!, offset: "4" }];
        await admin.deleteTopicRecords({ topic, partitions });
      });
      const consuming = await run(3);
      assertEquals([replaced(consuming), consuming.counter("kafka_records_lost_total")], [0, 3]);
    }),
});

Deno.test({
  name: "two aggregators of one group share a topic, and one goes on alone: every batch once",
  ...settings,
  fn: () =>
    inWorld(async ({ store, topic, parts }) => {
      const group = newTopic("group");
      const one = await consume(store, broker, topic, group);
      await until(() => one.counter("kafka_group_joins_total") > 0);
      await produce(broker, topic, parts(20));
      const two = await consume(store, broker, topic, group);
      await until(() => two.counter("kafka_group_joins_total") > 0);
      await produce(broker, topic, parts(20));
      await until(async () => await packets(store) === 40 * 18);
      await one.stop();
      await produce(broker, topic, parts(20));
      await until(async () => await packets(store) === 60 * 18);
      assertEquals([replaced(one), replaced(two)], [0, 0]);
      assertEquals((await store.readGaps({ open: true }, 9)).length, 0);
      await two.stop();
    }),
});

Deno.test({
  name: "a store restored from a backup reads again what came since, and takes the log for the same one",
  ...settings,
  fn: async () => {
    const folder = await Deno.makeTempDir();
    const sensor = new TestSensor("one", 1);
    const topic = newTopic(), group = newTopic("group");
    const open = async (name: string) => {
      const store = openStore(`sqlite:${folder}/${name}.db`, { reporter });
      await store.start();
      return store;
    };
    const run = async (store: Store, flows: number) => {
      const consuming = await consume(store, broker, topic, group);
      await until(async () => await packets(store) === flows * 18);
      await consuming.stop();
      await store.stop();
      return consuming;
    };
    const parts = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, i) => {
        const start = 1_700_000_000 + (from + i) * 500;
        return recordsOf(sensor.seal([segment({ src_port: 3_000, tcp_isn: from + i, start })]));
      }).flat();
    const live = await open("live");
    await sensor.enrol(live);
    await withAdmin(
      broker,
      (admin) => admin.createTopics({ topics: [{ topic, numPartitions: 4 }], waitForLeaders: true }),
    );
    await produce(broker, topic, parts(0, 5));
    await run(live, 5);
    await Deno.copyFile(`${folder}/live.db`, `${folder}/backup.db`);
    await produce(broker, topic, parts(5, 9));
    await run(await open("live"), 9);
    // Kafka's own offset is at 9 by now, and nothing new comes.
    const consuming = await run(await open("backup"), 9);
    assertEquals([replaced(consuming), consuming.counter("batches_replayed_total")], [0, 0]);
    await Deno.remove(folder, { recursive: true });
  },
});
