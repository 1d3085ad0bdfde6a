/** What signals do to both programs, from source and compiled: what was counted is never lost, nothing ends that was
 * not asked to, and no debugger opens.
 *
 * Method: a sensor captures on loopback, one datagram passes, then the signal comes.
 * Needs root to capture; skipped loudly otherwise.
 * @module */

import { assert, assertEquals } from "@std/assert";
import { freePort } from "../services/guarded_child.ts";
import { skipLoudly } from "../services/services.ts";
import { compiled } from "../deploy/compiled.ts";
import { FakeAggregator } from "../sensor/commands/fakes.ts";
import { compiledIn, fromSource, type Programs, run } from "./world.ts";

const canCapture = Deno.uid() === 0 && (await run(["sh", "-c", "command -v dumpcap"])).code === 0;
const needs = canCapture ? { ignore: false } : skipLoudly("signals", "capturing needs root and dumpcap");
const binaries = await compiled("x86_64-unknown-linux-gnu");

const stops = ["SIGQUIT", "SIGINT", "SIGTERM"] as const;
const survived = ["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM"] as const;

for (
  const [how, ignore] of [["source", needs.ignore], ["binary", needs.ignore || binaries.ignore]] as const
) {
  const programs = () => how === "source" ? fromSource : compiledIn(binaries.folder);
  for (const signal of stops) {
    Deno.test({
      name: `sensor from ${how} ends in order at ${signal}`,
      ignore,
      fn: () => withSensor(programs(), (sensor) => sensor.endsWithEverything(signal)),
    });
  }
  Deno.test({
    name: `sensor from ${how} goes on at ${survived.join(", ")}, without a debugger`,
    ignore,
    fn: () =>
      withSensor(programs(), async (sensor) => {
        for (const signal of survived) {
          sensor.child.kill(signal);
          await pause(300);
          assertEquals(await debuggerOf(sensor.child.pid), false, signal);
        }
        // Twice at once, as from a terminal and from a parent.
        sensor.child.kill("SIGTERM");
        await sensor.endsWithEverything("SIGTERM");
      }),
  });
  Deno.test({
    name: `aggregator from ${how} goes on at ${survived.join(", ")}, and ends in order at SIGQUIT`,
    ignore,
    fn: () => aggregatorBears(programs()),
  });
}

interface Sensor {
  child: Deno.ChildProcess;
  endsWithEverything(signal: Deno.Signal): Promise<void>;
}

async function withSensor(programs: Programs, use: (sensor: Sensor) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "picket-signals-" });
  const aggregator = new FakeAggregator().start();
  const state = `${folder}/state`;
  const how = ["--aggregator", aggregator.url, "--token", aggregator.token, "--name", "signals"];
  assertEquals((await run([...programs.sensor, "enrol", ...how, "--state", state])).code, 0);
  const socket = Deno.listenDatagram({ hostname: "127.0.0.1", port: 0, transport: "udp" });
  const [program, ...first] = programs.sensor;
  const { port } = socket.addr as Deno.NetAddr;
  const child = new Deno.Command(program, {
    args: [
      ...[...first, "run", "--interface", "lo", "--state", state, "--no-facts", "--check-in-s", "1"],
      ...["--filter", `udp port ${port}`],
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const printed = new Response(child.stdout).text(), said = new Response(child.stderr).text();
  try {
    await until(() => aggregator.checkIns.some(({ capture }) => capture.state === "capturing"));
    await socket.send(new Uint8Array(10), { hostname: "127.0.0.1", port, transport: "udp" });
    await pause(600);
    await use({
      child,
      async endsWithEverything(signal) {
        child.kill(signal);
        assertEquals((await child.status).code, 0, await said);
        const { capture, spooled } = JSON.parse((await printed).trim().split("\n").at(-1)!);
        assertEquals([capture.packets, capture.in_flows], [1, 1]);
        assertEquals(aggregator.flows + spooled, 1);
      },
    });
  } finally {
    end(child);
    await child.status;
    await Promise.all([printed, said]);
    socket.close();
    await aggregator.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

async function aggregatorBears(programs: Programs): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "picket-signals-" });
  const port = freePort();
  const [program, ...first] = programs.aggregator;
  const child = new Deno.Command(program, {
    args: [...first, "serve", "--state", folder, "--listen", `127.0.0.1:${port}`],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const isWell = () =>
    fetch(`http://127.0.0.1:${port}/healthz`).then(async (answer) => {
      await answer.body?.cancel();
      return answer.ok;
    }, () => false);
  try {
    await until(isWell);
    for (const signal of survived) {
      child.kill(signal);
      await pause(300);
      assert(await isWell(), signal);
      assertEquals(await debuggerOf(child.pid), false, signal);
    }
    child.kill("SIGQUIT");
    assertEquals((await child.status).code, 0);
  } finally {
    end(child);
    await child.status;
    await Deno.remove(folder, { recursive: true });
  }
}

function end(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended.
  }
}

/** Whether this process answers where a debugger would. */
async function debuggerOf(pid: number): Promise<boolean> {
  const answer = await fetch("http://127.0.0.1:9229/json/list").then((found) => found.text(), () => "");
  return answer.includes(`pid: ${pid}]`);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 300 && !await condition(); i++) await pause(100);
  assert(await condition(), "waited 30 s in vain");
}
