/** Watching flows and threats: filter, order, coming back, being slow, and the end of a session;
 * over HTTP/2 with a cookie. @module */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { ensureAuthority, serverCertificate } from "../../../aggregator/tls/authority.ts";
import { LiveFeed } from "../../../aggregator/api/live/feed.ts";
import { startHostileWorld } from "../dashboard/hostile.ts";
import { type Fixture, host, randomBytes, startFixture } from "./fixture.ts";
import { sampleFlow, sampleThreat, sampleWrite } from "./samples.ts";

interface Event {
  name: string;
  id: string | null;
  // deno-lint-ignore no-explicit-any -- whatever the event holds.
  data: any;
}

/** A stream that is read piece by piece. */
class Stream {
  #reader: ReadableStreamDefaultReader<Uint8Array>;

  constructor(response: Response) {
    assertEquals(response.status, 200);
    assertStringIncludes(response.headers.get("content-type")!, "text/event-stream");
    this.#reader = response.body!.getReader();
  }

  async text(): Promise<string | null> {
    const { value } = await this.#reader.read();
    return value === undefined ? null : new TextDecoder().decode(value);
  }

  async events(): Promise<Event[]> {
    const events = (await this.text())?.split("\n\n").filter((part) => part.includes("data: ")) ?? [];
    return events.map((part) => {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(part)?.[1] ?? null;
      return { name: field("event")!, id: field("id"), data: JSON.parse(field("data")!) };
    });
  }

  cancel(): Promise<void> {
    return this.#reader.cancel();
  }
}

async function watch(fixture: Fixture, query: string, headers: Record<string, string> = {}): Promise<Stream> {
  const request = new Request(`http://${host}/api/v1/live?${query}`, {
    headers: { authorization: `Bearer ${fixture.keys.viewer}`, ...headers },
  });
  const stream = new Stream(await fixture.api.fetch(request, { source: "192.0.2.1", isSecure: false }));
  assertEquals(await stream.text(), "retry: 2000\n\n");
  return stream;
}

/** Stores flows and tells the feed, as ingest does. */
async function store(fixture: Fixture, from: number, count: number): Promise<void> {
  const flows = Array.from({ length: count }, (_, i) => sampleFlow(from + i, { dst_port: 100 + from + i }));
  await fixture.services.store.ingest(sampleWrite(flows));
  fixture.services.live.note("flows", flows.map(({ flow_id }) => flow_id));
}

/** Lets the feed read and send. */
async function flush(fixture: Fixture): Promise<void> {
  await settle();
  fixture.clock.advance(500);
  await settle();
}

function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20));
}

Deno.test("flows come in the order they were stored, those that fit the filter, and on from the last seen", async () => {
  const fixture = await startFixture();
  const all = await watch(fixture, "of=flows"),
    some = await watch(fixture, "of=flows&filter=dst_port%20>%20101");
  await store(fixture, 0, 3);
  await flush(fixture);
  const events = await all.events();
  assertEquals(events.map(({ name, data }) => [name, data.dst_port]), [["flow", 100], ["flow", 101], [
    "flow",
    102,
  ]]);
  assertMatch(events[0].id!, /^[0-9]+-1$/);
  assertEquals(events[0].data.start_at, "2027-01-15T07:26:40.000Z", "a row is what the API answers");
  assertEquals((await some.events()).map(({ data }) => data.dst_port), [102]);
  await all.cancel();
  await store(fixture, 3, 2);
  await flush(fixture);
  const again = await watch(fixture, "of=flows", { "last-event-id": events[1].id! });
  assertEquals((await again.events()).map(({ data }) => data.dst_port), [102, 103, 104]);
  const later = await watch(fixture, "of=flows", { "last-event-id": "12-1" });
  assertEquals((await later.events()).map(({ name, data }) => [name, data.rows]), [["missed", null]]);
  for (const stream of [some, again, later]) await stream.cancel();
  await fixture.services.live.stop();
  await fixture.stop();
});

Deno.test("threats come when they are stored and when they change, without their list of flows", async () => {
  const fixture = await startFixture();
  const stream = await watch(fixture, "of=threats&filter=severity%20>=%20high");
  const threats = [sampleThreat(), sampleThreat({ id: "00112233445566ab", identity: "x", severity: "low" })];
  await fixture.services.store.saveThreats(threats);
  fixture.services.live.note("threats", threats.map(({ id }) => id));
  await flush(fixture);
  const [{ name, data }] = await stream.events();
  assertEquals([name, data.id, data.flow_ids, data.status], [
    "threat",
    "00112233445566aa",
    undefined,
    "open",
  ]);
  await fixture.services.store.setThreatStatus(data.id, "closed", fixture.clock.ms);
  fixture.services.live.note("threats", [data.id]);
  await flush(fixture);
  assertEquals((await stream.events()).map((event) => event.data.status), ["closed"]);
  await stream.cancel();
  await fixture.stop();
});

Deno.test("who is slow is told how many rows it missed, and comes back behind them", async () => {
  const fixture = await startFixture((services) => ({ live: new LiveFeed({ rowsMax: 100 }, services) }));
  const slow = await watch(fixture, "of=flows");
  for (let i = 0; i < 6; i++) {
    await store(fixture, i * 100, 100);
    await flush(fixture);
  }
  const events = await slow.events();
  assertEquals([events.length, events[499].data.dst_port], [500, 599]);
  const [missed] = await slow.events();
  assertEquals([missed.name, missed.data.rows, missed.id], [
    "missed",
    100,
    events[0].id!.replace(/-1$/, "-600"),
  ]);
  assertEquals(fixture.counter('live_rows_missed_total{topic="flows"}'), 100);
  const back = await watch(fixture, "of=flows", { "last-event-id": events[399].id! });
  const kept = await back.events();
  assertEquals([kept.length, kept[0].data.rows, kept[1].data.dst_port, kept[100].data.dst_port], [
    101,
    100,
    600,
    699,
  ]);
  for (const stream of [slow, back]) await stream.cancel();
  await fixture.stop();
});

Deno.test("more flows at once than are read are left out, said and counted; what came before is not", async () => {
  const fixture = await startFixture();
  await store(fixture, 0, 10);
  const stream = await watch(fixture, "of=flows");
  await store(fixture, 10, 251);
  const [left] = await stream.events();
  assertEquals([left.name, left.data.rows], ["missed", 1]);
  await flush(fixture);
  const events = await stream.events();
  assertEquals([events.length, events[0].data.dst_port, events[0].id?.endsWith("-2")], [250, 110, true]);
  assertEquals(fixture.counter('live_rows_left_out_total{topic="flows"}'), 1);
  await stream.cancel();
  await fixture.stop();
});

Deno.test("a stream ends with its session, its key or the aggregator, and keeps no session alive", async () => {
  const fixture = await startFixture();
  const login = await fixture.ask("POST", "/login", { json: { key: fixture.keys.viewer } });
  const cookie = login.headers.get("set-cookie")!.split(";")[0];
  const bySession = await watch(fixture, "of=flows", { authorization: "", cookie }).catch(() => null);
  assertEquals(bySession, null, "an empty key is a wrong key");
  const ask = async (headers: Record<string, string>) => {
    const request = new Request(`http://${host}/api/v1/live?of=flows`, { headers });
    const stream = new Stream(await fixture.api.fetch(request, { source: "192.0.2.1", isSecure: false }));
    await stream.text();
    return stream;
  };
  const session = await ask({ cookie }), stays = await watch(fixture, "of=flows");
  const beat = async (stream: Stream) => {
    const text = stream.text();
    await settle();
    fixture.clock.advance(10_000);
    return await text;
  };
  assertEquals(await beat(session), ": nothing new\n\n");
  await fixture.ask("POST", "/logout", { headers: { cookie, origin: `http://${host}` } });
  assertEquals(await beat(session), 'event: end\ndata: {"reason":"session"}\n\n');
  assertEquals(await session.text(), null);
  const stopped = fixture.services.live.stop();
  assertStringIncludes((await stays.text())!, '"stopped"');
  assertEquals(await stays.text(), null);
  await stopped;
  await fixture.stop();
});

Deno.test("a session that idles out ends its stream though rows go on coming", async () => {
  const fixture = await startFixture();
  const login = await fixture.ask("POST", "/login", { json: { key: fixture.keys.viewer } });
  const cookie = login.headers.get("set-cookie")!.split(";")[0];
  const request = new Request(`http://${host}/api/v1/live?of=flows`, { headers: { cookie } });
  const stream = new Stream(await fixture.api.fetch(request, { source: "192.0.2.1", isSecure: false }));
  await stream.text();
  fixture.clock.ms += 3_600_001;
  await store(fixture, 0, 1);
  await flush(fixture);
  assertEquals((await stream.events()).map(({ name, data }) => [name, data.reason]), [["end", "session"]]);
  await fixture.stop();
});

Deno.test("so many may watch with one key, and one who is never read takes no place", async () => {
  const fixture = await startFixture();
  for (let i = 0; i < 20; i++) {
    const { status, headers } = await fixture.ask("HEAD", "/api/v1/live?of=flows", { role: "viewer" });
    assertEquals([status, headers.get("content-type")], [200, "text/event-stream"]);
  }
  const streams = await Promise.all(Array.from({ length: 8 }, () => watch(fixture, "of=flows")));
  const ninth = await fixture.ask("GET", "/api/v1/live?of=flows", { role: "viewer" });
  assertEquals([ninth.status, ninth.body.code], [503, "busy"]);
  assertEquals(fixture.counter("live_watchers_refused_total"), 1);
  await streams[0].cancel();
  streams[0] = await watch(fixture, "of=flows");
  for (const stream of streams) await stream.cancel();
  const wrong = await fixture.ask("GET", "/api/v1/live?of=flows&filter=nothing", { role: "viewer" });
  assertEquals([wrong.status, wrong.body.field], [400, "filter"]);
  await fixture.stop();
});

Deno.test("a stream runs over HTTP/2 with the cookie of the dashboard, and its end gives the place back", async () => {
  const folder = await Deno.makeTempDir({ prefix: "picket-tls-" });
  const deps = { nowMs: Date.now(), randomBytes };
  const { pem } = await ensureAuthority(folder, "test", deps);
  const certificate = await serverCertificate(folder, ["localhost", "127.0.0.1"], deps);
  // A head that takes longer than this closes its connection; what a client says of its window is none.
  const world = await startHostileWorld({ certificate, limits: { headMs: 300, idleMs: 4_000 } });
  const client = Deno.createHttpClient({ caCerts: [pem], http1: false, http2: true });
  try {
    const body = JSON.stringify({ key: world.fixture.keys.viewer });
    const login = await fetch(`${world.url}/login`, { method: "POST", body, client });
    await login.body?.cancel();
    const cookie = login.headers.get("set-cookie")!.split(";")[0];
    const ended = new AbortController();
    const headers = { cookie, "accept-encoding": "gzip, br" };
    const response = await fetch(`${world.url}/api/v1/live?of=flows`, {
      headers,
      client,
      signal: ended.signal,
    });
    assertEquals(response.headers.get("content-encoding"), null);
    const stream = new Stream(response);
    assertEquals(await stream.text(), "retry: 2000\n\n");
    const { rows: [flow] } = await world.fixture.services.store.readFlows({}, { limit: 1 });
    world.fixture.services.live.note("flows", [flow.flow_id]);
    await flush(world.fixture);
    assertEquals((await stream.events()).map(({ data }) => data.flow_id), [flow.flow_id]);
    assertEquals(world.fixture.services.reporter.snapshot().get("live_watchers"), 1);
    for (let i = 0; i < 3; i++) {
      await store(world.fixture, 1_000 + i * 250, 250);
      await flush(world.fixture);
      let seen = 0;
      while (seen < 250) seen += (await stream.text())!.split("event: flow").length - 1;
      await new Promise((resolve) => setTimeout(resolve, 900));
    }
    ended.abort();
    await stream.text().catch(() => null);
    for (let i = 0; i < 100 && world.fixture.services.reporter.snapshot().get("live_watchers") !== 0; i++) {
      await settle();
    }
    assertEquals(world.fixture.services.reporter.snapshot().get("live_watchers"), 0);
  } finally {
    client.close();
    await world.fixture.services.live.stop();
    await world.stop();
    await Deno.remove(folder, { recursive: true });
  }
});
