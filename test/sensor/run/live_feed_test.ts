/** The loop of a live capture under a load that the test makes: level up, said; level down, said;
 * silence by the right clock. @module */

import { assert, assertEquals } from "@std/assert";
import { feed } from "../../../sensor/run/live_feed.ts";
import type { CaptureSource, FastLane } from "../../../sensor/run/stages.ts";
import { OverloadGuard } from "../../../sensor/prefilter/overload.ts";
import { fakeEdges, FakeLive } from "../commands/fakes.ts";

/** Chunks come as the test says; each call of `next` is one tick of the clock. */
function world(lagMsAt: (ms: number) => number | null, endMs: number) {
  const fake = fakeEdges();
  let ms = 0, wallMs = 1_700_000_000_000;
  let wake: (() => void) | null = null;
  const passed: number[] = [], levels: number[] = [];
  const lane = {
    stampUs: 0,
    factor: 1,
    flowCounts: { opened: 0, evicted: 0 },
    turn: () => Promise.resolve(),
    advance: (by: number) => Promise.resolve(void passed.push(by)),
    sample: (level: number) => void levels.push(level),
  } as unknown as FastLane & { stampUs: number };
  const source = Object.assign(new FakeLive(), { bytesRead: 0 }) as CaptureSource & { bytesRead: number };
  source.next = () => {
    const lag = lagMsAt(ms);
    if (lag === null) return new Promise((resolve) => void (wake = () => resolve(source.next())));
    ms += 100, wallMs += 100;
    source.bytesRead += 1e5;
    lane.stampUs = (wallMs - lag) * 1_000;
    return Promise.resolve(ms < endMs);
  };
  const clock = {
    nowMs: () => wallMs,
    monotonicMs: () => ms,
    // The chunk, where there is one, is always first; else the tick passes.
    sleep: (given: number, signal?: AbortSignal) => {
      if (lagMsAt(ms) === null) ms += given, wallMs += given;
      if (lagMsAt(ms) !== null) wake?.(), wake = null;
      return new Promise<void>((resolve) => {
        const timer = setTimeout(resolve);
        signal?.addEventListener("abort", () => clearTimeout(timer));
      });
    },
  };
  const edges = { ...fake.edges, clock };
  return { ...fake, edges, source, lane, levels, passed };
}

Deno.test("live feed samples under load, says so, and recovers", async () => {
  const { edges, source, lane, levels, logs } = world(
    (ms) => ms > 5_000 && ms < 10_000 ? 3_000 : 20,
    120_000,
  );
  await feed(source, lane, new OverloadGuard({ bufferBytes: 1 << 25 }), edges);
  assertEquals(levels, [1, 2, 1, 0]);
  const counters = edges.reporter.snapshot();
  assertEquals(counters.get('sampling_steps_total{direction="up"}'), 2);
  assertEquals(counters.get('sampling_steps_total{direction="down"}'), 2);
  assert(
    logs.some((line) => line.includes("overloaded, keeping fewer of the new flows") && line.includes("4")),
  );
  assert(logs.some((line) => line.includes("keeps every flow again")));
});

Deno.test("live feed takes silence for silence, in steps that a stall cannot make long", async () => {
  const { edges, source, lane, levels, passed } = world((ms) => ms > 1_000 && ms < 5_000 ? null : 20, 8_000);
  await feed(source, lane, new OverloadGuard({ bufferBytes: 1 << 25 }), edges);
  assertEquals(levels, []);
  assert(passed.length > 0 && passed.every((by) => by <= 200), String(passed));
});
