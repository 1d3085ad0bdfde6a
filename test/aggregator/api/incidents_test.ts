/** Incidents over HTTP: made of the threats of a range, filtered, and honest about what was not read. @module */

import { assertEquals } from "@std/assert";
import type { Threat } from "../../../aggregator/model/threat.ts";
import { incidentLines } from "../../../aggregator/cli/words.ts";
import { incidentsOf } from "../../../aggregator/detect/incidents.ts";
import { startFixture } from "./fixture.ts";
import { sampleThreat } from "./samples.ts";

const startS = 1_799_990_000;

function threat(n: number, change: Partial<Threat>): Threat {
  return sampleThreat({
    id: n.toString(16).padStart(16, "0"),
    identity: `threat ${n}`,
    src_ips: ["203.0.113.7"],
    dst_ips: ["10.0.0.8"],
    severity: "medium",
    ...change,
  });
}

const chain = [
  threat(1, { detector: "port_scan_vertical", first_seen: startS, last_seen: startS + 60 }),
  threat(2, { detector: "password_guessing", first_seen: startS + 300, last_seen: startS + 400 }),
];
const alone = threat(3, {
  detector: "beacon",
  src_ips: ["10.0.0.30"],
  dst_ips: ["198.51.100.9"],
  severity: "low",
  first_seen: startS + 500,
  last_seen: startS + 600,
});

Deno.test("threats of one attacker are one incident, which its chain raises; filters are the incident's", async () => {
  const fixture = await startFixture();
  await fixture.services.store.saveThreats([...chain, alone]);
  const ask = async (query: string) =>
    (await fixture.ask("GET", `/api/v1/incidents${query}`, { role: "viewer" })).body;
  const { rows, incidents, is_cut } = await ask("");
  assertEquals([incidents, is_cut], [2, false]);
  assertEquals([rows[0].threats, rows[0].severity, rows[0].stages], [2, "high", [
    "reconnaissance",
    "access",
  ]]);
  assertEquals(rows[0].actors, ["203.0.113.7"]);
  assertEquals((await ask("?limit=1")).rows.length, 1);
  assertEquals((await ask("?severity_min=high")).incidents, 1);
  assertEquals((await ask("?severity_min=critical")).incidents, 0);
  assertEquals((await ask("?stage=access")).incidents, 1);
  assertEquals((await ask("?stage=theft")).incidents, 0);
  assertEquals((await ask(`?from=${startS + 450}`)).incidents, 1);
  assertEquals((await fixture.ask("GET", "/api/v1/incidents?stage=x", { role: "viewer" })).status, 400);
  assertEquals((await fixture.ask("GET", "/api/v1/incidents")).status, 401);
  await fixture.stop();
});

Deno.test("incidents say when the range holds more threats than are read", async () => {
  const fixture = await startFixture();
  const many = (count: number, from: number) =>
    Array.from({ length: count }, (_, n) => threat(from + n, { src_ips: [`10.1.${n >> 8}.${n & 255}`] }));
  await fixture.services.store.saveThreats(many(5_000, 10_000));
  const ask = async () => (await fixture.ask("GET", "/api/v1/incidents", { role: "viewer" })).body;
  assertEquals((await ask()).is_cut, false);
  await fixture.services.store.saveThreats(many(1, 20_000));
  assertEquals((await ask()).is_cut, true);
  await fixture.stop();
});

Deno.test("an incident in words names who, how far and each step, whatever its threats are called", () => {
  const [incident] = incidentsOf([...chain.slice(0, 1), { ...chain[1], title: "Guessing\u001b[2J" }]);
  assertEquals(incidentLines(incident, false), [
    "HIGH  203.0.113.7 -> 10.0.0.8: 2 threats, reconnaissance, access",
    `  2027-01-15 05:13:20Z  reconnaissance: ${chain[0].title} (medium)`,
    "  2027-01-15 05:18:20Z  access: Guessing\\u{1b}[2J (medium)",
  ]);
});
