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
