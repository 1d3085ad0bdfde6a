/** `packets`: what it asks, how long it waits, what it writes, and what it says when there is nothing. @module */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { packetsCommand } from "../../../aggregator/commands/packets_command.ts";
import { signPackets, writePacketsHeader } from "../../../shared/packets.ts";
import { systemClock } from "../../../shared/clock.ts";
import { startHostileWorld } from "../dashboard/hostile.ts";
import { healthOf, TestSensor } from "../api/fixture.ts";
import { sampleFlow, sampleStart, sampleThreat, sampleWrite } from "../api/samples.ts";
import { uploadOf } from "../evidence/files.ts";
import { runInside, withFolder } from "./harness.ts";

const id = "00112233445566ff";

Deno.test("packets asks, waits with a word, writes one file for this user alone, and never over another", async () => {
  const world = await startHostileWorld();
  const { fixture } = world;
  const sensor = new TestSensor("gate");
  await sensor.enrol(fixture);
  const checkIn = async () => {
    fixture.clock.ms += 10_000;
    const ring = { payload: "start", bytes_max: 1, packets: 9, overwritten: 0, oldest: sampleStart };
    return (await sensor.checkIn(fixture, { ...healthOf(sensor.id, fixture.clock.ms), ring })).body.packets;
  };
  await checkIn();
  const flow = sampleFlow(170, { fwd_sensor: sensor.id, bwd_sensor: sensor.id });
  await fixture.services.store.ingest(sampleWrite([flow]));
  await fixture.services.store.saveThreats([sampleThreat({ id, flow_ids: [flow.flow_id] })]);
  await withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/analyst.key`, fixture.keys.analyst);
    const file = `${folder}/evidence.pcapng`;
    const run = (...args: string[]) =>
      runInside(
        [packetsCommand],
        ["packets", ...args, "--state", folder, "--url", world.url, "--key-file", `${folder}/analyst.key`],
        { clock: fixture.clock },
      );
    const early = await run(id, "--wait-s", "0", "-o", file);
    assertEquals([early.code, early.stdout], [
      1,
      "waiting for sensor gate\nno packets: waiting for sensor gate",
    ]);
    const before = fixture.clock.asleep;
    const waiting = run(id, "-o", file, "--wait-s", "3600");
    // It has asked, and said whom it waits for, when it sleeps.
    for (let i = 0; i < 500 && fixture.clock.asleep === before; i++) await systemClock.sleep(10);
    const [request] = await checkIn();
    const body = uploadOf({ times: [flow.start * 1e6] });
    const fields = {
      sensor: sensor.id,
      request: request.id,
      outcome: "found" as const,
      packets: 1,
      left_out: 0,
    };
    const header = signPackets({ ...fields, oldest: 1 }, body, sensor.keys.privateKey);
    const sent = await fixture.ask("POST", "/api/v1/packets", {
      bytes: body,
      headers: writePacketsHeader(header),
    });
    assertEquals(sent.status, 200);
    // The command sleeps on the fixture's clock between two looks.
    for (let i = 0; i < 200 && !await Deno.stat(file).then(() => true, () => false); i++) {
      fixture.clock.advance(1_000);
      await systemClock.sleep(10);
    }
    const done = await waiting;
    assertEquals(done.code, 0, done.stderr);
    assertEquals(
      done.stdout,
      `arrived from sensor gate: 1 packets, ${body.length} octets\nwritten to ${file}`,
    );
    assertStringIncludes(done.stderr, "waiting for sensor gate");
    assertEquals((await Deno.stat(file)).mode! & 0o777, 0o600);
    const again = await run(id, "-o", file);
    assertEquals(again.code, 3);
    assertStringIncludes(again.stderr, "it is there already");
    const json = await run(id, "-o", `${folder}/other.pcapng`, "--json");
    assertEquals(JSON.parse(json.stdout).state, "arrived");
    const byFlow = await run(flow.flow_id, "--wait-s", "0");
    assertEquals([byFlow.code, byFlow.stdout.split("\n")[0]], [1, "waiting for sensor gate"]);
    for (
      const [given, code, words] of [
        ["nonsense", 2, "an id has 16 hexadecimal digits"],
        ["0123456789abcdef", 1, "There is no flow with this id"],
      ] as const
    ) {
      const wrong = await run(given);
      assertEquals(wrong.code, code);
      assertStringIncludes(wrong.stderr, words);
    }
    await Deno.writeTextFile(`${folder}/analyst.key`, fixture.keys.viewer);
    assertEquals((await run(id)).code, 2, "a viewer gets no packets");
  });
  await world.stop();
});
