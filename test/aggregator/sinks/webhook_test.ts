/** A webhook against a real server: signed, retried, never redirected, never to a private address unless that is said.
 * @module */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { createHmac } from "node:crypto";
import { blankMessage } from "../../../aggregator/sinks/message.ts";
import { Refused } from "../../../aggregator/sinks/sender.ts";
import { isPrivate, webhook } from "../../../aggregator/sinks/webhook.ts";
import { systemClock } from "../../../shared/clock.ts";
import { withWorld } from "./world.ts";

interface Got {
  signal: AbortSignal;
  body: string;
  headers: Headers;
}

async function withServer(
  answer: (got: Got) => Response | Promise<Response>,
  work: (url: string, got: Got[]) => Promise<void>,
): Promise<void> {
  const got: Got[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
    const one = { body: await request.text(), headers: request.headers, signal: request.signal };
    got.push(one);
    return await answer(one);
  });
  try {
    await work(`http://127.0.0.1:${server.addr.port}/in`, got);
  } finally {
    await server.shutdown();
  }
}

const message = blankMessage("0011223344556677", "test", 1_800_000_000_000);
const { signal } = new AbortController();
const open = (url: string, change = {}) =>
  webhook({ url, secret: null, template: "json", mayBePrivate: true, ...change }, { clock: systemClock });

Deno.test("a webhook carries its id, its time and a signature over time and body", () =>
  withServer(() => new Response(null, { status: 204 }), async (url, got) => {
    await open(url, { secret: "s3cret" }).send(message, signal);
    const [{ body, headers }] = got;
    const timestamp = headers.get("x-picket-timestamp")!;
    assert(Math.abs(Number(timestamp) - systemClock.nowMs() / 1_000) < 60);
    const wanted = createHmac("sha256", "s3cret").update(`${timestamp}.${body}`).digest("hex");
    assertEquals(headers.get("x-picket-signature"), `sha256=${wanted}`);
    assertEquals([headers.get("x-picket-id"), JSON.parse(body).title], ["0011223344556677", "Test message"]);
  }));

Deno.test("a redirect is not followed, and a refusal is final", async () => {
  let calls = 0;
  await withServer(() => {
    calls++;
    return new Response(null, { status: 307, headers: { location: "/elsewhere" } });
  }, async (url) => {
    const error = await assertRejects(() => open(url).send(message, signal), Error, "307, a redirect");
    assert(!(error instanceof Refused));
    assertEquals(calls, 1);
  });
  for (
    const [status, isFinal] of [[400, true], [413, true], [401, false], [404, false], [429, false], [
      500,
      false,
    ]] as const
  ) {
    await withServer(() => new Response("no", { status }), async (url) => {
      const error = await assertRejects(() => open(url).send(message, signal), Error, `answered ${status}`);
      assertEquals(error instanceof Refused, isFinal, `${status}`);
    });
  }
});

Deno.test("an error does not give the address away, which can be a secret", async () => {
  for (
    const url of [
      "http://127.0.0.1:1/services/T0/s3cret?key=s3cret",
      "https://127.0.0.1:1/s3cret",
      "http://no.invalid/s3cret",
    ]
  ) {
    const error = await assertRejects(() => open(url).send(message, signal), Error);
    assert(!/s3cret/.test(`${error.message} ${error.stack} ${Deno.inspect(error)}`), error.message);
    assert(error.message.length > 5, error.message);
  }
  const cause = await assertRejects(() => open("http://127.0.0.1:1/s3cret").send(message, signal), Error);
  assertEquals(cause.cause, undefined);
});

Deno.test("private addresses are refused unless that is said, whatever name leads there", async () => {
  await withServer(() => new Response(), async (url, got) => {
    await assertRejects(
      () => open(url, { mayBePrivate: false }).send(message, signal),
      Error,
      "public addresses",
    );
    const named = webhook({
      url: url.replace("127.0.0.1", "hook.example"),
      secret: null,
      template: "json",
      mayBePrivate: false,
    }, {
      clock: systemClock,
      resolve: () => Promise.resolve(["192.0.2.1", "10.0.0.1"]),
    });
    await assertRejects(() => named.send(message, signal), Error, "hook.example must have public addresses");
    assertEquals(got, []);
  });
  for (
    const address of [
      "10.1.2.3",
      "172.31.0.1",
      "192.168.1.1",
      "169.254.169.254",
      "100.64.0.1",
      "0.0.0.0",
      "224.0.0.1",
      "::1",
      "::",
      "fe80::1",
      "fd00::1",
      "::ffff:10.0.0.1",
      "::ffff:8.8.8.8",
      "64:ff9b::a00:1",
      "2002:a00:1::",
      "nonsense",
    ]
  ) {
    assertEquals(isPrivate(address), address !== "::ffff:8.8.8.8", address);
  }
  for (const address of ["8.8.8.8", "172.32.0.1", "100.128.0.1", "192.167.1.1", "2606:4700::1111"]) {
    assertEquals(isPrivate(address), false, address);
  }
});

Deno.test("a server that answers 500, then hangs, then takes it gets each message, others are not held up", () =>
  withWorld(async (world) => {
    let calls = 0;
    const answers = ({ signal }: Got) => {
      calls++;
      if (calls <= 2) return new Response("broken", { status: 500 });
      if (calls === 3) {
        return new Promise<Response>((resolve) =>
          signal.addEventListener("abort", () => resolve(new Response()))
        );
      }
      return new Response();
    };
    await withServer(answers, async (url, got) => {
      const { store, clock } = world;
      const lease = (await store.takeLease("sinks", "a", 60_000))!;
      const messages = ["chat", "mail"].flatMap((sink) =>
        ["m1", "m2"].map((id) => ({
          sink,
          id,
          state: "waiting" as const,
          made_ms: clock.ms,
          due_ms: clock.ms,
          attempts: 0,
          reason: "",
          message: blankMessage(id, "test", clock.ms),
        }))
      );
      await store.noteForSinks("sinks", lease, { position: "", told: [], messages }, []);
      const [chat, mail] = [world.sender(open(url)), world.sender({ send: () => Promise.resolve() }, "mail")];
      assertEquals([await chat.turn(), await mail.turn()], ["failed", "idle"]);
      for (let i = 0; i < 10 && (await store.countMessages()).some(({ waiting }) => waiting > 0); i++) {
        clock.advance(2_000);
        const turning = chat.turn();
        // While it hangs, only time ends the try.
        const hanging = setInterval(() => calls === 3 && clock.advance(1_000), 5);
        await turning;
        clearInterval(hanging);
      }
      assertEquals((await store.countMessages()).map(({ waiting, dead }) => [waiting, dead]), [[0, 0], [
        0,
        0,
      ]]);
      const taken = got.slice(3).map(({ headers }) => headers.get("x-picket-id")).sort();
      assertEquals(taken, ["m1", "m2"]);
    });
  }));
