/** Packets as evidence with real processes: a threat's packets come by themselves, a flow's when they are asked for,
 * and what tshark reads in the download is what was on the wire, cut to what the ring keeps. After a restart of the
 * sensor the ring is empty, and that is said.
 *
 * Method: a capture is played over a veth pair;
 * sensors reach the aggregator through a relay with another address, as behind NAT.
 * Needs root for `ip netns`; skipped loudly otherwise. @module */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Wire } from "../bench/wire.ts";
import { freePort } from "../services/guarded_child.ts";
import { skipLoudly } from "../services/services.ts";
import { missingForWire } from "./live_needs.ts";
import { demoCapture as capture } from "./scenarios.ts";
import { run, World } from "./world.ts";

const reason = await missingForWire();
const { ignore } = reason ? skipLoudly("packets as evidence", reason) : { ignore: false };

/** Hands connections on to `port`, so that the aggregator sees the relay's address and could not call back. */
function relayTo(port: number): Deno.TcpListener {
  const listener = Deno.listen({ hostname: "127.0.0.9", port: freePort() });
  (async () => {
    for await (const outer of listener) {
      const inner = await Deno.connect({ hostname: "127.0.0.1", port });
      outer.readable.pipeTo(inner.writable).catch(() => {});
      inner.readable.pipeTo(outer.writable).catch(() => {});
    }
  })().catch(() => {});
  return listener;
}

interface Frame {
  wire: number;
  hex: string;
}

/** Frames as tshark reads them. */
async function framesOf(file: string, filter = ""): Promise<Frame[]> {
  const { code, stdout, stderr } = await run([
    "tshark",
    "-r",
    file,
    "-T",
    "json",
    "-x",
    "-j",
    "frame",
    ...filterOf(filter),
  ]);
  assertEquals(code, 0, stderr);
  // deno-lint-ignore no-explicit-any -- JSON of tshark.
  return JSON.parse(stdout).map(({ _source: { layers } }: any) => ({
    wire: Number(layers.frame["frame.len"]),
    hex: layers.frame_raw[0],
  }));
}

function filterOf(filter: string): string[] {
  return filter === "" ? [] : ["-Y", filter];
}

async function fieldsOf(file: string, ...fields: string[]): Promise<string[]> {
  const { stdout } = await run([
    "tshark",
    "-r",
    file,
    "-T",
    "fields",
    ...fields.flatMap((name) => ["-e", name]),
  ]);
  return stdout.trim().split("\n");
}

/** Every frame of `got` is the beginning of a frame on the wire, of its length; each of these once. */
function assertCutOf(got: readonly Frame[], wire: readonly Frame[]): void {
  const left = [...wire];
  for (const { wire: length, hex } of got) {
    const index = left.findIndex((frame) => frame.wire === length && frame.hex.startsWith(hex));
    assert(index >= 0, `a frame of ${length} octets was not on the wire: ${hex.slice(0, 200)}`);
    left.splice(index, 1);
  }
}

Deno.test({
  name:
    "a threat's packets arrive by themselves, a flow's on demand, and tshark finds in them what was on the wire",
  ignore,
  fn: async () => {
    const world = new World({ serveArgs: ["--hostnames", "127.0.0.9"] }), wire = new Wire();
    let relay: Deno.TcpListener | null = null;
    try {
      await wire.start();
      await world.start();
      relay = relayTo(world.port);
      const url = `http://127.0.0.9:${(relay.addr as Deno.NetAddr).port}`;
      const state = await world.enrol("roof", "lab", url);
      const options = ["run", "--interface", wire.near, "--state", state, "--check-in-s", "1"];
      const sensor = world.spawnSensor(...options);
      await world.until("/fleet", (fleet) => JSON.stringify(fleet).includes('"capturing"'), 30);
      await wire.send(capture, 5_000, null);
      await automatic(world);
      const flow = await onDemand(world);
      await afterRestart(world, sensor, options, flow);
    } finally {
      relay?.close();
      await world.stop();
      await wire.stop();
    }
  },
});

Deno.test({
  name:
    "packets of two sensors become one file, also when the aggregator is killed after they were asked for",
  ignore,
  fn: async () => {
    const world = new World(), wire = new Wire();
    try {
      await wire.start();
      await world.start();
      for (const name of ["roof", "cellar"]) {
        const state = await world.enrol(name);
        world.spawnSensor(
          "run",
          "--interface",
          wire.near,
          "--state",
          state,
          "--check-in-s",
          "1",
          "--no-facts",
        );
      }
      const areReady = (fleet: { sensors: { capture: { state: string } | null }[] }) =>
        fleet.sensors.every(({ capture }) => capture?.state === "capturing");
      await world.until("/fleet", areReady, 30);
      await wire.send(capture, 5_000, null);
      const isSeenByBoth = (flow: { seen_by: unknown[] }) => flow.seen_by.length === 2;
      const { rows } = await world.until(
        "/flows/search?protocol=tcp&conn_state=SF&limit=50",
        (body) => body.rows.length > 0 && body.rows.every(isSeenByBoth),
        30,
      );
      const [flow] = rows;
      const key = Deno.readTextFileSync(world.keyFile()).trim();
      const path = `/flows/${flow.flow_id}/packets`;
      const asked = await fetch(`${world.url}/api/v1${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${key}` },
      });
      assertEquals([asked.status, (await asked.json()).state], [202, "asked"]);
      await world.killAggregator();
      await world.start();
      const done = await world.until(
        `${path}?as=status`,
        ({ sensors }) => sensors.every(({ state }: { state: string }) => state === "arrived"),
        60,
      );
      assertEquals(done.sensors.map(({ name }: { name: string }) => name).sort(), ["cellar", "roof"]);
      const file = `${world.folder}/both.pcapng`;
      const state = `${world.folder}/aggregator`;
      assertEquals((await world.aggregator("packets", flow.flow_id, "-o", file, "--state", state)).code, 0);
      const names = await fieldsOf(file, "frame.interface_name");
      for (const name of ["roof", "cellar"]) {
        assertEquals(names.filter((one) => one === name).length, flow.total_packets);
      }
    } finally {
      await world.stop();
      await wire.stop();
    }
  },
});

async function automatic(world: World): Promise<void> {
  const { rows: [threat] } = await world.until(
    "/threats?severity_min=high",
    ({ rows }) => rows.length > 0,
    30,
  );
  const status = await world.until(
    `/threats/${threat.id}/packets?as=status`,
    ({ state }) => state === "arrived",
    30,
  );
  assertEquals([status.sensors.length, status.sensors[0].name], [1, "roof"]);
  assertMatch(status.reason, /^arrived from sensor roof: \d+ packets, \d+ octets$/);
  const file = `${world.folder}/threat.pcapng`;
  const done = await world.aggregator(
    "packets",
    threat.id,
    "-o",
    file,
    "--state",
    `${world.folder}/aggregator`,
  );
  assertEquals(done.code, 0, done.stderr);
  const got = await framesOf(file);
  assertEquals(got.length, status.sensors[0].packets);
  assertCutOf(got, await framesOf(capture));
  assertEquals(Deno.statSync(file).mode! & 0o777, 0o600);
  assertEquals(new Set(await fieldsOf(file, "frame.interface_name")), new Set(["roof"]));
  const { sensors: [{ packet_ring }] } = await world.get("/fleet");
  assertMatch(packet_ring, /^ring reaches back (\d+ min )?\d+ s$/);
}

/** Returns the id of the flow. */
async function onDemand(world: World): Promise<string> {
  // One that is over, has payload that is cut, and packets of both directions.
  const { rows } = await world.until(
    "/flows/search?protocol=tcp&conn_state=SF&min_bytes=2000&limit=200",
    (body) => body.rows.length > 0,
    30,
  );
  const flow = rows[0];
  const path = `/flows/${flow.flow_id}/packets`;
  assertEquals((await world.get(`${path}?as=status`)).state, "none");
  const file = `${world.folder}/flow.pcapng`;
  const done = await world.aggregator(
    "packets",
    flow.flow_id,
    "-o",
    file,
    "--state",
    `${world.folder}/aggregator`,
  );
  assertEquals(done.code, 0, done.stderr);
  assertStringIncludes(done.stdout, "arrived from sensor roof");
  const got = await framesOf(file);
  assertEquals(got.length, flow.total_packets);
  const ends = `ip.addr == ${flow.src_ip} && ip.addr == ${flow.dst_ip}`;
  const ports = `tcp.port == ${flow.src_port} && tcp.port == ${flow.dst_port}`;
  const wire = await framesOf(capture, `${ends} && ${ports}`);
  assertEquals(got.map((frame) => frame.wire), wire.map((frame) => frame.wire));
  assertCutOf(got, wire);
  // Ethernet, IP and TCP with options, and 64 octets of payload.
  assert(got.every(({ hex }) => hex.length / 2 <= 14 + 20 + 60 + 64));
  assert(got.some(({ hex, wire }) => hex.length / 2 < wire), "payload was cut");
  const again = await world.aggregator(
    "packets",
    flow.flow_id,
    "-o",
    file,
    "--state",
    `${world.folder}/aggregator`,
  );
  assertEquals(again.code, 3, "a file that is there is not written over");
  return rows[1].flow_id;
}

async function afterRestart(
  world: World,
  sensor: Deno.ChildProcess,
  options: string[],
  flow: string,
): Promise<void> {
  sensor.kill("SIGTERM");
  assertEquals((await sensor.status).code, 0);
  const late = world.aggregator("packets", flow, "--json", "--state", `${world.folder}/aggregator`);
  await world.until(`/flows/${flow}/packets?as=status`, ({ state }) => state === "asked", 30);
  world.spawnSensor(...options);
  const { code, stdout } = await late;
  assertEquals(code, 1);
  const { state, reason, file } = JSON.parse(stdout);
  assertEquals([state, file], ["gone", null]);
  assertMatch(reason, /sensor roof (has an empty ring|has no packets from before .*Z in its ring any more)/);
}
