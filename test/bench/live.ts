/** The sensor on a live wire: how fast until the first packet is lost, how soon a packet is captured, and how soon the
 * end of a flow is visible in the API.
 *
 * In: a capture to send (argument; default the demo day). Out: a table of rates with packets sent, captured, dropped by
 * the kernel, CPU and the sensor's own peak of memory; the time from a packet's stamp to the sensor's hands at three
 * rates; then p50, p99 and the slowest of the times from a TCP connection's end on the wire to its row in the API,
 * everything durable.
 * Use (as root): `deno run -A test/bench/live.ts [CAPTURE] [--flows 300] [--seconds 5] [--rates 20000,50000,...]
 * [--only rates|delay|latency]`.
 * What it does not mean: sender, dumpcap, both lanes, tshark and the aggregator share this machine's cores; on a sensor
 * of its own the first drop comes later. CPU is that of the processes alive: a dumpcap that was relieved, every 20 s,
 * is no longer among them. Rates stop at the first step that loses packets twice, the latencies are polled every 5 ms.
 * @module */

import { parseArgs } from "@std/cli/parse-args";
import { LiveSource } from "../../sensor/capture/live_source.ts";
import { systemClock } from "../../shared/clock.ts";
import { createReporter } from "../../shared/reporter.ts";
import { fromSource, World } from "../e2e/world.ts";
import { cpuSeconds, peakBytes, Wire } from "./wire.ts";

const demo = new URL("../../deploy/demo/office-day.pcap", import.meta.url).pathname;
const ratesAtStart = "10000,20000,50000,100000,150000,200000,300000,400000,0";
/** Packets a second, for how many seconds. The first rate walks through all phases of dumpcap's quarter of a second. */
const delayRates = [[0.93, 40], [100, 10], [10_000, 5]] as const;
const openMax = 80;
const waitS = 30;

interface Step {
  rate: number;
  sent: number;
  seconds: number;
  captured: number;
  dropped: number;
  notSampled: number;
  cpu: Map<string, number>;
  /** Peak of the sensor alone, without its children. */
  ownBytes: number;
}

/** A sensor that captures on the wire, in its own process. */
class Sensor {
  #child: Deno.ChildProcess;
  #stdout: Promise<string>;

  constructor(readonly wire: Wire, readonly world: World, readonly state: string) {
    const [program, ...first] = fromSource.sensor;
    const args = ["run", "--interface", wire.near, "--state", state, "--check-in-s", "1"];
    this.#child = new Deno.Command(program, {
      args: [...first, ...args],
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#stdout = new Response(this.#child.stdout).text();
  }

  get pid(): number {
    return this.#child.pid;
  }

  async isCapturing(sinceMs: number): Promise<void> {
    await this.world.until(
      "/fleet",
      (fleet) =>
        fleet.sensors.some((
          one: { last_check_in_ms: number; capture: { state: string } | null },
        ) => one.last_check_in_ms > sinceMs && one.capture?.state === "capturing"),
      waitS,
    );
  }

  async stop() {
    this.#child.kill("SIGTERM");
    await this.#child.status;
    const { capture } = JSON.parse((await this.#stdout).trim().split("\n").at(-1)!);
    const status = await this.world.sensor("status", "--json", "--state", this.state);
    return { capture, dropped: JSON.parse(status.stdout).status.health.capture.dropped as number };
  }
}

async function step(world: World, wire: Wire, capture: string, rate: number, seconds: number): Promise<Step> {
  const state = await world.enrol(`rate-${rate}-${crypto.randomUUID().slice(0, 4)}`);
  const sinceMs = Date.now();
  const sensor = new Sensor(wire, world, state);
  await sensor.isCapturing(sinceMs);
  const before = await cpuSeconds(sensor.pid);
  const sent = await wire.send(capture, rate === 0 ? null : rate, seconds);
  const after = await cpuSeconds(sensor.pid);
  const ownBytes = await peakBytes(sensor.pid);
  // dumpcap empties the kernel's buffer four times a second;
  // what it has not taken when it is told to stop, nobody counts.
  await new Promise((resolve) => setTimeout(resolve, 600));
  const { capture: summary, dropped } = await sensor.stop();
  const cpu = new Map([...after].map(([name, value]) => [name, value - (before.get(name) ?? 0)]));
  return {
    rate,
    sent: sent.packets,
    seconds: sent.seconds,
    captured: summary.packets,
    dropped,
    notSampled: summary.left_out.not_sampled ?? 0,
    cpu,
    ownBytes,
  };
}

async function rates(
  world: World,
  wire: Wire,
  capture: string,
  all: number[],
  seconds: number,
): Promise<void> {
  let hasLost = false;
  write(
    "   asked/s     sent/s       sent   captured   dropped  not sampled  CPU s: sensor  dumpcap  tshark  sensor MB",
  );
  for (const [rate, attempt] of all.flatMap((rate) => [[rate, 1], [rate, 2]])) {
    if (attempt > 1 && !hasLost) continue;
    const done = await step(world, wire, capture, rate, seconds);
    const cpu = (name: string) => (done.cpu.get(name) ?? 0).toFixed(1);
    const cells = [
      (rate === 0 ? "top" : String(rate)).padStart(10),
      String(Math.round(done.sent / done.seconds)).padStart(10),
      String(done.sent).padStart(10),
      String(done.captured).padStart(10),
      String(done.dropped).padStart(9),
      String(done.notSampled).padStart(12),
      cpu("deno").padStart(14),
      cpu("dumpcap").padStart(8),
      cpu("tshark").padStart(7),
      (done.ownBytes / 1e6).toFixed(0).padStart(10),
    ];
    write(cells.join(" "));
    // Others may have had the machine: only what is lost twice counts.
    if (hasLost && done.dropped > 0) return;
    hasLost = done.dropped > 0;
  }
}

/** Times from a packet's stamp to the handler, ms, in order. */
async function delays(wire: Wire, capture: string, rate: number, seconds: number): Promise<number[]> {
  const source = new LiveSource({
    interfaces: [wire.near],
    filter: "",
    snaplen: 0,
    bufferMb: 32,
    dumpcapPath: "dumpcap",
    exclude: [],
  }, { clock: systemClock, reporter: createReporter({ component: "bench" }) });
  const times: number[] = [];
  source.attach({
    packet: (_buffer, _offset, _captured, _wire, timeUs) =>
      void times.push(performance.timeOrigin + performance.now() - timeUs / 1_000),
  });
  await source.start();
  const sending = wire.send(capture, rate, seconds).then(() => systemClock.sleep(600)).then(() =>
    source.stop()
  );
  while (await source.next());
  await sending;
  await source.close();
  return times.sort((a, b) => a - b);
}

/** Ends `count` connections one after the other and waits until the API shows each. */
async function latencies(world: World, wire: Wire, count: number): Promise<number[]> {
  await wire.serve();
  const state = await world.enrol("latency");
  const sinceMs = Date.now();
  const sensor = new Sensor(wire, world, state);
  await sensor.isCapturing(sinceMs);
  const open = new Map<number, number>();
  const times: number[] = [];
  const poll = async () => {
    const stopMs = Date.now() + waitS * 1_000 + count * 100;
    while (times.length < count && Date.now() < stopMs) {
      const { rows } = await world.get("/flows/search?protocol=tcp&port=" + wire.port + "&limit=100");
      const nowMs = Date.now();
      for (const { src_port, end_reason } of rows) {
        const endMs = open.get(src_port);
        if (endMs === undefined || end_reason !== "fin") continue;
        times.push(nowMs - endMs);
        open.delete(src_port);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const make = async () => {
    for (let made = 0; made < count; made++) {
      const { port, endMs } = await wire.exchange();
      open.set(port, endMs);
      // Not in step with any tick of the sensor; never more open than one answer of the API shows.
      await new Promise((resolve) => setTimeout(resolve, 30 + 67 * (made * 0.618 % 1)));
      while (open.size > openMax) await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  await Promise.all([poll(), make()]);
  await sensor.stop();
  if (open.size > 0) throw new Error(`${open.size} of ${count} flows did not come`);
  return times.sort((a, b) => a - b);
}

function write(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));
}

async function main(): Promise<void> {
  const { _: [capture = demo], ...given } = parseArgs(Deno.args, {
    string: ["flows", "seconds", "rates", "only"],
    default: { flows: "300", seconds: "5", rates: ratesAtStart, only: "" },
  });
  const world = new World();
  const wire = new Wire();
  try {
    await wire.start();
    await world.start();
    if (given.only === "" || given.only === "rates") {
      const steps = String(given.rates).split(",").map(Number);
      await rates(world, wire, String(capture), steps, Number(given.seconds));
    }
    const share = (times: number[], of: number) =>
      times[Math.min(times.length - 1, Math.floor(of * times.length))];
    if (given.only === "" || given.only === "delay") {
      for (const [rate, seconds] of delayRates) {
        const times = await delays(wire, String(capture), rate, seconds);
        const [p50, p99] = [0.5, 0.99].map((of) => share(times, of).toFixed(0));
        write(`packet on the wire -> in hand, ${rate} packets/s: p50 ${p50} ms, p99 ${p99} ms`);
      }
    }
    if (given.only === "" || given.only === "latency") {
      const times = await latencies(world, wire, Number(given.flows));
      const at = (of: number) => share(times, of);
      write(
        `end of a TCP flow on the wire -> row in the API, ${times.length} flows: ` +
          `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, slowest ${times.at(-1)} ms`,
      );
    }
  } finally {
    await wire.stop().finally(() => world.stop());
  }
}

await main();
