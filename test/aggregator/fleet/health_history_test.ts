/** What is noted of sensors over time: changes at once, the rest every ten minutes, and by one aggregator. @module */

import { assertEquals } from "@std/assert";
import type { SensorDirectory } from "../../../aggregator/fleet/directory.ts";
import { HealthHistory } from "../../../aggregator/fleet/health_history.ts";
import { LeasedLoop } from "../../../aggregator/fleet/leased_loop.ts";
import { openStore } from "../../../aggregator/store/open.ts";
import type { SensorRow } from "../../../aggregator/model/sensor.ts";
import type { HealthRow } from "../../../aggregator/model/sensor_health.ts";
import type { Store } from "../../../aggregator/store/store.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { healthOf, TestClock } from "../api/fixture.ts";
import { sensorRow } from "./sensor_row.ts";

const minute = 60_000;

interface World {
  clock: TestClock;
  sensor: SensorRow;
  history: LeasedLoop;
  /** Another aggregator over the same store. */
  other: LeasedLoop;
  counter(name: string): number;
  /** A check-in of this moment, with so many packets. */
  checkIn(packets: number, dropped?: number): void;
  /** All rows, oldest first. */
  rows(): Promise<HealthRow[]>;
}

async function world(body: (world: World) => Promise<void>): Promise<void> {
  const clock = new TestClock();
  const reporter = createReporter({ component: "test", write: () => undefined, clock });
  const store: Store = openStore("sqlite::memory:", { reporter, clock });
  await store.start();
  const sensor = sensorRow(clock.ms, null);
  const directory = { all: () => Promise.resolve([sensor]) } as unknown as SensorDirectory;
  const made = (holder: string) =>
    new LeasedLoop(new HealthHistory({ store, directory, clock, reporter }), { store, holder, clock });
  await body({
    clock,
    sensor,
    history: made("a"),
    other: made("b"),
    counter: (name) => reporter.snapshot().get(name) ?? 0,
    checkIn(packets, dropped = 0) {
      sensor.last_check_in_ms = clock.ms;
      const health = healthOf("s1", clock.ms);
      const capture = { ...health.capture, packets, in_flows: packets - 10, dropped };
      sensor.check_in = { ...health, capture };
    },
    rows: async () =>
      (await store.readHealth({ sensorId: "s1", fromMs: 0, beforeMs: 9e15, changes: false }, 1_000))
        .reverse(),
  });
  await store.stop();
}

Deno.test("a change is noted with its reasons, and the rest every ten minutes", () =>
  world(async ({ clock, history, checkIn, rows }) => {
    // At a full hour, so that the parts of ten minutes are known.
    clock.ms = Math.ceil(clock.ms / 3_600_000) * 3_600_000;
    for (let i = 0; i < 40; i++) {
      // Silent from 11 min to 14 min, seen as late after 30 s.
      if (i < 22 || i > 28) checkIn(1_000 + i);
      await history.turn();
      clock.ms += 30_000;
    }
    const found = (await rows()).map(({ at_ms, weight, status, kinds, reasons }) => [
      (at_ms - clock.ms) / minute + 20,
      weight,
      status,
      kinds.join(),
      reasons.length,
    ]);
    assertEquals(found, [
      [0, 2, "healthy", "", 0],
      [10, 0, "healthy", "", 0],
      [11.5, 2, "late", "unreachable", 1],
      [14.5, 2, "healthy", "", 0],
    ]);
  }));

Deno.test("a number that grows in a sentence is no change, and one that flaps is noted once a minute", () =>
  world(async ({ clock, history, checkIn, rows }) => {
    clock.ms = Math.ceil(clock.ms / 3_600_000) * 3_600_000;
    for (let i = 0; i < 10; i++) {
      checkIn(1_000, 100 + i);
      await history.turn();
      clock.ms += 30_000;
    }
    assertEquals((await rows()).map(({ status, dropped }) => [status, dropped]), [["lossy", 100]]);
    for (let i = 0; i < 10; i++) {
      checkIn(1_000, i % 2 === 0 ? 0 : 100);
      await history.turn();
      clock.ms += 15_000;
    }
    const times = (await rows()).map(({ at_ms }) => at_ms);
    for (const [i, at] of times.entries()) {
      if (i > 0) assertEquals(at - times[i - 1] >= minute, true, `${at}`);
    }
    assertEquals(times.length >= 3, true);
  }));

Deno.test("one aggregator notes at a time, and the next one knows what was noted", () =>
  world(async ({ clock, history, other, checkIn, rows, counter }) => {
    checkIn(1_000);
    await history.turn();
    await other.turn();
    assertEquals((await rows()).length, 1);
    await history.stop();
    clock.ms += 30_000;
    checkIn(1_001);
    await other.turn();
    assertEquals((await rows()).length, 1, "the same status as the other one noted");
    clock.ms += 31_000;
    await other.turn();
    assertEquals((await rows()).map(({ status }) => status), ["healthy", "late"]);
    assertEquals(counter("sensor_health_rows_total"), 2);
  }));

Deno.test("of a sensor that is revoked its end is noted, and nothing after it", () =>
  world(async ({ clock, sensor, history, checkIn, rows }) => {
    checkIn(1_000);
    await history.turn();
    sensor.revoked_ms = clock.ms;
    for (let i = 0; i < 60; i++) {
      clock.ms += minute;
      await history.turn();
    }
    assertEquals((await rows()).map(({ status }) => status), ["healthy", "revoked"]);
  }));

Deno.test("a change is noted at once, though a row of the ten minutes was noted half a minute before", () =>
  world(async ({ clock, history, checkIn, rows }) => {
    clock.ms = Math.ceil(clock.ms / 3_600_000) * 3_600_000;
    const turn = async (dropped: number, waitMs: number) => {
      clock.ms += waitMs;
      checkIn(1_000, dropped);
      await history.turn();
    };
    await turn(0, 0);
    await turn(0, 10 * minute);
    await turn(100, 30_000);
    assertEquals((await rows()).map(({ status, weight }) => [status, weight]), [
      ["healthy", 2],
      ["healthy", 0],
      ["lossy", 2],
    ]);
  }));

Deno.test("changes are noted though the clock of the aggregator was set back by a day", () =>
  world(async ({ clock, history, checkIn, rows }) => {
    checkIn(1_000);
    await history.turn();
    clock.ms -= 86_400_000;
    checkIn(1_000, 100);
    await history.turn();
    const noted = (await rows()).map(({ status, weight, reasons }) => [status, weight, reasons.length]);
    assertEquals(noted, [["lossy", 2, 1], ["healthy", 2, 0]]);
  }));
