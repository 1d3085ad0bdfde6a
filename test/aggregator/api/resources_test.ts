/** What people read: threats, keys and tokens, health, metrics, the OpenAPI page. @module */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Threat } from "../../../aggregator/model/threat.ts";
import { flowIdText } from "../../../aggregator/model/flow_id.ts";
import { routes } from "../../../aggregator/api/routes.ts";
import { healthOf, type Reply, startFixture, TestSensor } from "./fixture.ts";
import { sampleFlow, sampleThreat, sampleWrite } from "./samples.ts";

Deno.test("threats are listed, filtered, paged, read and given a status", async () => {
  const fixture = await startFixture();
  await fixture.services.store.saveThreats([
    sampleThreat(),
    sampleThreat({
      id: "00112233445566ab",
      identity: "other",
      last_seen: 1_799_999_500,
      severity: "low",
      score: 25,
    }),
  ]);
  const list = async (query: string) =>
    (await fixture.ask("GET", `/api/v1/threats${query}`, { role: "viewer" })).body;
  assertEquals((await list("")).rows.map((row: Threat) => row.severity), ["low", "high"]);
  assertEquals((await list("?severity_min=medium")).rows.length, 1);
  const page = await list("?limit=1");
  assertEquals((await list(`?limit=1&cursor=${page.next_cursor}`)).rows[0].id, "00112233445566aa");
  const one = await fixture.ask("GET", "/api/v1/threats/00112233445566aa", { role: "viewer" });
  assertEquals([one.body.src_ip, one.body.dst_ip, one.body.explanation.length > 10], [
    "10.0.0.5",
    "10.0.0.9",
    true,
  ]);
  const set = await fixture.ask("POST", "/api/v1/threats/00112233445566aa/status", {
    role: "analyst",
    json: { status: "closed" },
  });
  assertEquals(set.status, 200);
  assertEquals((await list("?status=closed")).rows.length, 1);
  assertEquals(fixture.counter('threat_status_changes_total{status="closed"}'), 1);
  await fixture.stop();
});

Deno.test("flows and threats are filtered by the language, and a wrong filter is pointed at", async () => {
  const fixture = await startFixture(), sensor = new TestSensor("roof");
  await sensor.enrol(fixture);
  const seen_by = [{ ...sampleFlow(1).seen_by[0], sensor_id: sensor.id }];
  await fixture.services.store.ingest(sampleWrite([
    sampleFlow(0),
    sampleFlow(1, { dst_port: 22, fwd_sensor: sensor.id, bwd_sensor: sensor.id, seen_by }),
    sampleFlow(2, { start: 1_799_800_000, end: 1_799_800_001, flow_id: flowIdText(1_799_800_000e6, 2) }),
  ]));
  await fixture.services.store.saveThreats([sampleThreat()]);
  const ask = async (path: string, filter: string) =>
    (await fixture.ask("GET", `/api/v1${path}filter=${encodeURIComponent(filter)}`, { role: "viewer" })).body;
  const ports = async (filter: string, path = "/flows?") =>
    (await ask(path, filter)).rows.map((row: { dst_port: number }) => row.dst_port);
  assertEquals(await ports('dst_port in (22, 3389) and bytes > 1KB and name ~ "example"'), [22]);
  assertEquals(await ports("sensor = roof"), [22], "a sensor goes by its name");
  assertEquals(await ports('sensor ~ "ROO"'), [22]);
  assertEquals(await ports(`sensor = ${sensor.id}`, "/flows/search?port=22&"), [22]);
  assertEquals(await ports("not sensor = roof"), [443]);
  const assumed = (await ask("/flows?", "dst_port = 443")).assumed;
  assertEquals([assumed.from, assumed.from_at], [1_799_911_615, "2027-01-14T07:26:55.000Z"]);
  for (
    const [path, filter] of [
      ["/flows?from=0&", "dst_port = 443"],
      ["/flows?", "dst_port = 443 and start > 2027-01-01"],
      ["/flows?", "dst_ip = 192.0.2.80 and dst_port = 443"],
      ["/flows/search?dst_ip=192.0.2.80&", "dst_port = 443"],
    ]
  ) {
    const answer = await ask(path, filter);
    assertEquals([answer.assumed, answer.rows.length], [undefined, 2], `${path} ${filter}`);
  }
  assertEquals((await ask("/threats?", "severity >= high and not status = closed")).rows.length, 1);
  assertEquals((await ask("/threats?", "severity > high or title ~ nothing")).rows.length, 0);
  const wrong = await ask("/flows?", "dst_port = 22 and colour = red");
  assertEquals([wrong.status, wrong.field, wrong.column], [400, "filter", 19]);
  assertStringIncludes(wrong.detail, 'column 19: unknown column "colour": known are ip, src_ip');
  const { body: tables } = await fixture.ask("GET", "/api/v1/filter/columns", { role: "viewer" });
  assertEquals(Object.keys(tables), ["flows", "threats", "hosts"]);
  assertEquals(tables.threats[0], {
    name: "severity",
    type: "choice",
    about: "From info to critical",
    operators: ["=", "!=", "in", "<", "<=", ">", ">="],
    examples: ["high", "critical"],
    words: ["info", "low", "medium", "high", "critical"],
  });
  await fixture.stop();
});

Deno.test("all flows of a threat are paged through, and it says how many of them are there", async () => {
  const fixture = await startFixture();
  const { store } = fixture.services;
  const flows = Array.from({ length: 130 }, (_, i) => sampleFlow(i));
  await store.ingest(sampleWrite(flows));
  const ids = flows.slice(0, 120).map(({ flow_id }) => flow_id);
  const threat = sampleThreat({ flows: 120, flow_ids: ids.slice(0, 50) });
  await store.saveThreats([threat], [{ threat_id: threat.id, flow_ids: ids }]);
  const read = async (sort: string) => {
    const found: string[] = [];
    let cursor = "", pages = 0;
    do {
      const { body } = await fixture.ask(
        "GET",
        `/api/v1/threats/${threat.id}/flows?limit=50&sort=${sort}${cursor}`,
        {
          role: "viewer",
        },
      );
      assertEquals([body.flows, body.linked, body.is_complete], [120, 120, true]);
      found.push(...body.rows.map((row: { flow_id: string }) => row.flow_id));
      cursor = body.next_cursor === undefined ? "" : `&cursor=${body.next_cursor}`;
      pages++;
    } while (cursor !== "");
    assertEquals(pages, 3);
    return found;
  };
  assertEquals(await read("start"), ids);
  assertEquals(await read("-start"), ids.toReversed());
  await store.saveThreats([{ ...threat, flows: 500_000 }]);
  const { body } = await fixture.ask("GET", `/api/v1/threats/${threat.id}/flows`, { role: "viewer" });
  assertEquals(
    [body.flows, body.linked, body.is_complete],
    [500_000, 120, false],
    "the first 120 of 500,000",
  );
  const { body: list } = await fixture.ask("GET", "/api/v1/threats", { role: "viewer" });
  assertEquals(list.rows[0].flow_ids, undefined);
  const none = await fixture.ask("GET", "/api/v1/threats/0000000000000000/flows", { role: "viewer" });
  assertEquals(none.status, 404);
  await fixture.stop();
});

Deno.test("a new key works at once and its text is in one answer only; a token too", async () => {
  const fixture = await startFixture();
  const made = await fixture.ask("POST", "/api/v1/keys", {
    role: "admin",
    json: { name: "grafana", role: "viewer" },
  });
  assertEquals(made.status, 201);
  assertMatch(made.body.key, /^pk_[A-Za-z0-9_-]{27}$/);
  const me = await fixture.ask("GET", "/api/v1/session", { key: made.body.key });
  assertEquals(me.body, { name: "grafana", role: "viewer" });
  const list = await fixture.ask("GET", "/api/v1/keys", { role: "admin" });
  assert(!list.text.includes(made.body.key) && list.text.includes("grafana"));
  const token = await fixture.ask("POST", "/api/v1/tokens", {
    role: "admin",
    json: { site: "lab", tags: ["roof"] },
  });
  assertEquals([token.status, token.body.expires_ms], [201, fixture.clock.ms + 900_000]);
  const enrolled = await fixture.ask("POST", "/api/v1/enrol", {
    json: new TestSensor("x").enrolment(token.body.token),
  });
  assertEquals([enrolled.status, enrolled.body.site], [200, "lab"]);
  await fixture.stop();
});

Deno.test("a key ends at its time, is revoked with its sessions, and the last admin key stays", async () => {
  const fixture = await startFixture();
  const make = async (json: unknown) =>
    (await fixture.ask("POST", "/api/v1/keys", { role: "admin", json })).body;
  const status = async (key: string) => (await fixture.ask("GET", "/api/v1/session", { key })).status;
  const short = await make({ name: "visitor", role: "viewer", ttl_s: 60 });
  fixture.clock.ms += 59_999;
  assertEquals(await status(short.key), 200);
  fixture.clock.ms += 1;
  assertEquals(await status(short.key), 401);
  const leaked = await make({ name: "leaked", role: "analyst" });
  const login = await fixture.ask("POST", "/login", { json: { key: leaked.key } });
  const cookie = login.headers.get("set-cookie")!.split(";")[0];
  assertEquals((await fixture.ask("GET", "/api/v1/session", { headers: { cookie } })).status, 200);
  const revoked = await fixture.ask("POST", "/api/v1/keys/leaked/revoke", { role: "admin" });
  assertEquals(revoked.body, { id: leaked.id, name: "leaked", revoked: true });
  assertEquals(await status(leaked.key), 401);
  assertEquals((await fixture.ask("GET", "/api/v1/session", { headers: { cookie } })).status, 401);
  const last = await fixture.ask("POST", "/api/v1/keys/admin-key/revoke", { role: "admin" });
  assertEquals([last.status, last.body.code], [409, "last_admin"]);
  await fixture.stop();
});

Deno.test("health tells of progress: waiting batches that are not stored are not well", async () => {
  let pending = 0, failure: string | null = null, failingSinceMs: number | null = null;
  const lastMs = 1_800_000_000_000;
  const fixture = await startFixture(() => ({
    progress: () => ({ pending, lastMs, failingSinceMs, failure }),
  }));
  const health = () => fixture.ask("GET", "/healthz");
  fixture.clock.ms += 3_600_000;
  assertEquals((await health()).status, 200, "an idle aggregator is well");
  pending = 3;
  const stuck = await health();
  assertEquals([stuck.status, stuck.body.code], [503, "no_progress"]);
  pending = 0;
  failingSinceMs = fixture.clock.ms - 15_000;
  assertEquals((await health()).status, 200, "a database that is started again");
  failingSinceMs--;
  assertEquals((await health()).status, 503, "nothing waits, as everything fails");
  const { body } = await fixture.ask("GET", "/api/v1/fleet", { role: "viewer" });
  assertStringIncludes(body.problem, "No batch could be stored for 15 s");
  failingSinceMs = null;
  failure = "Kafka consumer crashed";
  assertEquals((await health()).body.detail, failure);
  assertEquals((await fixture.ask("GET", "/readyz")).status, 200);
  await fixture.services.store.stop();
  assertEquals((await fixture.ask("GET", "/readyz")).status, 503);
});

Deno.test("readiness waits two seconds for a database that hangs, and says so", async () => {
  const fixture = await startFixture((services) => ({
    store: { ...services.store, ping: () => new Promise<void>(() => undefined) },
  }));
  let reply: Reply | null = null;
  const asked = fixture.ask("GET", "/readyz").then((answer) => reply = answer);
  await new Promise((resolve) => setTimeout(resolve, 5));
  fixture.clock.advance(1_999);
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(reply, null);
  fixture.clock.advance(1);
  const { status, body } = await asked;
  assertEquals([status, body.code], [503, "store_unavailable"]);
  assertEquals((await fixture.ask("GET", "/healthz")).status, 200, "health does not ask the database");
  await fixture.stop();
});

Deno.test("metrics are Prometheus text with the aggregator's counters and each sensor's health", async () => {
  const fixture = await startFixture(), sensor = new TestSensor("roof");
  await sensor.enrol(fixture);
  await sensor.checkIn(fixture, healthOf(sensor.id, fixture.clock.ms));
  const { text, headers } = await fixture.ask("GET", "/metrics", { role: "viewer" });
  assertStringIncludes(headers.get("content-type")!, "version=0.0.4");
  assertStringIncludes(
    text,
    "# HELP picket_enrolments_total Tries to enrol a sensor.\n# TYPE picket_enrolments_total counter\n" +
      'picket_enrolments_total{outcome="enrolled"} 1\n',
  );
  assertStringIncludes(text, 'picket_sensor_packets{sensor="roof",site="lab"} 1000');
  assertStringIncludes(text, 'picket_sensor_status{sensor="roof",site="lab",status="healthy"} 1');
  const line =
    /^(# HELP picket_[a-z0-9_]+ [^\\]+\.|# TYPE picket_[a-z0-9_]+ (counter|gauge|histogram)|picket_[a-z0-9_]+(\{[^\n]*\})? -?[0-9.e+-]+)$/;
  for (const row of text.trimEnd().split("\n")) assertMatch(row, line);
  const route = 'route="/api/v1/enrol"';
  for (const part of [`bucket{le="+Inf",${route}}`, `count{${route}}`]) {
    assertStringIncludes(text, `picket_request_duration_seconds_${part} 1\n`);
  }
  assertEquals(text.split("# TYPE picket_request_duration_seconds histogram\n").length, 2, "one family");
  await fixture.stop();
});

Deno.test("the OpenAPI page describes every route of the table with its parameters and bodies", async () => {
  const fixture = await startFixture();
  const { body } = await fixture.ask("GET", "/openapi.json", { role: "viewer" });
  assertEquals(body.openapi, "3.1.0");
  for (const route of routes.filter((one) => one.summary !== null)) {
    const path = route.path.replace(":id", "{id}");
    const described = body.paths[path]?.[route.method.toLowerCase()];
    assert(described, `${route.method} ${path} is described`);
    const names = (described.parameters ?? []).map((parameter: { name: string }) => parameter.name);
    for (const name of Object.keys(route.query?.shape ?? {})) {
      assert(names.includes(name), `${path} has ${name}`);
    }
    assertEquals(described.requestBody !== undefined, route.bodyBytesMax > 0, path);
  }
  const limit = body.paths["/api/v1/flows"].get.parameters.find((one: { name: string }) =>
    one.name === "limit"
  );
  assertEquals([limit.schema.type, limit.schema.maximum, limit.schema.default], ["integer", 1_000, 50]);
  const ids = Object.values(body.paths).flatMap((methods) =>
    Object.values(methods as Record<string, { operationId: string }>).map((one) => one.operationId)
  );
  assertEquals(new Set(ids).size, ids.length);
  await fixture.stop();
});
