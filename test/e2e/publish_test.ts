/** Two aggregators on one MariaDB and one group of Kafka, real processes: what they merged is published once they
 * stored it, by one of them, and by the other one when that ends. @module */

import { assert, assertEquals } from "@std/assert";
import { publishedTopics } from "../../aggregator/publish/sources.ts";
import { createKafka, disconnect } from "../../shared/kafka.ts";
import { createReporter } from "../../shared/reporter.ts";
import { createDatabase, newTopic, useKafka, useMariadb } from "../services/services.ts";
import { World } from "./world.ts";

const kafka = await useKafka(), mariadb = await useMariadb();
const demo = new URL("../../deploy/demo/office-day.pcap", import.meta.url).pathname;
const waitMs = 90_000;

/** Ids in the two topics, as they come; the last record of an id holds. */
async function follow() {
  const reporter = createReporter({ component: "test", write: () => {} });
  const client = createKafka({ brokers: [kafka.address], clientId: "test", reporter });
  const admin = client.admin();
  await admin.connect();
  const known = await admin.listTopics();
  const topics = Object.values(publishedTopics);
  const missing = topics.filter((topic) => !known.includes(topic));
  await admin.createTopics({
    topics: missing.map((topic) => ({ topic, numPartitions: 2 })),
    waitForLeaders: true,
  });
  await disconnect(admin);
  const flows = new Map<string, number>(), threats = new Set<string>();
  const consumer = client.consumer({ groupId: newTopic("group") });
  await consumer.connect();
  await consumer.subscribe({ topics, fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachMessage: ({ topic, message }) => {
      const value = JSON.parse(message.value!.toString());
      if (topic === publishedTopics.threats) threats.add(value.id);
      else {
        assertEquals(message.key?.toString(), value.src_ip);
        flows.set(value.flow_id, value.total_packets);
      }
      return Promise.resolve();
    },
  });
  return { flows, threats, stop: () => disconnect(consumer) };
}

async function until(what: () => boolean, said: () => string): Promise<void> {
  const end = performance.now() + waitMs;
  while (!what()) {
    assert(performance.now() < end, said());
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

Deno.test({
  name: "two aggregators publish every flow and threat that they stored, also when one of them is killed",
  ignore: kafka.ignore || mariadb.ignore,
  // kafkajs leaves timers of its own behind after disconnecting.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const store = new URL(await createDatabase(mariadb.address));
    const env = { PICKET_STORE_PASSWORD: decodeURIComponent(store.password) };
    store.password = "";
    const shared = ["--store", store.href, "--kafka-brokers", kafka.address, "--kafka-topic", newTopic()];
    const worlds = [1, 2].map(() => new World({ serveArgs: [...shared, "--publish", "flows,threats"], env }));
    const followed = await follow();
    try {
      await worlds[0].start();
      await worlds[1].start("--roles", "ingest,detect");
      const arrived = (sensor: { delivery: { sealed: number; in_flight: number } | null }) =>
        sensor.delivery !== null && sensor.delivery.sealed > 0 && sensor.delivery.in_flight === 0;
      const replay = async (name: string) => {
        const state = await worlds[0].enrol(name, name);
        const { code, stderr } = await worlds[0].sensor("replay", demo, "--state", state, "--ship");
        assertEquals(code, 0, stderr);
      };
      await replay("north");
      await worlds[0].until("/fleet", (fleet) => fleet.sensors.every(arrived), 90);
      await worlds[1].killAggregator();
      await replay("south");
      await worlds[0].until("/fleet", (fleet) => fleet.sensors.every(arrived), 90);
      const totals = await worlds[0].get("/stats/totals");
      const packets = () => [...followed.flows.values()].reduce((sum, count) => sum + count, 0);
      await until(
        () => followed.flows.size === totals.flows && packets() === totals.packets,
        () => `${followed.flows.size} of ${totals.flows} flows, ${packets()} of ${totals.packets} packets`,
      );
      const { rows } = await worlds[0].get("/threats?limit=1000");
      assert(rows.length >= 4);
      await until(
        () => rows.every(({ id }: { id: string }) => followed.threats.has(id)),
        () => `${followed.threats.size} of ${rows.length} threats`,
      );
    } finally {
      await followed.stop();
      for (const world of worlds) await world.stop();
    }
  },
});
