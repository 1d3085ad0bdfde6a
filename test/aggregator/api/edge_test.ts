/** The HTTP edge: headers, hosts, bodies, parameters, errors. @module */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { StoreUnavailable } from "../../../aggregator/store/store.ts";
import { ConcurrencyLimit } from "../../../aggregator/api/concurrency_limit.ts";
import { createApi } from "../../../aggregator/api/api.ts";
import { TrustedProxies } from "../../../aggregator/model/client_address.ts";
import { routes } from "../../../aggregator/api/routes.ts";
import { host, startFixture } from "./fixture.ts";
import { sampleFlow, sampleThreat, sampleWrite } from "./samples.ts";

Deno.test("every answer carries a strict policy and no CORS header", async () => {
  const fixture = await startFixture();
  for (const path of ["/", "/api/v1/fleet", "/nothing", "/assets/main.js", "/healthz"]) {
    const { headers } = await fixture.ask("GET", path, { headers: { origin: "https://evil.example" } });
    const policy = headers.get("content-security-policy") ?? "";
    assertStringIncludes(policy, "default-src 'none'");
    assert(!policy.includes("unsafe"), policy);
    assertEquals(headers.get("x-content-type-options"), "nosniff");
    assertEquals(headers.get("access-control-allow-origin"), null);
  }
  await fixture.stop();
});

Deno.test("long answers are packed for who takes that, and say the same; short ones and secrets never are", async () => {
  const fixture = await startFixture();
  await fixture.services.store.ingest(sampleWrite(Array.from({ length: 40 }, (_, i) => sampleFlow(i))));
  const ask = (path: string, headers: Record<string, string> = { "accept-encoding": "br, gzip" }) =>
    fixture.api.fetch(
      new Request(`http://${host}${path}`, {
        headers: { authorization: `Bearer ${fixture.keys.admin}`, ...headers },
      }),
      { source: "192.0.2.1", isSecure: false },
    );
  for (const path of ["/api/v1/flows", "/api/v1/hosts", "/metrics", "/openapi.json"]) {
    const plain = await ask(path, {}), answer = await ask(path);
    const text = await plain.text(), octets = await answer.bytes();
    const described = (name: string) => [plain, answer].map(({ headers }) => headers.get(name));
    assertEquals(described("content-encoding"), [null, "gzip"], path);
    assertEquals(new Set(described("content-type")).size, 1, path);
    for (const vary of described("vary")) assertStringIncludes(vary!, "accept-encoding");
    assert(octets.length < text.length / 2, `${path}: ${octets.length} of ${text.length}`);
    const unpacked = new Blob([octets]).stream().pipeThrough(new DecompressionStream("gzip"));
    if (path !== "/metrics") assertEquals(await new Response(unpacked).text(), text);
  }
  for (const path of ["/healthz", "/api/v1/flows?limit=1", "/api/v1/flows/nothing"]) {
    const answer = await ask(path);
    assertEquals(answer.headers.get("content-encoding"), null, path);
    await answer.body?.cancel();
  }
  // Secrets stand in answers to POST; this one is long.
  const posted = await fixture.ask("POST", "/mcp", {
    role: "viewer",
    headers: { accept: "application/json, text/event-stream", "accept-encoding": "gzip" },
    json: { jsonrpc: "2.0", id: 1, method: "tools/list" },
  });
  assert(JSON.stringify(posted.body).length > 2_048);
  assertEquals([posted.status, posted.headers.get("content-encoding")], [200, null]);
  const fleet = await ask("/api/v1/fleet");
  await fleet.body?.cancel();
  const known = await ask("/api/v1/fleet", {
    "accept-encoding": "gzip",
    "if-none-match": fleet.headers.get("etag")!,
  });
  assertEquals([known.status, await known.text()], [304, ""]);
  assertEquals(known.headers.get("vary"), fleet.headers.get("vary"));
  await fixture.stop();
});

Deno.test("no answer to GET holds a key, a token or a session: what is packed tells by its size what is in it", async () => {
  const fixture = await startFixture();
  const post = (path: string, json: unknown) => fixture.ask("POST", path, { role: "admin", json });
  const key = (await post("/api/v1/keys", { name: "prober", role: "viewer" })).body.key;
  const { token } = (await post("/api/v1/tokens", { site: "lab" })).body;
  const login = await fixture.ask("POST", "/login", { json: { key } });
  const session = /picket_session=([^;]+)/.exec(login.headers.get("set-cookie")!)![1];
  let asked = 0;
  for (const { method, path } of routes) {
    // What is watched never ends.
    if (method !== "GET" || path.includes(":") || path.endsWith("/live")) continue;
    const { status, text } = await fixture.ask("GET", path, { role: "admin" });
    for (const secret of [key, token, session]) assert(secret.length > 20 && !text.includes(secret), path);
    if (status === 200) asked++;
  }
  assert(asked > 40, String(asked));
  await fixture.stop();
});

Deno.test("pages are packed for who takes that, and not sent to who has them", async () => {
  const fixture = await startFixture();
  const get = (headers: Record<string, string>) =>
    fixture.api.fetch(new Request(`http://${host}/assets/main.js`, { headers }), {
      source: "192.0.2.1",
      isSecure: false,
    });
  const plain = await get({});
  const text = await plain.text(), etag = plain.headers.get("etag")!;
  assertEquals([plain.headers.get("content-encoding"), plain.headers.get("cache-control")], [
    null,
    "no-cache",
  ]);
  for (
    const [taken, encoding] of [
      ["gzip, deflate, br", "gzip"],
      ["br, gzip;q=0.5", "gzip"],
      ["br", null],
      ["gzip;q=0, identity", null],
      ["xgzip", null],
    ] as const
  ) {
    const answer = await get({ "accept-encoding": taken });
    assertEquals(
      [answer.headers.get("content-encoding"), answer.headers.get("etag")],
      [encoding, etag],
      taken,
    );
    const octets = await answer.bytes();
    if (encoding === null) continue;
    assert(octets.length < text.length / 2, `${octets.length} of ${text.length}`);
    const unpacked = new Blob([octets]).stream().pipeThrough(new DecompressionStream("gzip"));
    assertEquals(await new Response(unpacked).text(), text);
  }
  const known = await get({ "accept-encoding": "gzip", "if-none-match": etag });
  assertEquals([known.status, (await known.bytes()).length, known.headers.get("etag")], [304, 0, etag]);
  assertEquals((await get({ "if-none-match": '"other"' })).status, 200);
  await fixture.stop();
});

Deno.test("a foreign host name is refused on loopback", async () => {
  const fixture = await startFixture(undefined, { hostnames: ["127.0.0.1", "localhost"] });
  const status = async (host: string, path = "/healthz") =>
    (await fixture.ask("GET", path, { headers: { host } })).status;
  assertEquals(await status("127.0.0.1:8600"), 200);
  assertEquals(await status("LOCALHOST"), 200);
  assertEquals(await status("rebound.evil.example:8600"), 421);
  assertEquals(await status("rebound.evil.example", "/nothing"), 421);
  await fixture.stop();
});

Deno.test("a wrong parameter is named with its rule and value", async () => {
  const fixture = await startFixture();
  const cases: [string, string][] = [
    ["/flows?limit=0", '"limit"'],
    ["/flows?limit=1001", "current value is 1001"],
    ["/flows?limit=many", '"many"'],
    ["/flows?limmit=3", 'Unknown parameter "limmit"'],
    ["/flows?limit=1&limit=2", "must be given once"],
    ["/flows?cursor=%27;drop", '"cursor"'],
    ["/flows/search?ip=10.0.0", "must be an IPv4 or IPv6 address"],
    ["/flows/search?ip=10.0.0.0/33", "or CIDR"],
    ["/flows/search?port=70000", '"port"'],
    ["/flows?from=yesterdy", "must be a time: RFC 3339"],
    ["/flows?from=2026-02-30", "must be a time: RFC 3339"],
    ["/flows?sort=bytes", '"sort"'],
    ["/flows/search?protocol=TCP;--", "must be a name, in any case"],
    ["/flows/search?from=20&to=10", '"from" must be <= "to"'],
    [`/flows/search?name=${"x".repeat(600)}`, "<= 500 characters"],
    ["/threats?severity_min=worst", '"severity_min"'],
    ["/stats/series?from=0&to=100000&step=1", '"step" must be >= 50'],
    ["/gaps?open=perhaps", '"open"'],
  ];
  for (const [path, words] of cases) {
    const { status, body } = await fixture.ask("GET", `/api/v1${path}`, { role: "viewer" });
    assertEquals([status, body.code], [400, "bad_parameter"], path);
    assertStringIncludes(body.detail, words);
  }
  await fixture.stop();
});

Deno.test("an error is problem details: type, title, status, detail, instance, and the field in fault", async () => {
  const fixture = await startFixture();
  const { body, headers } = await fixture.ask("GET", "/api/v1/flows?limit=0", { role: "viewer" });
  assertEquals(headers.get("content-type"), "application/problem+json");
  assertEquals(body, {
    type: "urn:picket:problem:bad_parameter",
    title: "A parameter is wrong",
    status: 400,
    detail: 'Parameter "limit": Too small: expected number to be >=1: current value is 0',
    instance: "/api/v1/flows",
    code: "bad_parameter",
    field: "limit",
  });
  const { body: none } = await fixture.ask("GET", "/nothing");
  assertEquals(
    Object.keys(none),
    ["type", "title", "status", "instance", "code"],
    "what is not known is left out",
  );
  await fixture.stop();
});

Deno.test("times, addresses and words are read in every form that people write", async () => {
  const fixture = await startFixture();
  const write = sampleWrite([
    sampleFlow(0, { src_ip: "2001:db8::a", start: 1_799_996_400, end: 1_799_996_410 }),
    sampleFlow(1, { src_ip: "10.9.8.7", protocol: "udp", conn_state: "S0" }),
  ]);
  await fixture.services.store.ingest(write);
  await fixture.services.store.saveThreats([sampleThreat()]);
  const count = async (path: string) =>
    (await fixture.ask("GET", `/api/v1${path}`, { role: "viewer" })).body.rows.length;
  // The clock of the test stands at 2027-01-15T08:00:00Z; the flows start at 07:26:40 and 07:26:51.
  for (
    const [path, rows] of [
      ["/flows?from=1799998000", 2],
      ["/flows?from=1799998001", 1],
      ["/flows?from=1799998011000", 1],
      ["/flows?from=1799998011001", 0],
      ["/flows?from=2027-01-15T07:26:41Z", 1],
      ["/flows?from=2027-01-15t08:26:41%2b01:00", 1],
      ["/flows?from=2027-01-15T08:26:41+01:00", 1],
      ["/flows?to=now", 2],
      ["/flows?from=now-1h", 2],
      ["/flows?from=now-33m", 0],
      ["/flows?from=today", 2],
      ["/flows?to=today", 0],
      ["/flows?to=yesterday", 0],
      ["/flows/search?ip=10.0.0.0/8", 1],
      ["/flows/search?ip=10.9.8.0/29", 1],
      ["/flows/search?ip=10.9.8.8/29", 0],
      ["/flows/search?ip=2001:DB8:0:0::000A", 1],
      ["/flows/search?ip=[2001:db8::a]", 1],
      ["/flows/search?src_ip=2001:db8::/32", 1],
      ["/flows/search?src_ip=::/0", 1],
      ["/flows/search?src_ip=0.0.0.0/0", 1],
      ["/flows/search?dst_ip=192.0.2.80/32&src_ip=10.0.0.0/8", 1],
      ["/flows/search?protocol=UDP", 1],
      ["/flows/search?conn_state=s0", 1],
      ["/threats?severity_min=HIGH", 1],
      ["/threats?severity_min=Critical", 0],
      ["/threats?status=OPEN&ip=10.0.0.0/24", 1],
      ["/threats?ip=10.0.1.0/24", 0],
    ] as const
  ) assertEquals(await count(path), rows, path);
  await fixture.stop();
});

Deno.test("answers carry RFC 3339 beside epoch, and sort the other way round when asked", async () => {
  const fixture = await startFixture();
  await fixture.services.store.ingest(sampleWrite([sampleFlow(0), sampleFlow(1)]));
  await fixture.services.store.saveThreats([sampleThreat()]);
  const ask = async (path: string) => (await fixture.ask("GET", `/api/v1${path}`, { role: "viewer" })).body;
  const { rows: [flow] } = await ask("/flows?sort=start&limit=1");
  assertEquals([flow.start, flow.start_at, flow.stored_at], [
    1_799_998_000,
    "2027-01-15T07:26:40.000Z",
    "2027-01-15T07:26:40.000Z",
  ]);
  assertEquals(flow.seen_by[0].start_at, "2027-01-15T07:26:40.000Z");
  assertEquals(flow.seen_by[0].clock_offset_at, undefined, "a span is no time");
  assertEquals((await ask("/fleet")).now_at, "2027-01-15T08:00:00.000Z");
  assertMatch((await ask("/threats")).rows[0].first_seen_at, /^2027-01-15T.*Z$/);
  assertMatch((await ask("/stats/series")).rows[0].at, /^2027-01-15T.*Z$/);
  const { body: api } = await fixture.ask("GET", "/openapi.json", { role: "viewer" });
  assertEquals(api.components.schemas.Flow.properties.start_at.format, "date-time");
  assertEquals(api.components.schemas.CheckIn.properties.sent_at, undefined);
  await fixture.stop();
});

Deno.test("what is polled has an ETag, and 304 until something changes", async () => {
  const fixture = await startFixture();
  const polled = [
    "fleet",
    "threats",
    "incidents",
    "stats/totals",
    "stats/series?from=0&to=60",
    "flows/latest",
  ];
  const tags: string[] = [];
  for (const path of polled) {
    const ask = (headers: Record<string, string> = {}) =>
      fixture.ask("GET", `/api/v1/${path}`, { role: "viewer", headers });
    const first = await ask();
    const tag = first.headers.get("etag") ?? "";
    assertMatch(tag, /^W\/"[0-9a-f]{32}"$/, path);
    tags.push(tag);
    fixture.clock.ms += 5;
    for (const header of [tag, `"other", ${tag}`, tag.slice(2), "*"]) {
      const again = await ask({ "if-none-match": header });
      assertEquals(
        [again.status, again.text, again.headers.get("etag")],
        [304, "", tag],
        `${path} ${header}`,
      );
    }
    assertEquals((await ask({ "if-none-match": '"other"' })).status, 200);
  }
  await fixture.services.store.saveThreats([sampleThreat()]);
  for (const [index, path] of polled.entries()) {
    const headers = { "if-none-match": tags[index] };
    const { status } = await fixture.ask("GET", `/api/v1/${path}`, { role: "viewer", headers });
    assertEquals(status, /threats|incidents|totals/.test(path) ? 200 : 304, path);
  }
  await fixture.stop();
});

Deno.test("a body beyond the limit is refused, announced or not, and never kept", async () => {
  const fixture = await startFixture();
  const announced = await fixture.ask("POST", "/login", {
    json: { key: "x" },
    headers: { "content-length": "99999999" },
  });
  assertEquals([announced.status, announced.body.code], [413, "too_large"]);
  let pulled = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled++;
      controller.enqueue(new Uint8Array(512));
    },
  });
  const response = await fixture.api.fetch(
    new Request("http://127.0.0.1:8600/login", { method: "POST", body: endless }),
    { source: "192.0.2.1", isSecure: false },
  );
  assertEquals(response.status, 413);
  await response.body?.cancel();
  assert(pulled < 10, `read ${pulled} chunks of an endless body`);
  await fixture.stop();
});

Deno.test("a wrong body names the field, and no JSON says so", async () => {
  const fixture = await startFixture();
  const field = await fixture.ask("POST", "/api/v1/keys", {
    role: "admin",
    json: { name: "x", role: "god" },
  });
  assertEquals([field.status, field.body.code], [400, "bad_body"]);
  assertStringIncludes(field.body.detail, '"role"');
  const text = await fixture.ask("POST", "/api/v1/keys", {
    role: "admin",
    bytes: new TextEncoder().encode("{"),
  });
  assertEquals(text.body.detail, "Body must be JSON");
  await fixture.stop();
});

Deno.test("a database that is away is 503, a mistake of ours 500 without its words", async () => {
  const fixture = await startFixture((services) => ({
    store: new Proxy(services.store, {
      get(store, name) {
        if (name === "readTotals") {
          return () => Promise.reject(new StoreUnavailable("no route to db.internal"));
        }
        if (name === "readProtocols") return () => Promise.reject(new Error("password is hunter2"));
        // deno-lint-ignore no-explicit-any -- the rest of the store is handed through as it is.
        return (store as any)[name].bind(store);
      },
    }),
  }));
  const away = await fixture.ask("GET", "/api/v1/stats/totals", { role: "viewer" });
  assertEquals([away.status, away.body.code], [503, "store_unavailable"]);
  assert(away.headers.has("retry-after"));
  const broken = await fixture.ask("GET", "/api/v1/stats/protocols", { role: "viewer" });
  assertEquals([broken.status, broken.body.code], [500, "internal"]);
  assert(!broken.text.includes("hunter2") && !away.text.includes("db.internal"));
  assertEquals(fixture.counter('request_errors_total{code="internal"}'), 1);
  await fixture.stop();
});

Deno.test("a handler gets what it names, and a route whose needs are not there is not served", async () => {
  const fixture = await startFixture();
  for (const { method, path, needs } of routes) {
    for (const name of needs) assert(name in fixture.services, `${method} ${path} needs ${name}`);
  }
  const { reporter, clock, keys, sessions, guessRate, queryLimit, trafficStore } = fixture.services;
  const options = { hostnames: null, publicUrl: null, proxies: new TrustedProxies([]) };
  const few = createApi(options, { reporter, clock, keys, sessions, guessRate, queryLimit, trafficStore });
  const status = async (path: string) => {
    const request = new Request(`http://x${path}`, {
      headers: { authorization: `Bearer ${fixture.keys.admin}` },
    });
    const response = await few.fetch(request, { source: "192.0.2.1", isSecure: false });
    await response.body?.cancel();
    return response.status;
  };
  assertEquals(await status("/api/v1/stats/totals"), 200);
  assertEquals(await status("/api/v1/tokens"), 404);
  await fixture.stop();
});

Deno.test("a concurrency limit holds for all keys together", async () => {
  const fixture = await startFixture();
  const limit = new ConcurrencyLimit({ kind: "query", activeMax: 2, waitingMax: 0 }, fixture.services);
  const gate = Promise.withResolvers<void>();
  const first = ["a", "b"].map((key) => limit.run(() => gate.promise, key));
  assertEquals(await limit.run(() => "ran", "c").catch((error) => error.code), "busy");
  gate.resolve();
  await Promise.all(first);
  assertEquals(await limit.run(() => "ran", "c"), "ran");
  await fixture.stop();
});

Deno.test("many of one key leave places for others to run and to wait, and wait no longer for them", async () => {
  const fixture = await startFixture();
  const { reporter } = fixture.services;
  const options = { kind: "query", activeMax: 4, activePerKeyMax: 2, waitingMax: 3, waitingPerKeyMax: 2 };
  const limit = new ConcurrencyLimit(options, { reporter });
  const freed = Promise.withResolvers<void>();
  const outcome = (work: Promise<unknown>) => work.then(() => "done", (error) => error.code);
  const slow = Array.from({ length: 5 }, () => outcome(limit.run(() => freed.promise, "/flows/search")));
  assertEquals(await slow[4], "busy");
  assertEquals(await outcome(limit.run(() => "ran", "/hosts")), "done");
  const others = Array.from({ length: 4 }, () => outcome(limit.run(() => freed.promise, "/hosts")));
  assertEquals(await others[3], "busy");
  freed.resolve();
  assertEquals(await Promise.all([...slow, ...others]), [
    ...["done", "done", "done", "done", "busy"],
    ...["done", "done", "done", "busy"],
  ]);
  await fixture.stop();
});

Deno.test("a concurrency limit lets a bounded number run, a bounded number wait, and refuses the rest at once", async () => {
  const fixture = await startFixture();
  const { reporter } = fixture.services;
  const gate = new ConcurrencyLimit({ kind: "query", activeMax: 2, waitingMax: 1 }, { reporter });
  const open: (() => void)[] = [];
  let running = 0, most = 0;
  const work = () =>
    gate.run(async () => {
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => open.push(resolve));
      running--;
    });
  const all = [work(), work(), work(), work()].map((one) => one.then(() => "done", (error) => error.code));
  assertEquals(await all[3], "busy");
  while (open.length > 0) {
    open.shift()!();
    await new Promise<void>((resolve) => queueMicrotask(() => queueMicrotask(resolve)));
    await Promise.resolve();
  }
  assertEquals(await Promise.all(all), ["done", "done", "done", "busy"]);
  assertEquals(most, 2);
  assertEquals(fixture.counter('requests_refused_total{kind="query"}'), 1);
  await fixture.stop();
});

Deno.test("a concurrency limit counts what each costs, and lets one alone run that costs more than there is", async () => {
  const fixture = await startFixture();
  const { reporter } = fixture.services;
  const gate = new ConcurrencyLimit(
    { kind: "upload", activeMax: 9, activeCostMax: 100, waitingMax: 9 },
    { reporter },
  );
  const started: number[] = [], ends: (() => void)[] = [];
  const work = (cost: number) =>
    gate.run(
      () => {
        started.push(cost);
        return new Promise<void>((resolve) => ends.push(resolve));
      },
      `key ${cost}`,
      cost,
    );
  const turn = () => new Promise((resolve) => setTimeout(resolve));
  const all = [work(60), work(41), work(40), work(101)];
  await turn();
  assertEquals(started, [60, 40], "41 more are one too many");
  ends.shift()!();
  await turn();
  assertEquals(started, [60, 40, 41]);
  for (const end of ends.splice(0)) end();
  await turn();
  assertEquals(started, [60, 40, 41, 101]);
  for (const end of ends) end();
  await Promise.all(all);
  await fixture.stop();
});
