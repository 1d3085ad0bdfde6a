/** What sensors call: enrolment, check-in, batches. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ConcurrencyLimit } from "../../../aggregator/api/concurrency_limit.ts";
import { makeJoinToken } from "../../../aggregator/api/admin/tokens.ts";
import { sampleWrite } from "./samples.ts";
import { type CheckInRequest, enrolResponse } from "../../../shared/control.ts";
import { sealBatch, writeHeader } from "../../../shared/batch.ts";
import { type Fixture, healthOf, randomBytes, startFixture, TestSensor } from "./fixture.ts";

async function newToken(fixture: Fixture): Promise<string> {
  const { token, row } = makeJoinToken(randomBytes(24), { site: "lab", tags: [], nowMs: fixture.clock.ms });
  await fixture.services.store.addJoinToken(row);
  return token;
}

Deno.test("enrolment gives a sensor its id, site and buckets, and again with the same token and key", async () => {
  const fixture = await startFixture();
  const token = await newToken(fixture), sensor = new TestSensor("roof");
  const first = await fixture.ask("POST", "/api/v1/enrol", { json: sensor.enrolment(token) });
  assertEquals(first.status, 200);
  const { sensor_id, site, buckets } = enrolResponse.parse(first.body);
  assertEquals([site, buckets], ["lab", 4]);
  const again = await fixture.ask("POST", "/api/v1/enrol", { json: sensor.enrolment(token) });
  assertEquals([again.status, again.body.sensor_id], [200, sensor_id]);
  const other = await fixture.ask("POST", "/api/v1/enrol", {
    json: new TestSensor("other").enrolment(token),
  });
  assertEquals([other.status, other.body.code], [409, "used_token"]);
  await fixture.stop();
});

Deno.test("enrolment refuses unknown and old tokens, taken names and foreign signatures", async () => {
  const fixture = await startFixture();
  const code = async (json: unknown) => (await fixture.ask("POST", "/api/v1/enrol", { json })).body.code;
  assertEquals(await code(new TestSensor("a").enrolment("pj_" + "x".repeat(32))), "unknown_token");
  const old = await newToken(fixture);
  fixture.clock.ms += 15 * 60_000 + 1;
  assertEquals(await code(new TestSensor("a").enrolment(old)), "expired_token");
  await new TestSensor("roof").enrol(fixture);
  assertEquals(await code(new TestSensor("roof").enrolment(await newToken(fixture))), "name_taken");
  const thief = new TestSensor("thief");
  const forged = { ...thief.enrolment(await newToken(fixture)), public_key: new TestSensor("x").publicKey };
  assertEquals(await code(forged), "bad_signature");
  assertEquals(fixture.counter('enrolments_total{outcome="bad_signature"}'), 1);
  await fixture.stop();
});

Deno.test("1,000 redemptions of one token at once enrol exactly one sensor", async () => {
  const fixture = await startFixture();
  const token = await newToken(fixture);
  const replies = await Promise.all(
    Array.from({ length: 1_000 }, (_, i) =>
      fixture.ask("POST", "/api/v1/enrol", {
        json: new TestSensor(`s${i}`).enrolment(token),
        source: `198.51.${i >> 6}.1`,
      })),
  );
  assertEquals(replies.filter((reply) => reply.status === 200).length, 1);
  assertEquals((await fixture.services.store.readSensors()).length, 1);
  await fixture.stop();
});

Deno.test("enrolment makes wrong tokens wait, and takes every sensor with a right one from the same address", async () => {
  const fixture = await startFixture();
  const json = new TestSensor("a").enrolment("pj_" + "x".repeat(32));
  const codes = [];
  for (let i = 0; i < 61; i++) {
    codes.push((await fixture.ask("POST", "/api/v1/enrol", { json })).body.code);
  }
  assertEquals(codes.filter((code) => code === "too_many").length, 1);
  assertEquals(fixture.counter('enrolments_total{outcome="throttled"}'), 1);
  for (let i = 0; i < 300; i++) assertEquals((await new TestSensor(`s${i}`).enrol(fixture)).status, 200);
  assertEquals(fixture.counter('enrolments_total{outcome="enrolled"}'), 300);
  await fixture.stop();
});

Deno.test("a check-in is stored with the clock's offset and shows in the fleet", async () => {
  const fixture = await startFixture(), sensor = new TestSensor("roof");
  await sensor.enrol(fixture);
  for (const delayMs of [400, 30, 900]) {
    fixture.clock.ms += 10_000;
    const { status, body } = await sensor.checkIn(
      fixture,
      healthOf(sensor.id, fixture.clock.ms + 5_000 - delayMs),
    );
    assertEquals([status, body.received_ms, body.revoked], [200, fixture.clock.ms, false]);
  }
  const { body } = await fixture.ask("GET", "/api/v1/fleet", { role: "viewer" });
  assertEquals(body.sensors[0].status, "healthy");
  assertEquals(body.sensors[0].clock_offset_ms, 4_970);
  assertEquals(body.conservation, {
    packets: 1_000,
    in_flows: 990,
    left_out: { not_ip: 10 },
    dropped: 0,
    card_dropped: 0,
    unaccounted: 0,
  });
  assertEquals(body.sensors[0].delivery, { sealed: 4, stored: 0, spooled: 0, dropped: 0, in_flight: 4 });
  await fixture.stop();
});

Deno.test("a clock that is off by any amount is accepted, measured and said, and may be set at any time", async () => {
  for (
    const [offMs, words] of [[7_200_000, "2 h ahead"], [-7_200_000, "2 h behind"], [
      -1_800_000_000_000,
      "behind",
    ]] as const
  ) {
    const fixture = await startFixture(), sensor = new TestSensor("roof");
    await sensor.enrol(fixture);
    const send = (change: (health: CheckInRequest) => void, sentMs: number) => {
      const health = healthOf(sensor.id, sentMs);
      change(health);
      return sensor.checkIn(fixture, health);
    };
    const status = async () => (await fixture.ask("GET", "/api/v1/sensors/roof", { role: "viewer" })).body;
    assertEquals((await send(() => undefined, fixture.clock.ms + offMs)).status, 200);
    assertEquals([(await status()).status, (await status()).clock_offset_ms], ["healthy", offMs]);
    assertStringIncludes((await status()).reasons.join(), words);
    const grown = (health: CheckInRequest) => {
      health.capture.packets++;
      health.capture.in_flows++;
    };
    // Somebody sets the clock: stamps go back or forth, totals only grow.
    fixture.clock.ms += 10_000;
    assertEquals((await send(grown, fixture.clock.ms)).status, 200);
    assertEquals([(await status()).status, (await status()).clock_offset_ms], ["healthy", 0]);
    assertEquals((await status()).reasons, []);
    assertEquals(fixture.counter('check_ins_total{outcome="stored"}'), 2);
    await fixture.stop();
  }
});

Deno.test("a recorded check-in is not played back as today's health, also after a clock was set back", async () => {
  const fixture = await startFixture(), sensor = new TestSensor("roof");
  await sensor.enrol(fixture);
  const at = (sentMs: number, packets: number, total: number) => {
    const health = healthOf(sensor.id, sentMs);
    health.capture.packets = packets;
    health.counters = { check_ins_total: total };
    return health;
  };
  const { ms } = fixture.clock;
  await sensor.checkIn(fixture, at(ms + 7_200_000, 1_000, 1));
  await sensor.checkIn(fixture, at(ms + 10_000, 1_000, 2));
  assertEquals(
    fixture.counter('check_ins_total{outcome="stored"}'),
    2,
    "a silent network still counts check-ins",
  );
  await sensor.checkIn(fixture, at(ms + 9_000, 999, 1));
  await sensor.checkIn(fixture, at(ms + 10_000, 1_000, 2));
  assertEquals(fixture.counter('check_ins_total{outcome="replay"}'), 2);
  const older = { ...at(ms + 20_000, 5_000, 9), sealed: { "0": 2, "1": 1 } };
  await sensor.checkIn(fixture, older);
  assertEquals(fixture.counter('check_ins_total{outcome="replay"}'), 3, "what was sealed stays sealed");
  const before = at(ms + 30_000, 9_000, 99);
  await sensor.checkIn(fixture, { ...before, epoch: before.epoch - 1 });
  assertEquals(fixture.counter('check_ins_total{outcome="replay"}'), 4, "an epoch before is over");
  await fixture.stop();
});

Deno.test("the answer to a check-in says the highest epoch that is known, also to a restored backup", async () => {
  const fixture = await startFixture(), sensor = new TestSensor("roof");
  await sensor.enrol(fixture);
  const send = async (epoch: number) =>
    (await sensor.checkIn(fixture, { ...healthOf(sensor.id, fixture.clock.ms += 1_000), epoch })).body
      .epoch_max;
  assertEquals(await send(1), 0);
  assertEquals(await send(7), 1);
  await fixture.services.store.ingest({
    ...sampleWrite([]),
    ledger: [{
      sensor_id: sensor.id,
      epoch: 9,
      bucket: 0,
      seq: 1,
      sha256: "0".repeat(64),
      flows: 1,
      packets: 1,
      sealed_ms: fixture.clock.ms,
      received_ms: fixture.clock.ms,
    }],
  });
  assertEquals(await send(3), 9);
  await fixture.stop();
});

Deno.test("a check-in of a later epoch leaves what the one before it had counted", async () => {
  const fixture = await startFixture(), sensor = new TestSensor("roof");
  await sensor.enrol(fixture);
  const at = (epoch: number) => ({ ...healthOf(sensor.id, fixture.clock.ms += 10_000), epoch });
  for (const epoch of [1, 1, 2, 2, 4]) await sensor.checkIn(fixture, at(epoch));
  const ended = await fixture.services.store.readEndedEpochs(sensor.id);
  assertEquals(ended.map(({ epoch, in_flows }) => [epoch, in_flows]), [[1, 990], [2, 990]]);
  await fixture.services.store.noteMissing(sensor.id, 2, 45, fixture.clock.ms);
  const { body } = await fixture.ask("GET", "/api/v1/sensors/roof", { role: "viewer" });
  assertEquals(body.holes.map(({ epoch, packets }: Record<string, number>) => [epoch, packets]), [[2, 45]]);
  await fixture.stop();
});

Deno.test("a check-in that is forged, changed, old or played back is not stored", async () => {
  const fixture = await startFixture(), sensor = new TestSensor("roof"), other = new TestSensor("other");
  await sensor.enrol(fixture);
  await other.enrol(fixture);
  const good = healthOf(sensor.id, fixture.clock.ms);
  const keep = other.id;
  other.id = sensor.id;
  assertEquals((await other.checkIn(fixture, good)).body.code, "bad_signature");
  other.id = keep;
  assertEquals((await fixture.services.store.readSensors())[0].check_in, null);
  assertEquals((await sensor.checkIn(fixture, good)).status, 200);
  fixture.clock.ms += 60_000;
  assertEquals((await sensor.checkIn(fixture, good)).status, 200);
  assertEquals(fixture.counter('check_ins_total{outcome="replay"}'), 1);
  assertEquals(fixture.counter('check_ins_total{outcome="stored"}'), 1);
  const { body } = await fixture.ask("GET", "/api/v1/fleet", { role: "viewer" });
  assertEquals(body.sensors.find((row: { name: string }) => row.name === "roof").status, "late");
  await fixture.stop();
});

Deno.test("a revoked sensor is told so, and its batches are refused before their body is read", async () => {
  const fixture = await startFixture(), sensor = new TestSensor("roof");
  await sensor.enrol(fixture);
  const revoked = await fixture.ask("POST", `/api/v1/sensors/${sensor.id}/revoke`, { role: "admin" });
  assertEquals(revoked.status, 200);
  const told = await sensor.checkIn(fixture, healthOf(sensor.id, fixture.clock.ms));
  assertEquals([told.status, told.body.revoked], [200, true]);
  const reply = await fixture.ask("POST", "/api/v1/batches", {
    bytes: new Uint8Array(10),
    headers: header(sensor),
  });
  assertEquals([reply.status, reply.body.reason, reply.body.code], [403, "revoked", "revoked"]);
  assertEquals(fixture.submitted.bodies.length, 0);
  const { body } = await fixture.ask("GET", `/api/v1/sensors/${sensor.id}`, { role: "viewer" });
  assertEquals(body.status, "revoked");
  await fixture.stop();
});

Deno.test("a sensor that waits for approval is seen, not believed, until it is approved; so is one in quarantine", async () => {
  const fixture = await startFixture(), sensor = new TestSensor("roof");
  const made = await fixture.ask("POST", "/api/v1/tokens", { role: "admin", json: { approve: true } });
  assertEquals(made.status, 201);
  const enrolled = await fixture.ask("POST", "/api/v1/enrol", { json: sensor.enrolment(made.body.token) });
  sensor.id = enrolled.body.sensor_id;
  assertEquals((await sensor.checkIn(fixture, healthOf(sensor.id, fixture.clock.ms))).status, 200);
  const send = () =>
    fixture.ask("POST", "/api/v1/batches", { bytes: new Uint8Array([1]), headers: header(sensor) });
  const refused = await send();
  assertEquals([refused.status, refused.body.reason], [403, "quarantined"]);
  const status = async () =>
    (await fixture.ask("GET", "/api/v1/sensors/roof", { role: "viewer" })).body.status;
  assertEquals(await status(), "pending");
  assertEquals((await fixture.ask("POST", "/api/v1/sensors/roof/release", { role: "admin" })).status, 200);
  assertEquals(await status(), "pending", "lifting a quarantine is no approval");
  assertEquals((await fixture.ask("POST", "/api/v1/sensors/roof/approve", { role: "admin" })).status, 200);
  assertEquals([await status(), (await send()).status], ["healthy", 200]);
  await fixture.services.store.quarantineSensor(sensor.id, "two copies", fixture.clock.ms);
  fixture.services.directory.forget();
  assertEquals([await status(), (await send()).status], ["quarantined", 403]);
  assertEquals((await fixture.ask("POST", "/api/v1/sensors/roof/release", { role: "admin" })).status, 200);
  assertEquals([await status(), (await send()).status], ["healthy", 200]);
  await fixture.stop();
});

Deno.test("a name is free once its sensor was revoked, and the sensor behind it is the new one", async () => {
  const fixture = await startFixture(), old = new TestSensor("roof"), young = new TestSensor("roof");
  await old.enrol(fixture);
  assertEquals((await young.enrol(fixture)).body.code, "name_taken");
  assertEquals((await fixture.ask("POST", "/api/v1/sensors/roof/revoke", { role: "admin" })).status, 200);
  assertEquals((await young.enrol(fixture)).status, 200);
  const shown = await fixture.ask("GET", "/api/v1/sensors/roof", { role: "viewer" });
  assertEquals(shown.body.sensor_id, young.id);
  const told = await old.checkIn(fixture, healthOf(old.id, fixture.clock.ms));
  assertEquals(told.body.revoked, true);
  const id = old.id;
  assertEquals((await old.enrol(fixture)).body.code, "key_taken");
  const removed = await fixture.ask("DELETE", `/api/v1/sensors/${id}`, { role: "admin" });
  assertEquals(removed.body, { sensor_id: id, name: "roof" });
  assertEquals((await fixture.services.store.readSensors()).length, 1);
  await fixture.stop();
});

Deno.test("a batch is acknowledged when stored or a replay, and refused with its reason", async () => {
  const fixture = await startFixture(), sensor = new TestSensor("roof");
  await sensor.enrol(fixture);
  const send = () =>
    fixture.ask("POST", "/api/v1/batches", { bytes: new Uint8Array([1, 2]), headers: header(sensor) });
  assertEquals((await send()).body, { outcome: "stored" });
  fixture.submitted.outcome = { outcome: "replay" };
  assertEquals((await send()).body, { outcome: "replay" });
  fixture.submitted.outcome = { outcome: "refused", reason: "signature" };
  const refused = await send();
  assertEquals([refused.status, refused.body.reason], [422, "signature"]);
  const bare = await fixture.ask("POST", "/api/v1/batches", { bytes: new Uint8Array(1) });
  assertEquals([bare.status, bare.body.reason], [400, "header_missing"]);
  const unknown = new TestSensor("nobody");
  unknown.id = "s-unknown";
  const foreign = await fixture.ask("POST", "/api/v1/batches", {
    bytes: new Uint8Array(1),
    headers: header(unknown),
  });
  assertEquals([foreign.status, foreign.body.reason], [401, "unknown_sensor"]);
  assertEquals(fixture.submitted.bodies.length, 3);
  assertEquals(fixture.counter('batches_refused_total{reason="unknown_sensor"}'), 1);
  await fixture.stop();
});

Deno.test("a batch whose header fields nobody signed is refused before its body is read", async () => {
  const fixture = await startFixture(), sensor = new TestSensor("roof"), thief = new TestSensor("thief");
  await sensor.enrol(fixture);
  let pulled = 0;
  const endless = () =>
    new ReadableStream<Uint8Array>({ pull: () => new Promise(() => pulled++) }, { highWaterMark: 0 });
  const good = header(sensor);
  thief.id = sensor.id;
  const cases: [Record<string, string>, string][] = [
    [{ ...good, "picket-seq": "2" }, "signature"],
    [{ ...good, "picket-sha256": "0".repeat(64) }, "signature"],
    [header(thief), "unknown_key"],
    [{ ...header(thief), "picket-key": sensor.keyId }, "signature"],
    [{ ...good, "content-length": "999999999" }, "too_large"],
  ];
  for (const [headers, reason] of cases) {
    const response = await fixture.api.fetch(
      new Request("http://127.0.0.1:8600/api/v1/batches", { method: "POST", headers, body: endless() }),
      { source: "192.0.2.1", isSecure: false },
    );
    assertEquals((await response.json()).reason, reason);
  }
  assertEquals([pulled, fixture.submitted.bodies.length], [0, 0]);
  await fixture.stop();
});

Deno.test("half a batch holds its place for no longer than its deadline, and one sensor never all places", async () => {
  const fixture = await startFixture(({ reporter }) => ({
    uploadLimit: new ConcurrencyLimit({ kind: "upload", activeMax: 4, activePerKeyMax: 2, waitingMax: 8 }, {
      reporter,
    }),
  }));
  const slow = new TestSensor("slow"), other = new TestSensor("other");
  await slow.enrol(fixture);
  await other.enrol(fixture);
  const half = () =>
    fixture.api.fetch(
      new Request("http://127.0.0.1:8600/api/v1/batches", {
        method: "POST",
        headers: header(slow),
        body: new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1)) }),
      }),
      { source: "192.0.2.1", isSecure: false },
    );
  const halves = [half(), half(), half()];
  await settle();
  const bytes = new Uint8Array([1, 2]);
  const good = await fixture.ask("POST", "/api/v1/batches", { bytes, headers: header(other) });
  assertEquals(good.status, 200);
  fixture.clock.advance(9_999);
  await settle();
  assertEquals(fixture.counter('request_errors_total{code="body_timeout"}'), 0);
  fixture.clock.advance(1);
  await settle();
  assertEquals(fixture.counter('request_errors_total{code="body_timeout"}'), 2);
  fixture.clock.advance(10_000);
  const replies = await Promise.all(halves);
  assertEquals(replies.map(({ status }) => status), [408, 408, 408]);
  await Promise.all(replies.map((reply) => reply.body?.cancel()));
  await fixture.stop();
});

/** Lets everything run that waits for nothing. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 2));
}

function header(sensor: TestSensor): Record<string, string> {
  const identity = { sensor: sensor.id, key: sensor.keyId, privateKey: sensor.keys.privateKey };
  const position = { epoch: 1, bucket: 0, seq: 1, flows: 1, sealed: 1 };
  const { header } = sealBatch(new TextEncoder().encode("{}"), identity, position);
  assert(header.signature.length === 88);
  return writeHeader(header);
}

Deno.test("who is asked for a canary learns it at each check-in until it says the question back", async () => {
  const fixture = await startFixture();
  const sensor = new TestSensor("roof");
  await sensor.enrol(fixture);
  let sentMs = fixture.clock.ms;
  const checkIn = async (canary?: CheckInRequest["canary"]) => {
    const health = { ...healthOf(sensor.id, sentMs += 1_000), ...canary && { canary } };
    return (await sensor.checkIn(fixture, health)).body.canary;
  };
  assertEquals(await checkIn(), { arrived: null });
  const asked = await fixture.ask("POST", "/api/v1/sensors/roof/canary", { role: "analyst" });
  const { asked_ms } = asked.body;
  assertEquals([asked.status, asked.body.name, asked_ms], [200, "roof", fixture.clock.ms]);
  assertEquals(await checkIn(), { ask: asked_ms, arrived: null });
  const sent_ms = fixture.clock.ms;
  const flows = [{ interface: "eth0", community_id: `1:${"A".repeat(27)}=`, problem: null }];
  assertEquals(await checkIn({ sent_ms, asked: null, flows }), { ask: asked_ms, arrived: null });
  assertEquals(await checkIn({ sent_ms, asked: asked_ms, flows }), { arrived: null });
  const state = { sent_ms, announced_ms: sent_ms, missing: [], is_missed: false, missed: 0 };
  const arrived = { ...state, arrived_ms: sent_ms, arrived_sent_ms: sent_ms };
  await fixture.services.store.saveCanaries(new Map([[sensor.id, arrived]]));
  fixture.clock.ms += 2_000;
  assertEquals(
    await checkIn(),
    { ask: asked_ms, arrived: sent_ms },
    "it was started again, and has forgotten",
  );
  const shown = await fixture.ask("GET", "/api/v1/sensors/roof", { role: "viewer" });
  assertEquals(shown.body.canary, "no canary was sent yet");
  const { arrived_ms, arrived_at } = shown.body.canary_state;
  assertEquals([arrived_ms, arrived_at], [sent_ms, "2027-01-15T08:00:00.000Z"]);
  fixture.clock.ms += 600_000;
  assertEquals(await checkIn(), { arrived: sent_ms });
  assertEquals(fixture.counter('canaries_total{outcome="asked"}'), 1);
  await fixture.services.store.quarantineSensor(sensor.id, "two copies", fixture.clock.ms);
  fixture.clock.ms += 2_000;
  for (const [path, code] of [["roof", "quarantined"], ["nobody", "not_found"]]) {
    const refused = await fixture.ask("POST", `/api/v1/sensors/${path}/canary`, { role: "admin" });
    assertEquals(refused.body.code, code);
  }
  await fixture.stop();
});

Deno.test("the fleet is asked for by the page, and what is wrong with a question is said", async () => {
  const fixture = await startFixture();
  for (const name of ["attic", "cellar", "roof"]) await new TestSensor(name).enrol(fixture);
  const ask = (query: string) => fixture.ask("GET", `/api/v1/fleet?${query}`, { role: "viewer" });
  const first = (await ask("limit=2")).body;
  assertEquals(first.sensors.map(({ name }: { name: string }) => name), ["attic", "cellar"]);
  assertEquals([first.total, first.fitting, first.summary.never_seen], [3, 3, 3]);
  const { body } = await ask(`limit=2&cursor=${first.next_cursor}`);
  assertEquals([body.sensors[0].name, body.sensors.length, body.next_cursor], ["roof", 1, undefined]);
  assertEquals((await ask("search=CELL")).body.fitting, 1);
  assertEquals((await ask("status=late")).body.fitting, 0);
  for (const [query, field] of [["cursor=x", "cursor"], ["status=ill", "status"], ["limit=1001", "limit"]]) {
    const refused = await ask(query);
    assertEquals([refused.status, refused.body.field], [400, field]);
  }
  await fixture.stop();
});
