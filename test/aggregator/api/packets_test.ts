/** Packets as evidence over the API: asked for in answers to check-ins, uploaded by sensors, fetched by analysts;
 * and what hostile sensors try.
 *
 * Method: sensors with keys of their own, a real store, real files.
 * The clock stands at 1,800,000,000 s, flows at `sampleStart`. @module */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { PacketEvidence } from "../../../aggregator/evidence/evidence.ts";
import { PacketFiles } from "../../../aggregator/evidence/packet_files.ts";
import { readCapture } from "../../../aggregator/evidence/pcapng.ts";
import type { PacketRequest } from "../../../shared/control.ts";
import { type PacketsHeader, signPackets, writePacketsHeader } from "../../../shared/packets.ts";
import { uploadOf } from "../evidence/files.ts";
import { type Fixture, healthOf, type Reply, startFixture, TestSensor } from "./fixture.ts";
import { sampleFlow, sampleStart, sampleThreat, sampleWrite } from "./samples.ts";

const threatId = "00112233445566aa";
const threatPath = `/api/v1/threats/${threatId}/packets`;
const inside = sampleStart * 1e6 + 500_000;
const oldest = sampleStart * 1_000 - 60_000;

interface World {
  fixture: Fixture;
  roof: TestSensor;
  cellar: TestSensor;
  flowId: string;
}

/** Two sensors that keep packets, and a threat of one flow that both saw. */
async function start(change: Parameters<typeof startFixture>[0] = () => ({})): Promise<World> {
  const fixture = await startFixture(change);
  const [roof, cellar] = [new TestSensor("roof"), new TestSensor("cellar")];
  for (const sensor of [roof, cellar]) {
    await sensor.enrol(fixture);
    await checkIn(fixture, sensor);
  }
  const { seen_by: [sighting] } = sampleFlow(0);
  const seen_by = [roof, cellar].map(({ id }) => ({ ...sighting, sensor_id: id }));
  const flow = sampleFlow(0, { seen_by, fwd_sensor: roof.id, bwd_sensor: roof.id });
  await fixture.services.store.ingest(sampleWrite([flow]));
  await fixture.services.store.saveThreats([sampleThreat({ flow_ids: [flow.flow_id] })]);
  return { fixture, roof, cellar, flowId: flow.flow_id };
}

/** Checks in; returns what is asked for. */
async function checkIn(fixture: Fixture, sensor: TestSensor, hasRing = true): Promise<PacketRequest[]> {
  fixture.clock.ms += 10_000;
  const ring = { payload: "start", bytes_max: 33_554_432, packets: 9, overwritten: 0, oldest: sampleStart };
  const health = { ...healthOf(sensor.id, fixture.clock.ms), ...(hasRing ? { ring } : {}) };
  const { status, body } = await sensor.checkIn(fixture, health);
  assertEquals(status, 200);
  return body.packets ?? [];
}

type Fields = Partial<Omit<PacketsHeader, "sha256" | "signature">>;

function upload(
  fixture: Fixture,
  sensor: TestSensor,
  request: string,
  body: Uint8Array,
  fields: Fields = {},
  headers: Record<string, string> = {},
): Promise<Reply> {
  const packets = readCapture(body);
  const header = signPackets(
    {
      sensor: sensor.id,
      request,
      outcome: body.length > 0 ? "found" : "absent",
      packets: typeof packets === "string" ? 0 : packets.length,
      left_out: 0,
      oldest,
      ...fields,
    },
    body,
    sensor.keys.privateKey,
  );
  return fixture.ask("POST", "/api/v1/packets", {
    bytes: body,
    headers: { ...writePacketsHeader(header), ...headers },
  });
}

const nothing = new Uint8Array();
const status = async (fixture: Fixture, path = threatPath) =>
  (await fixture.ask("GET", `${path}?as=status`, { role: "analyst" })).body;
const ask = (fixture: Fixture, path = threatPath) => fixture.ask("POST", path, { role: "analyst" });
const outcomes = (fixture: Fixture, outcome: string) =>
  fixture.counter(`packet_uploads_total{outcome="${outcome}"}`);

Deno.test("packets are asked for with the next check-in, arrive, and are fetched as one file of all sensors", async () => {
  const { fixture, roof, cellar, flowId } = await start();
  assertEquals((await status(fixture)).state, "none");
  const none = await fixture.ask("GET", threatPath, { role: "analyst" });
  assertEquals([none.status, none.body.code], [404, "not_found"]);
  assertMatch(none.body.detail, /^Nobody has asked for these packets/);
  const asked = await ask(fixture);
  assertEquals([asked.status, asked.body.state], [202, "asked"]);
  assertEquals(asked.body.sensors.map(({ reason }: { reason: string }) => reason).sort(), [
    "waiting for sensor cellar",
    "waiting for sensor roof",
  ]);
  const [request] = await checkIn(fixture, roof);
  assertEquals(request.flows, [{
    community_id: "1:ytFWF2qnXZ1tVQfXxq75wvICKI4=",
    from_us: sampleStart * 1e6 - 1e6,
    to_us: (sampleStart + 64) * 1e6,
  }]);
  assertEquals(request.bytes_max, 4_194_304);
  const first = await upload(fixture, roof, request.id, uploadOf({ times: [inside, inside + 2] }));
  assertEquals([first.status, first.body], [200, { outcome: "stored" }]);
  assertEquals(await checkIn(fixture, roof), [], "what was answered is not asked for again");
  assertMatch(
    (await status(fixture)).reason,
    /^arrived from sensor roof: 2 packets, \d+ octets; waiting for sensor cellar$/,
  );
  const [other] = await checkIn(fixture, cellar);
  await upload(fixture, cellar, other.id, uploadOf({ times: [inside + 1] }), { left_out: 3 });
  const { state, sensors } = await status(fixture);
  assertEquals([state, sensors.map(({ packets }: { packets: number }) => packets).sort()], ["arrived", [
    1,
    2,
  ]]);
  const got = await fixture.ask("GET", threatPath, { role: "analyst" });
  assertEquals(got.headers.get("content-type"), "application/vnd.tcpdump.pcap");
  assertEquals(
    got.headers.get("content-disposition"),
    `attachment; filename="picket-threat-${threatId}.pcapng"`,
  );
  assert(
    got.text.includes("Sensor cellar, site lab: 1 packets of 1 flows") &&
      got.text.includes("it left out 3 packets"),
  );
  assertEquals(fixture.counter("packet_downloads_total"), 1);
  const files = [...Deno.readDirSync(fixture.packets)];
  assertEquals(files.map(({ name }) => Deno.statSync(`${fixture.packets}/${name}`).mode! & 0o777), [
    0o600,
    0o600,
  ]);
  assertEquals((await ask(fixture)).body.state, "arrived", "asking again changes nothing");
  assertEquals(await checkIn(fixture, roof), []);
  const flow = await ask(fixture, `/api/v1/flows/${flowId}/packets`);
  assertEquals([flow.status, flow.body.state], [202, "asked"]);
  const { rows } = (await fixture.ask("GET", "/api/v1/audit", { role: "admin" })).body;
  assertEquals(
    rows.map(({ action, subject }: Record<string, string>) => `${action} ${subject.split("/")[0]}`),
    ["packets_asked flow", "packets_asked threat", "packets_fetched threat", "packets_asked threat"],
  );
  await fixture.stop();
});

Deno.test("a viewer gets no packets, and nobody those of a threat that is not there", async () => {
  const { fixture, flowId } = await start();
  for (const path of [threatPath, `/api/v1/flows/${flowId}/packets`]) {
    for (const method of ["GET", "POST"]) {
      assertEquals((await fixture.ask(method, path, { role: "viewer" })).status, 403);
      assertEquals((await fixture.ask(method, path)).status, 401);
      const missing = path.replace(/[0-9a-f]{16}/, "0123456789abcdef");
      assertEquals((await fixture.ask(method, missing, { role: "analyst" })).status, 404);
    }
  }
  assertEquals(fixture.counter('packet_requests_total{outcome="asked"}'), 0);
  assertEquals((await fixture.ask("GET", "/api/v1/audit", { role: "admin" })).body.rows, []);
  await fixture.stop();
});

Deno.test("an upload is refused and counted when nobody asked, when another was asked, or when the key does not fit", async () => {
  const { fixture, roof, cellar } = await start();
  const body = uploadOf({ times: [inside] });
  const code = async (reply: Promise<Reply>) => (await reply).body.code;
  assertEquals(await code(upload(fixture, roof, "0123456789abcdef", body)), "not_asked");
  await ask(fixture);
  const [request] = await checkIn(fixture, roof);
  assertEquals(await code(upload(fixture, cellar, request.id, body)), "not_asked");
  // Said before a body is read, which here would be refused for its size.
  const long = new Uint8Array(4_194_305);
  assertEquals(await code(upload(fixture, roof, "0123456789abcdef", long)), "not_asked");
  assertEquals(await code(upload(fixture, cellar, request.id, long)), "not_asked");
  const thief = new TestSensor("thief");
  thief.id = roof.id;
  assertEquals(await code(upload(fixture, thief, request.id, body)), "bad_signature");
  // Each field is signed: one that was changed on the way spoils the signature.
  for (
    const headers of [{ "picket-packets": "2" }, { "picket-oldest": "0" }, { "picket-outcome": "absent" }]
  ) {
    assertEquals(await code(upload(fixture, roof, request.id, body, {}, headers)), "bad_signature");
  }
  thief.id = "s_nobody";
  assertEquals(await code(upload(fixture, thief, request.id, body)), "unknown_sensor");
  assertEquals(await code(fixture.ask("POST", "/api/v1/packets", { bytes: body })), "bad_parameter");
  assertEquals(
    ["not_asked", "bad_signature", "unknown_sensor", "header"].map((one) => outcomes(fixture, one)),
    [4, 4, 1, 1],
  );
  await fixture.services.store.quarantineSensor(roof.id, "copied", fixture.clock.ms);
  fixture.services.directory.forget();
  assertEquals(await code(upload(fixture, roof, request.id, body)), "quarantined");
  assertEquals(await checkIn(fixture, roof), [], "a quarantined sensor is asked for nothing");
  await fixture.services.store.revokeSensor(roof.id, fixture.clock.ms);
  fixture.services.directory.forget();
  assertEquals(await code(upload(fixture, roof, request.id, body)), "revoked");
  assertEquals([...Deno.readDirSync(fixture.packets)], [], "nothing was stored");
  assertEquals((await status(fixture)).state, "asked");
  await fixture.stop();
});

Deno.test("an upload that is too large is refused before it is read whole, and does not end the request", async () => {
  const { fixture, roof } = await start();
  await ask(fixture);
  const [request] = await checkIn(fixture, roof);
  const body = new Uint8Array(4_194_305);
  const said = await upload(fixture, roof, request.id, body, { packets: 1 }, { "content-length": "4194305" });
  assertEquals(said.body.code, "too_large");
  const unsaid = await upload(fixture, roof, request.id, body, { packets: 1 });
  assertEquals(unsaid.body.code, "too_large");
  assertEquals(outcomes(fixture, "too_large"), 2);
  // 4,194,304 octets are read, and then judged.
  const most = await upload(fixture, roof, request.id, body.subarray(1), { packets: 1 });
  assertEquals([most.status, most.body.detail], [422, "damaged"]);
  await fixture.stop();
});

Deno.test("an upload whose content is wrong ends its request as refused, by a word each", async () => {
  const good = uploadOf({ times: [inside] });
  const cases: [string, Uint8Array, Fields][] = [
    ["damaged", good.slice(0, -4), { packets: 1 }],
    ["damaged", new Uint8Array(64), { packets: 1 }],
    ["miscounted", good, { packets: 2 }],
    ["out_of_span", uploadOf({ times: [inside, (sampleStart + 64) * 1e6 + 1] }), {}],
    ["out_of_span", uploadOf({ times: [sampleStart * 1e6 - 1e6 - 1] }), {}],
    ["contradictory", good, { outcome: "absent" }],
    ["contradictory", nothing, { outcome: "found", packets: 1 }],
    ["contradictory", nothing, { outcome: "too_late", packets: 1 }],
  ];
  for (const [reason, body, fields] of cases) {
    const { fixture, roof } = await start();
    await ask(fixture);
    const [request] = await checkIn(fixture, roof);
    const { status: code, body: reply } = await upload(fixture, roof, request.id, body, fields);
    assertEquals([code, reply.code, reply.detail], [422, "bad_packets", reason]);
    assertEquals(outcomes(fixture, reason), 1);
    const { sensors } = await status(fixture);
    const own = sensors.find(({ name }: { name: string }) => name === "roof");
    assertEquals([own.state, own.reason], [
      "refused",
      `not asked for: sensor roof sent something unusable (${reason})`,
    ]);
    assertEquals(await checkIn(fixture, roof), [], "nobody sends it again");
    assertEquals(
      (await ask(fixture)).body.sensors.find(({ name }: { name: string }) => name === "roof").state,
      "asked",
    );
    await fixture.stop();
  }
});

Deno.test("a body that is not the one that was signed is refused, and does not end the request", async () => {
  const { fixture, roof } = await start();
  await ask(fixture);
  const [request] = await checkIn(fixture, roof);
  const signed = uploadOf({ times: [inside] });
  const header = signPackets(
    { sensor: roof.id, request: request.id, outcome: "found", packets: 1, left_out: 0, oldest },
    signed,
    roof.keys.privateKey,
  );
  const bytes = signed.slice();
  bytes[bytes.length - 10] ^= 1;
  const reply = await fixture.ask("POST", "/api/v1/packets", { bytes, headers: writePacketsHeader(header) });
  assertEquals([reply.status, reply.body.detail], [422, "hash"]);
  assertEquals((await checkIn(fixture, roof)).map(({ id }) => id), [request.id]);
  await fixture.stop();
});

Deno.test("the same upload again is a replay; another one for the same request was not asked for", async () => {
  const { fixture, roof } = await start();
  await ask(fixture);
  const [request] = await checkIn(fixture, roof);
  const body = uploadOf({ times: [inside] });
  const codes = [];
  for (const times of [[inside], [inside], [inside + 1]]) {
    const reply = await upload(fixture, roof, request.id, uploadOf({ times }));
    codes.push(reply.body.outcome ?? reply.body.code);
  }
  assertEquals(codes, ["stored", "replay", "not_asked"]);
  const both = await Promise.all([1, 2].map(() => upload(fixture, roof, request.id, body)));
  assertEquals(both.map(({ body }) => body.outcome), ["replay", "replay"]);
  await fixture.stop();
});

Deno.test("what is not in a ring any more, never was, or was never kept is said in words", async () => {
  const cases: [Fields, string, string][] = [
    [
      { outcome: "too_late" },
      "gone",
      "not to be had any more: sensor roof has no packets from before 2027-01-15T07:25:40Z in its ring any more",
    ],
    [
      { outcome: "too_late", oldest: 0 },
      "gone",
      "not to be had any more: sensor roof has an empty ring of packets",
    ],
    [{ outcome: "absent" }, "gone", "not to be had any more: sensor roof found none of them in its ring"],
    [{ outcome: "off" }, "gone", "not to be had any more: sensor roof keeps no packets (--ring-payload)"],
  ];
  for (const [fields, state, words] of cases) {
    const { fixture, roof } = await start();
    await ask(fixture);
    const [request] = await checkIn(fixture, roof);
    assertEquals((await upload(fixture, roof, request.id, nothing, fields)).status, 200);
    const { sensors } = await status(fixture);
    const own = sensors.find(({ name }: { name: string }) => name === "roof");
    assertEquals([own.state, own.reason], [state, words]);
    await fixture.stop();
  }
  const { fixture, roof, cellar } = await start();
  await checkIn(fixture, roof, false);
  await fixture.services.store.revokeSensor(cellar.id, fixture.clock.ms);
  fixture.services.directory.forget();
  const { body } = await ask(fixture);
  assertEquals([body.state, body.sensors.map(({ reason }: { reason: string }) => reason).sort()], [
    "refused",
    [
      "not asked for: sensor cellar is revoked",
      "not asked for: sensor roof keeps no packets (--ring-payload)",
    ],
  ]);
  await fixture.stop();
});

Deno.test("a sensor that does not answer within an hour is asked no more, and what it sends then is refused", async () => {
  const { fixture, roof } = await start();
  await ask(fixture);
  const [request] = await checkIn(fixture, roof);
  fixture.clock.ms += 3_600_000 - 10_001;
  await fixture.services.evidence.turn(fixture.clock.ms);
  assertEquals((await status(fixture)).state, "asked");
  fixture.clock.ms += 1;
  assertEquals(
    (await upload(fixture, roof, request.id, uploadOf({ times: [inside] }))).body.code,
    "not_asked",
  );
  await fixture.services.evidence.turn(fixture.clock.ms);
  const { state, sensors: [own] } = await status(fixture);
  assertEquals([state, own.reason], [
    "gone",
    `not to be had any more: sensor ${own.name} did not answer within 60 min`,
  ]);
  assertEquals(await checkIn(fixture, roof), []);
  await fixture.stop();
});

Deno.test("an aggregator that starts again still asks, still has the files, and sweeps what no request stands for", async () => {
  const { fixture, roof, cellar } = await start();
  await ask(fixture);
  const [request] = await checkIn(fixture, roof);
  await upload(fixture, roof, request.id, uploadOf({ times: [inside] }));
  for (const name of ["0123456789abcdef.pcapng", `${request.id}.part`, "notes.txt"]) {
    await Deno.writeTextFile(`${fixture.packets}/${name}`, "left over");
  }
  const { store, directory, clock, reporter, randomBytes } = fixture.services;
  const files = new PacketFiles(fixture.packets);
  const again = new PacketEvidence({}, { store, files, directory, clock, reporter, randomBytes });
  again.start();
  for (let i = 0; i < 100 && fixture.counter("packet_files_swept_total") < 2; i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await again.stop();
  assertEquals(
    [...Deno.readDirSync(fixture.packets)].map(({ name }) => name).sort(),
    [`${request.id}.pcapng`, "notes.txt"].sort(),
  );
  assertEquals((await again.wanted(cellar.id, clock.nowMs())).length, 1);
  assertEquals((await again.download(`threat/${threatId}`, clock.nowMs())) !== null, true);
  await fixture.stop();
});
