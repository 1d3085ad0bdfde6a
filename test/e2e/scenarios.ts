/** What a fleet must do, whichever way its programs were built and wherever its aggregator stores.
 *
 * In: worlds that are not started yet. Each function starts them, tries one promise, and stops them whatever happens.
 * Method: the demo capture is replayed through real sensors; totals come from the API. @module */

import { assert, assertEquals } from "@std/assert";
import { Capture } from "../../deploy/demo/packets.ts";
import type { World } from "./world.ts";

export const demoCapture = new URL("../../deploy/demo/office-day.pcap", import.meta.url).pathname;

interface Totals {
  flows: number;
  packets: number;
  bytes: number;
}

/** One sensor delivers every packet and at least four explained threats;
 * two sensors on one path count once, both in `seen_by`. */
export async function twoSensorsCountOnce(one: World, two: World): Promise<void> {
  try {
    await one.start();
    await two.start();
    const single = await replayThrough(one, ["roof"]);
    assertEquals(single.packets, await packetsInFlows(one), "every packet of a flow is stored once");
    assertEquals(await replayThrough(two, ["roof", "cellar"]), single);
    const { rows } = await two.get("/flows?limit=200");
    assertEquals(rows.length, 200);
    for (const flow of rows) {
      const sensors = new Set(flow.seen_by.map((sighting: { sensor_id: string }) => sighting.sensor_id));
      assertEquals(sensors.size, 2, `${flow.community_id} is seen by both`);
    }
    await explainsThreats(one);
  } finally {
    await one.stop();
    await two.stop();
  }
}

/** SIGKILL in the middle of a replay, then a new start: nothing is lost, nothing counted twice. */
export async function killedAggregatorChangesNothing(world: World): Promise<void> {
  try {
    await world.start();
    const state = await world.enrol("roof");
    const capture = `${world.folder}/busy.pcap`;
    Deno.writeFileSync(capture, busyCapture());
    const replay = world.sensor("replay", capture, "--state", state, "--ship", "--no-facts");
    await world.until("/stats/totals", (totals) => totals.flows > 0, 30);
    await world.killAggregator();
    await world.start();
    const before = await world.get("/stats/totals");
    const { code, stderr } = await replay;
    assertEquals(code, 0, stderr);
    const { packets } = await settled(world);
    assertEquals(packets, await packetsInFlows(world, capture));
    assert(before.packets < packets, "the aggregator was killed before it had everything");
  } finally {
    await world.stop();
  }
}

/** Enough flows for a dozen batches, so that a kill hits the middle. */
function busyCapture(): Uint8Array {
  const capture = new Capture(1);
  const client = { ip: "192.0.2.10", mac: "02:00:00:00:00:0a" },
    server = { ip: "192.0.2.20", mac: "02:00:00:00:00:0b" };
  const payload = new Uint8Array(20);
  for (let flow = 0; flow < 40_000; flow++) {
    const [timeS, port] = [1_700_000_000 + flow / 1_000, 10_000 + flow];
    capture.udp(timeS, client, port, server, 9, payload);
    capture.udp(timeS + 0.000_5, server, 9, client, port, payload);
  }
  return capture.toPcap();
}

async function explainsThreats(world: World): Promise<void> {
  const { rows } = await world.until("/threats?limit=100", (body) => body.rows.length >= 4);
  const detectors = new Set(rows.map((threat: { detector: string }) => threat.detector));
  for (const name of ["port_scan_vertical", "password_guessing", "beacon", "dns_tunnel"]) {
    assert(detectors.has(name), `${name} is among ${[...detectors]}`);
  }
  for (const threat of rows) {
    assert(threat.explanation.length > 40 && threat.suggested_action.length > 20, JSON.stringify(threat));
  }
}

/** Replays the demo capture through `names` at the same time and returns the totals once all is stored. */
async function replayThrough(world: World, names: string[]): Promise<Totals> {
  const states: string[] = [];
  for (const name of names) states.push(await world.enrol(name));
  const replays = states.map((state) => world.sensor("replay", demoCapture, "--state", state, "--ship"));
  for (const { code, stderr } of await Promise.all(replays)) assertEquals(code, 0, stderr);
  return await settled(world);
}

/** Totals once everything sealed is stored: Kafka delivers after the sensor has its acknowledgement. */
async function settled(world: World): Promise<Totals> {
  const arrived = (sensor: { delivery: { sealed: number; in_flight: number } | null }) =>
    sensor.delivery !== null && sensor.delivery.sealed > 0 && sensor.delivery.in_flight === 0;
  await world.until("/fleet", (fleet) => fleet.sensors.every(arrived), 90);
  const { flows, packets, bytes } = await world.get("/stats/totals");
  return { flows, packets, bytes };
}

/** What the sensor itself says the capture holds: the reference for all totals. */
async function packetsInFlows(world: World, path = demoCapture): Promise<number> {
  const replay = await world.sensor("replay", path, "--no-facts");
  assertEquals(replay.code, 0, replay.stderr);
  const { capture } = JSON.parse(replay.stdout.trim().split("\n").at(-1)!);
  const leftOut = Object.values(capture.left_out as Record<string, number>).reduce((sum, n) => sum + n, 0);
  assertEquals(capture.packets, capture.in_flows + leftOut);
  return capture.in_flows;
}
