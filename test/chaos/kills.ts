/** Kills the programs at random moments and holds what the store has against what was spooled.
 *
 *     deno run -A test/chaos/kills.ts --victim sensor --way http --kills 1000
 *     deno run -A test/chaos/kills.ts --victim aggregator --way kafka --kills 1000 --seed 7
 *
 * `deno task nightly` has 1,000 of each victim and way.
 *
 * In: who is killed (`sensor`, `aggregator`), how batches travel (`http` into SQLite, `kafka` into MariaDB), how often,
 * a seed for the moments. Out: kills, batches, repeats, packets spooled and stored;
 * exit code 1 when one was lost or doubled.
 * Method: real processes, SIGKILL, no clean end; each run replays a capture of flows that no other run has, so every
 * packet of every batch counts once in the totals. Afterwards the spool is drained and the totals are compared.
 * @module */

import { parseArgs } from "node:util";
import { Capture } from "../../deploy/demo/packets.ts";
import { createDatabase, newTopic, useKafka, useMariadb } from "../services/services.ts";
import { World } from "../e2e/world.ts";
import { Oracle, recordingProxy, type Spooled } from "./oracle.ts";

export interface KillOptions {
  victim: "sensor" | "aggregator";
  way: "http" | "kafka";
  kills: number;
  seed: number;
  /** Brokers, and a database that is made for this run; used by `kafka`. */
  services?: { brokers: string; store: string };
  /** Told after each tenth kill. */
  onProgress?: (kills: number) => void;
}

export interface KillReport extends Spooled {
  kills: number;
  repeats: number;
  stored: { packets: number; bytes: number };
  openGaps: number;
}

const flowsPerRun = 3_000;
const aggregatorLifeMs = 1_500;

export async function killAtRandom(options: KillOptions): Promise<KillReport> {
  const { way, services } = options;
  const topic = newTopic();
  const world = new World(way === "kafka" && services ? fleetOptions(services, topic) : {});
  const oracle = new Oracle();
  const proxy = recordingProxy(world.url, oracle);
  try {
    await world.start();
    const state = await world.enrol("chaos", "lab", proxy.url);
    const kills = options.victim === "sensor"
      ? await killSensors(world, state, options)
      : await killAggregators(world, state, options);
    await drain(world, state);
    if (way === "kafka" && services) await oracle.readTopic(services.brokers, topic);
    const totals = await world.until("/stats/totals", ({ packets }) => packets >= oracle.spooled.packets, 60);
    const { rows } = await world.get("/gaps?open=true");
    const stored = { packets: totals.packets, bytes: totals.bytes };
    return { kills, repeats: oracle.repeats, ...oracle.spooled, stored, openGaps: rows.length };
  } finally {
    await world.stop();
    await proxy.stop();
  }
}

function fleetOptions({ brokers, store }: NonNullable<KillOptions["services"]>, topic: string) {
  const url = new URL(store);
  const env = { PICKET_STORE_PASSWORD: decodeURIComponent(url.password) };
  // A password in an argument is refused.
  url.password = "";
  return { env, serveArgs: ["--store", url.href, "--kafka-brokers", brokers, "--kafka-topic", topic] };
}

/** Whether nothing was lost or doubled, and something was spooled at all. */
export function isWhole({ packets, bytes, stored, openGaps }: KillReport): boolean {
  return packets > 0 && stored.packets === packets && stored.bytes === bytes && openGaps === 0;
}

async function killSensors(world: World, state: string, options: KillOptions): Promise<number> {
  const random = prng(options.seed);
  // Killed somewhere between its start and its end, which a machine that has more to do reaches later.
  const beganMs = performance.now();
  await world.sensor(...replayArgs(await writeCapture(world, 0), state));
  const lifeMs = performance.now() - beganMs;
  for (let kill = 1; kill <= options.kills; kill++) {
    const child = world.spawnSensor(...replayArgs(await writeCapture(world, kill), state));
    await sleep(random() * lifeMs);
    await end(child);
    if (kill % 10 === 0) options.onProgress?.(kill);
  }
  return options.kills;
}

/** The sensor goes on all the while; what it could not deliver stays in its spool for the next replay. */
async function killAggregators(world: World, state: string, options: KillOptions): Promise<number> {
  const random = prng(options.seed);
  let run = 0, isOver = false;
  const sending = (async () => {
    while (!isOver) await world.sensor(...replayArgs(await writeCapture(world, ++run), state));
  })();
  for (let kill = 1; kill <= options.kills; kill++) {
    await sleep(random() * aggregatorLifeMs);
    await world.killAggregator();
    // In its old group it would wait half a minute for the member that was killed;
    // the database's offsets hold for any group.
    await world.start(...options.way === "kafka" ? ["--kafka-group", `chaos-${options.seed}-${kill}`] : []);
    if (kill % 10 === 0) options.onProgress?.(kill);
  }
  isOver = true;
  await sending;
  return options.kills;
}

/** Replays until the spool is empty. */
async function drain(world: World, state: string): Promise<void> {
  let last = "";
  for (let i = 0; i < 10; i++) {
    const { code, stderr } = await world.sensor(
      ...replayArgs(await writeCapture(world, 1_000_000 + i), state),
    );
    last = stderr;
    const left = [...Deno.readDirSync(`${state}/spool`)].filter(({ name }) => name.endsWith(".batch")).length;
    if (code === 0 && left === 0) return;
  }
  throw new Error(`the spool was not drained:\n${last}`);
}

function replayArgs(capture: string, state: string): string[] {
  return ["replay", capture, "--state", state, "--ship", "--no-facts"];
}

async function end(child: Deno.ChildProcess): Promise<void> {
  try {
    child.kill("SIGKILL");
  } catch {
    // It had ended before its time came.
  }
  await child.status;
}

/** A capture whose flows belong to this run alone. */
async function writeCapture(world: World, run: number): Promise<string> {
  const capture = new Capture(run);
  const client = { ip: `10.${(run >> 16) & 255}.${(run >> 8) & 255}.${run & 255}`, mac: "02:00:00:00:00:0a" };
  const server = { ip: "192.0.2.20", mac: "02:00:00:00:00:0b" };
  const payload = new Uint8Array(20);
  for (let flow = 0; flow < flowsPerRun; flow++) {
    const timeS = 1_700_000_000 + run * 10 + flow / 1_000;
    capture.udp(timeS, client, 10_000 + flow, server, 9, payload);
    capture.udp(timeS + 0.000_5, server, 9, client, 10_000 + flow, payload);
  }
  const path = `${world.folder}/run-${run % 4}.pcap`;
  await Deno.writeFile(path, capture.toPcap());
  return path;
}

function prng(seed: number): () => number {
  return () => (seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      victim: { type: "string", default: "sensor" },
      way: { type: "string", default: "http" },
      kills: { type: "string", default: "100" },
      seed: { type: "string", default: "1" },
    },
  });
  const way = values.way === "kafka" ? "kafka" : "http";
  const services = way === "kafka"
    ? { brokers: (await useKafka()).address, store: await createDatabase((await useMariadb()).address) }
    : null;
  const report = await killAtRandom({
    victim: values.victim === "aggregator" ? "aggregator" : "sensor",
    way,
    kills: Number(values.kills),
    seed: Number(values.seed),
    ...(services ? { services } : {}),
    onProgress: (kills) => Deno.stderr.writeSync(new TextEncoder().encode(`\r${kills} kills`)),
  });
  const lost = report.packets - report.stored.packets;
  Deno.stdout.writeSync(new TextEncoder().encode(
    `\n${JSON.stringify(report)}\n${lost > 0 ? lost : 0} packets lost, ${lost < 0 ? -lost : 0} doubled\n`,
  ));
  Deno.exit(isWhole(report) ? 0 : 1);
}
