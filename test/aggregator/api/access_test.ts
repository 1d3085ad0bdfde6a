/** Who may call what: a matrix made from the route table, so that a new route is in it at once. @module */

import { assert, assertEquals } from "@std/assert";
import { mayCall, routes } from "../../../aggregator/api/routes.ts";
import { type Role, roles } from "../../../aggregator/model/access.ts";
import { startFixture } from "./fixture.ts";

const missing = "0123456789abcdef0123456789abcdef";

Deno.test("access table opens nothing but sensors' doors, health and the dashboard's pages without a key", () => {
  const open = routes.filter((route) => route.access === "public" || route.access === "sensor");
  const named = open.filter(({ path }) => !path.startsWith("/assets/"));
  assertEquals(open.length - named.length, 4);
  assertEquals(named.map((route) => `${route.method} ${route.path}`).sort(), [
    "GET /",
    "GET /api/v1/releases/:id/part",
    "GET /ca.pem",
    "GET /docs",
    "GET /healthz",
    "GET /readyz",
    "POST /api/v1/batches",
    "POST /api/v1/check-in",
    "POST /api/v1/enrol",
    "POST /api/v1/packets",
    "POST /login",
    "POST /logout",
  ]);
});

Deno.test("a role may call what its own access and those below it open, and nobody more than sensors' doors", () => {
  const open = (role: Role | null) =>
    (["admin", "analyst", "viewer", "sensor", "public"] as const).filter((access) => mayCall(access, role));
  assertEquals(open("admin"), ["admin", "analyst", "viewer", "sensor", "public"]);
  assertEquals(open("analyst"), ["analyst", "viewer", "sensor", "public"]);
  assertEquals(open("viewer"), ["viewer", "sensor", "public"]);
  assertEquals(open(null), ["sensor", "public"]);
});

Deno.test("every route answers 401 without a key and with a wrong one", async () => {
  const fixture = await startFixture();
  for (const [index, route] of routes.entries()) {
    if (route.access === "public" || route.access === "sensor") continue;
    const path = route.path.replace(":id", missing);
    const { status, body } = await fixture.ask(route.method, path);
    assertEquals(
      [status, body.code],
      [401, "unauthenticated"],
      `${route.method} ${path} without a key`,
    );
    const wrong = await fixture.ask(route.method, path, { key: "pk_wrong", source: `192.0.2.${index}` });
    assertEquals(
      [wrong.status, wrong.body.code],
      [401, "unauthenticated"],
      `${route.method} ${path}, wrong key`,
    );
  }
  assert(fixture.counter("keys_refused_total") > 20);
  await fixture.stop();
});

Deno.test("every route refuses a role below its own and lets the others in, foreign object ids included", async () => {
  const fixture = await startFixture();
  for (const route of routes) {
    if (route.access === "public" || route.access === "sensor") continue;
    for (const role of roles) {
      const { status } = await fixture.ask(route.method, route.path.replace(":id", missing), { role });
      const isAllowed = mayCall(route.access, role);
      assertEquals(status === 403, !isAllowed, `${route.method} ${route.path} as ${role} answered ${status}`);
      if (isAllowed && route.path.includes(":id") && route.method === "GET") assertEquals(status, 404);
      if (isAllowed) assert(status < 500, `${route.method} ${route.path} as ${role} answered ${status}`);
    }
  }
  await fixture.stop();
});

Deno.test("what is not in the table is 404, whoever asks", async () => {
  const fixture = await startFixture();
  for (
    const [method, path] of [
      ["GET", "/api/v1/nothing"],
      ["GET", "/api/v2/flows"],
      ["GET", "/assets/../main.ts"],
      ["DELETE", "/api/v1/flows/a/b"],
    ]
  ) {
    const { status, body } = await fixture.ask(method, path, { role: "admin" });
    assertEquals([status, body.code], [404, "not_found"], `${method} ${path}`);
  }
  await fixture.stop();
});

Deno.test("a path of the table with another method is 405 and names those it has, whoever asks", async () => {
  const fixture = await startFixture();
  for (
    const [method, path, allow] of [
      ["DELETE", "/api/v1/flows", "GET, HEAD"],
      ["PUT", "/api/v1/tokens", "GET, HEAD, POST"],
      ["OPTIONS", "/api/v1/flows", "GET, HEAD"],
      ["PATCH", "/api/v1/sensors/roof", "GET, HEAD, DELETE"],
      ["GET", "/api/v1/threats/00112233445566aa/status", "POST"],
      ["GET", "/login", "POST"],
    ]
  ) {
    const { status, body, headers } = await fixture.ask(method, path);
    assertEquals(
      [status, body.code, headers.get("allow")],
      [405, "wrong_method", allow],
      `${method} ${path}`,
    );
  }
  assertEquals((await fixture.ask("HEAD", "/healthz")).status, 200);
  await fixture.stop();
});

Deno.test("a key works in any case of the scheme and not as another scheme, a query or a cookie", async () => {
  const fixture = await startFixture();
  const { viewer } = fixture.keys;
  const status = async (headers: Record<string, string>, path = "/api/v1/session") =>
    (await fixture.ask("GET", path, { headers })).status;
  assertEquals(await status({ authorization: `bearer ${viewer}` }), 200);
  assertEquals(await status({ authorization: `Basic ${btoa(`x:${viewer}`)}` }), 401);
  assertEquals(await status({ cookie: `picket_session=${viewer}` }), 401);
  assertEquals(await status({}, `/api/v1/session?key=${viewer}`), 401);
  await fixture.stop();
});

Deno.test("a right key is never refused for what others behind the same address did; only wrong ones wait", async () => {
  const fixture = await startFixture();
  const guess = (source: string) => fixture.ask("GET", "/api/v1/fleet", { key: "pk_guess", source });
  for (let i = 0; i < 5; i++) assertEquals((await guess("198.51.100.7")).status, 401);
  const refused = await guess("198.51.100.7");
  assertEquals([refused.status, refused.body.code], [429, "too_many"]);
  assertEquals(refused.headers.get("retry-after"), "10");
  assertEquals(refused.headers.get("ratelimit-policy"), '"guesses";q=5;w=50');
  assertEquals(refused.headers.get("ratelimit"), '"guesses";r=0;t=10');
  for (let i = 0; i < 200; i++) await guess("198.51.100.7");
  const right = await fixture.ask("GET", "/api/v1/fleet", { role: "viewer", source: "198.51.100.7" });
  assertEquals(right.status, 200);
  const login = await fixture.ask("POST", "/login", {
    json: { key: fixture.keys.viewer },
    source: "198.51.100.7",
  });
  assertEquals(login.status, 200);
  assertEquals((await guess("198.51.100.8")).status, 401, "another address has its own tries");
  fixture.clock.ms += 10_000;
  assertEquals((await guess("198.51.100.7")).status, 401);
  await fixture.stop();
});
