/** Tests of check-ins: signature, clock offset, being revoked, being alone. @module */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { sha256Hex, verifyText } from "../../../shared/batch.ts";
import { publicKeyFromRaw } from "../../../shared/batch.ts";
import type { CheckInRequest } from "../../../shared/control.ts";
import { checkInMessage } from "../../../shared/control_messages.ts";
import { AggregatorClient, type Answer, refusalOf } from "../../../sensor/aggregator_client.ts";
import { CheckIn } from "../../../sensor/control/check_in.ts";
import { createIdentity } from "../../../sensor/control/identity.ts";
import { FakeDisk } from "../ship/fake_disk.ts";
import { counted, FakeClock, silentReporter } from "../ship/helpers.ts";

/** An aggregator without a socket: answers after 40 ms each way, with its own clock. */
class FakeClient extends AggregatorClient {
  asked: { path: string; body: string; signature: string }[] = [];
  aheadMs = 0;
  answer: ((nowMs: number) => Partial<Extract<Answer, { ok: true }>>) | null = null;
  isAway = false;
  constructor(readonly clock: FakeClock) {
    super({ url: "http://aggregator.test" });
  }
  override async postJson(path: string, body: string, headers: Record<string, string> = {}): Promise<Answer> {
    this.asked.push({ path, body, signature: headers["picket-signature"] });
    if (this.isAway) return { ok: false, problem: "unreachable", message: "nobody there" };
    await this.clock.sleep(40);
    const nowMs = this.clock.nowMs() + this.aheadMs;
    await this.clock.sleep(40);
    const given = this.answer?.(nowMs) ??
      { body: { received_ms: nowMs, answered_ms: nowMs, config_version: 0, revoked: false } };
    return { ok: true, status: 200, body: null, retryAfterMs: null, dateMs: null, ...given };
  }
}

async function open() {
  const clock = new FakeClock();
  const { reporter, lines } = silentReporter();
  const disk = new FakeDisk();
  const identity = await createIdentity(disk, "/state", new Uint8Array(32).fill(1));
  const enrolled = { sensor_id: "s1", name: "a", site: "b", buckets: 1, kafka: null };
  identity.enrolment = { ...enrolled, aggregator: "", aggregator_ca: null };
  const client = new FakeClient(clock);
  const answers: (boolean | null)[] = [];
  const checkIn = new CheckIn({}, {
    client,
    identity,
    report: () => ({ sensor_id: "s1" } as Omit<CheckInRequest, "sent_ms">),
    onAnswer: (revoked) => void answers.push(revoked),
    clock,
    reporter,
    random: () => 0.5,
  });
  return { clock, reporter, lines, identity, client, answers, checkIn };
}

async function stop(checkIn: CheckIn, clock: FakeClock): Promise<void> {
  const stopped = checkIn.stop();
  await clock.advance(10_000);
  await stopped;
}

Deno.test("check-in is signed over id, stamp and body, and comes every 10 s", async () => {
  const { clock, identity, client, checkIn } = await open();
  checkIn.start();
  await clock.advance(35_000);
  assertEquals(client.asked.length, 4);
  for (const { path, body, signature } of client.asked) {
    assertEquals(path, "/api/v1/check-in");
    const message = checkInMessage("s1", JSON.parse(body).sent_ms, sha256Hex(body));
    assert(verifyText(message, signature, publicKeyFromRaw(identity.publicKey)));
  }
  await stop(checkIn, clock);
});

Deno.test("check-in tells how far the aggregator's clock is ahead, even while ours is stepped", async () => {
  const { clock, client, checkIn, reporter } = await open();
  client.aheadMs = 123_456;
  checkIn.start();
  await clock.advance(100);
  assertEquals(checkIn.offsetMs, 123_456);
  assertEquals(counted(reporter, "clock_offset_ms"), 123_456);
  await clock.advance(9_990);
  clock.step(3_600_000); // In the middle of the second exchange, before the aggregator looked at its own clock.
  client.aheadMs -= 3_600_000;
  await clock.advance(100);
  assertEquals(checkIn.offsetMs, 123_456);
  await stop(checkIn, clock);
});

Deno.test("check-in goes on while the aggregator is away, and says so once it is back", async () => {
  const { clock, client, answers, checkIn, reporter, lines } = await open();
  client.isAway = true;
  checkIn.start();
  await clock.advance(25_000);
  assertEquals(client.asked.length, 3);
  assertEquals(checkIn.problem, "nobody there");
  assertEquals(counted(reporter, "check_in_errors_total", "unreachable"), 3);
  client.isAway = false;
  await clock.advance(10_000);
  assertEquals(checkIn.problem, null);
  assert(lines.some((line) => line.includes("answers check-ins again")));
  assertEquals(answers, [null, null, null, false]);
  await stop(checkIn, clock);
});

Deno.test("check-in reports being revoked, by answer and by refusal, and nothing on other errors", async () => {
  const { clock, client, answers, checkIn } = await open();
  const said = [
    { body: { received_ms: 1, answered_ms: 1, config_version: 0, revoked: true } },
    { status: 403, body: { code: "quarantined", title: "The sensor is quarantined" } },
    { status: 500, body: null },
    { status: 200, body: { surprise: true } },
  ];
  client.answer = () => said[answers.length] ?? said[3];
  checkIn.start();
  await clock.advance(35_000);
  assertEquals(answers, [true, true, null, null]);
  await stop(checkIn, clock);
});

Deno.test("check-in refuses an interval that would be a flood", async () => {
  const { client, identity, clock, reporter } = await open();
  const deps = { client, identity, clock, reporter, random: () => 0, onAnswer: () => {} };
  assertThrows(
    () => new CheckIn({ intervalMs: 10 }, { ...deps, report: () => ({} as CheckInRequest) }),
    RangeError,
    'Cannot check in as "intervalMs" must be >= 1000: current value is 10',
  );
});

Deno.test("refusals of every shape have a code and a message", () => {
  const detail = "Choose another name";
  const message = "Another sensor has this name";
  assertEquals(refusalOf({ code: "name_taken", title: message, detail }), {
    code: "name_taken",
    message,
    detail,
  });
  assertEquals(refusalOf({ reason: "bucket" }), { code: "bucket", message: "bucket", detail: "" });
  for (const nothing of [null, undefined, 7, "text", [], { error: null }]) {
    assertEquals(refusalOf(nothing), { code: "unknown", message: "no reason", detail: "" });
  }
});
