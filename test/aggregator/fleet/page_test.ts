/** The fleet as a list: order, filters, pages, and what a row weighs. @module */

import { assert, assertEquals } from "@std/assert";
import { fleetHealth } from "../../../aggregator/fleet/fleet.ts";
import { fleetPage } from "../../../aggregator/fleet/page.ts";
import type { SensorRow } from "../../../aggregator/model/sensor.ts";
import { healthOf } from "../api/fixture.ts";

const nowMs = 1_800_000_000_000;

function row(index: number, change: Partial<SensorRow> = {}): SensorRow {
  return {
    sensor_id: `s${String(index).padStart(20, "0")}`,
    name: `sensor-${String(index).padStart(4, "0")}`,
    site: index % 2 === 0 ? "north" : "south",
    tags: index % 10 === 0 ? ["outdoor", "canary"] : ["indoor"],
    key_id: "k",
    public_key: "",
    enrolled_ms: 1,
    approved_ms: 1,
    join_token: null,
    revoked_ms: null,
    quarantined_ms: null,
    quarantine_reason: null,
    canary: null,
    canary_asked_ms: null,
    last_check_in_ms: nowMs - 1_000,
    last_batch_ms: null,
    clock_offset_ms: 0,
    check_in: {
      ...healthOf(`s${index}`, nowMs - 1_000),
      counters: Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`a_counter_${i}_total`, i])),
    },
    ...change,
  };
}

function pageOf(
  sensors: readonly SensorRow[],
  filter: Parameters<typeof fleetPage>[1] = {},
  at: { limit: number; cursor?: string } = { limit: 100 },
) {
  return fleetPage(fleetHealth(sensors, [], new Map(), nowMs), filter, at)!;
}

Deno.test("a page has the unwell first, and those who ask for nothing last", () => {
  const page = pageOf([
    row(1),
    row(2, { revoked_ms: 1 }),
    row(3, { last_check_in_ms: nowMs - 31_000 }),
    row(4, { quarantined_ms: 1, quarantine_reason: "two of it" }),
    row(5, { last_check_in_ms: null, check_in: null }),
  ]);
  assertEquals(page.sensors.map(({ status }) => status), [
    "quarantined",
    "late",
    "never_seen",
    "healthy",
    "revoked",
  ]);
  assertEquals(page.next_cursor, undefined);
});

Deno.test("pages follow each other without a sensor lost or listed twice, with the counts of the whole fleet", () => {
  const sensors = Array.from(
    { length: 250 },
    (_, i) => row(i, i % 50 === 0 ? { last_check_in_ms: nowMs - 60_000 } : {}),
  );
  const seen: string[] = [];
  let cursor: string | undefined, pages = 0;
  do {
    const page = pageOf(sensors, {}, { limit: 100, ...(cursor === undefined ? {} : { cursor }) });
    assertEquals([page.total, page.fitting, page.summary.late, page.summary.healthy], [250, 250, 5, 245]);
    assertEquals(page.conservation.packets, 250_000);
    seen.push(...page.sensors.map(({ sensor_id }) => sensor_id));
    cursor = page.next_cursor;
    pages++;
  } while (cursor !== undefined);
  assertEquals([pages, seen.length, new Set(seen).size], [3, 250, 250]);
});

Deno.test("a filter takes status, tag, site, and a part of what is said of a sensor in any case", () => {
  const sensors = Array.from(
    { length: 40 },
    (_, i) => row(i, i === 7 ? { last_check_in_ms: nowMs - 60_000 } : {}),
  );
  const fitting = (filter: Parameters<typeof fleetPage>[1]) => pageOf(sensors, filter).fitting;
  assertEquals(fitting({ status: "late" }), 1);
  assertEquals(fitting({ tag: "canary" }), 4);
  assertEquals(fitting({ tag: "can" }), 0);
  assertEquals(fitting({ site: "south" }), 20);
  assertEquals(fitting({ search: "SENSOR-0007" }), 1);
  assertEquals(fitting({ search: "no check-in for" }), 1);
  assertEquals(fitting({ search: "outdoor", site: "south" }), 0);
  const page = pageOf(sensors, { status: "late" });
  assertEquals([page.total, page.summary.healthy], [40, 39], "counts are of all");
  assertEquals([page.sites, page.tags], [["north", "south"], ["canary", "indoor", "outdoor"]]);
});

Deno.test("a hundred rows weigh less than 100 kB however much is wrong, and two reasons stand for all", () => {
  const long = "x".repeat(400);
  const check_in = {
    ...healthOf("s1", nowMs),
    transport: { kind: "http" as const, error: long, sent_batches: 1 },
    spool: {
      batches: 3,
      bytes: 1,
      bytes_max: 1,
      dropped_batches: 4,
      quarantined: 5,
      oldest_s: 1,
      unwritten: 1,
      error: long,
    },
  };
  const page = pageOf(Array.from({ length: 300 }, (_, i) => row(i, { check_in })));
  assertEquals(page.sensors.length, 100);
  assertEquals(page.sensors[0].reasons.length, 3);
  assertEquals(page.sensors[0].reasons[2], "and 2 more: see the sensor itself");
  const bytes = new TextEncoder().encode(JSON.stringify(page)).length;
  assert(bytes < 100_000, `${bytes}`);
});

Deno.test("a cursor that no page gave is refused, whatever it holds", () => {
  const fleet = fleetHealth([row(1)], [], new Map(), nowMs);
  for (const cursor of ["", "!", "bnVsbA", "WzFd", "WyJhIiwiYiIsImMiXQ", "e30"]) {
    assertEquals(fleetPage(fleet, {}, { limit: 10, cursor }), null, cursor);
  }
});
