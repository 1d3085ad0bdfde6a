/** Thresholds by policy: both sides of each, from the policy's settings to the sensor's health. @module */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { SensorDirectory } from "../../../aggregator/fleet/directory.ts";
import { sensorHealth } from "../../../aggregator/fleet/fleet.ts";
import { fleetLimits, limitsOf } from "../../../aggregator/fleet/limits.ts";
import type { PolicyRow } from "../../../aggregator/model/policy.ts";
import type { CanaryState, SensorRow } from "../../../aggregator/model/sensor.ts";
import type { CheckInRequest } from "../../../shared/control.ts";
import type { PolicySettings } from "../../../shared/policy.ts";
import { healthOf } from "../api/fixture.ts";
import { sensorRow } from "./sensor_row.ts";

const nowMs = 1_800_000_000_000;

function row(settings: PolicySettings, change: (c: CheckInRequest, row: SensorRow) => void): SensorRow {
  const checkIn = healthOf("s1", nowMs - 5_000);
  const sensor = { ...sensorRow(nowMs, checkIn), settings };
  change(checkIn, sensor);
  return sensor;
}

const health = (sensor: SensorRow) => sensorHealth(sensor, [], null, nowMs);
const canary = {
  sent_ms: 1,
  announced_ms: 1,
  missing: ["eth0"],
  is_missed: true,
  arrived_ms: null,
  arrived_sent_ms: null,
};
const announce = (missed: number) => (c: CheckInRequest, sensor: SensorRow) => {
  const flows = [{ interface: "eth0", community_id: `1:${"A".repeat(27)}=`, problem: null }];
  c.canary = { sent_ms: 1, asked: null, flows };
  sensor.canary = { ...canary, missed } satisfies CanaryState;
};

Deno.test("each threshold of a policy holds on both sides, in place of the fleet's", () => {
  const cases: [PolicySettings, (more: number) => (c: CheckInRequest, sensor: SensorRow) => void, string][] =
    [
      [
        { lateAfterS: 120 },
        (more) => (_c, sensor) => sensor.last_check_in_ms = nowMs - 120_000 - more,
        "unreachable",
      ],
      [
        { blindAfterS: 300 },
        (more) => (c) => c.capture.last_packet = c.sent_ms / 1_000 - 300 - more,
        "blind",
      ],
      [
        { broadcastOnlyS: 3_600 },
        (more) => (c) => c.capture.last_unicast = c.sent_ms / 1_000 - 3_600 - more,
        "broadcast_only",
      ],
      // 1,000 packets and these.
      [{ lossPermille: 20 }, (more) => (c) => c.capture.dropped = 20 + more, "kernel_drops"],
      [
        { tsharkFailures: 10 },
        (more) => (c) => c.facts.failures = { total: 99, lately: 9 + more, words: "" },
        "dissector_failing",
      ],
      [{ canariesMissed: 1 }, (more) => announce(more), "canary_missing"],
      [{ canariesMissed: 5 }, (more) => announce(4 + more), "canary_missing"],
      [{ clockOffsetMs: 500 }, (more) => (_c, sensor) => sensor.clock_offset_ms = -500 - more, "clock"],
    ];
  for (const [settings, change, kind] of cases) {
    assertEquals(health(row(settings, change(0))).kinds, [], JSON.stringify(settings));
    assertEquals(health(row(settings, change(1))).kinds, [kind], JSON.stringify(settings));
  }
  const late = health(row({ lateAfterS: 120 }, (_c, sensor) => sensor.last_check_in_ms = nowMs - 121_000));
  assertStringIncludes(late.reasons[0], "(limit 2 min)");
  assertEquals(late.limits.lateAfterMs, 120_000);
});

Deno.test("settings that are no thresholds change none", () => {
  assertEquals(limitsOf({}), fleetLimits);
  assertEquals(limitsOf({ settings: { snaplen: 96, filter: "ip" } }), fleetLimits);
});

Deno.test("the directory gives each sensor the settings of its policy, and of none none", async () => {
  const policy = (version: number, target: string, settings: PolicySettings | null): PolicyRow => {
    return { version, name: "p", target, settings, created_ms: 0, created_by: "" };
  };
  let policies = [policy(1, "tag=north", { blindAfterS: 300 })];
  const sensors = [{ ...sensorRow(nowMs, null), tags: ["north"] }, {
    ...sensorRow(nowMs, null),
    sensor_id: "s2",
  }];
  const directory = new SensorDirectory({}, {
    store: { readSensors: () => Promise.resolve(sensors), readPolicies: () => Promise.resolve(policies) },
  });
  const settings = async (atMs: number) => (await directory.all(atMs)).map((row) => row.settings);
  assertEquals(await settings(0), [{ blindAfterS: 300 }, undefined]);
  policies = [...policies, policy(2, "all", { lateAfterS: 60 })];
  assertEquals(await settings(2_000), [{ lateAfterS: 60 }, { lateAfterS: 60 }]);
  policies = [...policies, policy(3, "all", null)];
  assertEquals(await settings(4_000), [undefined, undefined]);
});
