/** Speed, memory and thrift of the whole sensor beside what else could stand in its place, in one run.
 *
 * Use: `deno run -A test/bench/sensor.ts [CAPTURE] [--packets N] [--snaplen N] [--runs N] [--only NAME,NAME]`. Without
 * a capture the one of ../shared/data/make-perf-pcap.sh is made,
 * of N packets (default 1,000,000) cut to the snaplen, and kept in .cache/bench.
 * What is compared: the whole sensor as a process (start-up, both lanes, seal, spool with fsync, zstd, signature, HTTP
 * until the last acknowledgement); the same without shipping; flows only; tshark printing the fields that the deep lane
 * reads; nfstream, softflowd, nfpcapd and argus with their defaults. All in turns, so that a change of the machine's
 * mood meets everyone; medians count.
 * Out: packets/s, wall and CPU seconds, memory, ratios; the sensor's own memory apart from tshark's; octets shipped
 * against one JSON document a packet.
 * What it does not mean: nobody else here reads payloads and ships durably; the C meters use one core, we two.
 * @module */

import { parseArgs } from "@std/cli/parse-args";
import { measure, type Measured, slope } from "./measure.ts";
import { install, peerPrograms, type Program, sensorCommand, sensorPrograms, whole } from "./programs.ts";
import { documentBytes } from "./documents.ts";
import { Sink } from "./sink.ts";

const root = new URL("../../", import.meta.url).pathname;
const cache = `${root}.cache/bench`;
const perfScript = new URL("../../../shared/data/make-perf-pcap.sh", import.meta.url).pathname;
/** The script cannot make more in one piece. */
const scriptPacketsMax = 8_000_000;
/** Above this load something else is running, and the figures say less. */
const quietLoadMax = 0.5;

/** What was shipped in the last run of the whole sensor. */
interface Shipped {
  wireBytes: number;
  flows: number;
  batches: number;
}

function say(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(line + "\n"));
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));
}

async function run(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args, stdout: "null", stderr: "piped" })
    .output();
  if (success) return;
  const why = new TextDecoder().decode(stderr).trim();
  throw new Error(`Cannot make a capture, name one as the argument: ${command}: ${why}`);
}

async function perfCapture(packets: number, snaplen: number): Promise<string> {
  const path = `${cache}/perf-${packets}-${snaplen}.pcap`;
  if (await Deno.stat(path).then(() => true, () => false)) return path;
  say(`making a capture of ${packets} packets, snaplen ${snaplen === 0 ? "none" : snaplen}`);
  const count = Math.ceil(packets / scriptPacketsMax);
  const parts = Array.from({ length: count }, (_, index) => `${path}.part${index}`);
  try {
    await run("bash", perfScript, parts[0], String(Math.ceil(packets / count)), String(snaplen));
    // Later parts are the same traffic a day on: the addresses come back, the flows are new.
    for (const [index, part] of parts.entries()) {
      if (index > 0) await run("editcap", "-F", "pcap", "-t", String(86_400 * index), parts[0], part);
    }
    await run("mergecap", "-a", "-F", "pcap", "-w", `${path}.whole`, ...parts);
    await Deno.rename(`${path}.whole`, path);
  } finally {
    for (const part of parts) await Deno.remove(part).catch(() => {});
  }
  return path;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function spread(values: readonly number[], unit: (value: number) => string): string {
  if (values.length === 1) return unit(values[0]);
  return `${unit(median(values))} (${unit(Math.min(...values))} - ${unit(Math.max(...values))})`;
}

const thousands = (value: number) => `${Math.round(value / 1_000)}k`;
const megabytes = (value: number) => String(Math.round(value / 1e6));

/** Runs everyone, in turns. */
async function runAll(
  programs: readonly Program[],
  capture: string,
  runs: number,
  sink: Sink,
): Promise<{ results: Map<Program, Measured[]>; shipped: Shipped }> {
  const results = new Map<Program, Measured[]>();
  let shipped: Shipped = { wireBytes: 0, flows: 0, batches: 0 };
  for (let run = 1; run <= runs; run++) {
    for (const program of programs) {
      const folder = await Deno.makeTempDir({ prefix: "picket-bench-" });
      sink.forget();
      try {
        const measured = await measure(program.command(capture, folder), { capture, cwd: root });
        results.set(program, [...results.get(program) ?? [], measured]);
        say(`run ${run} of ${runs}: ${program.name}, ${measured.wallS.toFixed(1)} s`);
        const { wireBytes, flows, batches } = sink;
        if (program.name === whole) shipped = { wireBytes, flows, batches };
      } catch (error) {
        say(`${program.name}: ${(error as Error).message.slice(0, 400)}`);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    }
  }
  return { results, shipped };
}

function printSpeed(results: Map<Program, Measured[]>, packets: number): void {
  const own = [...results].find(([{ name }]) => name === whole)?.[1];
  const ownWall = own ? median(own.map(({ wallS }) => wallS)) : NaN;
  const tshark = [...results].find(([{ name }]) => name.startsWith("tshark"))?.[1];
  const tsharkWall = tshark ? median(tshark.map(({ wallS }) => wallS)) : NaN;
  const heads = ["wall s".padStart(7), "CPU s/M".padStart(8), "peak MB".padStart(8), "x tshark".padStart(9)];
  print("");
  print(`${"program".padEnd(28)} ${"packets/s".padEnd(24)} ${heads.join(" ")}  whole sensor is`);
  for (const [{ name, aim }, all] of results) {
    const wall = median(all.map(({ wallS }) => wallS));
    const cpu = median(all.map(({ cpuS }) => cpuS)) / packets * 1e6;
    const rate = spread(all.map(({ wallS }) => packets / wallS), thousands);
    const peak = megabytes(median(all.map(({ peakBytes }) => peakBytes)));
    const ratio = wall / ownWall;
    const judged = aim === 0 ? "" : ` (aim ${aim}: ${ratio >= aim ? "met" : "missed"})`;
    const times = name === whole || Number.isNaN(ratio) ? "" : `${ratio.toFixed(2)} x as fast${judged}`;
    const timesTshark = (tsharkWall / wall).toFixed(1).padStart(9);
    const columns = [wall.toFixed(2).padStart(7), cpu.toFixed(2).padStart(8), peak.padStart(8), timesTshark];
    print(`${name.padEnd(28)} ${rate.padEnd(24)} ${columns.join(" ")}  ${times}`.trimEnd());
  }
}

function printMemory(all: readonly Measured[], captureBytes: number, packets: number): void {
  const own = spread(all.map(({ ownPeakBytes }) => ownPeakBytes), megabytes);
  const child = spread(all.map(({ childPeakBytes }) => childPeakBytes), megabytes);
  const growth = spread(all.map(({ samples }) => slope(samples, captureBytes, packets)), (v) => v.toFixed(2));
  const children = Math.max(...all.map((measured) => measured.children));
  print("");
  print(`memory of the whole sensor, without tshark: peak ${own} MB (aim 150)`);
  print(`  growth over the second half: ${growth} B a packet (aim 1)`);
  print(`  tshark: peak ${child} MB each, ${children} child processes seen`);
}

async function printBytes(shipped: Shipped, capture: string, packets: number): Promise<void> {
  const documents = await documentBytes(capture);
  const perPacket = shipped.wireBytes / packets;
  print("");
  print(`shipped: ${shipped.wireBytes} B in ${shipped.batches} batches, ${shipped.flows} flow segments`);
  print(
    `  ${perPacket.toFixed(2)} B a packet, ${
      (shipped.wireBytes / shipped.flows).toFixed(1)
    } B a flow (aim 20)`,
  );
  if (documents === null) return;
  print(
    `  1/${Math.round(documents.ek / perPacket)} of tshark -T ek (${
      Math.round(documents.ek)
    } B a packet, first ${documents.packets} packets; aim 1/200)`,
  );
  print(
    `  1/${Math.round(documents.small / perPacket)} of one JSON document of 13 fields a packet (${
      Math.round(documents.small)
    } B)`,
  );
}

async function main(): Promise<void> {
  const args = parseArgs(Deno.args, {
    string: ["packets", "snaplen", "runs", "only"],
    default: { packets: "1000000", snaplen: "0", runs: "3", only: "" },
  });
  await Deno.mkdir(cache, { recursive: true });
  const capture = args._.length > 0
    ? String(args._[0])
    : await perfCapture(Number(args.packets), Number(args.snaplen));
  const peers = await install(peerPrograms(`${cache}/nfstream/bin/python`), `${cache}/nfstream`, say);
  const state = await Deno.makeTempDir({ prefix: "picket-bench-state-" });
  const sink = new Sink();
  sink.start();
  try {
    await sink.enrol(state);
    const wanted = String(args.only).split(",").filter((name) => name !== "");
    const programs = [...sensorPrograms(await sensorCommand(root), state), ...peers].filter(({ name }) =>
      wanted.length === 0 || wanted.some((part) => name.includes(part))
    );
    const [load] = Deno.loadavg();
    if (load > quietLoadMax) say(`the machine is not quiet: load ${load.toFixed(2)}`);
    const { results, shipped } = await runAll(programs, capture, Number(args.runs), sink);
    const own = [...results].find(([{ name }]) => name.startsWith("picket"))?.[1];
    if (!own) throw new Error("Cannot bench as the sensor itself did not run");
    const summary = JSON.parse(own[0].stdout.trim().split("\n").at(-1)!).capture;
    const { size } = await Deno.stat(capture);
    const cores = navigator.hardwareConcurrency;
    print(`${capture}: ${summary.packets} packets, ${megabytes(size)} MB, ${args.runs} runs, ${cores} cores`);
    print(`load before: ${load.toFixed(2)}; median (min - max)`);
    printSpeed(results, summary.packets);
    const shipping = [...results].find(([{ name }]) => name === whole)?.[1];
    if (!shipping) return;
    printMemory(shipping, size, summary.packets);
    await printBytes(shipped, capture, summary.packets);
  } finally {
    await sink.stop();
    await Deno.remove(state, { recursive: true });
  }
}

await main();
