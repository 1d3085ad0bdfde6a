/** Publishing at least once: what fails is sent again, nothing is skipped, and one of several does it. @module */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { choosePublished } from "../../../aggregator/options/store_options.ts";
import { KafkaSink } from "../../../aggregator/publish/kafka_sink.ts";
import { type PublishedRecord, Publisher, type Send } from "../../../aggregator/publish/publisher.ts";
import { flowSource, threatSource } from "../../../aggregator/publish/sources.ts";
import { openStore } from "../../../aggregator/store/open.ts";
import type { Store } from "../../../aggregator/store/store.ts";
import { systemClock } from "../../../shared/clock.ts";
import { CommandError } from "../../../shared/command.ts";
import { createKafka } from "../../../shared/kafka.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { TestClock } from "../ingest/fleet.ts";
import { flowsOf, flowWrite, idOf, nothing, threat } from "../store/rows.ts";

function counted(reporter: ReturnType<typeof createReporter>, name: string): number {
  let sum = 0;
  for (const [series, value] of reporter.snapshot()) if (series.split("{")[0] === name) sum += value;
  return sum;
}

async function withStore(work: (store: Store, reporter: ReturnType<typeof createReporter>) => Promise<void>) {
  const reporter = createReporter({ component: "test", write: () => {} });
  const store = openStore("sqlite::memory:", { reporter });
  await store.start();
  try {
    await work(store, reporter);
  } finally {
    await store.stop();
  }
}

function publisherOf(
  store: Store,
  reporter: ReturnType<typeof createReporter>,
  send: Send,
  { holder = "a", kind = "flows" as "flows" | "threats" } = {},
): Publisher {
  const source = kind === "flows" ? flowSource(store, reporter) : threatSource(store, reporter);
  return new Publisher({ store, source, send, holder, clock: new TestClock(), reporter });
}

const ids = (records: readonly PublishedRecord[]) => records.map(({ value }) => JSON.parse(value).flow_id);

Deno.test("what could not be sent is sent with the next turn, and what was sent is not sent again", () =>
  withStore(async (store, reporter) => {
    const sent: PublishedRecord[] = [];
    let isAway = true;
    const publisher = publisherOf(store, reporter, (records) => {
      if (isAway) return Promise.reject(new Error("no broker"));
      sent.push(...records);
      return Promise.resolve();
    });
    assertEquals(await publisher.turn(), "idle");
    await store.ingest({ ...nothing(), ...flowsOf([flowWrite(1)]) });
    await assertRejects(() => publisher.turn(), Error, "no broker");
    await store.ingest({ ...nothing(), ...flowsOf([flowWrite(2)]) });
    await assertRejects(() => publisher.turn(), Error, "no broker");
    isAway = false;
    assertEquals(await publisher.turn(), "sent");
    assertEquals(await publisher.turn(), "idle");
    assertEquals(ids(sent), [idOf(1), idOf(2)]);
    assertEquals(sent.map(({ key }) => key), ["10.0.0.5", "10.0.0.5"]);
    assertEquals(counted(reporter, "published_records_total"), 2);
    // A restart goes on where the last one was.
    await publisher.stop();
    const again = publisherOf(store, reporter, (records) => (sent.push(...records), Promise.resolve()), {
      holder: "b",
    });
    assertEquals(await again.turn(), "idle");
    await store.ingest({ ...nothing(), ...flowsOf([flowWrite(1, { fwd_packets: 1 }, { kind: "update" })]) });
    assertEquals(await again.turn(), "sent");
    assertEquals([sent.length, JSON.parse(sent[2].value).fwd_packets], [3, 11]);
  }));

Deno.test("of two aggregators one publishes, and the one that lost its lease moves nothing", () =>
  withStore(async (store, reporter) => {
    await store.ingest({ ...nothing(), ...flowsOf([flowWrite(1)]) });
    const sent: string[] = [];
    const second = publisherOf(store, reporter, (records) => {
      sent.push(...ids(records).map((id) => `second ${id}`));
      return Promise.resolve();
    }, { holder: "b" });
    const first = publisherOf(store, reporter, async (records) => {
      sent.push(...ids(records).map((id) => `first ${id}`));
      // While the broker was slow, the lease ended and another one took it.
      await store.releaseLease("publish.flows", "a");
      assertEquals(await second.turn(), "sent");
    });
    assertEquals(await first.turn(), "standby");
    assertEquals(sent, [`first ${idOf(1)}`, `second ${idOf(1)}`]);
    assertEquals(counted(reporter, "publish_fenced_total"), 1);
    assertEquals(await first.turn(), "standby");
    assertEquals(await second.turn(), "idle");
    await second.stop();
    assertEquals(await first.turn(), "idle");
  }));

Deno.test("a threat is published with each of its changes, keyed by its source, its lists bounded", () =>
  withStore(async (store, reporter) => {
    const sent: PublishedRecord[] = [];
    const send = (records: readonly PublishedRecord[]) => (sent.push(...records), Promise.resolve());
    const publisher = publisherOf(store, reporter, send, { kind: "threats" });
    const many = Array.from({ length: 1_001 }, (_, n) => `10.1.${n >> 8}.${n & 255}`);
    await store.saveThreats([threat("t1"), threat("t2", { src_ips: many, dst_ips: many })]);
    assertEquals(await publisher.turn(), "sent");
    assertEquals(await publisher.turn(), "idle");
    await store.setThreatStatus("t1", "closed", 5);
    assertEquals(await publisher.turn(), "sent");
    assertEquals(sent.map(({ key }) => key), ["10.0.0.66", "10.1.0.0", "10.0.0.66"]);
    const values = sent.map(({ value }) => JSON.parse(value));
    assertEquals(values.map(({ id, status }) => [id, status]), [["t1", "open"], ["t2", "open"], [
      "t1",
      "closed",
    ]]);
    assertEquals([values[1].src_ips.length, values[1].dst_ips.length], [1_000, 1_000]);
  }));

Deno.test("facts that no broker would take are left out and counted, the flow is not", () =>
  withStore(async (store, reporter) => {
    const dns = (length: number) => ({ dns: [{ name: "x".repeat(length), type: "A" }] });
    const facts = dns(910_000) as never;
    await store.ingest({
      ...nothing(),
      ...flowsOf([flowWrite(1, { facts }), flowWrite(2, { facts: dns(9) as never })]),
    });
    const sent: PublishedRecord[] = [];
    await publisherOf(store, reporter, (records) => (sent.push(...records), Promise.resolve())).turn();
    assertEquals(sent.map(({ value }) => JSON.parse(value).facts), [null, dns(9)]);
    assertEquals(counted(reporter, "publish_facts_left_out_total"), 1);
  }));

Deno.test({
  name: "a broker that is away stops nobody: ingest goes on, and so does the end",
  // kafkajs leaves timers of its own behind after disconnecting.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: () =>
    withStore(async (store, reporter) => {
      const kafka = createKafka({ brokers: ["127.0.0.1:9"], clientId: "test", reporter, retriesMax: 0 });
      const options = { topic: "picket.flows.v1", partitions: 1, replicationFactor: 1 };
      const sink = new KafkaSink(options, { kafka, clock: systemClock });
      const source = flowSource(store, reporter);
      const send: Send = (records) => sink.send(records);
      const publisher = new Publisher({ store, source, send, holder: "a", clock: systemClock, reporter });
      await store.ingest({ ...nothing(), ...flowsOf([flowWrite(1)]) });
      publisher.start();
      while (counted(reporter, "publish_failures_total") === 0) await systemClock.sleep(10);
      await store.ingest({ ...nothing(), ...flowsOf([flowWrite(2)]) });
      await publisher.stop();
      await sink.close();
      assertEquals((await store.takeLease("publish.flows", "b", 1_000))?.position, "");
      assertEquals((await store.readTotals()).flows, 2);
    }),
});

Deno.test("--publish names what there is, and needs a broker", () => {
  const chosen = (publish: string[], kafkaBrokers = ["a:1"]) => choosePublished({ publish, kafkaBrokers });
  assertEquals(chosen([], []), []);
  assertEquals(chosen(["threats", "flows", "threats"]), ["threats", "flows"]);
  assertThrows(
    () => chosen(["flow"]),
    CommandError,
    'must be flows, threats or both: current value is "flow"',
  );
  assertThrows(() => chosen(["flows"], []), CommandError, "no broker is known");
});
