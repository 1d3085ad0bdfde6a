/** Detection alone: updates a second with all detectors on, and memory when a million hosts were seen.
 *
 * In: nothing; updates are made here, from a seed. Out: updates a second over a mix of ordinary traffic and attacks;
 * the same, and the growth of the heap, over a million hosts that each try something once.
 * Seconds are those of the processor, V8's helper threads included, so that a busy machine changes little.
 * Use: `deno run -A --v8-flags=--expose-gc test/bench/detect.ts [--updates 400000] [--hosts 1000000]`.
 * What it does not mean: merging and storing are not in it. @module */

import process from "node:process";
import { parseArgs } from "@std/cli/parse-args";
import { startDetectors } from "../../aggregator/detect/detectors/catalogue.ts";
import { Engine } from "../../aggregator/detect/engine.ts";
import type { FlowUpdate } from "../../aggregator/model/flow.ts";
import { explainByRules } from "../../aggregator/triage/rules.ts";
import { Capture } from "../../deploy/demo/packets.ts";
import { createReporter } from "../../shared/reporter.ts";
import { lookUp, refused, silent, update } from "../aggregator/detect/updates.ts";

const given = parseArgs(Deno.args, { string: ["updates", "hosts"] });
const updatesMax = Number(given.updates ?? 400_000), hostsMax = Number(given.hosts ?? 1_000_000);
const batch = 2_000;

function newEngine(): Engine {
  const reporter = createReporter({ component: "bench", write: () => {} });
  return new Engine({}, { detectors: startDetectors(), reporter, explain: explainByRules });
}

/** Of 100 updates: 50 of TLS, 25 of DNS, 10 later segments, 5 refused, 5 silent, 5 ARP. */
function* mixed(count: number): Generator<FlowUpdate> {
  const random = new Capture(11);
  const server = () => `198.51.${random.between(0, 256)}.${random.between(1, 255)}`;
  for (let i = 0; i < count; i++) {
    const src_ip = `10.0.${random.between(0, 4)}.${random.between(1, 255)}`, at = i / 1_000;
    const kind = i % 100;
    if (kind < 50) {
      const sni = `host${random.between(0, 500)}.example.com`;
      yield update(at, { src_ip, dst_ip: server(), app_protocol: "tls", facts: { tls: { sni } } });
    } else if (kind < 75) yield lookUp(at, `host${random.between(0, 500)}.example.com`, "A", { src_ip });
    else if (kind < 85) yield update(at, { src_ip, dst_ip: server(), segment: 3, facts: null }, false);
    else if (kind < 90) yield update(at, { ...refused, src_ip, dst_ip: server(), dst_port: 445 });
    else if (kind < 95) yield update(at, { ...silent, src_ip, dst_ip: server() });
    else yield update(at, { ...silent, protocol: "arp", src_ip, dst_ip: `10.0.0.${i % 250}`, dst_port: 0 });
  }
}

/** A scan of everything, by everyone: each update from a host never seen before. */
function* strangers(count: number): Generator<FlowUpdate> {
  for (let i = 0; i < count; i++) {
    const src_ip = `${20 + (i >> 20)}.${i >> 16 & 15}.${i >> 8 & 255}.${i & 255}`;
    yield update(i / 5_000, {
      ...i % 2 ? refused : silent,
      src_ip,
      dst_ip: `10.0.${i >> 8 & 3}.${i & 255}`,
      dst_port: i % 1_000,
    });
  }
}

function heapBytes(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return Deno.memoryUsage().heapUsed;
}

/** Seconds in the engine; making the updates is not counted. */
function stepAll(engine: Engine, updates: Iterable<FlowUpdate>): { seconds: number; count: number } {
  let seconds = 0, count = 0;
  let waiting: FlowUpdate[] = [];
  const flush = () => {
    const start = process.cpuUsage();
    engine.step(waiting, 0);
    const { user, system } = process.cpuUsage(start);
    seconds += (user + system) / 1e6;
    count += waiting.length;
    waiting = [];
  };
  for (const one of updates) {
    waiting.push(one);
    if (waiting.length >= batch) flush();
  }
  flush();
  return { seconds, count };
}

function report(what: string, { seconds, count }: { seconds: number; count: number }, more = ""): void {
  const rate = Math.round(count / seconds / 1e3);
  // deno-lint-ignore no-console -- the result
  console.log(`${what}: ${rate} k updates/s over ${count} updates${more}`);
}

stepAll(newEngine(), mixed(50_000));
report("mixed traffic", stepAll(newEngine(), mixed(updatesMax)));
const engine = newEngine();
const before = heapBytes();
const run = stepAll(engine, strangers(hostsMax));
const grown = Math.round((heapBytes() - before) / 1e6);
report("a million strangers", run, `; heap grew by ${grown} MB, ${engine.threats.length} threats`);
