/** The dashboard's session: login, cookie, expiry, and other sites' pages. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Sessions } from "../../../aggregator/api/sessions.ts";
import { host, randomBytes, type Reply, startFixture } from "./fixture.ts";

const origin = `http://${host}`;

function cookieOf(reply: Reply): string {
  return reply.headers.get("set-cookie")!.split(";")[0];
}

Deno.test("login turns a key into a cookie that scripts and other sites cannot use", async () => {
  const fixture = await startFixture();
  const reply = await fixture.ask("POST", "/login", {
    json: { key: fixture.keys.analyst },
    headers: { origin },
  });
  assertEquals([reply.status, reply.body.role], [200, "analyst"]);
  const cookie = reply.headers.get("set-cookie")!;
  for (const part of ["HttpOnly", "SameSite=Strict", "Path=/"]) assertStringIncludes(cookie, part);
  assert(!cookie.includes("Secure") && !cookie.includes(fixture.keys.analyst));
  const secure = await fixture.ask("POST", "/login", { json: { key: fixture.keys.viewer }, isSecure: true });
  assertStringIncludes(secure.headers.get("set-cookie")!, "; Secure");
  const me = await fixture.ask("GET", "/api/v1/session", { headers: { cookie: cookieOf(reply) } });
  assertEquals(me.body, { name: "analyst-key", role: "analyst" });
  await fixture.stop();
});

Deno.test("a change by session needs the page's own origin", async () => {
  const fixture = await startFixture();
  const login = await fixture.ask("POST", "/login", {
    json: { key: fixture.keys.admin },
    headers: { origin },
  });
  const cookie = cookieOf(login);
  const change = async (headers: Record<string, string>) =>
    (await fixture.ask("POST", "/api/v1/tokens", { json: {}, headers: { cookie, ...headers } })).status;
  assertEquals(await change({ origin }), 201);
  assertEquals(await change({}), 403);
  assertEquals(await change({ origin: "https://evil.example" }), 403);
  assertEquals(await change({ origin: "null" }), 403);
  const foreign = await fixture.ask("POST", "/login", {
    json: { key: fixture.keys.admin },
    headers: { origin: "https://evil.example" },
  });
  assertEquals(foreign.body.code, "cross_origin");
  await fixture.stop();
});

Deno.test("a session ends by logout, silence, age, and with its key", async () => {
  const fixture = await startFixture();
  const open = async () =>
    cookieOf(await fixture.ask("POST", "/login", { json: { key: fixture.keys.viewer } }));
  const status = async (cookie: string) =>
    (await fixture.ask("GET", "/api/v1/session", { headers: { cookie } })).status;
  const first = await open();
  await fixture.ask("POST", "/logout", { headers: { cookie: first } });
  assertEquals(await status(first), 401);
  const second = await open();
  fixture.clock.ms += 3_600_001;
  assertEquals(await status(second), 401);
  const third = await open();
  for (let hour = 0; hour < 12; hour++) {
    assertEquals(await status(third), 200, `hour ${hour}`);
    fixture.clock.ms += 3_600_000;
  }
  fixture.clock.ms += 1;
  assertEquals(await status(third), 401);
  await fixture.stop();
});

Deno.test("a session in use ends after twelve hours all the same", () => {
  const sessions = new Sessions();
  const { id } = sessions.open("hash", randomBytes(24), 0);
  for (let ms = 0; ms <= 43_200_000; ms += 1_800_000) assertEquals(sessions.find(id, ms), "hash");
  assertEquals(sessions.find(id, 43_200_001), null);
});

Deno.test("sessions are bounded, the oldest goes first, and ids from a browser are never taken over", () => {
  const sessions = new Sessions({ sessionsMax: 2 });
  const ids = [1, 2, 3].map((n) => sessions.open(`hash${n}`, randomBytes(24), 0).id);
  assertEquals(ids.map((id) => sessions.find(id, 1)), [null, "hash2", "hash3"]);
  assertEquals(sessions.find("A".repeat(32), 1), null);
  assertEquals(sessions.find(undefined, 1), null);
});

Deno.test("login makes wrong keys wait, and lets a right one in", async () => {
  const fixture = await startFixture();
  const login = (key: string) => fixture.ask("POST", "/login", { json: { key } });
  for (let i = 0; i < 5; i++) assertEquals((await login("pk_wrong")).status, 401);
  assertEquals((await login("pk_wrong")).status, 429);
  assertEquals((await login(fixture.keys.admin)).status, 200);
  assertEquals(fixture.counter('logins_total{outcome="throttled"}'), 1);
  assertEquals(fixture.counter('logins_total{outcome="refused"}'), 5);
  await fixture.stop();
});

Deno.test("a page's own origin is that of the request's URL, as HTTP/2 has no host header", async () => {
  const fixture = await startFixture();
  const login = async (origin: string, isSecure: boolean) =>
    (await fixture.ask("POST", "/login", {
      json: { key: fixture.keys.viewer },
      headers: { origin },
      isSecure,
    }))
      .status;
  assertEquals(await login(`https://${host}`, true), 200);
  assertEquals(await login(`http://${host}`, true), 403, "a page without TLS is another origin");
  assertEquals(await login(`https://${host}`, false), 200, "a TLS proxy on this machine that keeps the name");
  assertEquals(await login("https://127.0.0.1:8601", false), 403);
  await fixture.stop();
});

Deno.test("behind a proxy the public address is the page's own, with its path and scheme in the cookie", async () => {
  const fixture = await startFixture(undefined, { publicUrl: new URL("https://picket.example/watch/") });
  const ask = (path: string, origin: string) =>
    fixture.ask("POST", path, { json: { key: fixture.keys.viewer }, headers: { origin } });
  for (const path of ["/login", "/watch/login"]) {
    const reply = await ask(path, "https://picket.example");
    assertEquals(reply.status, 200, path);
    assertStringIncludes(reply.headers.get("set-cookie")!, "; Path=/watch; ");
    assertStringIncludes(reply.headers.get("set-cookie")!, "; Secure");
  }
  const direct = await ask("/login", `http://${host}`);
  assertStringIncludes(direct.headers.get("set-cookie")!, "; Path=/; ");
  assertEquals((await ask("/watch/login", "https://evil.example")).status, 403);
  assertEquals((await ask("/watcher/login", "https://picket.example")).status, 404);
  const bare = await fixture.ask("GET", "/watch");
  assertEquals([bare.status, bare.headers.get("location")], [308, "/watch/"]);
  await fixture.stop();
});
