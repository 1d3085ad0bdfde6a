/** Policies over the API: set, offered to sensors, taken, rolled back, ended. @module */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { healthOf, startFixture, TestSensor } from "./fixture.ts";

Deno.test("a policy is offered to the sensors it is for, and what they made of it is counted and said", async () => {
  const fixture = await startFixture();
  const roof = new TestSensor("roof"), cellar = new TestSensor("cellar");
  for (const sensor of [roof, cellar]) await sensor.enrol(fixture);
  const admin = (method: string, path: string, json?: unknown) =>
    fixture.ask(method, `/api/v1${path}`, { role: "admin", ...(json === undefined ? {} : { json }) });
  const checkIn = async (sensor: TestSensor, policy?: unknown) => {
    fixture.clock.ms += 10_000;
    const health = healthOf(sensor.id, fixture.clock.ms);
    return (await sensor.checkIn(fixture, { ...health, ...(policy ? { policy } : {}) } as typeof health))
      .body;
  };
  assertEquals((await checkIn(roof)).policy, null);
  await admin("POST", "/sensors/cellar/tags", { tags: ["indoor"] });
  const set = await admin("POST", "/policies", {
    name: "office",
    to: "tag=roof",
    settings: { snaplen: 256 },
  });
  const { version } = set.body;
  assertEquals((await checkIn(roof)).policy, { name: "office", version, settings: { snaplen: 256 } });
  assertEquals((await checkIn(cellar)).policy, null);
  const taken = {
    name: "office",
    wanted: version,
    actual: version,
    problem: null,
    kept: [],
    filtered: false,
  };
  await checkIn(roof, taken);
  const counts = async () => {
    const [{ wanted, actual, rolled_back }] = (await admin("GET", "/policies")).body.rows;
    return [wanted, actual, rolled_back];
  };
  assertEquals(await counts(), [1, 1, 0]);
  await admin("POST", "/policies", { name: "office", to: "all", settings: { filter: "port nonsense" } });
  assertEquals((await checkIn(cellar)).policy.version, version + 1);
  await checkIn(roof, { ...taken, wanted: version + 1, problem: "unknown port 'nonsense'" });
  assertEquals(await counts(), [2, 0, 1]);
  const { sensors } = (await admin("GET", "/policies/office")).body;
  const problems = Object.fromEntries(
    sensors.map((one: { name: string; problem: string | null }) => [one.name, one.problem]),
  );
  assertEquals(problems, { cellar: null, roof: "unknown port 'nonsense'" });
  const shown = (await admin("GET", "/sensors/roof")).body;
  assertStringIncludes(shown.reasons.join(), "was rolled back to version");
  const history = (await admin("GET", "/policies/office/history")).body.rows;
  assertEquals(history.map((row: { version: number }) => row.version), [version + 1, version]);
  assertEquals((await admin("DELETE", "/policies/office")).status, 200);
  assertEquals((await checkIn(roof)).policy, null);
  assertEquals((await admin("GET", "/policies/office")).status, 404);
  assertEquals((await admin("DELETE", "/policies/office")).status, 404);
  assertEquals((await admin("GET", "/policies/office/history")).body.rows[0].settings, null);
  const { rows } = (await admin("GET", "/audit")).body;
  const acts = rows.filter(({ subject }: { subject: string }) => subject === "office");
  assertEquals(acts.map(({ action }: { action: string }) => action), [
    "policy_end",
    "policy_set",
    "policy_set",
  ]);
  await fixture.stop();
});

Deno.test("a policy that no sensor could take is refused before it is stored, with its field", async () => {
  const fixture = await startFixture();
  for (
    const [json, field] of [
      [{ name: "office", settings: { snaplen: 20 } }, "snaplen"],
      [{ name: "office", settings: { interface: "eth0" } }, "interface"],
      [{ name: "office", to: "site=lab", settings: {} }, "to"],
      [{ name: "a b", settings: {} }, "name"],
    ] as const
  ) {
    const { status, body } = await fixture.ask("POST", "/api/v1/policies", { role: "admin", json });
    assertEquals([status, body.code, body.field], [400, "bad_body", field]);
  }
  assertEquals(await fixture.services.store.readPolicies(), []);
  await fixture.stop();
});

Deno.test("a sensor in quarantine is offered no policy", async () => {
  const fixture = await startFixture(), sensor = new TestSensor("roof");
  await sensor.enrol(fixture, "lab", true);
  await fixture.ask("POST", "/api/v1/policies", { role: "admin", json: { name: "a", settings: {} } });
  const { body } = await sensor.checkIn(fixture, healthOf(sensor.id, fixture.clock.ms));
  assertEquals("policy" in body, false);
  await fixture.stop();
});

Deno.test("thresholds of a policy hold for its sensors as soon as it is set, taken or not", async () => {
  const fixture = await startFixture();
  const sensor = new TestSensor("roof");
  await sensor.enrol(fixture);
  const admin = (method: string, path: string, json?: unknown) =>
    fixture.ask(method, `/api/v1${path}`, { role: "admin", ...(json === undefined ? {} : { json }) });
  await sensor.checkIn(fixture, healthOf(sensor.id, fixture.clock.ms));
  fixture.clock.ms += 45_000;
  const seen = async () => {
    const { status, limits } = (await admin("GET", "/sensors/roof")).body;
    return [status, limits.lateAfterMs];
  };
  assertEquals(await seen(), ["late", 30_000]);
  const wrong = await admin("POST", "/policies", { name: "slow", settings: { lateAfterS: 14 } });
  assertEquals([wrong.status, wrong.body.field], [400, "lateAfterS"]);
  assertEquals(
    (await admin("POST", "/policies", { name: "slow", settings: { lateAfterS: 60 } })).status,
    200,
  );
  fixture.clock.ms += 2_000;
  assertEquals(await seen(), ["healthy", 60_000]);
  await admin("DELETE", "/policies/slow");
  fixture.clock.ms += 2_000;
  assertEquals(await seen(), ["late", 30_000]);
  await fixture.stop();
});
