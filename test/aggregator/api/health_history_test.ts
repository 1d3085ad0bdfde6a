/** How a sensor was over time, as the API tells it: what was counted between two moments, pages, gaps. @module */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { healthRow } from "../store/contract/health_cases.ts";
import { startFixture, TestSensor } from "./fixture.ts";

const role = "viewer";

Deno.test("each row tells what was counted since the one before, and a new start counts from zero", async () => {
  const fixture = await startFixture();
  const { clock, services: { store } } = fixture;
  const sensor = new TestSensor("roof");
  const { body: { sensor_id: id } } = await sensor.enrol(fixture);
  const at = (minutes: number) => clock.ms - minutes * 60_000;
  await store.saveHealth([
    healthRow(id, at(40), { weight: 2, packets: 1_000, in_flows: 900, left_out: 100 }),
    healthRow(id, at(30), { packets: 1_500, in_flows: 1_350, left_out: 140, dropped: 7 }),
    healthRow(id, at(20), {
      weight: 2,
      status: "late",
      kinds: ["unreachable"],
      reasons: ["No check-in"],
      epoch: 2,
      packets: 50,
      in_flows: 50,
      left_out: 0,
    }),
    healthRow(id, at(10), { epoch: 2, packets: 70, in_flows: 65, left_out: 5 }),
  ]);
  const get = async (query = "") =>
    (await fixture.ask("GET", `/api/v1/sensors/roof/health?since=now-1h${query}`, { role })).body;
  const { rows, name, gaps } = await get();
  assertEquals([name, gaps], ["roof", []]);
  const told = rows.map((row: Record<string, unknown>) =>
    ["status", "span_s", "packets", "in_flows", "left_out", "unaccounted", "dropped"].map((name) => row[name])
  );
  assertEquals(told, [
    ["healthy", 600, 20, 15, 5, 0, 0],
    ["late", 600, 50, 50, 0, 0, 0],
    ["healthy", 600, 500, 450, 40, 10, 7],
    ["healthy", null, null, null, null, null, null],
  ]);
  const changes = (await get("&changes=true")).rows;
  assertEquals(changes.map((row: { reasons: string[] }) => row.reasons), [["No check-in"], []]);
  const first = await get("&limit=3");
  assertEquals(
    [first.rows.length, first.rows[2].packets],
    [3, 500],
    "counts are known across the end of a page",
  );
  const second = await get(`&limit=3&cursor=${first.next_cursor}`);
  assertEquals([second.rows.length, second.next_cursor], [1, undefined]);
  await fixture.stop();
});

Deno.test("a wrong span and an unknown sensor are named", async () => {
  const fixture = await startFixture();
  await new TestSensor("roof").enrol(fixture);
  const ask = (path: string) => fixture.ask("GET", `/api/v1/sensors/${path}`, { role });
  const wrong = await ask("roof/health?since=now&until=now-1h");
  assertEquals([wrong.status, wrong.body.field], [400, "since"]);
  assertStringIncludes(wrong.body.detail, '"since" must be before "until"');
  assertEquals((await ask("roof/health?cursor=x")).body.field, "cursor");
  assertEquals((await ask("cellar/health")).status, 404);
  assertEquals((await fixture.ask("GET", "/api/v1/sensors/roof/health")).status, 401);
  const polled = await ask("roof/health");
  assertEquals(polled.body.rows, []);
  assertEquals(polled.headers.get("etag")?.startsWith('W/"'), true);
  await fixture.stop();
});
