/** Holes in what came of a sensor: after a kill, after a lost log, and never of what is only on its way. @module */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { type HoleOptions, Holes } from "../../../aggregator/fleet/holes.ts";
import { sensorHealth } from "../../../aggregator/fleet/fleet.ts";
import type { SensorRow } from "../../../aggregator/model/sensor.ts";
import type { CheckInRequest } from "../../../shared/control.ts";
import { healthOf } from "../api/fixture.ts";

const startMs = 1_800_000_000_000;

/** A sensor that checks in every 10 s, before a ledger that the test fills. */
function startScene(options: HoleOptions = {}) {
  const stored = new Map<number, number>();
  const state = { isReading: true };
  const holes = new Holes(options, {
    store: { readEpochPackets: (_id, epoch) => Promise.resolve(stored.get(epoch) ?? 0) },
    isReading: () => state.isReading,
  });
  let last: CheckInRequest | null = null, lastMs: number | null = null, nowMs = startMs;
  return {
    stored,
    state,
    async checkIn(forMs: number, epoch: number, { packets = 1_000, spooled = 0 } = {}) {
      for (const endMs = nowMs + forMs; nowMs < endMs; nowMs += 10_000) {
        const health = { ...healthOf("s1", nowMs), epoch };
        health.capture.in_flows = packets;
        health.spool.batches = spooled;
        await holes.note(health, { checkIn: last, atMs: lastMs }, nowMs);
        last = health;
        lastMs = nowMs;
      }
    },
    found: () => holes.of("s1", nowMs).map(({ epoch, packets }) => [epoch, packets]),
    words: () => sensorHealth(rowOf(last!, lastMs!), [], null, nowMs, holes.of("s1", nowMs)),
    wait: (ms: number) => nowMs += ms,
  };
}

function rowOf(checkIn: CheckInRequest, atMs: number): SensorRow {
  return {
    sensor_id: "s1",
    name: "roof",
    site: "lab",
    tags: [],
    key_id: "0".repeat(16),
    public_key: "",
    enrolled_ms: startMs,
    approved_ms: startMs,
    join_token: null,
    revoked_ms: null,
    quarantined_ms: null,
    quarantine_reason: null,
    last_check_in_ms: atMs,
    last_batch_ms: atMs,
    clock_offset_ms: 0,
    check_in: checkIn,
  };
}

Deno.test("packets that a killed sensor had counted and not sealed are a hole within minutes", async () => {
  const scene = startScene();
  await scene.checkIn(60_000, 1);
  scene.stored.set(1, 900);
  await scene.checkIn(60_000, 2, { packets: 10 });
  assertEquals(scene.found(), []);
  await scene.checkIn(30_000, 2, { packets: 20 });
  assertEquals(scene.found(), [[1, 100]]);
  const { status, reasons } = scene.words();
  assertEquals(status, "lossy");
  assertStringIncludes(reasons.join(), "100 packets that it had counted in flows until 100 s ago");
  scene.wait(86_500_000);
  assertEquals(scene.found(), [], "a day later it is history");
});

Deno.test("an epoch of which all came is no hole, and one of which nothing came is a whole one", async () => {
  const scene = startScene();
  await scene.checkIn(60_000, 1);
  await scene.checkIn(60_000, 2, { packets: 500 });
  scene.stored.set(2, 540);
  await scene.checkIn(300_000, 3, { packets: 0 });
  assertEquals(scene.found(), [[1, 1_000]]);
});

Deno.test("what waits in the spool, or in a log that nobody reads now, is no hole", async () => {
  const scene = startScene();
  await scene.checkIn(60_000, 1, { spooled: 10 });
  await scene.checkIn(900_000, 2, { spooled: 15 });
  assertEquals(scene.found(), []);
  scene.state.isReading = false;
  await scene.checkIn(300_000, 2);
  assertEquals(scene.found(), []);
  scene.state.isReading = true;
  await scene.checkIn(30_000, 2);
  assertEquals(scene.found(), [[1, 1_000]]);
});

Deno.test("a hole is looked at again, and closes when the packets come after all", async () => {
  const scene = startScene();
  await scene.checkIn(30_000, 1);
  await scene.checkIn(120_000, 2);
  assertEquals(scene.found(), [[1, 1_000]]);
  scene.stored.set(1, 400);
  await scene.checkIn(330_000, 2);
  assertEquals(scene.found(), [[1, 600]]);
  scene.stored.set(1, 1_000);
  await scene.checkIn(330_000, 2);
  assertEquals(scene.found(), []);
});

Deno.test("holes are bounded by sensor", async () => {
  const scene = startScene({ graceMs: 10_000, lookMs: 10_000 });
  for (let epoch = 1; epoch < 40; epoch++) await scene.checkIn(50_000, epoch);
  assertEquals(scene.found().length, 8);
});
