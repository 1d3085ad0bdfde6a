/** Every answer of every route against its schema: each is called so that it answers well, and in the ways it can fail.
 * @module */

import { assert, assertEquals } from "@std/assert";
import { describeApi } from "../../../aggregator/api/admin/openapi.ts";
import { routes } from "../../../aggregator/api/routes.ts";
import { sealBatch, writeHeader } from "../../../shared/batch.ts";
import { startHostileWorld } from "../dashboard/hostile.ts";
import { answered } from "./described.ts";
import { releaseOf, tinyProgram } from "../../sensor/control/upgrade_fixture.ts";
import { type Asked, healthOf, TestSensor } from "./fixture.ts";
import { addRelease } from "./releases.ts";

Deno.test("every route answers well what it describes", async () => {
  const world = await startHostileWorld();
  const { fixture } = world;
  // deno-lint-ignore no-explicit-any -- whatever an answer holds, the fixture has compared it already.
  const ask = async (method: string, path: string, asked: Asked = { role: "admin" }): Promise<any> => {
    const reply = await fixture.ask(method, path, asked);
    assert(reply.status < 300, `${method} ${path}: ${reply.status} ${reply.text}`);
    return reply.body;
  };
  const post = (path: string, json: unknown = {}) => ask("POST", path, { role: "admin", json });
  const { rows: [flow] } = await ask("GET", "/api/v1/flows");
  for (const path of ["/latest", "/search?ip=10.0.0.5", `/${flow.flow_id}`]) {
    await ask("GET", `/api/v1/flows${path}`);
  }
  const { rows: [threat] } = await ask("GET", "/api/v1/threats");
  const { rows: [incident] } = await ask("GET", "/api/v1/incidents");
  await ask("GET", `/api/v1/incidents/${incident.id}`);
  await post(`/api/v1/incidents/${incident.id}/status`, { status: "acknowledged" });
  for (const path of ["", "/flows", "/question"]) await ask("GET", `/api/v1/threats/${threat.id}${path}`);
  for (const path of ["detectors", "intelligence"]) await ask("GET", `/api/v1/${path}`);
  await ask("GET", "/api/v1/filter/columns");
  for (const path of ["", "/chat/dead-letters"]) await ask("GET", `/api/v1/sinks${path}`);
  await post("/api/v1/sinks/chat/test");
  await ask("HEAD", "/api/v1/live?of=flows");
  await post("/mcp", { jsonrpc: "2.0", id: 1, method: "ping" });
  await post(`/api/v1/threats/${threat.id}/status`, { status: "closed" });
  await post(`/api/v1/threats/${threat.id}/feedback`, { verdict: "benign", note: "backup" });
  await ask("GET", `/api/v1/threats/${threat.id}`);
  const known = { detector: threat.detector, src_ip: "10.0.0.0/8" };
  await post("/api/v1/suppressions/preview", known);
  const { id } = await post("/api/v1/suppressions", { ...known, reason: "our own", ttl_s: 3_600 });
  for (const path of ["threats?suppressed=true", "suppressions", "detectors"]) {
    await ask("GET", `/api/v1/${path}`);
  }
  await post(`/api/v1/suppressions/${id}/end`);
  for (const path of ["audit?limit=2", "suppressions?all=true"]) await ask("GET", `/api/v1/${path}`);
  for (const path of ["totals", "top-talkers", "protocols", "series", "unique-hosts"]) {
    await ask("GET", `/api/v1/stats/${path}`);
  }
  const { rows: [host] } = await ask("GET", "/api/v1/hosts");
  await ask("GET", `/api/v1/hosts/${host.ip}`);
  for (const path of ["services", "domains", "conversations"]) await ask("GET", `/api/v1/${path}`);
  await post("/api/v1/policies", { name: "office", to: "tag=canary", settings: { snaplen: 256 } });
  await addRelease(fixture, releaseOf(tinyProgram(0)));
  await post("/api/v1/upgrades", { version: "1.1.0" });
  for (const act of ["pause", "resume", "cancel"]) await post(`/api/v1/upgrades/newest/${act}`);
  for (
    const path of [
      "releases",
      "upgrades",
      "upgrades/newest",
      "policies",
      "policies/office",
      "policies/office/history",
      "gaps",
      "dead-letters",
      "fleet",
      "sensors/roof",
      "sensors/roof/health",
      "session",
      "tokens",
      "keys",
    ]
  ) {
    await ask("GET", `/api/v1/${path}`);
  }
  for (const format of ["ndjson", "csv", "parquet"]) {
    for (const what of ["flows", "threats", "hosts"]) {
      await ask("GET", `/api/v1/export/${what}?format=${format}`);
    }
  }
  for (const path of ["/openapi.json", "/metrics", "/healthz", "/readyz"]) await ask("GET", path);
  await post(`/api/v1/threats/${threat.id}/packets`);
  await post(`/api/v1/flows/${flow.flow_id}/packets`);
  for (const path of [`threats/${threat.id}`, `flows/${flow.flow_id}`]) {
    await ask("GET", `/api/v1/${path}/packets?as=status`);
  }
  const token = await post("/api/v1/tokens", { approve: true, uses: 2 });
  const sensor = new TestSensor("door");
  const enrolled = await ask("POST", "/api/v1/enrol", { json: sensor.enrolment(token.token) });
  sensor.id = enrolled.sensor_id;
  assertEquals((await sensor.checkIn(fixture, healthOf(sensor.id, fixture.clock.ms))).status, 200);
  for (const act of ["approve", "release"]) await post(`/api/v1/sensors/door/${act}`);
  await post("/api/v1/sensors/door/rename", { name: "gate" });
  await post("/api/v1/sensors/gate/tags", { tags: ["north"] });
  await post("/api/v1/sensors/gate/canary");
  const identity = { sensor: sensor.id, key: sensor.keyId, privateKey: sensor.keys.privateKey };
  const position = { epoch: 1, bucket: 0, seq: 1, flows: 1, sealed: 1 };
  const { header } = sealBatch(new TextEncoder().encode("{}"), identity, position);
  await ask("POST", "/api/v1/batches", { bytes: new Uint8Array([1]), headers: writeHeader(header) });
  await post("/api/v1/sensors/gate/revoke");
  await ask("DELETE", "/api/v1/policies/office");
  await ask("DELETE", "/api/v1/sensors/gate");
  await post(`/api/v1/tokens/${token.id}/revoke`);
  await post("/api/v1/keys", { name: "x", role: "viewer", ttl_s: 60 });
  await post("/api/v1/keys/x/revoke");
  await ask("POST", "/login", { json: { key: fixture.keys.viewer } });
  await ask("POST", "/logout", {});
  const left = routes.filter(({ summary, method, path }) =>
    summary !== null && !answered.has(`${method} ${path}`)
  );
  assertEquals(
    left.map(({ method, path }) => `${method} ${path}`),
    ["POST /api/v1/packets", "GET /api/v1/releases/:id/part", "GET /ca.pem"],
    "packets and parts have tests of their own, the authority is of the start",
  );
  await world.stop();
});

Deno.test("every route fails as it describes: no key, no right, no such thing, nonsense as body and query", async () => {
  const world = await startHostileWorld();
  const { fixture } = world;
  const nonsense: Asked[] = [
    {},
    { key: "pk_wrong" },
    { role: "viewer" },
    { role: "admin" },
    { role: "admin", json: { nonsense: 1 } },
    { role: "admin", bytes: new Uint8Array([0xff, 0xfe]) },
    { role: "admin", headers: { "content-length": "999999999" }, json: {} },
    { role: "admin", json: {}, headers: { origin: "https://evil.example" } },
    { role: "admin", headers: { host: "rebound.evil.example" } },
  ];
  let failures = 0;
  for (const { method, path } of routes) {
    for (
      const at of [path.replace(":id", "0123456789ab"), `${path.replace(":id", "%00")}?nonsense=1&limit=x`]
    ) {
      // The fixture compares each answer with the description.
      for (const asked of nonsense) {
        if (method === "GET" && (asked.json !== undefined || asked.bytes !== undefined)) continue;
        if ((await fixture.ask(method, at, asked)).status >= 400) failures++;
      }
    }
  }
  assert(failures > 300, `only ${failures}`);
  await world.stop();
});

Deno.test("the description names its shapes, tags every route, and says what people were told wrongly before", () => {
  // deno-lint-ignore no-explicit-any -- JSON of OpenAPI.
  const api = describeApi(routes) as any;
  for (const name of ["Flow", "Threat", "Sensor", "Problem"]) assert(api.components.schemas[name], name);
  const text = JSON.stringify(api);
  for (const [, name] of text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]*)"/g)) {
    assert(api.components.schemas[name], `${name} is referred to`);
  }
  assert(!/"\$ref":"(?!#\/components\/schemas\/[A-Z])/.test(text));
  const tags = new Set(api.tags.map(({ name }: { name: string }) => name));
  type Operation = { operationId: string; tags: string[]; responses: Record<string, unknown> };
  const methods = Object.values(api.paths as Record<string, Record<string, Operation>>);
  for (const operation of methods.flatMap((one) => Object.values(one))) {
    assert(tags.has(operation.tags[0]), operation.operationId);
    assert(Object.keys(operation.responses).some((status) => /^4/.test(status)), operation.operationId);
  }
  assert(
    api.paths["/api/v1/tokens"].post.responses["201"] && api.paths["/api/v1/keys"].post.responses["201"],
  );
  const batches = api.paths["/api/v1/batches"].post;
  assertEquals(Object.keys(batches.requestBody.content), ["application/json"]);
  const headers = batches.parameters.map(({ name }: { name: string }) => name);
  assertEquals(headers.length, 10);
  assert(headers.includes("content-encoding") && headers.includes("picket-signature"));
});
