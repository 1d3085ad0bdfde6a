/** Whether canaries arrive: both sides of each threshold, the words, and the look at what is stored. @module */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { canaryReason, canaryStep, canaryText, questionFor } from "../../../aggregator/fleet/canary.ts";
import { CanaryWatch, type CanaryWatchDeps } from "../../../aggregator/fleet/canary_watch.ts";
import { LeasedLoop, type LeasedLoopDeps } from "../../../aggregator/fleet/leased_loop.ts";
import { sensorHealth } from "../../../aggregator/fleet/fleet.ts";
import { troublesOf } from "../../../aggregator/fleet/troubles.ts";
import type { CanaryState, SensorRow } from "../../../aggregator/model/sensor.ts";
import type { CheckInRequest } from "../../../shared/control.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { healthOf, TestClock } from "../api/fixture.ts";
import { sensorRow } from "./sensor_row.ts";

const nowMs = 1_800_000_000_000;
const id = (letter: string) => `1:${letter.repeat(27)}=`;

type Flows = NonNullable<CheckInRequest["canary"]>["flows"];
const flows: Flows = [
  { interface: "eth0", community_id: id("A"), problem: null },
  { interface: "eth1", community_id: id("B"), problem: null },
  { interface: "eth2", community_id: null, problem: "it has no address to send from" },
];

function row(
  canary: Partial<CheckInRequest["canary"]> | null = {},
  state: Partial<CanaryState> | null = null,
  change: (checkIn: CheckInRequest) => void = () => undefined,
): SensorRow {
  const checkIn = healthOf("s1", nowMs - 5_000);
  if (canary) checkIn.canary = { sent_ms: nowMs - 20_000, asked: null, flows, ...canary };
  change(checkIn);
  return { ...sensorRow(nowMs, checkIn), canary: state && { ...announced, ...state } };
}

const announced: CanaryState = {
  sent_ms: nowMs - 20_000,
  announced_ms: nowMs - 10_000,
  missing: ["eth0", "eth1"],
  is_missed: false,
  missed: 0,
  arrived_ms: null,
  arrived_sent_ms: null,
};
const none = new Set<string>(), both = new Set([id("A"), id("B")]);

Deno.test("a canary is announced, then missing in part, then arrived whole", () => {
  const first = canaryStep(row(), null, none, nowMs)!;
  assertEquals(first, { ...announced, announced_ms: nowMs });
  assertEquals(canaryStep(row(), first, none, nowMs + 1_000), null, "nothing has changed");
  const part = canaryStep(row(), first, new Set([id("A")]), nowMs + 2_000)!;
  assertEquals(part, { ...first, missing: ["eth1"] });
  const whole = canaryStep(row(), part, both, nowMs + 3_000)!;
  assertEquals(whole, { ...first, missing: [], arrived_ms: nowMs + 3_000, arrived_sent_ms: nowMs - 20_000 });
  assertEquals(canaryStep(row(), whole, none, nowMs + 9_000), null, "it is looked for no more");
});

Deno.test("a canary is missed after five minutes, once, and counts all the same when it comes", () => {
  const step = (before: CanaryState | null, atMs: number, found = none) =>
    canaryStep(row(), before, found, announced.announced_ms + atMs);
  assertEquals(step(announced, 299_999), null);
  const missed = step({ ...announced, missed: 3 }, 300_000)!;
  assertEquals([missed.is_missed, missed.missed], [true, 4]);
  assertEquals(step(missed, 900_000), null);
  const late = step(missed, 900_000, both)!;
  assertEquals([late.is_missed, late.missed, late.arrived_ms], [false, 0, announced.announced_ms + 900_000]);
  // The next one takes over what came of those before.
  const next = canaryStep(row({ sent_ms: nowMs }), missed, none, nowMs + 5_000)!;
  assertEquals([next.sent_ms, next.announced_ms, next.is_missed, next.missed], [
    nowMs,
    nowMs + 5_000,
    false,
    4,
  ]);
});

Deno.test("who says why it is late is not blamed: no capture, older batches in the spool; and who is not let in is not looked for", () => {
  const atMs = announced.announced_ms + 300_000;
  const step = (change: (checkIn: CheckInRequest) => void) =>
    canaryStep(row({}, {}, change), announced, none, atMs);
  assertEquals(step((c) => c.capture.state = "failed"), null);
  assertEquals(step((c) => Object.assign(c.spool, { batches: 1, oldest_s: 300 })), null);
  assertEquals(step((c) => Object.assign(c.spool, { batches: 1, oldest_s: 299 }))?.missed, 1);
  assertEquals(step((c) => Object.assign(c.spool, { batches: 0, oldest_s: 300 }))?.missed, 1);
  for (const change of [{ revoked_ms: 1 }, { quarantined_ms: 1 }, { approved_ms: null }]) {
    assertEquals(canaryStep({ ...row(), ...change }, announced, both, atMs), null);
  }
  assertEquals(canaryStep(row({ flows: flows.slice(2) }), null, none, atMs), null, "none could be sent");
  assertEquals(canaryStep(row(null), null, none, atMs), null);
});

Deno.test("two canaries missed in a row make a sensor lossy, with words that say what to do; one does not", () => {
  const one = row({}, { is_missed: true, missed: 1 });
  assertEquals(canaryReason(one, nowMs, 2), null);
  assertEquals(sensorHealth(one, [], null, nowMs).status, "healthy");
  const two = row({}, { is_missed: true, missed: 2, arrived_ms: nowMs - 7_800_000 });
  const { status, kinds, reasons } = sensorHealth(two, [], null, nowMs);
  assertEquals([status, kinds], ["lossy", ["canary_missing"]]);
  assertMatch(
    reasons[0],
    /^Its last 2 canaries did not arrive \(eth0, eth1; the last to arrive did so 2 h ago\): .*doctor.*Kafka/,
  );
  assertEquals(troublesOf(two, nowMs).map(({ kind }) => kind), ["sensor_lossy"]);
  assertStringIncludes(canaryReason(row({}, { missed: 2 }), nowMs, 2)!, "none ever arrived");
  // It can send none any more: that its last ones went missing says nothing of now.
  assertEquals(canaryReason(row({ flows: flows.slice(2) }, { missed: 2 }), nowMs, 2), null);
});

Deno.test("how the newest canary fares is said in words", () => {
  const text = (sensor: SensorRow) => canaryText(sensor, nowMs);
  const no = "; not possible: eth2: it has no address to send from";
  assertEquals(text({ ...row(), check_in: null }), null);
  assertEquals(text(row(null)), "no canary was sent yet");
  const { check_in: live } = row(null);
  assertEquals(
    text({ ...row(null), check_in: { ...live!, capture: { ...live!.capture, state: "idle" } } }),
    null,
  );
  assertEquals(text(row({ flows: flows.slice(2) })), no.slice(2));
  assertEquals(text(row()), `sent 15 s before its last check-in, not arrived yet; none arrived before${no}`);
  const arrived = { arrived_ms: nowMs - 9_000, arrived_sent_ms: nowMs - 20_000 };
  assertEquals(text(row({}, arrived)), `arrived 9 s ago${no}`);
  assertEquals(
    text(row({ sent_ms: nowMs - 6_000 }, arrived)),
    `sent 1 s before its last check-in, not arrived yet; the last one that did arrived 9 s ago${no}`,
  );
  assertEquals(
    text(row({}, { is_missed: true, missed: 3, arrived_ms: nowMs - 10_800_000 })),
    `did not arrive (eth0, eth1), 3 in a row; the last one that did arrived 3 h ago${no}`,
  );
});

Deno.test("a question is asked until it is said back, and for ten minutes at most", () => {
  const asked = { canary_asked_ms: nowMs };
  const checkIn = { canary: row().check_in!.canary };
  assertEquals(questionFor({ canary_asked_ms: null }, checkIn, nowMs), null);
  assertEquals(questionFor(asked, {}, nowMs + 600_000), nowMs);
  assertEquals(questionFor(asked, checkIn, nowMs + 600_000), nowMs);
  assertEquals(questionFor(asked, checkIn, nowMs + 600_001), null);
  checkIn.canary!.asked = nowMs - 1;
  assertEquals(questionFor(asked, checkIn, nowMs), nowMs);
  checkIn.canary!.asked = nowMs;
  assertEquals(questionFor(asked, checkIn, nowMs), null);
});

/** A store of canary flows, which counts what is read of it. */
function watched(sensors: SensorRow[]) {
  const clock = new TestClock();
  clock.ms = nowMs;
  const reporter = createReporter({ component: "test", write: () => undefined, clock });
  const stored: { community_id: string; sensors: string[]; dst_ip: string }[] = [];
  const world = {
    clock,
    stored,
    reads: 0,
    fromS: NaN,
    endless: false,
    isOurs: true,
    saved: [] as Map<string, CanaryState>[],
    counter: (name: string) => reporter.snapshot().get(name) ?? 0,
    watch: null as unknown as LeasedLoop,
  };
  const leases = {
    takeLease: () => Promise.resolve(world.isOurs ? {} : null),
    releaseLease: () => Promise.resolve(),
  } as unknown as LeasedLoopDeps["store"];
  const store = {
    saveCanaries: (states: Map<string, CanaryState>) =>
      Promise.resolve(void world.saved.push(new Map(states))),
    readFlows(query: { dst_ip: string; dst_port: number; from: number }) {
      world.reads++;
      world.fromS = query.from;
      assertEquals(query.dst_port, 8_601);
      const rows = stored.filter(({ dst_ip }) => dst_ip === query.dst_ip).map((
        { community_id, sensors },
      ) => ({
        community_id,
        seen_by: sensors.map((sensor_id) => ({ sensor_id })),
      }));
      return Promise.resolve({ rows, ...world.endless && { next_cursor: "x" } });
    },
  } as unknown as CanaryWatchDeps["store"];
  const directory = { all: () => Promise.resolve(sensors) } as unknown as CanaryWatchDeps["directory"];
  const watch = new CanaryWatch({ store, directory, clock, reporter });
  world.watch = new LeasedLoop(watch, { store: leases, holder: "a", clock });
  return world;
}

Deno.test("a canary counts only for the sensor that saw it, over IPv4 and IPv6, and nothing is read once it is found", async () => {
  const sensors = ["s1", "s2"].map((sensor_id) => ({ ...row(), sensor_id }));
  const world = watched(sensors);
  await world.watch.turn();
  assertEquals([...world.saved[0].keys()], ["s1", "s2"]);
  world.stored.push({ community_id: id("A"), sensors: ["s2", "s1"], dst_ip: "239.255.86.1" });
  world.stored.push({ community_id: id("B"), sensors: ["s1"], dst_ip: "ff12::8601" });
  await world.watch.turn();
  assertEquals(world.saved[1].get("s1")!.arrived_ms, nowMs);
  assertEquals(world.saved[1].get("s2")!.missing, ["eth1"]);
  assertEquals(world.counter('canaries_total{outcome="arrived"}'), 1);
  const { reads } = world;
  sensors.pop();
  await world.watch.turn();
  assertEquals(world.reads, reads);
});

Deno.test("what is missed is counted once and looked for less often, and no more after two hours", async () => {
  const sensors = [row()];
  const world = watched(sensors);
  const looks = async (times: number) => {
    const before = world.reads;
    for (let i = 0; i < times; i++) await world.watch.turn();
    return (world.reads - before) / 2;
  };
  assertEquals(await looks(12), 12);
  world.clock.ms = nowMs + 300_000;
  assertEquals(await looks(12), 12);
  assertEquals(world.counter('canaries_total{outcome="missed"}'), 1);
  world.clock.ms = nowMs + 599_999;
  assertEquals(await looks(12), 12);
  world.clock.ms = nowMs + 600_000;
  assertEquals(await looks(12), 1);
  world.clock.ms = nowMs + 7_199_999;
  assertEquals(await looks(12), 1);
  world.clock.ms = nowMs + 7_200_000;
  assertEquals(await looks(12), 0);
});

Deno.test("flows are looked for from five minutes before the oldest canary, whatever its sensor's clock says", async () => {
  for (
    const [sent_ms, offsetMs, fromMs] of [
      [nowMs - 20_000, 0, nowMs - 320_000],
      [nowMs - 20_000, 10_000, nowMs - 330_000],
      [nowMs + 9e12, null, nowMs - 300_000],
      [-1, null, nowMs - 7_500_000],
    ] as const
  ) {
    const world = watched([{ ...row({ sent_ms }), clock_offset_ms: offsetMs }]);
    await world.watch.turn();
    assertEquals(world.fromS * 1_000, fromMs);
  }
});

Deno.test("a look reads twenty pages of a group at most, and none without the lease", async () => {
  const world = watched([row()]);
  world.isOurs = false;
  await world.watch.turn();
  assertEquals(world.reads, 0);
  world.isOurs = world.endless = true;
  await world.watch.turn();
  assertEquals([world.reads, world.counter("canary_pages_cut_total")], [40, 2]);
});
