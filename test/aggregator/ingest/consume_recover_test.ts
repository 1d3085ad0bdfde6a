/** The consumer's own recovery: a made-up client that fails in each way kafkajs does,
 * and a real broker that falls silent. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { BatchConsumer } from "../../../aggregator/ingest/consume.ts";
import { openStore } from "../../../aggregator/store/open.ts";
import { systemClock } from "../../../shared/clock.ts";
import type { Kafka } from "../../../shared/kafka.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { kafka as kafkaService } from "../../services/kafka.ts";
import { newTopic, nightly, skipLoudly } from "../../services/services.ts";
import { consume, packets, produce, recordsOf, reporter, until } from "./consuming.ts";
import { buckets, segment, TestClock, TestSensor } from "./fleet.ts";

type Listener = (event: { payload: Record<string, unknown> }) => void;

/** A client of which a test decides what each start does. */
class FakeKafka {
  starts = 0;
  listeners = new Map<string, Listener>();
  begin: (start: number) => Promise<void> = () => Promise.resolve();

  admin() {
    return {
      connect: () => Promise.resolve(),
      disconnect: () => Promise.resolve(),
      listTopics: () => Promise.resolve(["t"]),
      fetchTopicOffsets: () => Promise.resolve([]),
    };
  }

  consumer() {
    this.starts++;
    const events = { GROUP_JOIN: "join", FETCH: "fetch", HEARTBEAT: "beat", CRASH: "crash" };
    return {
      events,
      on: (name: string, listener: Listener) => this.listeners.set(name, listener),
      connect: () => this.begin(this.starts),
      subscribe: () => Promise.resolve(),
      run: () => Promise.resolve(),
      disconnect: () => Promise.resolve(),
      seek: () => {},
    };
  }

  emit(name: string, payload: Record<string, unknown> = {}): void {
    this.listeners.get(name)!({ payload });
  }
}

function consuming() {
  const kafka = new FakeKafka();
  const clock = new TestClock();
  const own = createReporter({ component: "test", write: () => {}, clock });
  const consumer = new BatchConsumer({ topic: "t", groupId: "g", buckets }, {
    kafka: kafka as unknown as Kafka,
    ingest: { submit: () => Promise.reject(new Error("nothing is submitted")), assign: () => {} },
    store: { readOffsets: () => Promise.resolve([]) },
    clock,
    reporter: own,
  });
  /** Lets everything that can run do so, then moves the clock. */
  const pass = async (ms: number, stepMs = 1_000) => {
    for (let left = ms; left > 0; left -= stepMs) {
      await turns();
      clock.advance(Math.min(left, stepMs));
      await turns();
    }
  };
  return { kafka, clock, consumer, pass, counter: (name: string) => own.snapshot().get(name) ?? 0 };
}

async function turns(): Promise<void> {
  for (let i = 0; i < 30; i++) await Promise.resolve();
}

Deno.test("consumer tries again with pauses that grow to 30 s, for as long as no broker answers", async () => {
  const { kafka, consumer, pass } = consuming();
  kafka.begin = () => Promise.reject(new Error("ECONNREFUSED"));
  consumer.start();
  await pass(7_600, 100);
  // At 0, 0.5, 1.5, 3.5 and 7.5 s.
  assertEquals(kafka.starts, 5);
  assertEquals(consumer.problem(), null);
  await pass(600_000);
  // Then at 15.5, 31.5 and from there every 30 s.
  assert(kafka.starts >= 23 && kafka.starts <= 27, `${kafka.starts} starts`);
  assertStringIncludes(consumer.problem()!, "Kafka was not read for 608 s: ECONNREFUSED");
  await consumer.stop();
  assertEquals(consumer.problem(), null);
});

Deno.test("consumer comes back from every crash, also one that kafkajs would not return from", async () => {
  const { kafka, consumer, pass, counter } = consuming();
  consumer.start();
  await pass(1_000);
  for (const restart of [true, false, false]) {
    kafka.emit("join", { memberAssignment: { t: [0] } });
    kafka.emit("crash", { error: new Error("REBALANCE_IN_PROGRESS"), restart });
    await pass(5_000);
  }
  assertEquals([kafka.starts, counter("kafka_consumer_crashes_total")], [4, 3]);
  // 29 s without a join are no matter for health, 31 s are.
  await pass(24_000);
  assertEquals(consumer.problem(), null);
  await pass(2_000);
  assertStringIncludes(consumer.problem()!, "REBALANCE_IN_PROGRESS");
  kafka.emit("join", { memberAssignment: { t: [0] } });
  assertEquals(consumer.problem(), null);
  await consumer.stop();
});

Deno.test("consumer gives up a client that shows no sign of life for 60 s", async () => {
  const { kafka, consumer, pass } = consuming();
  consumer.start();
  await pass(1_000);
  kafka.emit("join", { memberAssignment: {} });
  await pass(50_000);
  kafka.emit("beat");
  await pass(58_000);
  assertEquals(kafka.starts, 1);
  await pass(12_000);
  assertEquals(kafka.starts, 2);
  await consumer.stop();
});

const missing = await kafkaService.missing();
const settings = {
  ...missing ? skipLoudly("a broker that is stopped", missing) : {},
  // kafkajs leaves timers and sockets of its own behind for a moment after it is disconnected.
  sanitizeOps: false,
  sanitizeResources: false,
};

/** Each is silent for longer than a session, and than three requests take to be given up. */
const silences = [
  { client: { sessionMs: 9_000, requestTimeoutMs: 3_000, connectTimeoutMs: 1_500 }, silentMs: 10_500 },
  { client: {}, silentMs: 35_000, ...nightly("a broker that is silent for 35 s") },
];

for (const { client, silentMs, ...when } of silences) {
  Deno.test({
    name: `consumer recovers from a real broker that is silent for ${silentMs} ms`,
    ...when,
    ...settings,
    fn: async () => {
      const broker = await kafkaService.start();
      const pid = await pidOf(broker.address);
      const topic = newTopic();
      const sensor = new TestSensor("one", 1);
      const store = openStore("sqlite::memory:", { reporter });
      await store.start();
      await sensor.enrol(store);
      const part = (i: number) =>
        recordsOf(
          sensor.seal([segment({ src_port: 3_000, tcp_isn: i, start: 1_700_000_000 + i * 500 })]),
        );
      const running = await consume(store, broker.address, topic, newTopic("group"), undefined, client);
      try {
        await until(() => running.counter("kafka_group_joins_total") > 0);
        await produce(broker.address, topic, part(1));
        await until(async () => await packets(store) === 18);
        Deno.kill(pid, "SIGSTOP");
        await systemClock.sleep(silentMs);
        Deno.kill(pid, "SIGCONT");
        await produce(broker.address, topic, part(2));
        await until(async () => await packets(store) === 36, 120_000);
        await until(() => running.consumer.problem() === null, 60_000);
        assertEquals(running.counter("kafka_logs_replaced_total"), 0);
      } finally {
        await running.stop();
        await store.stop();
        await broker.stop();
      }
    },
  });
}

/** The process of the broker whose configuration names this address. */
async function pidOf(address: string): Promise<number> {
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^[0-9]+$/.test(name)) continue;
    const command = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
    const words = command.split("\0").filter((word) => word !== "");
    if (!words[0]?.endsWith("java") || !words.includes("kafka.Kafka")) continue;
    const properties = await Deno.readTextFile(words.at(-1)!).catch(() => "");
    if (properties.includes(`PLAINTEXT://${address},`)) return Number(name);
  }
  throw new Error(`Cannot find the broker of ${address}`);
}
