/** Several aggregators on one topic and one database: memory moves with its partition,
 * and no other is read for its sake. @module */

import { assertEquals } from "@std/assert";
import { BucketsHeld } from "../../../aggregator/ingest/buckets_held.ts";
import { openStore } from "../../../aggregator/store/open.ts";
import { createDatabase, newTopic, useKafka, useMariadb } from "../../services/services.ts";
import { consume, produce, recordsOf, reporter, until } from "./consuming.ts";
import { segment, TestSensor } from "./fleet.ts";
import { counted } from "./with_ingest.ts";

Deno.test("BucketsHeld reads what is asked for together with the rest of our partitions, once", () => {
  const held = new BucketsHeld(6);
  held.assign([0, 1], [0, 1], 3);
  assertEquals(held.takeStale(), [], "nothing was in memory");
  assertEquals(held.dueFor(new Set([3])), [0, 1, 3, 4]);
  held.read([0, 1, 3, 4]);
  assertEquals(held.dueFor(new Set([0, 1, 3, 4])), []);
  assertEquals(held.dueFor(new Set([5])), [5], "a batch over HTTP");
  held.read([5]);
  held.assign([0, 1], [], 3);
  assertEquals(held.takeStale(), [5]);
  assertEquals(held.dueFor(new Set([0])), []);
  held.assign([1, 2], [2], 3);
  assertEquals(held.takeStale(), [0, 3]);
  assertEquals(held.dueFor(new Set([1, 4])), []);
  assertEquals(held.dueFor(new Set([2])), [2, 5]);
  held.read([2, 5]);
  held.assign([1, 2], [1], 3);
  assertEquals(held.takeStale(), [1, 4]);
  assertEquals(held.takeStale(), []);
  assertEquals(held.dueFor(new Set([2, 5])), []);
  assertEquals(held.dueFor(new Set([4])), [1, 4]);
});

Deno.test("BucketsHeld without partitions reads all at once, and again what another instance wrote", () => {
  const held = new BucketsHeld(3);
  assertEquals(held.dueFor(new Set([])), []);
  assertEquals(held.dueFor(new Set([0])), [0, 1, 2]);
  held.read([0, 1, 2]);
  held.drop([1]);
  assertEquals([held.takeStale(), held.dueFor(new Set([0, 2])), held.dueFor(new Set([1]))], [[1], [], [1]]);
});

const kafka = await useKafka(), mariadb = await useMariadb();

Deno.test({
  name: "an aggregator that comes or goes moves its partitions' flows, and nobody reads others",
  ignore: kafka.ignore || mariadb.ignore,
  // kafkajs leaves timers and sockets of its own behind for a moment after it is disconnected.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const sensors = [new TestSensor("one", 1), new TestSensor("two", 2)];
    const url = await createDatabase(mariadb.address);
    const stores = [openStore(url, { reporter }), openStore(url, { reporter })];
    for (const store of stores) await store.start();
    for (const sensor of sensors) await sensor.enrol(stores[0]);
    const topic = newTopic(), group = newTopic("group"), broker = kafka.address;
    const flows = Array.from({ length: 60 }, (_, i) => segment({ src_port: 2_000 + i, tcp_isn: i }));
    let part = 0;
    /** The next part of every flow, seen by both. */
    const send = async () => {
      const parts = flows.map((flow) => ({
        ...flow,
        segment: part,
        start: flow.start + 2 * part,
        end: flow.end + 2 * part,
      }));
      part++;
      await produce(broker, topic, sensors.flatMap((sensor) => recordsOf(sensor.seal(parts))));
      await until(async () => (await stores[0].readTotals()).packets === part * 60 * 18);
    };
    const first = await consume(stores[0], broker, topic, group);
    await until(() => first.counter("kafka_group_joins_total") > 0);
    await send();
    const readBy = (one: typeof first) => one.counter("merge_buckets_read_total");
    assertEquals([readBy(first), first.counter("merge_rebuilds_total")], [4, 1]);

    const second = await consume(stores[1], broker, topic, group);
    await until(() => second.counter("kafka_group_joins_total") > 0);
    for (let i = 0; i < 3; i++) await send();
    assertEquals([readBy(first), readBy(second)], [4, 2], "the first one kept two, the second one got two");

    await second.stop();
    await send();
    await until(() => first.counter("batches_replayed_total") === 0);
    assertEquals(readBy(first), 6, "two came back");
    const { flows: stored, packets, seenPackets, sightings } = await counted(stores[0]);
    assertEquals([stored, packets, sightings, seenPackets], [60, part * 60 * 18, 120, 2 * part * 60 * 18]);
    assertEquals(first.counter("ingest_conflicts_total") + second.counter("ingest_conflicts_total"), 0);
    await first.stop();
    for (const store of stores) await store.stop();
  },
});
