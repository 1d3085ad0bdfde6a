/** What the topic of how sensors were must do: each row once, newest first, and what leaves first. @module */

import { assertEquals } from "@std/assert";
import type { HealthRow } from "../../../../aggregator/model/sensor_health.ts";
import type { Test } from "../contract.ts";

const hourMs = 3_600_000;

export function healthRow(sensor_id: string, at_ms: number, change: Partial<HealthRow> = {}): HealthRow {
  return {
    sensor_id,
    at_ms,
    weight: 0,
    status: "healthy",
    kinds: [],
    reasons: [],
    epoch: 1,
    packets: 100,
    in_flows: 90,
    left_out: 10,
    dropped: 0,
    card_dropped: 0,
    spooled_batches: 0,
    missing_batches: 0,
    missing_packets: 0,
    clock_offset_ms: -3,
    ...change,
  };
}

export function healthCases(test: Test): void {
  test("keeps how sensors were, each moment once, and gives the newest first", async ({ store, reopen }) => {
    const late = healthRow("s1", 2_000, {
      weight: 2,
      status: "late",
      kinds: ["unreachable", "clock"],
      reasons: ["No check-in for 31 s; DROP TABLE's", "é \u{1f980}"],
    });
    const unseen = healthRow("s2", 1_500, {
      epoch: null,
      packets: null,
      in_flows: null,
      clock_offset_ms: null,
    });
    await store.saveHealth([]);
    await store.saveHealth([healthRow("s1", 1_000), late, healthRow("s1", 3_000), unseen]);
    await store.saveHealth([healthRow("s1", 2_000, { status: "blind" })]);
    const again = await reopen();
    const read = async (fromMs: number, beforeMs: number, changes: boolean, limit = 10) =>
      await again.readHealth({ sensorId: "s1", fromMs, beforeMs, changes }, limit);
    assertEquals(await read(0, 9_000, false), [healthRow("s1", 3_000), late, healthRow("s1", 1_000)]);
    assertEquals(await read(2_000, 3_000, false), [late]);
    assertEquals(await read(0, 9_000, true), [late]);
    assertEquals((await read(0, 9_000, false, 1)).map(({ at_ms }) => at_ms), [3_000]);
    const last = await again.readLastHealth(1_200);
    assertEquals(last.sort((a, b) => a.at_ms - b.at_ms), [unseen, healthRow("s1", 3_000)]);
    assertEquals((await again.readLastHealth(2_999)).length, 1);
    assertEquals(await again.readLastHealth(3_001), []);
  });

  test("forgets how sensors were by age, and of older days keeps changes and one row an hour", async ({ store }) => {
    const rows = Array.from(
      { length: 30 },
      (_, i) => healthRow("s1", i * hourMs / 6, { weight: i % 6 === 0 ? 1 : 0 }),
    );
    await store.saveHealth([...rows, healthRow("s1", 1, { weight: 2 })]);
    assertEquals(await store.pruneHealth({ beforeMs: hourMs, thinBeforeMs: 2 * hourMs }), 7 + 5);
    assertEquals(await store.pruneHealth({ beforeMs: hourMs, thinBeforeMs: 2 * hourMs }), 0);
    const left = await store.readHealth(
      { sensorId: "s1", fromMs: 0, beforeMs: 9 * hourMs, changes: false },
      100,
    );
    assertEquals([left.length, left.at(-1)!.at_ms, left.at(-2)!.at_ms], [19, hourMs, 2 * hourMs]);
  });
}
