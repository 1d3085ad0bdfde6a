/** What the ring of recent packets costs: paired replays with it and without, in alternating order.
 *
 * Use: `deno run -A test/bench/ring.ts CAPTURE [--pairs N] [--payload start|headers|full] [--facts]`. Flows only unless
 * --facts is given, where the ring weighs most. Out: CPU seconds of both, and the median of the pairs' ratios: above
 * 1.11 a sensor that is bound by its CPU loses more than 10 % of its packet rate.
 * Why CPU time and pairs: both stand what else runs on the machine better than wall time does. The start of the
 * program, the same in both, is measured apart on an empty capture and left out of the ratio. @module */

import { parseArgs } from "@std/cli/parse-args";
import { measure } from "./measure.ts";

const root = new URL("../../", import.meta.url).pathname;

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** CPU seconds of one replay, and the packets in it. */
async function replay(capture: string, payload: string, facts: boolean): Promise<[number, number]> {
  const main = `${root}sensor/main.ts`;
  const command = [Deno.execPath(), "run", "-A", "--no-check", main, "replay", capture];
  const options = ["--ring-payload", payload, ...(facts ? [] : ["--no-facts"])];
  const { cpuS, stdout } = await measure([...command, ...options], { capture, cwd: root });
  return [cpuS, JSON.parse(stdout.trim().split("\n").at(-1)!).capture.packets];
}

/** The first 24 octets of a pcap file are its header. */
async function emptyCapture(): Promise<string> {
  const path = await Deno.makeTempFile({ prefix: "picket-bench-", suffix: ".pcap" });
  const words = new Uint32Array([0xa1b2c3d4, 0x0004_0002, 0, 0, 65_535, 1]);
  await Deno.writeFile(path, new Uint8Array(words.buffer));
  return path;
}

const given = parseArgs(Deno.args, {
  string: ["pairs", "payload"],
  boolean: ["facts"],
  default: { pairs: "7", payload: "start" },
});
const capture = given._[0], pairs = Number(given.pairs), payload = String(given.payload);
const facts = given.facts === true;
if (typeof capture !== "string") {
  print("Use: deno run -A test/bench/ring.ts CAPTURE [--pairs N] [--payload start|headers|full] [--facts]");
  Deno.exit(2);
}
const empty = await emptyCapture();
const starts: number[] = [];
for (let i = 0; i < 3; i++) starts.push((await replay(empty, "off", facts))[0]);
await Deno.remove(empty);
const start = median(starts);
const ratios: number[] = [], without: number[] = [], withRing: number[] = [];
let packets = 0;
for (let pair = 0; pair < pairs; pair++) {
  const order = pair % 2 === 0 ? ["off", payload] : [payload, "off"];
  const seconds: Record<string, number> = {};
  for (const kind of order) [seconds[kind], packets] = await replay(capture, kind, facts);
  without.push(seconds.off - start);
  withRing.push(seconds[payload] - start);
  ratios.push(withRing.at(-1)! / without.at(-1)!);
  print(`pair ${pair + 1}: ${seconds.off.toFixed(2)} s without, ${seconds[payload].toFixed(2)} s with`);
}
const nanoseconds = (median(withRing) - median(without)) * 1e9 / packets;
print(`start of the program: ${start.toFixed(2)} s of CPU, left out below`);
print(
  `${packets} packets: ${median(without).toFixed(2)} s without the ring, ${
    median(withRing).toFixed(2)
  } s with`,
);
print(
  `ratio of CPU, median of ${ratios.length} pairs: ${median(ratios).toFixed(3)} ` +
    `(${Math.min(...ratios).toFixed(3)} - ${Math.max(...ratios).toFixed(3)}); ` +
    `packet rate ${(100 / median(ratios) - 100).toFixed(1)} %; ${nanoseconds.toFixed(0)} ns a packet`,
);
