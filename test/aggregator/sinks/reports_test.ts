/** Reports that are due: each once, of whichever aggregator, and none for a time before a sink was there. @module */

import { assertEquals } from "@std/assert";
import { Reports } from "../../../aggregator/sinks/reports.ts";
import type { Schedule } from "../../../aggregator/sinks/schedule.ts";
import { withWorld, type World } from "./world.ts";

const daily: Schedule = { every: "day", day: "monday", at: "07:00", zone: "UTC" };
const dayMs = 86_400_000;

function reports(
  { store, clock, reporter }: World,
  holder: string,
  report: Schedule | undefined = daily,
): Reports {
  return new Reports({
    store,
    clock,
    reporter,
    holder,
    sinks: () => [{ name: "boss", report }, { name: "chat" }],
  });
}

const waiting = async ({ store, clock }: World) =>
  (await store.readDueMessages("boss", clock.ms, 100)).map(({ id, message }) => [
    id,
    message.kind,
    message.first_seen,
    message.last_seen,
  ]);

Deno.test("a sink that is new begins with the next report, and each is made once", () =>
  withWorld(async (world) => {
    const { clock } = world;
    clock.ms = Date.parse("2026-01-31T12:00:00Z");
    const [a, b] = [reports(world, "a"), reports(world, "b")];
    for (const one of [a, b, a]) await one.turn();
    assertEquals(await waiting(world), []);
    clock.ms = Date.parse("2026-02-01T06:59:59Z");
    for (const one of [a, b]) await one.turn();
    assertEquals(await waiting(world), []);
    clock.ms += 1_000;
    for (const one of [b, a, b, reports(world, "c")]) await one.turn();
    const at = Date.parse("2026-02-01T07:00:00Z") / 1_000;
    assertEquals(await waiting(world), [[`report-boss-${at / 60}`, "report", at - 86_400, at]]);
    assertEquals(world.counted("sink_messages_total"), 1);
  }));

Deno.test("after a pause of weeks the newest report is made, and another schedule begins where the old one was", () =>
  withWorld(async (world) => {
    const { clock, store } = world;
    clock.ms = Date.parse("2026-01-31T12:00:00Z");
    await reports(world, "a").turn();
    clock.ms += 20 * dayMs;
    await reports(world, "a").turn();
    const at = Date.parse("2026-02-20T07:00:00Z") / 1_000;
    assertEquals((await waiting(world)).map(([, , , to]) => to), [at]);
    await store.forgetMessage("boss", `report-boss-${at / 60}`);
    // The last Monday was told already, by days.
    const weekly = reports(world, "a", { ...daily, every: "week" });
    await weekly.turn();
    assertEquals(await waiting(world), []);
    clock.ms = Date.parse("2026-02-23T07:00:00Z");
    await weekly.turn();
    const monday = clock.ms / 1_000;
    assertEquals((await waiting(world)).map(([, , from, to]) => [from, to]), [[monday - 604_800, monday]]);
  }));

Deno.test("while another aggregator has the lease nothing is made, and it is tried again", () =>
  withWorld(async (world) => {
    const { clock, store } = world;
    clock.ms = Date.parse("2026-01-31T12:00:00Z");
    const mine = reports(world, "a");
    await mine.turn();
    clock.ms += dayMs;
    assertEquals((await store.takeLease("report.boss", "other", 60_000))?.holder, "other");
    await mine.turn();
    assertEquals(await waiting(world), []);
    await store.releaseLease("report.boss", "other");
    await mine.turn();
    assertEquals((await waiting(world)).length, 1);
  }));
