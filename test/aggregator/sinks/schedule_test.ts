/** When reports are due: at the time of day of people, once a day, also when clocks change. @module */

import { assertEquals } from "@std/assert";
import { lastDue, type Schedule, spanMs } from "../../../aggregator/sinks/schedule.ts";

const daily: Schedule = { every: "day", day: "monday", at: "07:00", zone: "UTC" };
const due = (schedule: Schedule, now: string) => new Date(lastDue(schedule, Date.parse(now))).toISOString();

Deno.test("a daily report is due at its time, and until then that of the day before is the last", () => {
  assertEquals(due(daily, "2026-01-31T06:59:59.999Z"), "2026-01-30T07:00:00.000Z");
  assertEquals(due(daily, "2026-01-31T07:00:00.000Z"), "2026-01-31T07:00:00.000Z");
  assertEquals(due(daily, "2026-02-01T00:00:00.000Z"), "2026-01-31T07:00:00.000Z");
  const kathmandu = { ...daily, at: "00:00", zone: "Asia/Kathmandu" };
  assertEquals(due(kathmandu, "2026-01-31T18:14:59Z"), "2026-01-30T18:15:00.000Z");
  assertEquals(due(kathmandu, "2026-01-31T18:15:00Z"), "2026-01-31T18:15:00.000Z");
  assertEquals([spanMs(daily), spanMs({ ...daily, every: "week" })], [86_400_000, 604_800_000]);
});

Deno.test("a weekly report is due on its day, as the zone counts days", () => {
  const weekly: Schedule = { every: "week", day: "sunday", at: "23:30", zone: "America/Los_Angeles" };
  assertEquals(due(weekly, "2026-01-26T07:29:59Z"), "2026-01-19T07:30:00.000Z");
  assertEquals(due(weekly, "2026-01-26T07:30:00Z"), "2026-01-26T07:30:00.000Z");
  assertEquals(due(weekly, "2026-02-01T12:00:00Z"), "2026-01-26T07:30:00.000Z");
});

Deno.test("a time that is left out is after the gap, and of one that comes twice the first counts", () => {
  // On 29 March 2026 clocks in Berlin go from 2:00 to 3:00, on 25 October from 3:00 to 2:00.
  const berlin = { ...daily, at: "02:30", zone: "Europe/Berlin" };
  assertEquals(due(berlin, "2026-03-29T00:59:59Z"), "2026-03-28T01:30:00.000Z");
  assertEquals(due(berlin, "2026-03-29T12:00:00Z"), "2026-03-29T01:30:00.000Z");
  assertEquals(due(berlin, "2026-03-30T12:00:00Z"), "2026-03-30T00:30:00.000Z");
  assertEquals(due(berlin, "2026-10-25T00:30:00Z"), "2026-10-25T00:30:00.000Z");
  assertEquals(due(berlin, "2026-10-25T01:45:00Z"), "2026-10-25T00:30:00.000Z");
  const seven = { ...daily, zone: "Europe/Berlin" };
  assertEquals(due(seven, "2026-03-29T12:00:00Z"), "2026-03-29T05:00:00.000Z");
  assertEquals(due(seven, "2026-10-25T12:00:00Z"), "2026-10-25T06:00:00.000Z");
  // Whatever the moment, one a day.
  const all = new Set<number>();
  for (
    let ms = Date.parse("2026-01-01T00:00:00Z");
    ms < Date.parse("2027-01-01T00:00:00Z");
    ms += 1_800_000
  ) {
    all.add(lastDue(berlin, ms));
  }
  assertEquals(all.size, 366);
});
