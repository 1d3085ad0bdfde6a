/** The load of a large fleet on one aggregator: live sensors that never pause, over HTTP or Kafka, into either store.
 *
 *     deno run -A test/bench/fleet_load.ts [--factor 1] [--seconds 600] [--way http|kafka] [--store mariadb|sqlite]
 *
 * At factor 1 MariaDB has 300 sensors of 100 flows a second and 1,000 quiet ones of 5, SQLite 100 sensors of 50; a
 * factor below 1 leaves out sensors, not flows of a sensor.
 * Method: a real aggregator with all its duties, in a process of its own. Every flow is a TCP connection that ends, so
 * each bucket is sealed a quarter of a second after the first end in it, signed, and sent at once.
 * Out: flows and batches sent; refused; from the end of a flow to its row p50 and p99: over HTTP until the answer,
 * which comes after the commit, over Kafka until the offset in the database, looked at every 50 ms; memory of the
 * aggregator, CPU of it and of the database; the share of this program too, and how late it was. Flows stored against
 * flows sent; exit code 1 when one is missing, doubled or refused.
 * Aim at factor 1: nothing refused, p99 <= 1 s, memory flat. @module */

import { Buffer } from "node:buffer";
import { parseArgs } from "@std/cli/parse-args";
import { openStore } from "../../aggregator/store/open.ts";
import type { Store } from "../../aggregator/store/store.ts";
import { serveOptions } from "../../aggregator/options/serve_options.ts";
import { createKafka, disconnect, ensureTopic, zstdCompression } from "../../shared/kafka.ts";
import { createReporter } from "../../shared/reporter.ts";
import { spawnProgram } from "../aggregator/commands/harness.ts";
import { createDatabase, newTopic, useKafka, useMariadb } from "../services/services.ts";
import { HttpLines } from "./http_lines.ts";
import { compressed, enrolAll, type MadeBatch, MadeTraffic, makeSensors } from "./made_sensors.ts";
import { cpuSeconds } from "./wire.ts";

const tickMs = 25, sealAgeMs = 250, offsetsEveryMs = 50, drainMs = 20_000, leadInS = 5;
const buckets = serveOptions.buckets.default;
const fleets = {
  mariadb: [{ sensors: 300, flowsPerS: 100 }, { sensors: 1_000, flowsPerS: 5 }],
  sqlite: [{ sensors: 100, flowsPerS: 50 }],
};
const reporter = createReporter({ component: "bench", write: () => {} });

interface Sender {
  send(batches: readonly MadeBatch[]): void;
  /** Waits for what is under way. */
  close(): Promise<void>;
}

const waits: number[] = [], late: number[] = [];
const counted = { flows: 0, batches: 0, refused: 0, stored: 0 };

function stored(batch: MadeBatch, nowMs: number): void {
  counted.stored += batch.ends.length;
  if (isCounted) { for (const endMs of batch.ends) waits.push(nowMs - endMs); }
}

/** Each batch is a request of its own, as from a sensor. */
function overHttp(url: string): Sender {
  const lines = new HttpLines(url), waiting = new Set<Promise<void>>();
  const one = async (batch: MadeBatch) => {
    const fields = Object.entries(batch.headers).map(([name, value]) => `${name}: ${value}\r\n`).join("");
    const head =
      `POST /api/v1/batches HTTP/1.1\r\ncontent-type: application/json\r\ncontent-encoding: zstd\r\n${fields}`;
    const answer = await lines.ask(head, compressed(batch)).catch(() => null);
    if (answer?.status === 200) stored(batch, Date.now());
    else counted.refused++;
  };
  return {
    send(batches) {
      for (const batch of batches) {
        const done = one(batch).finally(() => waiting.delete(done));
        waiting.add(done);
      }
    },
    async close() {
      await Promise.all(waiting);
      lines.close();
    },
  };
}

/** One producer for all, and the database's offsets as the word for what is stored. */
async function overKafka(brokers: string, topic: string, store: Store): Promise<Sender> {
  const kafka = createKafka({ brokers: brokers.split(","), clientId: "bench", reporter });
  await ensureTopic(kafka, { topic, partitions: buckets, replicationFactor: 1 });
  const producer = kafka.producer({ allowAutoTopicCreation: false });
  await producer.connect();
  const waiting: { batch: MadeBatch; offset: bigint }[][] = Array.from({ length: buckets }, () => []);
  const next = new Array<bigint>(buckets).fill(0n);
  let sending: Promise<unknown> = Promise.resolve(), isOver = false;
  let pending: { key: string; partition: number; value: Buffer; headers: Record<string, string> }[] = [];
  const looking = (async () => {
    const endsMs = () => waiting.some((all) => all.length > 0);
    while (!isOver || endsMs()) {
      await new Promise((resolve) => setTimeout(resolve, offsetsEveryMs));
      for (const { partition, next_offset } of await store.readOffsets(topic)) {
        const all = waiting[partition];
        while (all.length > 0 && all[0].offset < BigInt(next_offset)) stored(all.shift()!.batch, Date.now());
      }
    }
  })();
  return {
    send(batches) {
      for (const batch of batches) {
        const { headers, value, bucket } = batch;
        waiting[bucket].push({ batch, offset: next[bucket]++ });
        pending.push({ key: String(bucket), partition: bucket, value: Buffer.from(value), headers });
      }
      // One after another, as the offsets are counted here; what comes meanwhile goes with the next.
      sending = sending.then(async () => {
        const messages = pending;
        pending = [];
        if (messages.length === 0) return;
        await producer.send({ topic, acks: -1, compression: zstdCompression, messages });
      });
    },
    async close() {
      await sending;
      isOver = true;
      await Promise.race([looking, new Promise((resolve) => setTimeout(resolve, drainMs))]);
      await disconnect(producer);
    },
  };
}

let isCounted = false;

/** Sends for `seconds`; the first few, in which the program compiles itself, are not counted. */
async function play(
  fleet: Fleet,
  sender: Sender,
  seconds: number,
  everyS: () => Promise<void>,
): Promise<void> {
  const beganMs = performance.now(), epochMs = Date.now();
  const flowsOf = fleet.rates.map(() => 0);
  for (let tick = 1, second = 0; tick * tickMs <= seconds * 1_000; tick++) {
    const dueMs = beganMs + tick * tickMs;
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    else if (tick % 8 === 0) await new Promise((resolve) => setTimeout(resolve));
    isCounted = tick * tickMs > leadInS * 1_000;
    if (isCounted) late.push(Math.max(0, performance.now() - dueMs));
    const nowMs = epochMs + tick * tickMs;
    const batches: MadeBatch[] = [];
    for (const [index, traffic] of fleet.traffic.entries()) {
      // Sensors begin at different moments of a second, or all would seal at once.
      const wanted = Math.floor(fleet.rates[index] * (tick * tickMs / 1_000 + index % 40 / 40));
      for (; flowsOf[index] < wanted; flowsOf[index]++) traffic.end(nowMs - Math.random() * tickMs);
      batches.push(...traffic.seal(nowMs, sealAgeMs));
    }
    note(batches);
    if (batches.length > 0) sender.send(batches);
    if (tick * tickMs >= (second + 1) * 1_000) {
      second++;
      if (second % 10 === 0) await everyS();
    }
  }
  const rest = fleet.traffic.flatMap((traffic) => traffic.seal(Date.now(), -Infinity));
  note(rest);
  if (rest.length > 0) sender.send(rest);
}

function note(batches: readonly MadeBatch[]): void {
  counted.batches += batches.length;
  for (const { ends } of batches) counted.flows += ends.length;
}

interface Fleet {
  rates: number[];
  traffic: MadeTraffic[];
}

async function main(): Promise<number> {
  const args = parseArgs(Deno.args, {
    string: ["factor", "seconds", "way", "store"],
    default: { factor: "1", seconds: "600", way: "http", store: "mariadb" },
  });
  const kind = args.store === "sqlite" ? "sqlite" : "mariadb", factor = Number(args.factor);
  const rates = fleets[kind].flatMap(({ sensors, flowsPerS }) =>
    new Array<number>(Math.max(1, Math.round(sensors * factor))).fill(flowsPerS)
  );
  const made = makeSensors(rates.length);
  const fleet = { rates, traffic: made.map((sensor, index) => new MadeTraffic(sensor, index, buckets)) };
  const folder = await Deno.makeTempDir({ prefix: "picket-bench-load-" });
  const url = kind === "sqlite"
    ? `sqlite:${folder}/picket.db`
    : await createDatabase((await useMariadb()).address, "picket_bench");
  try {
    await enrolAll(url, made, false);
    return await bench(fleet, url, folder, args.way === "kafka", Number(args.seconds), `factor ${factor}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function bench(
  fleet: Fleet,
  url: string,
  folder: string,
  isKafka: boolean,
  seconds: number,
  what: string,
): Promise<number> {
  const topic = newTopic("bench"), brokers = isKafka ? (await useKafka()).address : "";
  const store = openStore(url, { reporter });
  await store.start();
  const sender = isKafka ? await overKafka(brokers, topic, store) : null;
  const child = spawnProgram(
    [
      ...["serve", "--state", folder, "--listen", "127.0.0.1:0", "--trusted-proxies", "127.0.0.1"],
      ...["--store", url.replace(/:[^:@/]*@/, "@")],
      ...(isKafka ? ["--kafka-brokers", brokers, "--kafka-topic", topic] : []),
    ],
    { PICKET_STORE_PASSWORD: url.startsWith("mariadb") ? decodeURIComponent(new URL(url).password) : "" },
  );
  const log = new Response(child.stderr).text(), out = child.stdout.getReader();
  try {
    const { listening, key_file } = JSON.parse(new TextDecoder().decode((await out.read()).value));
    const ways = sender ?? overHttp(listening);
    const cpu = async () => [...(await cpuSeconds(child.pid)).values()].reduce((sum, one) => sum + one, 0);
    const server = await databaseServer(url), serverBefore = server && ticksS(server);
    const before = await cpu(), ownBefore = ticksS("self");
    const memory: string[] = [], beganMs = performance.now();
    const sample = async () => void memory.push(await residentMib(child.pid));
    await play(fleet, ways, seconds, sample);
    await ways.close();
    const passedS = (performance.now() - beganMs) / 1_000, used = await cpu() - before;
    const { flows } = await store.readTotals();
    const transactions = await metric(listening, key_file, "picket_ingest_transactions_total");
    say(
      `${what}: ${fleet.rates.length} sensors, ${isKafka ? "Kafka" : "HTTP"} into ${
        url.split(":")[0]
      }, ${seconds} s`,
    );
    say(
      `sent ${(counted.flows / seconds).toFixed(0)} flows/s in ${
        (counted.batches / seconds).toFixed(0)
      } batches/s, ` +
        `${counted.refused} refused; ${counted.flows} flows sent, ${flows} stored`,
    );
    say(
      `end of a flow to its row: p50 ${at(waits, 0.5)} ms, p99 ${at(waits, 0.99)} ms, max ${
        at(waits, 0.999999)
      } ms`,
    );
    say(`this program was late: p50 ${at(late, 0.5)} ms, p99 ${at(late, 0.99)} ms`);
    say(
      `aggregator: ${(used / passedS * 100).toFixed(0)} % of a core, ${
        (used * 1e6 / counted.flows).toFixed(0)
      } us a flow`,
    );
    if (server !== null) {
      const spent = ticksS(server) - serverBefore!;
      say(
        `MariaDB: ${(spent / passedS * 100).toFixed(0)} % of a core, ${
          (spent * 1e6 / counted.flows).toFixed(0)
        } us a flow`,
      );
    }
    say(
      `transactions: ${(transactions / passedS).toFixed(1)} a second, ` +
        `${(counted.batches / transactions).toFixed(0)} batches each`,
    );
    say(
      `memory every 10 s, MiB: ${memory.join(" ")}; this program ${
        ((ticksS("self") - ownBefore) / passedS * 100).toFixed(0)
      } % of a core`,
    );
    return counted.refused === 0 && flows === counted.flows ? 0 : 1;
  } finally {
    child.kill("SIGTERM");
    await child.status;
    await out.cancel();
    const said = (await log).split("\n").filter((line) => /warning|error/i.test(line)).slice(0, 5);
    for (const line of said) say(line);
    await store.stop();
  }
}

async function metric(url: string, keyFile: string, name: string): Promise<number> {
  const key = (await Deno.readTextFile(keyFile)).trim();
  const text = await (await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${key}` } })).text();
  return Number(new RegExp(`^${name} (\\d+)`, "m").exec(text)?.[1] ?? NaN);
}

/** The process that listens on the port of the database's URL; null = there is none. */
async function databaseServer(url: string): Promise<number | null> {
  if (!url.startsWith("mariadb")) return null;
  for await (const { name } of Deno.readDir("/proc")) {
    const command = /^\d+$/.test(name)
      ? await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "")
      : "";
    if (command.split("\0")[0].endsWith("mariadbd") && command.includes(`--port=${new URL(url).port}\0`)) {
      return Number(name);
    }
  }
  return null;
}

/** User and system time of a process and its threads. */
function ticksS(pid: number | "self"): number {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function residentMib(pid: number): Promise<string> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`).catch(() => "");
  return (Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1_024).toFixed(0);
}

function at(values: number[], part: number): string {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(0);
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

Deno.exit(await main());
