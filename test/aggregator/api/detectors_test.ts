/** Detectors as the API lists them: the limits in force, and which are off. @module */

import { assertEquals } from "@std/assert";
import { describeDetectors } from "../../../aggregator/detect/detectors/catalogue.ts";
import { startFixture } from "./fixture.ts";

Deno.test("detectors are listed with the limits in force beside the defaults, and those that are off", async () => {
  const settings = {
    limits: new Map([["port_scan_vertical", { tcpPortsMin: 40 }]]),
    off: new Set(["beacon"]),
  };
  const fixture = await startFixture(() => ({ detectors: describeDetectors(settings) }));
  const { body } = await fixture.ask("GET", "/api/v1/detectors", { role: "viewer" });
  // deno-lint-ignore no-explicit-any -- compared with its schema already.
  const row = (name: string): any => body.rows.find((one: { name: string }) => one.name === name);
  assertEquals([row("beacon").is_on, row("port_scan_vertical").is_on], [false, true]);
  // deno-lint-ignore no-explicit-any
  const ports = row("port_scan_vertical").limits.find((one: any) => one.name === "tcpPortsMin");
  assertEquals([ports.value, ports.default], [40, 15]);
  await fixture.stop();
});

Deno.test("intelligence lists are listed with what is wrong with their files", async () => {
  const state = {
    name: "bad.csv",
    entries: 0,
    loaded_ms: 0,
    skipped: { comment: 2 },
    problem: "it is empty",
  };
  let states: Parameters<typeof Object.freeze>[0] = null;
  const fixture = await startFixture(() => ({ intelligence: () => states as never }));
  const get = async () => (await fixture.ask("GET", "/api/v1/intelligence", { role: "viewer" })).body;
  assertEquals(await get(), { is_set: false, entries: 0, rows: [] });
  states = [{ ...state, name: "a.txt", entries: 7, loaded_ms: 1_000, problem: null }, state];
  const { is_set, entries, rows } = await get();
  assertEquals([is_set, entries], [true, 7]);
  assertEquals(rows.map((row: typeof state) => [row.name, row.loaded_ms, row.problem]), [
    ["a.txt", 1_000, null],
    ["bad.csv", null, "it is empty"],
  ]);
  await fixture.stop();
});
