/** Canaries on a real wire: sent by a sensor, captured by its own dumpcap past any filter, found in the API.
 *
 * Method: a veth pair whose near end has an IPv4 address, an IPv6 one, or none; programs as processes. Needs root for
 * `ip netns`; skipped loudly otherwise. @module */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { Wire } from "../bench/wire.ts";
import { skipLoudly } from "../services/services.ts";
import { missingForWire } from "./live_needs.ts";
import { run, World } from "./world.ts";

const reason = await missingForWire();
const { ignore } = reason ? skipLoudly("canaries on a wire", reason) : { ignore: false };

function wireTest(name: string, fn: (wire: Wire, world: World) => Promise<void>): void {
  Deno.test({
    name,
    ignore,
    fn: async () => {
      const world = new World();
      const wire = new Wire();
      try {
        await wire.start();
        await world.start();
        await fn(wire, world);
      } finally {
        await world.stop();
        await wire.stop();
      }
    },
  });
}

async function ip(...words: string[]): Promise<void> {
  const { code, stderr } = await run(["ip", ...words]);
  assertEquals(code, 0, stderr);
}

/** Starts a sensor on the wire and waits until it captures; returns its state folder. */
async function capture(world: World, name: string, ...options: string[]): Promise<string> {
  const state = await world.enrol(name);
  world.spawnSensor("run", "--state", state, "--check-in-s", "1", "--no-facts", ...options);
  await world.until(`/sensors/${name}`, ({ check_in }) => check_in?.capture.state === "capturing", 30);
  return state;
}

wireTest(
  "a canary is found in the API though the filter lets nothing through and time-outs are long, and is no traffic",
  async (wire, world) => {
    const filtered = ["--filter", "host 203.0.113.9", "--other-idle-ms", "3600000"];
    const state = await capture(world, "roof", "--interface", wire.near, ...filtered);
    const asked = await world.sensor("canary", "--state", state, "--json", "--wait-s", "60");
    const { found, canary } = JSON.parse(asked.stdout);
    assertEquals([asked.code, found], [0, true], asked.stdout + asked.stderr);
    const status = await world.sensor("status", "--state", state);
    assertMatch(status.stdout, /^canary {5}sent \d+ s ago, found at the centre$/m);
    const [{ community_id }] = canary.flows;
    const { rows } = await world.get(`/flows/search?community_id=${encodeURIComponent(community_id)}`);
    assertEquals(
      rows.map((
        { dst_ip, dst_port, fwd_packets }: Record<string, unknown>,
      ) => [dst_ip, dst_port, fwd_packets]),
      [
        ["239.255.86.1", 8_601, 1],
      ],
    );
    // The centre's question is another one.
    const centre = ["--state", `${world.folder}/aggregator`];
    const again = await world.aggregator("sensor", "canary", "roof", "--json", ...centre);
    const second = JSON.parse(again.stdout);
    assertEquals([again.code, second.found], [0, true], again.stdout + again.stderr);
    assert(second.canary.sent_ms > canary.sent_ms);
    const sensor = await world.get("/sensors/roof");
    assertMatch(sensor.canary, /^arrived \d+(\.\d+)? s ago$/);
    assertEquals(sensor.canary_state.missed, 0);
    assertEquals(sensor.check_in.capture.packets, 2);
    assertEquals(sensor.check_in.capture.last_packet, null, "its own canaries are no life on the wire");
    assertEquals(sensor.check_in.capture.last_unicast, undefined, "a filter may keep it from seeing any");
    assertEquals((await world.get("/threats")).rows, []);
  },
);

wireTest(
  "without an IPv4 address a canary goes over IPv6, and without any it is not possible",
  async (wire, world) => {
    await ip("addr", "flush", "dev", wire.near);
    await ip("link", "set", wire.near, "addrgenmode", "none");
    const state = await capture(world, "mirror", "--interface", wire.near);
    const centre = ["--state", `${world.folder}/aggregator`];
    const none = await world.aggregator("sensor", "canary", "mirror", ...centre);
    assertEquals(none.code, 1);
    assertMatch(
      none.stdout,
      new RegExp(`^canary of mirror: not possible: ${wire.near}: it has no address to send from$`, "m"),
    );
    const { reasons, check_in } = await world.get("/sensors/mirror");
    assertEquals(check_in.capture.last_unicast, null);
    assertEquals(reasons.filter((text: string) => /canar/.test(text)), [], "that is no ill health");
    await ip("addr", "add", "fe80::86:1/64", "dev", wire.near, "nodad");
    const found = await world.sensor("canary", "--state", state, "--wait-s", "60");
    assertEquals(found.code, 0, found.stdout + found.stderr);
    const { rows } = await world.get("/flows/search?port=8601");
    assertEquals(rows.map(({ src_ip, dst_ip }: Record<string, unknown>) => [src_ip, dst_ip]), [[
      "fe80::86:1",
      "ff12::8601",
    ]]);
  },
);
