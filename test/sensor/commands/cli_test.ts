/** Tests of the real program with the real tools: exit codes and messages of wrong inputs, live capture, the doctor.
 * @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromSource, run } from "../../e2e/world.ts";
import { skipLoudly } from "../../services/services.ts";
import { captureBytes, FakeAggregator, flowsCaptureBytes } from "./fakes.ts";

const [program, ...first] = fromSource.sensor;
const sensor = (...args: string[]) => run([program, ...first, ...args]);
const hasTool = (name: string) => run([name, "--version"]).then(({ code }) => code === 0, () => false);
const hasTools = await hasTool("dumpcap") && await hasTool("tshark");
const tools = hasTools ? { ignore: false } : skipLoudly("live capture", "tshark is not installed");
const isRoot = Deno.uid() === 0;
const root = !hasTools
  ? { ignore: true }
  : isRoot
  ? { ignore: false }
  : skipLoudly("live capture", "not root");

/** A machine that is enrolled at an aggregator in this process. */
async function enrolled(use: (state: string, aggregator: FakeAggregator) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "picket-cli-" });
  const aggregator = new FakeAggregator().start();
  try {
    const { code, stderr } = await sensor(
      ...["enrol", "--aggregator", aggregator.url, "--token", aggregator.token],
      ...["--name", "cli", "--state", `${folder}/state`],
    );
    assertEquals(code, 0, stderr);
    await use(`${folder}/state`, aggregator);
  } finally {
    await aggregator.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("picket-sensor prints results on standard output only, and nothing else there", async () => {
  const folder = await Deno.makeTempDir();
  Deno.writeFileSync(`${folder}/a.pcap`, captureBytes(3, 5));
  const { code, stdout, stderr } = await sensor("replay", `${folder}/a.pcap`, "--no-facts");
  await Deno.remove(folder, { recursive: true });
  assertEquals(code, 0);
  const { capture } = JSON.parse(stdout);
  const left = Object.values(capture.left_out as Record<string, number>).reduce(
    (sum, count) => sum + count,
    0,
  );
  assertEquals([capture.packets, capture.in_flows + left, capture.note], [2, 2, "cut_capture"]);
  assertStringIncludes(stderr, "cut short");
});

Deno.test({
  name: "picket-sensor run names an unknown interface, a bad filter and a missing dumpcap",
  ...tools,
  fn: () =>
    enrolled(async (state) => {
      const common = ["run", "--state", state, "--no-facts"];
      const unknown = await sensor(...common, "--interface", "nosuch0");
      assertEquals(unknown.code, 3);
      assertStringIncludes(unknown.stderr, "nosuch0");
      assertStringIncludes(unknown.stderr, "interface");
      const missing = await sensor(...common, "--interface", "lo", "--dumpcap-path", "/nonexistent/dumpcap");
      assertEquals(missing.code, 3);
      assertStringIncludes(missing.stderr, "/nonexistent/dumpcap");
      if (!isRoot) return;
      const filter = await sensor(...common, "--interface", "lo", "--filter", "not a filter at all");
      assertEquals(filter.code, 2);
      assertStringIncludes(filter.stderr, "filter");
    }),
});

Deno.test({
  name: "picket-sensor run without the permission to capture says how to give it",
  ...root,
  fn: () =>
    enrolled(async (state) => {
      // Root without the capability: as in a container that was not given it.
      const { code, stderr } = await run([
        ...["setpriv", "--bounding-set=-net_raw,-net_admin", "--inh-caps=-net_raw,-net_admin"],
        ...[program, ...first, "run", "--interface", "lo", "--no-facts", "--state", state],
      ]);
      assertEquals(code, 3, stderr);
      assertStringIncludes(stderr, "permission");
      assertStringIncludes(stderr, "setcap");
    }),
});

Deno.test({
  name: "picket-sensor run captures a packet live, ships it, and ends within 10 s of SIGTERM",
  ...root,
  fn: () =>
    enrolled(async (state, aggregator) => {
      const child = new Deno.Command(program, {
        args: [...first, "run", "--interface", "lo", "--state", state, "--check-in-s", "1"],
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const log = new Response(child.stderr).text();
      const out = new Response(child.stdout).text();
      const socket = Deno.listenDatagram({ hostname: "127.0.0.1", port: 0, transport: "udp" });
      const to = { hostname: "127.0.0.1", port: 9, transport: "udp" } as const;
      for (let i = 0; i < 100 && !aggregator.checkIns.some(({ capture }) => capture.packets > 0); i++) {
        await socket.send(new TextEncoder().encode("picket"), to).catch(() => {}); // Nobody listens there.
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      socket.close();
      const seen = aggregator.checkIns.at(-1);
      const stoppingMs = performance.now();
      child.kill("SIGTERM");
      const { code } = await child.status;
      const tookMs = performance.now() - stoppingMs;
      assertEquals(code, 0, await log);
      assert(tookMs < 10_000, `${tookMs} ms`);
      assertEquals(seen?.capture.state, "capturing", await log);
      assert((seen?.capture.packets ?? 0) > 0, await log);
      const { capture } = JSON.parse(await out);
      const left = Object.values(capture.left_out as Record<string, number>).reduce((a, b) => a + b, 0);
      assertEquals(capture.packets, capture.in_flows + left);
      assert(aggregator.flows > 0, await log);
      // Its own traffic goes over the same interface; had it been captured, it would be among the flows.
      assertEquals(aggregator.checkIns.at(-1)?.capture.packets, capture.packets);
    }),
});

Deno.test({
  name:
    "picket-sensor doctor finds tools and the canary, needs no enrolment, and fails only for what is broken",
  ...tools,
  fn: async () => {
    const folder = await Deno.makeTempDir();
    const { stdout, stderr } = await sensor("doctor", "--json", "--state", folder, "--interface", "lo");
    const { findings } = JSON.parse(stdout) as {
      findings: { name: string; outcome: string; advice: string; detail: string }[];
    };
    const of = (name: string) => findings.find((finding) => finding.name === name)!;
    for (const name of ["machine", "clock", "state folder", "dumpcap", "tshark", "tshark canary", "canary"]) {
      assertEquals(of(name).outcome, "ok", `${name}: ${of(name).detail} ${stderr}`);
    }
    assertEquals([of("identity").outcome, of("aggregator").outcome], ["warn", "warn"]);
    const broken = await sensor(
      ...["doctor", "--json", "--state", "/proc/nowhere", "--interface", "nosuch0"],
      ...["--aggregator", "http://127.0.0.1:9", "--tshark-path", "/nonexistent/tshark"],
      ...["--transport", "kafka", "--brokers", "127.0.0.1:9"],
    );
    await Deno.remove(folder, { recursive: true });
    assertEquals(broken.code, 1);
    const outcomes = Object.fromEntries(
      (JSON.parse(broken.stdout) as { findings: typeof findings }).findings.map(({ name, outcome }) => [
        name,
        outcome,
      ]),
    );
    assertEquals([outcomes.capture, outcomes.aggregator, outcomes.broker, outcomes["state folder"]], [
      "fail",
      "fail",
      "fail",
      "fail",
    ]);
    assertEquals([outcomes.tshark, outcomes["tshark canary"], outcomes.machine], ["warn", "warn", "ok"]);
  },
});

Deno.test({
  name: "picket-sensor killed at any moment of a replay ships everything it had spooled when it runs again",
  fn: () =>
    enrolled(async (state, aggregator) => {
      const path = `${state}/../flows.pcap`;
      // 300 s of capture in 3 s, whose flows end after 1 s of silence each.
      Deno.writeFileSync(path, flowsCaptureBytes(6_000, 50));
      const args = ["replay", path, "--ship", "--no-facts", "--state", state, "--other-idle-ms", "1000"];
      const found = new Set<string>();
      for (const afterMs of [900, 1_300, 1_900]) {
        await aggregator.stop();
        const child = new Deno.Command(program, {
          args: [...first, ...args, "--speed", "100"],
          stdin: "null",
          stdout: "null",
          stderr: "null",
        }).spawn();
        await new Promise((resolve) => setTimeout(resolve, afterMs));
        child.kill("SIGKILL");
        await child.status;
        aggregator.start();
        for (const { name } of Deno.readDirSync(`${state}/spool`)) {
          if (name.endsWith(".batch")) found.add(name.slice(0, -".batch".length));
        }
      }
      assert(found.size > 0, "nothing was spooled before the kill");
      const { code, stderr } = await sensor(...args);
      assertEquals(code, 0, stderr);
      for (const name of found) assert(aggregator.batches.has(name), `${name} was spooled and is lost`);
      // Three starts that were killed and one that was not: no epoch came twice.
      const epochs = [...new Set([...aggregator.batches.keys()].map((name) => Number(name.split("-")[0])))];
      assertEquals(epochs, epochs.toSorted((a, b) => a - b));
      assert(epochs.length >= 2 && epochs.length <= 4, `${epochs}`);
      assert(aggregator.flows >= 6_000);
    }),
});
