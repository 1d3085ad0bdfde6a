/** Tests of rollouts: whose turn it is, how each sensor stands, when the next step comes, when it halts. @module */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Releases } from "../../../aggregator/fleet/release_folder.ts";
import { nextStep, sensorUpgrades } from "../../../aggregator/fleet/rollout.ts";
import { upgradeReasons } from "../../../aggregator/fleet/upgrade_reasons.ts";
import type { SensorRow } from "../../../aggregator/model/sensor.ts";
import type { RolloutRow } from "../../../aggregator/model/upgrade.ts";
import type { CheckInRequest } from "../../../shared/control.ts";
import { releaseKeyId } from "../../../shared/release.ts";
import { here, releaseKey, releaseOf, tinyProgram } from "../../sensor/control/upgrade_fixture.ts";
import { healthOf } from "../api/fixture.ts";

type Upgrade = NonNullable<CheckInRequest["upgrade"]>;

const nowMs = 1_800_000_000_000;
const { offer: { manifest, signature }, manifest: read } = releaseOf(tinyProgram(0));
const releases: Releases = { key: releaseKey, rows: [{ manifest, signature, read }], problems: [] };
const idle: Upgrade = {
  target: here,
  slot: "installed",
  key: releaseKeyId(releaseKey),
  state: "idle",
  offer: null,
  version: null,
  problem: null,
  received: 0,
};

function rollout(change: Partial<RolloutRow> = {}): RolloutRow {
  return {
    id: 7,
    version: "1.1.0",
    canary: "tag=canary",
    canary_ms: 3_600_000,
    step_percent: 25,
    step_ms: 7_200_000,
    allow_older: false,
    state: "running",
    percent: 0,
    stage_ms: nowMs - 600_000,
    attempt: 1,
    reason: null,
    created_ms: nowMs - 600_000,
    created_by: "ann",
    ...change,
  };
}

interface Change {
  version?: string;
  /** Null = it knows nothing of upgrades. */
  upgrade?: Partial<Upgrade> | null;
  silentMs?: number;
  tags?: string[];
  row?: Partial<SensorRow>;
}

function sensor(
  name: string,
  { version = "1.0.0", upgrade = {}, silentMs = 5_000, tags = [], row = {} }: Change = {},
) {
  const check_in = {
    ...healthOf(name, nowMs),
    version,
    ...(upgrade === null ? {} : { upgrade: { ...idle, ...upgrade } }),
  };
  return {
    sensor_id: name,
    name,
    tags,
    approved_ms: 1,
    revoked_ms: null,
    quarantined_ms: null,
    check_in,
    last_check_in_ms: nowMs - silentMs,
    ...row,
  } as SensorRow;
}

const stateOf = (row: RolloutRow, one: SensorRow, those = releases) => {
  const [{ state, reason }] = sensorUpgrades(row, [one], those, nowMs);
  return [state, reason];
};
const mine = { offer: "7.1", version: "1.1.0" };

Deno.test("a sensor's state is what it last said, or how long it has said nothing", () => {
  const all = rollout({ percent: 100 });
  const cases: [SensorRow, string, RegExp | null][] = [
    [sensor("a"), "offered", null],
    [sensor("a", { upgrade: { ...mine, state: "downloading" } }), "downloading", null],
    [sensor("a", { upgrade: { ...mine, state: "switching" } }), "switching", null],
    [sensor("a", { version: "1.1.0", upgrade: { ...mine, state: "trial" } }), "trial", null],
    [sensor("a", { version: "1.1.0", upgrade: mine }), "done", null],
    [sensor("a", { version: "1.1.0", upgrade: null }), "done", null],
    [sensor("a", { version: "1.1.0", silentMs: 900_000 }), "done", null],
    [sensor("a", { upgrade: { ...mine, state: "failed", problem: "it crashed" } }), "failed", /^it crashed$/],
    [sensor("a", { upgrade: { offer: "6.1", state: "failed", problem: "of another" } }), "offered", null],
    [sensor("a", { silentMs: 30_000 }), "offered", null],
    [sensor("a", { silentMs: 31_000 }), "offline", /^no check-in for 31 s$/],
    [sensor("a", { upgrade: { ...mine, state: "downloading" }, silentMs: 31_000 }), "offline", /31 s/],
    [sensor("a", { upgrade: { ...mine, state: "switching" }, silentMs: 600_000 }), "switching", /600 s/],
    [
      sensor("a", { upgrade: { ...mine, state: "switching" }, silentMs: 601_000 }),
      "failed",
      /601 s since it began/,
    ],
    [
      sensor("a", { upgrade: { ...mine, state: "trial" }, silentMs: 601_000 }),
      "failed",
      /601 s since it began/,
    ],
    [sensor("a", { row: { check_in: null, last_check_in_ms: null } }), "offline", /never checked in/],
    [sensor("a", { upgrade: null }), "unable", /version 1.0.0 takes no upgrades/],
    [sensor("a", { upgrade: { state: "unable", problem: "no key" } }), "unable", /^no key$/],
    [
      sensor("a", { upgrade: { key: "0123456789abcdef" } }),
      "unable",
      /trusts release key 0123456789abcdef, not/,
    ],
    [
      sensor("a", { upgrade: { target: "aarch64-unknown-linux-gnu" } }),
      "unable",
      /no release 1.1.0 for aarch64/,
    ],
    [sensor("a", { version: "1.1.1" }), "unable", /runs version 1.1.1, which is newer/],
  ];
  for (const [one, state, reason] of cases) {
    const [is, why] = stateOf(all, one);
    assertEquals(is, state, JSON.stringify(one.check_in?.upgrade));
    if (reason === null) assertEquals(why, null);
    else assertMatch(why!, reason);
  }
  assertEquals(stateOf(rollout({ percent: 100, allow_older: true }), sensor("a", { version: "1.1.1" })), [
    "offered",
    null,
  ]);
  assertMatch(stateOf(all, sensor("a"), { ...releases, key: null })[1]!, /no release key/);
  for (const row of [{ revoked_ms: 1 }, { approved_ms: null }, { quarantined_ms: 1 }]) {
    assertEquals(sensorUpgrades(all, [sensor("a", { row })], releases, nowMs), []);
  }
});

const named = (count: number, change: Change = {}) =>
  Array.from({ length: count }, (_, i) => sensor(`s${i}`, change));
const inside = (row: RolloutRow, sensors: SensorRow[]) =>
  sensorUpgrades(row, sensors, releases, nowMs).filter(({ isIn }) => isIn).map(({ name }) => name).sort();

Deno.test("canaries are those with the tag, or a share that is at least one and has somebody who can", () => {
  const tagged = [
    ...named(9),
    sensor("x", { tags: ["canary"] }),
    sensor("y", { tags: ["canary"], silentMs: 1e6 }),
  ];
  assertEquals(inside(rollout(), tagged), ["x", "y"]);
  assertEquals(inside(rollout({ canary: "percent=5" }), named(10)).length, 1);
  assertEquals(inside(rollout({ canary: "percent=5" }), named(100)).length, 5);
  const offline = named(19, { silentMs: 1e6 });
  assertEquals(inside(rollout({ canary: "percent=5" }), [...offline, sensor("awake")]), ["awake"]);
  const first = inside(rollout({ canary: "percent=5" }), named(100));
  assert(
    JSON.stringify(first) !== JSON.stringify(inside(rollout({ id: 8, canary: "percent=5" }), named(100))),
  );
});

Deno.test("who has begun or is through stays in, and nobody comes in their place before the next step", () => {
  const row = rollout({ canary: "percent=5" });
  const [canary] = inside(row, named(20));
  for (
    const change of [
      { upgrade: { ...mine, state: "trial" } },
      { upgrade: { ...mine, state: "failed" } },
      { version: "1.1.0", upgrade: mine },
      { upgrade: { ...mine, state: "downloading" }, silentMs: 1e6 },
    ] as Change[]
  ) {
    const sensors = named(20).map((one) => one.name === canary ? sensor(canary, change) : one);
    assertEquals(inside(row, sensors), [canary], JSON.stringify(change));
  }
  assertEquals(inside(rollout({ canary: "percent=5", percent: 25 }), named(20)).length, 5);
  assertEquals(inside(rollout({ canary: "percent=5", percent: 100 }), named(20)).length, 20);
});

const step = (row: RolloutRow, sensors: SensorRow[]) =>
  nextStep(row, sensorUpgrades(row, sensors, releases, nowMs), nowMs);
const canaryDone = sensor("x", { tags: ["canary"], version: "1.1.0", upgrade: mine });

Deno.test("the rest follows when the canaries have gone well for their hours, and not a moment before", () => {
  const at = (stageMs: number, ...sensors: SensorRow[]) =>
    step(rollout({ stage_ms: nowMs - stageMs }), [...named(10), ...sensors]);
  assertEquals(at(3_599_999, canaryDone), null);
  assertEquals(at(3_600_000, canaryDone), { percent: 25, stage_ms: nowMs });
  assertEquals(at(3_600_000), null, "nobody has shown anything");
  assertEquals(at(3_600_000, sensor("y", { tags: ["canary"], silentMs: 1e9 })), null);
  const offline = sensor("y", { tags: ["canary"], silentMs: 1e9 });
  assertEquals(at(3_600_000, canaryDone, offline)?.percent, 25, "one that is offline holds up nobody");
  const unable = sensor("y", { tags: ["canary"], upgrade: { state: "unable", problem: "no key" } });
  assertEquals(at(3_600_000, canaryDone, unable)?.percent, 25);
  const trial = sensor("y", { tags: ["canary"], version: "1.1.0", upgrade: { ...mine, state: "trial" } });
  assertEquals(at(3_600_000, canaryDone, trial), null);
  const slow = sensor("y", { tags: ["canary"] });
  const row = rollout({ canary_ms: 60_000, stage_ms: nowMs - 3_599_999 });
  assertEquals(step(row, [canaryDone, slow]), null);
  assertEquals(step({ ...row, stage_ms: nowMs - 3_600_000 }, [canaryDone, slow])?.percent, 25);
});

Deno.test("one canary that fails, or falls silent while it changes programs, halts everything", () => {
  const crashed = sensor("y", {
    tags: ["canary"],
    upgrade: { ...mine, state: "failed", problem: "it crashed" },
  });
  assertEquals(step(rollout(), [canaryDone, crashed]), {
    state: "halted",
    reason: "canary y failed: it crashed",
  });
  const silent = sensor("y", {
    tags: ["canary"],
    upgrade: { ...mine, state: "switching" },
    silentMs: 700_000,
  });
  assertEquals(step(rollout(), [canaryDone, silent])?.state, "halted");
  const again = rollout({ attempt: 2 });
  assertEquals(step(again, [canaryDone, crashed]), null, "a new attempt does not count old failures");
});

Deno.test("after the canaries more than one sensor, and more than one in ten, must fail to halt it", () => {
  const failures = (count: number, of: number) => [
    ...Array.from(
      { length: count },
      (_, i) => sensor(`f${i}`, { upgrade: { ...mine, state: "failed", problem: "disk" } }),
    ),
    ...Array.from({ length: of - count }, (_, i) => sensor(`d${i}`, { version: "1.1.0", upgrade: mine })),
  ];
  const row = rollout({ percent: 100 });
  assertEquals(step(row, failures(1, 2))?.state, "done");
  assertEquals(step(row, failures(2, 3))?.state, "halted");
  assertEquals(step(row, failures(3, 30))?.state, "done");
  const halted = step(row, failures(4, 30))!;
  assertEquals([halted.state, halted.reason], ["halted", "4 sensors failed, the first of them f0: disk"]);
});

Deno.test("steps follow one another by their hours up to the whole fleet, and the end is when nobody is busy", () => {
  const done = named(20, { version: "1.1.0", upgrade: mine });
  const at = (percent: number, stageMs: number, sensors = done) =>
    step(rollout({ percent, stage_ms: nowMs - stageMs }), sensors);
  assertEquals(at(25, 7_199_999), null);
  assertEquals(at(25, 7_200_000), { percent: 50, stage_ms: nowMs });
  assertEquals(at(90, 7_200_000), { percent: 100, stage_ms: nowMs });
  assertEquals(at(100, 0), { state: "done" });
  assertEquals(at(100, 60_000, [...done, sensor("last")]), null);
  assertEquals(at(100, 60_000, [...done, sensor("away", { silentMs: 1e9 })]), { state: "done" });
  for (const state of ["paused", "halted", "done", "cancelled"] as const) {
    assertEquals(step(rollout({ state, percent: 100 }), done), null);
  }
});

Deno.test("a failed upgrade is a reason in the fleet, and one that cannot be is none", () => {
  const reasons = (change: Change) => upgradeReasons(sensor("a", change).check_in as CheckInRequest);
  assertEquals(reasons({ upgrade: { ...mine, state: "failed", problem: "it crashed" } }), [
    "Upgrade to version 1.1.0 failed, version 1.0.0 runs: it crashed",
  ]);
  for (
    const upgrade of [null, {}, { state: "unable", problem: "no key" }, { ...mine, state: "trial" }] as const
  ) {
    assertEquals(reasons({ upgrade }), []);
  }
});
