/** What the topic of identities must do: one token, one sensor. @module */

import { assertEquals } from "@std/assert";
import type { CanaryState } from "../../../../aggregator/model/sensor.ts";
import type { Test } from "../contract.ts";
import { ledgerRow, nothing, nowMs } from "../rows.ts";

export function identityCases(test: Test): void {
  const token = {
    site: "lab",
    tags: ["a", "b"],
    created_ms: nowMs,
    expires_ms: nowMs + 900_000,
    uses_max: 1,
    uses: 0,
    needs_approval: false,
    revoked_ms: null,
    used_ms: null,
    used_by: null,
  };
  const sensor = (n: number) => ({
    sensor_id: `s-${n}`,
    name: `sensor-${n}`,
    key_id: `key${n}`,
    public_key: `public${n}`,
  });

  test("reads those check-ins alone that are newer than the known ones", async ({ store }) => {
    await store.addJoinToken({ ...token, token_hash: "h1", uses_max: 120 });
    const all = Array.from({ length: 120 }, (_, i) => i);
    for (const i of all) await store.redeemJoinToken("h1", sensor(i), nowMs);
    const write = (index: number, atMs: number) => ({
      sensorId: sensor(index).sensor_id,
      checkIn: { sensor_id: `s-${index}`, epoch: 3, sent_ms: atMs } as never,
      nowMs: atMs,
      clockOffsetMs: 0,
      ended: [],
    });
    await store.saveCheckIns(all.map((index) => write(index, nowMs + 1_000)));
    const first = await store.readSensors(new Map());
    assertEquals(first, await store.readSensors(), "nothing is known");
    const marked = { ...first[0].check_in!, version: "known" };
    const known = new Map(first.map((row) => [row.sensor_id, { ...row, check_in: marked }]));
    const late = "s-5", early = "s-6";
    await store.saveCheckIns([write(5, nowMs + 2_000)]);
    known.get(early)!.last_check_in_ms = nowMs + 9_000;
    const rows = new Map((await store.readSensors(known)).map((row) => [row.sensor_id, row]));
    assertEquals(rows.get(late)?.check_in, write(5, nowMs + 2_000).checkIn);
    assertEquals([...rows.values()].filter(({ check_in }) => check_in === marked).length, 119);
    assertEquals(rows.get(early)?.last_check_in_ms, nowMs + 1_000);
    assertEquals((await store.readSensors(null)).filter(({ check_in }) => check_in !== null), []);
  });

  test("enrols with a token once, and knows the same sensor again", async ({ store }) => {
    await store.addJoinToken({ ...token, token_hash: "h1" });
    assertEquals((await store.redeemJoinToken("other", sensor(1), nowMs)).outcome, "unknown_token");
    assertEquals((await store.redeemJoinToken("h1", sensor(1), nowMs + 900_000)).outcome, "expired_token");
    const enrolled = await store.redeemJoinToken("h1", sensor(1), nowMs);
    assertEquals([enrolled.outcome, enrolled.sensor?.site, enrolled.sensor?.tags], ["enrolled", "lab", [
      "a",
      "b",
    ]]);
    assertEquals(await store.readSensors(), [enrolled.sensor!]);
    const again = await store.redeemJoinToken("h1", { ...sensor(1), sensor_id: "s-new" }, nowMs + 1_000_000);
    assertEquals([again.outcome, again.sensor?.sensor_id], ["same_sensor", "s-1"]);
    assertEquals((await store.redeemJoinToken("h1", sensor(2), nowMs)).outcome, "used_token");
    await store.addJoinToken({ ...token, token_hash: "h2" });
    const namesake = { ...sensor(3), name: "sensor-1" };
    assertEquals((await store.redeemJoinToken("h2", namesake, nowMs)).outcome, "name_taken");
    assertEquals((await store.redeemJoinToken("h2", sensor(2), nowMs)).outcome, "enrolled");
  });

  test("lets exactly one of many redemptions at once enrol", async ({ store }) => {
    await store.addJoinToken({ ...token, token_hash: "h1" });
    const all = await Promise.all(
      Array.from({ length: 40 }, (_, i) => store.redeemJoinToken("h1", sensor(i), nowMs)),
    );
    assertEquals(all.filter(({ outcome }) => outcome === "enrolled").length, 1);
    assertEquals(all.filter(({ outcome }) => outcome === "used_token").length, 39);
    assertEquals((await store.readSensors()).length, 1);
  });

  test("lets exactly one of many sensors take a name", async ({ store }) => {
    const hashes = Array.from({ length: 12 }, (_, i) => `h${i}`);
    for (const token_hash of hashes) await store.addJoinToken({ ...token, token_hash });
    const all = await Promise.all(
      hashes.map((hash, i) => store.redeemJoinToken(hash, { ...sensor(i), name: "same" }, nowMs)),
    );
    assertEquals(all.filter(({ outcome }) => outcome === "enrolled").length, 1);
    assertEquals(all.filter(({ outcome }) => outcome === "name_taken").length, 11);
  });

  test("keeps check-ins, revocations and quarantines", async ({ store }) => {
    await store.addJoinToken({ ...token, token_hash: "h1" });
    await store.redeemJoinToken("h1", sensor(1), nowMs);
    const checkIn = { sensor_id: "s-1", version: "0.1.0", epoch: 3 } as never;
    await store.saveCheckIns([
      { sensorId: "s-1", checkIn, nowMs: nowMs + 5, clockOffsetMs: -12.5, ended: [] },
      { sensorId: "nobody", checkIn, nowMs, clockOffsetMs: 0, ended: [] },
    ]);
    await store.quarantineSensor("s-1", "two copies", nowMs + 6);
    await store.quarantineSensor("s-1", "again", nowMs + 7);
    assertEquals(await store.revokeSensor("s-1", nowMs + 8), true);
    assertEquals(await store.revokeSensor("s-1", nowMs + 9), true);
    assertEquals(await store.revokeSensor("nobody", nowMs), false);
    await store.ingest({ ...nothing(), ledger: [{ ...ledgerRow(1), sensor_id: "s-1" }] });
    const [row] = await store.readSensors();
    assertEquals([row.last_check_in_ms, row.clock_offset_ms, row.check_in], [nowMs + 5, -12.5, checkIn]);
    assertEquals([row.quarantined_ms, row.quarantine_reason, row.revoked_ms], [
      nowMs + 6,
      "two copies",
      nowMs + 8,
    ]);
    assertEquals([row.last_batch_ms, row.enrolled_ms], [nowMs, nowMs]);
  });

  test("keeps the newest eight ended epochs of a sensor, with what is missing of them", async ({ store }) => {
    await store.addJoinToken({ ...token, token_hash: "h1" });
    await store.redeemJoinToken("h1", sensor(1), nowMs);
    const checkIn = { sensor_id: "s-1", version: "0.1.0", epoch: 3 } as never;
    const end = (epoch: number, in_flows: number) =>
      store.saveCheckIns([{
        sensorId: "s-1",
        checkIn,
        nowMs,
        clockOffsetMs: 0,
        ended: [{ epoch, in_flows, last_ms: nowMs }],
      }]);
    await end(1, 100);
    await end(1, 999);
    const row = { sensor_id: "s-1", epoch: 1, in_flows: 100, last_ms: nowMs, missing: null, found_ms: null };
    assertEquals(await store.readEndedEpochs(), [row]);
    await store.noteMissing("s-1", 1, 30, nowMs + 1);
    await store.noteMissing("s-1", 1, 20, nowMs + 2);
    assertEquals(await store.readEndedEpochs("s-1"), [{ ...row, missing: 20, found_ms: nowMs + 1 }]);
    assertEquals(await store.readEndedEpochs("s-2"), []);
    for (let epoch = 2; epoch <= 10; epoch++) await end(epoch, epoch);
    assertEquals((await store.readEndedEpochs()).map(({ epoch }) => epoch), [3, 4, 5, 6, 7, 8, 9, 10]);
    await store.forgetEndedEpoch("s-1", 3);
    assertEquals((await store.readEndedEpochs()).length, 7);
    await store.changeSensor("s-1", { kind: "remove" }, nowMs);
    assertEquals(await store.readEndedEpochs(), []);
  });

  test("keeps API keys", async ({ store, reopen }) => {
    const row = {
      key_hash: "k1",
      name: "für alle",
      role: "viewer" as const,
      created_ms: nowMs,
      revoked_ms: null,
      expires_ms: nowMs + 60_000,
    };
    await store.addApiKey(row);
    assertEquals(await (await reopen()).readApiKeys(), [row]);
  });

  test("revokes an API key once, and no other", async ({ store }) => {
    const key = (n: number) => ({
      key_hash: `k${n}`,
      name: "x",
      role: "viewer" as const,
      created_ms: nowMs + n,
      revoked_ms: null,
      expires_ms: null,
    });
    await store.addApiKey(key(1));
    await store.addApiKey(key(2));
    await store.revokeApiKey("k1", nowMs + 5);
    await store.revokeApiKey("k1", nowMs + 6);
    assertEquals((await store.readApiKeys()).map(({ revoked_ms }) => revoked_ms), [nowMs + 5, null]);
  });

  test("enrols as many sensors with a token as it has uses, also at once, and lists it", async ({ store }) => {
    await store.addJoinToken({ ...token, token_hash: "h1", uses_max: 3 });
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, i) => store.redeemJoinToken("h1", sensor(i), nowMs)),
    );
    assertEquals(all.filter(({ outcome }) => outcome === "enrolled").length, 3);
    assertEquals(all.filter(({ outcome }) => outcome === "used_token").length, 17);
    const [row] = await store.readJoinTokens();
    assertEquals([row.uses, row.uses_max, row.tags, row.used_ms], [3, 3, ["a", "b"], nowMs]);
    const first = all.find(({ outcome }) => outcome === "enrolled")!.sensor!;
    const again = await store.redeemJoinToken("h1", { ...first, sensor_id: "s-new" }, nowMs + 1_000_000);
    assertEquals([again.outcome, again.sensor?.sensor_id], ["same_sensor", first.sensor_id]);
  });

  test("takes nobody in with a revoked token", async ({ store }) => {
    await store.addJoinToken({ ...token, token_hash: "abcdef0123456789" });
    assertEquals(await store.revokeJoinToken("abcdef012345", nowMs + 1), true);
    assertEquals(await store.revokeJoinToken("fff", nowMs), false);
    assertEquals(
      (await store.redeemJoinToken("abcdef0123456789", sensor(1), nowMs)).outcome,
      "revoked_token",
    );
    assertEquals((await store.readJoinTokens())[0].revoked_ms, nowMs + 1);
  });

  test("frees the name of a revoked, a quarantined and a removed sensor, and no other", async ({ store }) => {
    const enrol = async (n: number) => {
      await store.addJoinToken({ ...token, token_hash: `h${n}` });
      return (await store.redeemJoinToken(`h${n}`, { ...sensor(n), name: "roof" }, nowMs)).outcome;
    };
    assertEquals([await enrol(1), await enrol(2)], ["enrolled", "name_taken"]);
    await store.revokeSensor("s-1", nowMs);
    assertEquals([await enrol(3), await enrol(4)], ["enrolled", "name_taken"]);
    await store.quarantineSensor("s-3", "two copies", nowMs);
    assertEquals([await enrol(5), await enrol(6)], ["enrolled", "name_taken"]);
    assertEquals(await store.changeSensor("s-5", { kind: "remove" }, nowMs), "changed");
    assertEquals([await enrol(7), await enrol(8)], ["enrolled", "name_taken"]);
    assertEquals(await store.changeSensor("s-3", { kind: "release" }, nowMs), "name_taken");
    assertEquals(await store.changeSensor("s-3", { kind: "rename", name: "roof-2" }, nowMs), "changed");
    assertEquals(await store.changeSensor("s-3", { kind: "release" }, nowMs), "changed");
    const rows = await store.readSensors();
    assertEquals(rows.map(({ name, revoked_ms, quarantined_ms }) => [name, revoked_ms, quarantined_ms]), [
      ["roof", nowMs, null],
      ["roof", null, null],
      ["roof-2", null, null],
    ]);
  });

  test("does not take a key again under another name, nor that of a revoked sensor", async ({ store }) => {
    for (const token_hash of ["h1", "h2", "h3"]) await store.addJoinToken({ ...token, token_hash });
    await store.redeemJoinToken("h1", sensor(1), nowMs);
    assertEquals(
      (await store.redeemJoinToken("h2", { ...sensor(1), name: "x" }, nowMs)).outcome,
      "key_taken",
    );
    assertEquals((await store.redeemJoinToken("h2", sensor(1), nowMs)).outcome, "same_sensor");
    await store.revokeSensor("s-1", nowMs);
    assertEquals((await store.redeemJoinToken("h3", sensor(1), nowMs)).outcome, "key_taken");
  });

  test("holds a sensor back until it is approved, and approval lifts no other quarantine", async ({ store }) => {
    await store.addJoinToken({ ...token, token_hash: "h1", needs_approval: true, uses_max: 2 });
    const { sensor: pending } = await store.redeemJoinToken("h1", sensor(1), nowMs);
    assertEquals([pending!.approved_ms, pending!.quarantined_ms], [null, nowMs]);
    assertEquals(await store.changeSensor("s-1", { kind: "release" }, nowMs + 1), "changed");
    assertEquals((await store.readSensors())[0].quarantined_ms, nowMs, "a release is no approval");
    assertEquals(await store.changeSensor("s-1", { kind: "approve" }, nowMs + 2), "changed");
    assertEquals(await store.changeSensor("s-1", { kind: "approve" }, nowMs + 3), "changed");
    const [row] = await store.readSensors();
    assertEquals([row.approved_ms, row.quarantined_ms, row.quarantine_reason], [nowMs + 2, null, null]);
    await store.quarantineSensor("s-1", "two copies", nowMs + 4);
    await store.changeSensor("s-1", { kind: "approve" }, nowMs + 5);
    assertEquals((await store.readSensors())[0].quarantine_reason, "two copies");
    assertEquals(await store.changeSensor("s-1", { kind: "tag", tags: ["roof"] }, nowMs), "changed");
    assertEquals((await store.readSensors())[0].tags, ["roof"]);
    for (const kind of ["approve", "release", "remove"] as const) {
      assertEquals(await store.changeSensor("nobody", { kind }, nowMs), "unknown_sensor");
    }
  });

  test("keeps what became of canaries, and who is asked for one, beside check-ins", async ({ store, reopen }) => {
    for (const n of [1, 2]) {
      await store.addJoinToken({ ...token, token_hash: `h${n}` });
      await store.redeemJoinToken(`h${n}`, sensor(n), nowMs);
    }
    const [fresh] = await store.readSensors();
    assertEquals([fresh.canary, fresh.canary_asked_ms], [null, null]);
    const state: CanaryState = {
      sent_ms: nowMs - 4_000.5,
      announced_ms: nowMs,
      missing: ["eth0; DROP TABLE's", "é \u{1f980}"],
      is_missed: true,
      missed: 3,
      arrived_ms: null,
      arrived_sent_ms: null,
    };
    await store.saveCanaries(new Map());
    await store.saveCanaries(new Map([["s-1", state], ["nobody", state]]));
    await store.saveCanaries(new Map([["s-1", { ...state, missed: 4 }]]));
    const by = { name: "ada", keyId: "0123456789ab" };
    assertEquals(await store.askCanary("s-2", nowMs + 1, by), true);
    assertEquals(await store.askCanary("nobody", nowMs + 1, by), false);
    const again = await reopen();
    for (const known of [undefined, null, new Map()]) {
      const rows = await again.readSensors(known);
      assertEquals(rows.map(({ canary, canary_asked_ms }) => [canary, canary_asked_ms]), [
        [{ ...state, missed: 4 }, null],
        [null, nowMs + 1],
      ]);
    }
    const { rows } = await again.readAudit({ limit: 10 });
    assertEquals(rows.map(({ action, subject, made_by }) => [action, subject, made_by]), [[
      "sensor_canary",
      "s-2",
      "ada",
    ]]);
  });
}
