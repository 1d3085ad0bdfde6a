/** Incidents over HTTP: made of the threats of a range, filtered, and honest about what was not read. @module */

import { assertEquals, assertStringIncludes } from "@std/assert";
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

Deno.test("an incident goes by the id of its first threat, from whatever range or threat it is asked", async () => {
  const fixture = await startFixture();
  const dayS = 86_400;
  const long = threat(9, {
    detector: "lateral_movement",
    first_seen: startS + 400,
    last_seen: startS + 6 * dayS,
  });
  await fixture.services.store.saveThreats([...chain, long, alone]);
  const ask = (path: string) => fixture.ask("GET", `/api/v1/incidents${path}`, { role: "viewer" });
  const ids = async (query: string) =>
    (await ask(query)).body.rows.map((row: { id: string; threats: number }) => [row.id, row.threats]);
  assertEquals(await ids(`?from=${startS + 6 * dayS}`), [[chain[0].id, 3]]);
  assertEquals(await ids(`?from=${startS + 6 * dayS + 1}`), []);
  for (const { id } of [...chain, long]) assertEquals((await ask(`/${id}`)).body.id, chain[0].id);
  assertEquals((await ask(`/${alone.id}`)).body.threats, 1);
  assertEquals((await ask("/00000000000000ff")).status, 404);
  const hide = { detector: "beacon", reason: "known", ttl_s: 3_600 };
  await fixture.ask("POST", "/api/v1/suppressions", { role: "analyst", json: hide });
  const hidden = await ask(`/${alone.id}`);
  assertEquals(hidden.status, 404);
  assertStringIncludes(hidden.body.detail, "hidden by suppression");
  await fixture.stop();
});

Deno.test("closing an incident closes its threats; a new threat within a day opens it, a later one begins another", async () => {
  const told: string[] = [];
  const fixture = await startFixture(() => ({ onThreatStatus: (id) => void told.push(id) }));
  const { store } = fixture.services;
  await store.saveThreats([...chain, alone]);
  const ask = async (query = "") =>
    (await fixture.ask("GET", `/api/v1/incidents${query}`, { role: "viewer" })).body;
  const set = (id: string, status: string) =>
    fixture.ask("POST", `/api/v1/incidents/${id}/status`, { role: "analyst", json: { status } });
  assertEquals((await set(chain[1].id, "acknowledged")).body, {
    id: chain[0].id,
    status: "acknowledged",
    threats: 2,
    is_cut: false,
  });
  assertEquals((await ask("?status=acknowledged")).rows[0].id, chain[0].id);
  assertEquals((await set(chain[0].id, "closed")).body.threats, 2);
  assertEquals((await set(chain[0].id, "closed")).body.threats, 0, "nothing is left to close");
  for (const { id } of chain) assertEquals((await store.readThreat(id))?.status, "closed");
  assertEquals((await store.readThreat(alone.id))?.status, "open");
  assertEquals(told, [...chain, ...chain].map(({ id }) => id));
  assertEquals((await ask("?status=closed")).incidents, 1);
  const at = (s: number) => ({
    detector: "beacon",
    first_seen: startS + 400 + s,
    last_seen: startS + 400 + s,
  });
  await store.saveThreats([threat(4, at(86_401))]);
  assertEquals((await ask(`/${threat(4, {}).id}`)).threats, 1, "another incident");
  await store.saveThreats([threat(5, at(86_400))]);
  const again = await ask(`/${chain[0].id}`);
  assertEquals([again.status, again.threats], ["open", 4], "which the one between now joins to the first");
  assertEquals((await set("00000000000000ff", "closed")).status, 404);
  const audit = await fixture.ask("GET", "/api/v1/audit?limit=1", { role: "admin" });
  assertEquals([audit.body.rows[0].action, audit.body.rows[0].subject], ["incident_status", chain[0].id]);
  await fixture.stop();
});
