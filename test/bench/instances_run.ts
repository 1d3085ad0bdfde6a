/** One of several aggregators that ingest at once, in a process of its own, so that CPU and memory are its alone.
 *
 * Use: by instances.ts. In: {@link InstanceJob} as JSON; a line on standard input when all are ready. Out: a line
 * "ready", then one of JSON. Without a broker each has the batches of its share of buckets, given as a consumer gives
 * them; with one, those of the partitions that the group gives it. Everything of ingest_run.ts is in it but detection,
 * and with a broker its protocol. @module */

import { Buffer } from "node:buffer";
import process from "node:process";
import { zstdCompressSync } from "node:zlib";
import { BatchConsumer } from "../../aggregator/ingest/consume.ts";
import { Ingest } from "../../aggregator/ingest/ingest.ts";
import { serveOptions } from "../../aggregator/options/serve_options.ts";
import type { Store } from "../../aggregator/store/store.ts";
import { openStore } from "../../aggregator/store/open.ts";
import { systemClock } from "../../shared/clock.ts";
import { createKafka, disconnect, ensureTopic, zstdCompression } from "../../shared/kafka.ts";
import { createReporter, type Reporter } from "../../shared/reporter.ts";
import { BenchSensor, readRecording, type SealedBatch } from "./recorded.ts";

export interface InstanceJob {
  url: string;
  /** Another database of the same server. */
  warmUrl: string;
  recording: string;
  instance: number;
  instances: number;
  /** Null = no broker. The topic holds all batches, sealed by {@link benchSensor}. */
  broker: { address: string; topic: string } | null;
}

export interface InstanceRun {
  segments: number;
  cpuS: number;
  beganMs: number;
  endedMs: number;
  peakMB: number;
  rebuilds: number;
  conflicts: number;
  retries: number;
  transactions: number;
}

export const benchSensor = () => new BenchSensor("sensor0", 1);
const inFlightMax = 256;
const warmBatches = 200;
const messagesPerRequest = 20;
const buckets = serveOptions.buckets.default;
const say = (line: string) => Deno.stdout.writeSync(Buffer.from(`${line}\n`));

export type Bodied = Omit<SealedBatch, "value"> & { body: Uint8Array };

export async function sealAll(recording: string): Promise<Bodied[]> {
  const sensor = benchSensor();
  return (await readRecording(recording)).map((batch) => {
    const { headers, value, flows } = sensor.seal(batch, Date.now());
    return { headers, flows, body: zstdCompressSync(value) };
  });
}

/** Makes the topic and puts batches into it, each into the partition of its bucket. */
export async function fill(
  { address, topic }: NonNullable<InstanceJob["broker"]>,
  batches: readonly Bodied[],
): Promise<void> {
  const reporter = createReporter({ component: "bench", write: () => {} });
  const client = createKafka({ brokers: [address], clientId: "bench", reporter });
  await ensureTopic(client, { topic, partitions: buckets, replicationFactor: 1 });
  const producer = client.producer({ allowAutoTopicCreation: false });
  await producer.connect();
  for (let from = 0; from < batches.length; from += messagesPerRequest) {
    const messages = batches.slice(from, from + messagesPerRequest).map(({ headers, body }) => ({
      key: headers["picket-bucket"],
      partition: Number(headers["picket-bucket"]),
      value: Buffer.from(body),
      headers,
    }));
    await producer.send({ topic, acks: -1, compression: zstdCompression, messages });
  }
  await disconnect(producer);
}

/** Code is compiled as it runs: what is measured is what comes after. */
async function warmUp(
  batches: readonly Bodied[],
  { warmUrl, instance, broker }: InstanceJob,
): Promise<void> {
  const reporter = createReporter({ component: "bench", write: () => {} });
  const store = openStore(`${warmUrl}_${instance}`, { reporter });
  await store.start();
  await benchSensor().enrol(store, Date.now());
  const ingest = new Ingest({ buckets }, { store, reporter, clock: systemClock });
  await ingest.start();
  const some = batches.slice(0, warmBatches);
  if (broker === null) {
    await Promise.all(some.map(({ headers, body }) => ingest.submit((name) => headers[name], body)));
  } else {
    const own = { address: broker.address, topic: `${broker.topic}-warm-${instance}` };
    await fill(own, some);
    const consumer = consume(own, { ingest, store, reporter, onJoin: () => {} });
    while ((reporter.snapshot().get("batches_stored_total") ?? 0) < some.length) await systemClock.sleep(50);
    await consumer.stop();
  }
  await ingest.stop();
  await store.stop();
}

async function submitShare(ingest: Ingest, batches: readonly Bodied[], job: InstanceJob): Promise<number> {
  const waiting = new Set<Promise<void>>();
  let segments = 0;
  for (const [offset, { headers, body, flows }] of batches.entries()) {
    const partition = Number(headers["picket-bucket"]);
    if (partition % job.instances !== job.instance) continue;
    segments += flows;
    const position = { topic: "bench", partition, offset: String(offset), mark: "" };
    const done = ingest.submit((name) => headers[name], body, position).then(({ outcome }) => {
      if (outcome !== "stored") throw new Error(`Cannot bench as a batch is ${outcome}`);
      waiting.delete(done);
    });
    waiting.add(done);
    if (waiting.size >= inFlightMax) await Promise.race(waiting);
  }
  await Promise.all(waiting);
  return segments;
}

function consume(
  { address, topic }: NonNullable<InstanceJob["broker"]>,
  { ingest, store, reporter, onJoin }: {
    ingest: Ingest;
    store: Store;
    reporter: Reporter;
    onJoin: () => void;
  },
): BatchConsumer {
  const kafka = createKafka({ brokers: [address], clientId: "bench", reporter });
  const told = {
    submit: (...batch: Parameters<Ingest["submit"]>) => ingest.submit(...batch),
    assign: (...all: Parameters<Ingest["assign"]>) => {
      onJoin();
      ingest.assign(...all);
    },
  };
  const deps = { kafka, ingest: told, store, clock: systemClock, reporter };
  const consumer = new BatchConsumer({ topic, groupId: topic, buckets }, deps);
  consumer.start();
  return consumer;
}

async function main(job: InstanceJob): Promise<void> {
  const reporter = createReporter({
    component: "bench",
    write: (line) => Deno.stderr.writeSync(Buffer.from(line)),
  });
  const store = openStore(job.url, { reporter });
  await store.start();
  const batches = await sealAll(job.recording);
  if (job.instance === 0) await benchSensor().enrol(store, Date.now());
  await warmUp(batches, job);
  say("ready");
  await Deno.stdin.read(new Uint8Array(1));
  const ingest = new Ingest({ buckets }, { store, reporter, clock: systemClock });
  await ingest.start({ isLater: job.broker !== null });
  const counter = (name: string) => reporter.snapshot().get(name) ?? 0;
  let peak = 0;
  const watch = setInterval(() => peak = Math.max(peak, Deno.memoryUsage().rss), 50);
  let cpuBefore = process.cpuUsage(), beganMs = Date.now(), segments = 0;
  let consumer: BatchConsumer | null = null;
  if (job.broker === null) segments = await submitShare(ingest, batches, job);
  else {
    beganMs = 0;
    // What the group costs to form is not of what a segment costs.
    const onJoin = () => {
      cpuBefore = process.cpuUsage();
      beganMs = Date.now();
    };
    consumer = consume(job.broker, { ingest, store, reporter, onJoin });
    while (beganMs === 0) await systemClock.sleep(5);
    const stored = async () => {
      const positions = await store.readPositions(benchSensor().id, 1);
      return positions.reduce((sum, { batches }) => sum + batches, 0);
    };
    while (await stored() < batches.length) await systemClock.sleep(500);
    segments = counter("segments_stored_total");
  }
  const endedMs = Date.now();
  await consumer?.stop();
  await ingest.stop();
  const cpu = process.cpuUsage(cpuBefore);
  clearInterval(watch);
  await store.stop();
  const run: InstanceRun = {
    segments,
    cpuS: (cpu.user + cpu.system) / 1e6,
    beganMs,
    endedMs,
    peakMB: peak / 1e6,
    rebuilds: counter("merge_rebuilds_total"),
    conflicts: counter("ingest_conflicts_total") + counter("ingest_flow_conflicts_total"),
    transactions: counter("ingest_transactions_total"),
    retries: counter("store_transactions_retried_total"),
  };
  say(JSON.stringify(run));
}

if (import.meta.main) await main(JSON.parse(Deno.args[0]));
