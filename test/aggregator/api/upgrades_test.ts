/** Upgrades over the API: begun, offered, downloaded, watched, halted, resumed. @module */

import { gunzipSync } from "node:zlib";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { signText } from "../../../shared/batch.ts";
import { partMessage, releaseKeyId } from "../../../shared/release.ts";
import type { CheckInRequest } from "../../../shared/control.ts";
import { here, releaseKey, releaseOf, tinyProgram } from "../../sensor/control/upgrade_fixture.ts";
import { addRelease } from "./releases.ts";
import { type Fixture, healthOf, startFixture, TestSensor } from "./fixture.ts";

const idle = {
  target: here,
  slot: "installed",
  key: releaseKeyId(releaseKey),
  state: "idle",
  offer: null,
  version: null,
  problem: null,
  received: 0,
} as const;

class World {
  constructor(readonly fixture: Fixture) {}

  static async open(): Promise<World> {
    return new World(await startFixture());
  }

  admin(method: string, path: string, json?: unknown) {
    return this.fixture.ask(method, `/api/v1${path}`, {
      role: "admin",
      ...(json === undefined ? {} : { json }),
    });
  }

  async checkIn(
    sensor: TestSensor,
    version: string,
    upgrade: Partial<CheckInRequest["upgrade"]> | null = {},
  ) {
    const { clock, services } = this.fixture;
    clock.ms += 10_000;
    const health = { ...healthOf(sensor.id, clock.ms), version };
    const given = upgrade === null ? health : { ...health, upgrade: { ...idle, ...upgrade } };
    await sensor.checkIn(this.fixture, given as CheckInRequest);
    services.rollouts.forget();
    clock.ms += 1;
    return (await sensor.checkIn(this.fixture, { ...given, sent_ms: clock.ms } as CheckInRequest)).body
      .upgrade;
  }

  async states(): Promise<Record<string, string>> {
    const { sensors } = (await this.admin("GET", "/upgrades/newest")).body;
    return Object.fromEntries(
      sensors.map(({ name, state }: { name: string; state: string }) => [name, state]),
    );
  }
}

Deno.test("a version is offered to the canaries, then to the rest, and not to who has it", async () => {
  const world = await World.open(), { fixture } = world;
  const release = releaseOf(tinyProgram(0));
  await addRelease(fixture, release);
  const roof = new TestSensor("roof"), cellar = new TestSensor("cellar"), old = new TestSensor("old");
  for (const sensor of [roof, cellar, old]) {
    const enrolled = await sensor.enrol(fixture);
    assertEquals(enrolled.body.release_key, releaseKey);
  }
  await world.admin("POST", "/sensors/cellar/tags", { tags: ["indoor"] });
  await world.admin("POST", "/sensors/old/tags", { tags: [] });
  assertEquals(await world.checkIn(roof, "1.0.0"), null);
  const listed = (await world.admin("GET", "/releases")).body;
  assertEquals([listed.key, listed.rows.length, listed.rows[0].version], [
    releaseKeyId(releaseKey),
    1,
    "1.1.0",
  ]);
  const begun = await world.admin("POST", "/upgrades", {
    version: "1.1.0",
    canary: "tag=roof",
    canary_s: 60,
    step_percent: 100,
    step_s: 0,
  });
  assertEquals([begun.status, begun.body.version], [200, "1.1.0"]);
  const { id } = begun.body;
  const { manifest, signature } = release.offer;
  const offer = { offer: `${id}.1`, manifest, signature, allow_older: false };
  assertEquals(await world.checkIn(roof, "1.0.0"), offer);
  assertEquals(await world.checkIn(cellar, "1.0.0"), null);
  assertEquals(await world.checkIn(old, "1.0.0", null), null);
  assertEquals(await world.states(), { roof: "offered", cellar: "waiting", old: "unable" });
  await fixture.services.rollouts.step(fixture.clock.ms + 100_000);
  assertEquals((await world.admin("GET", `/upgrades/${id}`)).body.rollout.percent, 0);
  assertEquals(await world.checkIn(roof, "1.1.0", { offer: `${id}.1`, version: "1.1.0" }), null);
  await fixture.services.rollouts.step(fixture.clock.ms + 100_000);
  assertEquals((await world.admin("GET", `/upgrades/${id}`)).body.rollout.percent, 100);
  assertEquals(await world.checkIn(cellar, "1.0.0"), offer);
  assertEquals(await world.checkIn(cellar, "1.1.0", { offer: `${id}.1`, version: "1.1.0" }), null);
  await world.checkIn(roof, "1.1.0", { offer: `${id}.1`, version: "1.1.0" });
  await fixture.services.rollouts.step(fixture.clock.ms);
  const { rollout, counts } = (await world.admin("GET", "/upgrades/newest")).body;
  assertEquals([rollout.state, counts.done, counts.unable], ["done", 2, 1]);
  assertEquals(fixture.counter('upgrade_steps_total{step="done"}'), 1);
  assertEquals(await world.checkIn(old, "1.0.0"), offer, "whoever comes later gets it too");
  await fixture.stop();
});

Deno.test("a canary that fails halts the rollout, is named in the fleet, and tries again after a resumption", async () => {
  const world = await World.open(), { fixture } = world, roof = new TestSensor("roof");
  await addRelease(fixture, releaseOf(tinyProgram(0)));
  await roof.enrol(fixture);
  await world.checkIn(roof, "1.0.0");
  const { id } = (await world.admin("POST", "/upgrades", { version: "1.1.0", canary: "percent=1" })).body;
  const failed = { state: "failed", offer: `${id}.1`, version: "1.1.0", problem: "it crashed" } as const;
  await world.checkIn(roof, "1.0.0", failed);
  await fixture.services.rollouts.step(fixture.clock.ms);
  const { rollout } = (await world.admin("GET", `/upgrades/${id}`)).body;
  assertEquals([rollout.state, rollout.reason], ["halted", "canary roof failed: it crashed"]);
  assertEquals(await world.checkIn(roof, "1.0.0", failed), null);
  const shown = (await world.admin("GET", "/sensors/roof")).body;
  assertStringIncludes(
    shown.reasons.join(),
    "Upgrade to version 1.1.0 failed, version 1.0.0 runs: it crashed",
  );
  assertEquals((await world.admin("POST", `/upgrades/${id}/pause`)).body.code, "wrong_state");
  assertEquals((await world.admin("POST", `/upgrades/${id}/resume`)).body.state, "running");
  assertEquals((await world.checkIn(roof, "1.0.0", failed)).offer, `${id}.2`);
  assertEquals((await world.admin("POST", `/upgrades/${id}/pause`)).body.state, "paused");
  assertEquals(await world.checkIn(roof, "1.0.0"), null);
  const other = await world.admin("POST", "/upgrades", { version: "1.1.0" });
  assertEquals([other.status, other.body.code], [409, "upgrade_running"]);
  assertEquals((await world.admin("POST", `/upgrades/${id}/resume`)).body.state, "running");
  assertEquals((await world.checkIn(roof, "1.0.0")).offer, `${id}.2`, "a pause is no new attempt");
  assertEquals((await world.admin("POST", `/upgrades/${id}/cancel`)).body.state, "cancelled");
  assertEquals(await world.checkIn(roof, "1.0.0"), null);
  assertEquals((await world.admin("POST", `/upgrades/${id}/cancel`)).body.code, "wrong_state");
  const { rows } = (await world.admin("GET", "/audit")).body;
  assertEquals(
    rows.map(({ action }: { action: string }) => action).filter((a: string) => a.startsWith("upgrade")),
    [
      "upgrade_cancel",
      "upgrade_resume",
      "upgrade_pause",
      "upgrade_resume",
      "upgrade_start",
    ],
  );
  await fixture.stop();
});

Deno.test("an upgrade that makes no sense is refused with its field", async () => {
  const world = await World.open(), { fixture } = world;
  await addRelease(fixture, releaseOf(tinyProgram(0)));
  const cases = [
    [{ version: "1.1" }, 400, "bad_body", "version"],
    [{ version: "1.2.0" }, 409, "no_release", "version"],
    [{ version: "1.1.0", canary: "percent=0" }, 400, "bad_body", "canary"],
    [{ version: "1.1.0", canary: "site=lab" }, 400, "bad_body", "canary"],
    [{ version: "1.1.0", step_percent: 0 }, 400, "bad_body", "step_percent"],
    [{ version: "1.1.0", canary_s: -1 }, 400, "bad_body", "canary_s"],
  ] as const;
  for (const [json, wanted, code, field] of cases) {
    const { status, body } = await world.admin("POST", "/upgrades", json);
    assertEquals([status, body.code, body.field], [wanted, code, field]);
  }
  assertEquals((await world.admin("GET", "/upgrades")).body.rows, []);
  for (const path of ["newest", "1", "x"]) {
    assertEquals((await world.admin("GET", `/upgrades/${path}`)).status, 404);
  }
  await fixture.stop();
});

Deno.test("parts of a program go to sensors that are let in and sign for them, and to nobody else", async () => {
  const world = await World.open(), { fixture } = world, roof = new TestSensor("roof");
  const release = releaseOf(tinyProgram(0, 1_500_000)), { sha256 } = release.manifest;
  await addRelease(fixture, release);
  await roof.enrol(fixture);
  const ask = (sensor: TestSensor, from: number, id = sha256, signed = from, accepted = "identity") =>
    fixture.api.fetch(
      new Request(`http://127.0.0.1:8600/api/v1/releases/${id}/part?from=${from}`, {
        headers: {
          "accept-encoding": accepted,
          "picket-sensor": sensor.id,
          "picket-signature": signText(partMessage(sensor.id, id, signed), sensor.keys.privateKey),
        },
      }),
      { source: "192.0.2.1", isSecure: true },
    );
  const part = await ask(roof, 1_048_576);
  assertEquals([part.status, part.headers.get("content-type")], [200, "application/octet-stream"]);
  assertEquals(part.headers.get("content-encoding"), null);
  assertEquals(new Uint8Array(await part.arrayBuffer()), release.program.slice(1_048_576));
  const packed = await ask(roof, 1_048_576, sha256, 1_048_576, "gzip, br");
  assertEquals([packed.status, packed.headers.get("content-encoding")], [200, "gzip"]);
  assertEquals(
    new Uint8Array(gunzipSync(new Uint8Array(await packed.arrayBuffer()))),
    release.program.slice(1_048_576),
  );
  fixture.clock.ms += 60_000;
  const more = await Promise.all([0, 1, 2, 3, 4].map((from) => ask(roof, from)));
  assertEquals(
    more.map(({ status }) => status),
    [200, 200, 200, 200, 503],
    "four at once, then one a second",
  );
  assertEquals(more[4].headers.get("retry-after"), "1");
  for (const response of more) await response.body?.cancel();
  fixture.clock.ms += 60_000;
  const codeOf = async (response: Promise<Response>) => (await (await response).json()).code;
  assertEquals(await codeOf(ask(roof, 0, sha256, 1)), "bad_signature");
  assertEquals(await codeOf(ask(roof, 0, "0".repeat(64))), "not_found");
  assertEquals(await codeOf(ask(roof, 0, "..%2f..%2fadmin.key")), "bad_signature");
  const stranger = new TestSensor("stranger");
  stranger.id = "s0";
  assertEquals(await codeOf(ask(stranger, 0)), "unknown_sensor");
  assertEquals(
    (await fixture.ask("GET", `/api/v1/releases/${sha256}/part?from=-1`)).body.code,
    "bad_parameter",
  );
  await world.admin("POST", "/sensors/roof/revoke");
  assertEquals(await codeOf(ask(roof, 0)), "revoked");
  await fixture.stop();
});
