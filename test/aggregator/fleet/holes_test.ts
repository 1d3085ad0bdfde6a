/** Holes in what came of a sensor: after a kill, after a lost log, and never of what is only on its way. @module */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { type HoleOptions, Holes } from "../../../aggregator/fleet/holes.ts";
import { sensorHealth } from "../../../aggregator/fleet/fleet.ts";
import type { SensorRow } from "../../../aggregator/model/sensor.ts";
import type { CheckInRequest } from "../../../shared/control.ts";
import { healthOf } from "../api/fixture.ts";

const startMs = 1_800_000_000_000;

/** A sensor that checks in every 10 s, before a store that the test fills. */
function startScene(options: HoleOptions = { graceMs: 180_000, lookMs: 60_000 }) {
  const stored = new Map<number, { batches: number; packets: number }>();
  const holes = new Holes(options, {
    store: {
      readPositions: (_id, epoch) =>
        Promise.resolve([{ bucket: 0, seq_max: 99, batches: stored.get(epoch)?.batches ?? 0 }]),
      readEpochPackets: (_id, epoch) => Promise.resolve(stored.get(epoch)?.packets ?? 0),
    },
  });
  let last: CheckInRequest | null = null, lastMs: number | null = null, nowMs = startMs;
  return {
    stored,
    async checkIn(forMs: number, change: Partial<CheckInRequest> & { packets?: number; spooled?: number }) {
      const { packets = 1_000, spooled = 0, ...rest } = change;
      for (const endMs = nowMs + forMs; nowMs < endMs; nowMs += 10_000) {
        const health = { ...healthOf("s1", nowMs), ...rest };
        health.capture.in_flows = packets;
        health.spool.batches = spooled;
        await holes.note(health, { checkIn: last, atMs: lastMs }, nowMs);
        last = health;
        lastMs = nowMs;
      }
    },
    found: () => holes.of("s1", nowMs).map(({ epoch, batches, packets }) => [epoch, batches, packets]),
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
  await scene.checkIn(60_000, { epoch: 1, sealed: { "0": 5 }, packets: 1_000 });
  scene.stored.set(1, { batches: 5, packets: 900 });
  await scene.checkIn(170_000, { epoch: 2, sealed: {}, packets: 10 });
  assertEquals(scene.found(), []);
  await scene.checkIn(80_000, { epoch: 2, sealed: {}, packets: 20 });
  assertEquals(scene.found(), [[1, 0, 100]]);
  const { status, reasons } = scene.words();
  assertEquals(status, "lossy");
  assertStringIncludes(reasons.join(), "100 packets that it had counted in flows until 4 min ago");
  scene.wait(86_500_000);
  assertEquals(scene.found(), [], "a day later it is history");
});

Deno.test("unless told otherwise a hole is seen after one minute, and before a minute and a half", async () => {
  const scene = startScene({});
  await scene.checkIn(30_000, { epoch: 1, sealed: { "0": 5 }, packets: 1_000 });
  await scene.checkIn(60_000, { epoch: 2, sealed: {}, packets: 0 });
  assertEquals(scene.found(), []);
  await scene.checkIn(30_000, { epoch: 2, sealed: {}, packets: 0 });
  assertEquals(scene.found(), [[1, 5, 1_000]]);
});

Deno.test("a whole epoch of which nothing came is a hole, and one of which all came is none", async () => {
  const scene = startScene();
  await scene.checkIn(60_000, { epoch: 1, sealed: { "0": 3, "2": 4 }, packets: 1_000 });
  await scene.checkIn(60_000, { epoch: 2, sealed: { "0": 2 }, packets: 500 });
  scene.stored.set(2, { batches: 2, packets: 540 });
  await scene.checkIn(600_000, { epoch: 3, sealed: {}, packets: 0 });
  assertEquals(scene.found(), [[1, 7, 1_000]]);
});

Deno.test("batches that left the sensor and are not stored after the grace are a hole until they come", async () => {
  const scene = startScene();
  scene.stored.set(1, { batches: 4, packets: 0 });
  await scene.checkIn(120_000, { epoch: 1, sealed: { "0": 10 } });
  assertEquals(scene.found(), [], "on the way");
  await scene.checkIn(180_000, { epoch: 1, sealed: { "0": 20 } });
  assertEquals(scene.found(), [[1, 6, 0]], "what left later may still be on the way");
  assertStringIncludes(scene.words().reasons.join(), "6 batches of epoch 1 left it more than");
  scene.stored.set(1, { batches: 20, packets: 0 });
  await scene.checkIn(70_000, { epoch: 1, sealed: { "0": 20 } });
  assertEquals(scene.found(), []);
});

Deno.test("what waits in the spool is no hole, however long the way is closed", async () => {
  const scene = startScene();
  await scene.checkIn(60_000, { epoch: 1, sealed: { "0": 10 }, spooled: 10 });
  await scene.checkIn(900_000, { epoch: 2, sealed: { "0": 5 }, spooled: 15 });
  assertEquals(scene.found(), []);
  scene.stored.set(1, { batches: 10, packets: 1_000 }).set(2, { batches: 5, packets: 0 });
  await scene.checkIn(300_000, { epoch: 2, sealed: { "0": 5 } });
  assertEquals(scene.found(), []);
});

Deno.test("holes are bounded by sensor, and sensors in number", async () => {
  const scene = startScene({ graceMs: 10_000, lookMs: 10_000 });
  for (let epoch = 1; epoch < 40; epoch++) await scene.checkIn(50_000, { epoch, sealed: { "0": 1 } });
  assertEquals(scene.found().length, 9, "eight that ended, and the running one");
});
