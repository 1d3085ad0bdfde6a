/** Live capture: packets sent over a veth pair between two network namespaces come out as flows in the API, once each,
 * also while one dumpcap relieves another; what kernel and card drop is said while it happens, each for itself.
 *
 * Method: dumpcap on one end, `tcpreplay` and oversized datagrams into the other; the sensor reaches the aggregator on
 * loopback, which it shares. Needs root for `ip netns`; skipped loudly otherwise. @module */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { LiveSource } from "../../sensor/capture/live_source.ts";
import { systemClock } from "../../shared/clock.ts";
import { Wire } from "../bench/wire.ts";
import { counted, silentReporter } from "../sensor/ship/helpers.ts";
import { skipLoudly } from "../services/services.ts";
import { missingForWire } from "./live_needs.ts";
import { demoCapture as capture } from "./scenarios.ts";
import { fromSource, type Programs, World } from "./world.ts";

const reason = await missingForWire();
const { ignore } = reason ? skipLoudly("live capture", reason) : { ignore: false };

function liveTest(name: string, fn: (wire: Wire, world: World) => Promise<void>, programs?: Programs): void {
  Deno.test({
    name,
    ignore,
    fn: async () => {
      const world = new World(programs && { programs });
      const wire = new Wire();
      try {
        await wire.start();
        await fn(wire, world);
      } finally {
        await world.stop();
        await wire.stop();
      }
    },
  });
}

const isCapturing = (fleet: unknown) => JSON.stringify(fleet).includes('"capturing"');

liveTest("packets sent over a veth pair come out as flows in the API", async (wire, world) => {
  await world.start();
  const state = await world.enrol("wire");
  const expected = await world.sensor("replay", capture, "--no-facts");
  const { capture: summary } = JSON.parse(expected.stdout.trim().split("\n").at(-1)!);
  const sensor = world.spawnSensor("run", "--interface", wire.near, "--state", state, "--check-in-s", "1");
  await world.until("/fleet", isCapturing, 30);
  await wire.send(capture, 5_000, null);
  // On a busy machine they are a while on their way through the kernel.
  await world.until("/fleet", ({ sensors }) => sensors[0].conservation.packets >= summary.packets, 30);
  const { rows } = await world.until("/flows?limit=1000", (body) => body.rows.length >= 100, 30);
  assert(rows.some((flow: { protocol: string }) => flow.protocol === "tcp"));
  sensor.kill("SIGTERM");
  assertEquals((await sensor.status).code, 0);
  const totals = await world.get("/stats/totals");
  assert(totals.packets >= summary.in_flows, `${totals.packets} of ${summary.in_flows} packets arrived`);
});

// libpcap looks for what stands behind these words some octets further on.
for (const filter of ["", "not vlan", "not mpls and not port 22", "udp) or (tcp"]) {
  liveTest(
    `a sensor captures everything on an interface but its own traffic, filter "${filter}"`,
    (_wire, world) => capturesNothingOfItsOwn(world, filter),
  );
}

async function capturesNothingOfItsOwn(world: World, filter: string): Promise<void> {
  await world.start();
  const state = await world.enrol("loopback");
  const options = ["--interface", "lo", `--filter=${filter}`, "--state", state, "--check-in-s", "1"];
  const sensor = world.spawnSensor("run", ...options);
  await world.until("/fleet", isCapturing, 30);
  // Check-ins and batches pass by for three seconds, and one datagram that is not ours.
  const socket = Deno.listenDatagram({ hostname: "127.0.0.1", port: 0, transport: "udp" });
  const { port } = socket.addr as Deno.NetAddr;
  await socket.send(new Uint8Array(10), { hostname: "127.0.0.1", port, transport: "udp" });
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  socket.close();
  sensor.kill("SIGTERM");
  assertEquals((await sensor.status).code, 0);
  assertEquals((await world.get(`/flows/search?port=${port}`)).rows.length, 1);
  assertEquals((await world.get(`/flows/search?port=${world.port}`)).rows, []);
  assertEquals((await world.get("/flows/search?ip=127.86.0.1")).rows, [], "the aggregator's inner way");
}

liveTest("of two interfaces one goes away, and the other is captured on", async (wire, world) => {
  const other = new Wire();
  await other.start();
  await world.start();
  const state = await world.enrol("two");
  const both = `${other.near},${wire.near},picket-none`;
  const sensor = world.spawnSensor("run", "--interface", both, "--state", state, "--check-in-s", "1");
  await world.until("/fleet", isCapturing, 30);
  await other.stop();
  await systemClock.sleep(1_000);
  const { packets } = await wire.send(capture, 5_000, null);
  const { sensors: [{ sensor_id }] } = await world.until(
    "/fleet",
    ({ sensors }) => sensors[0].conservation.packets >= packets,
    30,
  );
  const { check_in: { capture: now } } = await world.get(`/sensors/${sensor_id}`);
  const failing = now.links.filter(({ error }: { error: string | null }) => error !== null);
  assertEquals(failing.map(({ name }: { name: string }) => name), [other.near, "picket-none"]);
  assertEquals(now.state, "capturing");
  sensor.kill("SIGTERM");
  assertEquals((await sensor.status).code, 0);
});

/** A source on the near end of the wire, and how many packets it handed on. */
function sourceOn(wire: Wire, bufferMb: number, handOverMs: number) {
  const { reporter } = silentReporter();
  const source = new LiveSource({
    interfaces: [wire.near],
    filter: "",
    snaplen: 0,
    bufferMb,
    dumpcapPath: "dumpcap",
    exclude: [],
    handOverMs,
  }, { clock: systemClock, reporter });
  const seen = { packets: 0 };
  source.attach({ packet: () => void seen.packets++ });
  return { source, seen, reporter };
}

liveTest(
  "one dumpcap relieves another in the middle of traffic, and every packet is captured once",
  async (wire) => {
    const { source, seen, reporter } = sourceOn(wire, 32, 250);
    await source.start();
    const sending = wire.send(capture, 30_000, 3);
    void sending.then(() => systemClock.sleep(500)).then(() => source.stop());
    while (await source.next());
    await source.close();
    const handOvers = counted(reporter, "capture_hand_overs_total");
    assert(handOvers >= 4, `${handOvers} hand-overs`);
    assertEquals([seen.packets, source.dropped, source.problem], [(await sending).packets, 0, null]);
  },
);

liveTest("what the kernel drops while the sensor stands still is known while it captures", async (wire) => {
  const { source, seen } = sourceOn(wire, 1, 1_000);
  await source.start();
  const sending = wire.send(capture, 40_000, 4);
  await systemClock.sleep(800);
  let knownAt = Infinity, stoppedAt = Infinity;
  const startedAt = systemClock.monotonicMs();
  void sending.then(() => systemClock.sleep(500)).then(() => {
    stoppedAt = systemClock.monotonicMs() - startedAt;
    source.stop();
  });
  while (await source.next()) {
    if (source.dropped > 0) knownAt = Math.min(knownAt, systemClock.monotonicMs() - startedAt);
  }
  await source.close();
  const { packets: sent } = await sending;
  assert(
    knownAt + 1_000 < stoppedAt,
    `drops were known after ${knownAt} ms, the end came after ${stoppedAt} ms`,
  );
  assert(seen.packets < sent, "nothing was dropped");
  assertEquals(seen.packets + source.dropped, sent);
});

/** The programs with the permissions that deno.json gives them: what these forbid, `-A` would hide. */
async function asShipped(): Promise<Programs> {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url)));
  const words = String(tasks.sensor).split(" ").slice(1, -1);
  return { ...fromSource, sensor: [Deno.execPath(), ...words, "--no-check", fromSource.sensor.at(-1)!] };
}

liveTest(
  "what the card drops is told to the fleet, apart from what the kernel drops",
  async (wire, world) => {
    await world.start();
    const state = await world.enrol("small-card");
    const options = ["--interface", wire.near, "--state", state];
    const sensor = world.spawnSensor("run", ...options, "--check-in-s", "1");
    await world.until("/fleet", isCapturing, 30);
    await wire.send(capture, 500, 1);
    // What is longer than the near end takes is dropped where a full card would: before any capture.
    await wire.sendTooLong(40);
    const health = await world.until(
      "/sensors/small-card",
      ({ conservation }) => conservation?.card_dropped >= 40,
      15,
    );
    assertEquals([health.status, health.conservation.dropped], ["lossy", 0]);
    const said = health.reasons.join("\n");
    const dropped = health.conservation.card_dropped;
    assertMatch(said, new RegExp(`^${dropped} packets .* by the card or its driver .*, in the last`, "m"));
    assertMatch(
      said,
      new RegExp(`^${dropped} packets .* by the card or its driver .*\\(${wire.near}\\), since`, "m"),
    );
    const [counters] = health.check_in.capture.interfaces;
    assertEquals([counters.name, counters.rx_dropped], [wire.near, dropped]);
    assert(counters.rx_packets >= 500, JSON.stringify(counters));
    const status = await world.sensor("status", "--state", state);
    assertMatch(
      status.stdout,
      new RegExp(`lost +0 dropped by the kernel, ${dropped} by the card \\(${wire.near}: `),
    );
    const key = (await Deno.readTextFile(world.keyFile())).trim();
    const metrics = await fetch(`${world.url}/metrics`, { headers: { authorization: `Bearer ${key}` } });
    assertMatch(await metrics.text(), new RegExp(`sensor_card_dropped_packets\\{[^}]*\\} ${dropped}\n`));
    sensor.kill("SIGTERM");
    assertEquals((await sensor.status).code, 0);
    const sending = wire.send(capture, 500, 6).then(() => {});
    const dropping = systemClock.sleep(1_500).then(() => wire.sendTooLong(200));
    const doctor = await world.sensor("doctor", ...options, "--json");
    await Promise.all([sending, dropping]);
    const { findings } = JSON.parse(doctor.stdout);
    const found = findings.find(({ name }: { name: string }) => name === "capture");
    assertMatch(found.detail, /^\d+ packets on \S+ in 2 s, 0 dropped by the kernel, \d+ by the card$/);
  },
  ignore ? undefined : await asShipped(),
);
