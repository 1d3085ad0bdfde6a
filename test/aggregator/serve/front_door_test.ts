/** The front door over real sockets: deadlines, limits, and that nothing is changed on the way. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Api, createApi } from "../../../aggregator/api/api.ts";
import { TrustedProxies } from "../../../aggregator/model/client_address.ts";
import type { FrontDoorOptions } from "../../../aggregator/serve/front_door.ts";
import { listen } from "../../../aggregator/serve/listen.ts";
import { type Clock, systemClock } from "../../../shared/clock.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { startFixture } from "../api/fixture.ts";

interface Door {
  port: number;
  counter(key: string): number;
  stop(): Promise<void>;
}

/** `clock`: of what is behind the door. */
async function startDoor(
  limits: FrontDoorOptions,
  trusted: string[] = [],
  clock: Clock = systemClock,
): Promise<Door> {
  const fixture = await startFixture(() => ({ clock }));
  const proxies = new TrustedProxies(trusted);
  const api = createApi({ hostnames: null, publicUrl: null, proxies }, fixture.services);
  const edges = { clock: systemClock, reporter: fixture.services.reporter };
  const { url, close } = listen({ listen: "127.0.0.1:0", certificate: null, proxies, limits }, edges, api);
  return {
    port: Number(new URL(url).port),
    counter: fixture.counter,
    async stop() {
      await close();
      await fixture.stop();
    },
  };
}

async function send(port: number, text: string): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(new TextEncoder().encode(text));
  return connection;
}

/** What comes until the other side closes, or `waitMs` are over. */
async function readAll(
  connection: Deno.TcpConn,
  waitMs: number,
): Promise<{ text: string; isClosed: boolean }> {
  let text = "", isClosed = false;
  const over = setTimeout(() => connection.close(), waitMs);
  const buffer = new Uint8Array(65_536);
  try {
    for (;;) {
      const length = await connection.read(buffer);
      if (length === null) {
        isClosed = true;
        break;
      }
      text += new TextDecoder().decode(buffer.subarray(0, length));
    }
  } catch (error) {
    isClosed = error instanceof Deno.errors.ConnectionReset;
  }
  clearTimeout(over);
  if (isClosed) connection.close();
  return { text, isClosed };
}

const whole = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

Deno.test("half a head is closed after its time, at first and after a request; so is silence", async () => {
  const door = await startDoor({ headMs: 500, idleMs: 2_500 });
  const halves = ["", "GET /heal", "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ", whole];
  const ends = await Promise.all(halves.map(async (text) => {
    const connection = await send(door.port, text);
    if (text === whole) setTimeout(() => connection.write(new TextEncoder().encode("GET /heal")), 300);
    return readAll(connection, 4_000);
  }));
  assertEquals(ends.map(({ isClosed }) => isClosed), [true, true, true, true]);
  assertStringIncludes(ends[3].text, '"status":"ok"');
  assertEquals(door.counter('connections_closed_total{reason="head"}'), 4);
  const idle = await readAll(await send(door.port, whole), 6_000);
  assertStringIncludes(idle.text, '"status":"ok"');
  assert(idle.isClosed);
  assertEquals(door.counter('connections_closed_total{reason="idle"}'), 1);
  await door.stop();
});

Deno.test("a head that comes slowly, but in time, is answered", async () => {
  const door = await startDoor({ headMs: 5_000 });
  const connection = await send(door.port, "GET /healthz HT");
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  await connection.write(new TextEncoder().encode("TP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  assertStringIncludes((await readAll(connection, 3_000)).text, '"status":"ok"');
  await door.stop();
});

Deno.test("one peer holds a bounded number of connections, a trusted proxy as many as there are", async () => {
  const door = await startDoor({ peerMax: 3 });
  const held = [];
  for (let i = 0; i < 3; i++) held.push(await send(door.port, whole));
  assert((await readAll(await send(door.port, whole), 2_000)).isClosed);
  assertEquals(door.counter('connections_refused_total{reason="peer"}'), 1);
  held.pop()!.close();
  await new Promise((resolve) => setTimeout(resolve, 200));
  const again = await send(door.port, `${whole}`);
  assertStringIncludes((await readAll(again, 500)).text, '"status":"ok"');
  for (const connection of held) connection.close();
  await door.stop();

  const proxied = await startDoor({ peerMax: 3, totalMax: 5 }, ["127.0.0.0/8"]);
  const all = [];
  for (let i = 0; i < 5; i++) all.push(await send(proxied.port, whole));
  assert((await readAll(await send(proxied.port, whole), 2_000)).isClosed);
  assertEquals(proxied.counter('connections_refused_total{reason="total"}'), 1);
  for (const connection of all) connection.close();
  await proxied.stop();
});

Deno.test("200 connections that bring nothing leave room for others", async () => {
  const door = await startDoor({ headMs: 1_000 });
  const silent = [];
  for (let i = 0; i < 200; i++) silent.push(await send(door.port, i % 2 ? "" : "POST /login HTTP/1.1\r\n"));
  const response = await fetch(`http://127.0.0.1:${door.port}/healthz`);
  assertEquals((await response.json()).status, "ok");
  const ends = await Promise.all(silent.map((connection) => readAll(connection, 4_000)));
  assertEquals(ends.filter(({ isClosed }) => isClosed).length, 200);
  await door.stop();
});

Deno.test("a body that stops half way is answered 408 in its time", async () => {
  // Ten times as fast, so that the 10 s between two parts of a body are one.
  const fast: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms / 10, signal) };
  const door = await startDoor({}, [], fast);
  const head =
    "POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
  const { text } = await readAll(await send(door.port, head), 2_500);
  assertStringIncludes(text, "HTTP/1.1 408");
  assertEquals(door.counter('request_errors_total{code="body_timeout"}'), 1);
  const gone = await send(door.port, head);
  await new Promise((resolve) => setTimeout(resolve, 200));
  gone.close();
  for (let i = 0; i < 50 && door.counter('request_errors_total{code="body_cut"}') === 0; i++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assertEquals(
    door.counter('request_errors_total{code="body_cut"}'),
    1,
    "whoever hangs up is no fault of ours",
  );
  assertEquals(door.counter('request_errors_total{code="internal"}'), 0);
  await door.stop();
});

Deno.test("what comes in while an answer is streamed is no head; who takes nothing of it is sent away", async () => {
  let cancelled = 0;
  const piece = new Uint8Array(65_536).fill(120);
  /** `/slow`: one piece in 200 ms for 2.4 s; `/all`: as fast as it goes, without end. */
  const api: Api = {
    fetch(request) {
      const isSlow = request.url.endsWith("/slow");
      let sent = 0;
      const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
        async pull(controller) {
          if (isSlow) await new Promise((resolve) => setTimeout(resolve, 200));
          controller.enqueue(isSlow ? piece.subarray(0, 100) : piece);
          if (isSlow && ++sent === 12) controller.close();
        },
        cancel() {
          cancelled++;
        },
      }, { highWaterMark: 0 });
      return Promise.resolve(new Response(body));
    },
  };
  const reporter = createReporter({ component: "test", write: () => undefined, clock: systemClock });
  const { url, close } = listen(
    {
      listen: "127.0.0.1:0",
      certificate: null,
      proxies: new TrustedProxies([]),
      limits: { headMs: 300, idleMs: 2_000 },
    },
    { clock: systemClock, reporter },
    api,
  );
  const port = Number(new URL(url).port);
  const slow = await send(port, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
  setTimeout(() => slow.write(new TextEncoder().encode("GET /")), 500);
  const all = await send(port, "GET /all HTTP/1.1\r\nHost: x\r\n\r\n");
  const { text } = await readAll(slow, 4_000);
  assertEquals(text.split("x".repeat(100)).length, 13);
  for (let i = 0; i < 60 && cancelled === 0; i++) await new Promise((resolve) => setTimeout(resolve, 100));
  assertEquals(cancelled, 1, "it was held for who takes nothing");
  assert((reporter.snapshot().get('connections_closed_total{reason="idle"}') ?? 0) >= 1);
  assertEquals(reporter.snapshot().get('connections_closed_total{reason="head"}'), undefined);
  all.close();
  await close();
});

Deno.test("the server behind answers nobody who does not come through the door", async () => {
  const door = await startDoor({});
  const { stdout } = await new Deno.Command("ss", { args: ["-Hltnp"] }).output();
  const own = new TextDecoder().decode(stdout).split("\n").filter((line) => line.includes(`pid=${Deno.pid},`))
    .map((line) => Number(/127\.86\.0\.1:([0-9]+)/.exec(line)?.[1])).filter((port) =>
      port && port !== door.port
    );
  assert(own.length > 0);
  const answers = await Promise.all(own.map(async (port) => {
    const response = await fetch(`http://127.86.0.1:${port}/healthz`).catch(() => null);
    await response?.body?.cancel();
    return response?.status;
  }));
  assert(answers.includes(421));
  assertEquals(answers.includes(200), false);
  await door.stop();
});
