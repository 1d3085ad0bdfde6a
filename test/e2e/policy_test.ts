/** Policies with the real dumpcap: applied while it captures, rolled back by the sensor when they do harm,
 * said in the fleet.
 *
 * Method: as in live_test.ts, with a trial of four seconds instead of sixty.
 * Needs root for `ip netns`; skipped loudly otherwise. @module */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { PolicySettings } from "../../shared/policy.ts";
import { systemClock } from "../../shared/clock.ts";
import { Wire } from "../bench/wire.ts";
import { skipLoudly } from "../services/services.ts";
import { missingForWire } from "./live_needs.ts";
import { demoCapture as capture } from "./scenarios.ts";
import { run, World } from "./world.ts";

const reason = await missingForWire();
const { ignore } = reason ? skipLoudly("policies", reason) : { ignore: false };
const trialS = 4;

Deno.test({
  name: "a policy holds while dumpcap captures, and one that does harm is rolled back by the sensor",
  ignore,
  fn: async () => {
    const world = new World(), wire = new Wire();
    try {
      await wire.start();
      await world.start();
      const state = await world.enrol("wire");
      const times = ["--check-in-s", "1", "--policy-trial-s", String(trialS), "--other-idle-ms", "2000"];
      const sensor = world.spawnSensor(
        "run",
        "--interface",
        wire.near,
        "--state",
        state,
        "--no-facts",
        ...times,
      );
      await world.until("/fleet", (fleet) => JSON.stringify(fleet).includes('"capturing"'), 30);
      const good = await set(world, { filter: "udp", snaplen: 96, noise: ["mdns"] });
      await took(world, good);
      assertMatch(await dumpcapOf(wire), / -s 96 .*\(udp\)/);
      await wire.send(capture, 5_000, null);
      const { rows } = await world.until("/flows?limit=1000", (body) => body.rows.length >= 20, 30);
      assertEquals(new Set(rows.map(({ protocol }: { protocol: string }) => protocol)), new Set(["udp"]));
      await doesNotCompile(world, good);
      await breaksCapture(world, wire, good);
      await matchesNothing(world);
      const { stdout } = await world.sensor("status", "--state", state);
      assertMatch(stdout, /^policy +office version \d+: version \d+ holds/m);
      sensor.kill("SIGTERM");
      assertEquals((await sensor.status).code, 0);
    } finally {
      await world.stop();
      await wire.stop();
    }
  },
});

async function doesNotCompile(world: World, good: number): Promise<void> {
  const sinceMs = systemClock.monotonicMs();
  const bad = await set(world, { filter: "port nonsense" });
  const { policy, reasons } = await rolledBack(world, bad);
  assertEquals([policy.actual, policy.wanted], [good, bad]);
  assertMatch(policy.problem, /filter|syntax|port|nonsense/);
  assertStringIncludes(reasons.join(), `Policy office version ${bad} was rolled back to version ${good}: `);
  assert(systemClock.monotonicMs() - sinceMs < 30_000);
}

/** The interface goes while a policy is on trial: nobody can know that the policy is not to blame. */
async function breaksCapture(world: World, wire: Wire, good: number): Promise<void> {
  const bad = await set(world, { snaplen: 200 });
  await took(world, bad);
  const gone = `${wire.near}x`;
  const pid = Number((await dumpcapOf(wire)).split(" ")[0]);
  for (const words of [[wire.near, "down"], [wire.near, "name", gone]]) {
    await run(["ip", "link", "set", ...words]);
  }
  // It may have ended with the interface.
  await run(["kill", "-KILL", String(pid)]);
  const { policy } = await rolledBack(world, bad);
  assertEquals(policy.actual, good);
  assertMatch(policy.problem, /^capture broke: /);
  for (const words of [[gone, "name", wire.near], [wire.near, "up"]]) {
    await run(["ip", "link", "set", ...words]);
  }
  await world.until("/sensors/wire", ({ check_in }) => check_in.capture.state === "capturing", 60);
  assertMatch(await dumpcapOf(wire), / -s 96 .*\(udp\)/);
}

async function matchesNothing(world: World): Promise<void> {
  const version = await set(world, { filter: "ether host 02:00:00:00:00:99" });
  await took(world, version);
  await systemClock.sleep((trialS + 2) * 1_000);
  const { check_in: { policy } } = await world.get("/sensors/wire");
  assertEquals([policy.actual, policy.problem, policy.filtered], [version, null, true]);
}

async function set(world: World, settings: PolicySettings): Promise<number> {
  const key = Deno.readTextFileSync(world.keyFile()).trim();
  const response = await fetch(`${world.url}/api/v1/policies`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ name: "office", settings }),
  });
  const { version } = await response.json();
  assertEquals(response.status, 200);
  return version;
}

function took(world: World, version: number) {
  return world.until(
    "/policies/office",
    ({ sensors: [one] }) => one.actual === version && one.problem === null,
    30,
  );
}

async function rolledBack(world: World, version: number) {
  const { check_in: { policy }, reasons } = await world.until(
    "/sensors/wire",
    ({ check_in: { policy } }) => policy.wanted === version && policy.problem !== null,
    30,
  );
  return { policy, reasons };
}

/** Arguments of the dumpcap on the wire. */
async function dumpcapOf({ near }: Wire): Promise<string> {
  for (let i = 0; i < 50; i++) {
    const { stdout } = await run(["pgrep", "-a", "-f", `dumpcap.* -i ${near}`]);
    const lines = stdout.trim().split("\n").filter((line) => !line.includes("pgrep"));
    if (lines.length === 1 && lines[0] !== "") return lines[0];
    await systemClock.sleep(100);
  }
  throw new Error(`There is no one dumpcap on ${near}`);
}
