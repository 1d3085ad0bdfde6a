/** What the topic of identities must do: one token, one sensor. @module */

import { assertEquals } from "@std/assert";
import type { Test } from "../contract.ts";
import { ledgerRow, nothing, nowMs } from "../rows.ts";

export function identityCases(test: Test): void {
  const token = {
    site: "lab",
    tags: ["a", "b"],
    created_ms: nowMs,
    expires_ms: nowMs + 900_000,
    used_ms: null,
    used_by: null,
  };
  const sensor = (n: number) => ({
    sensor_id: `s-${n}`,
    name: `sensor-${n}`,
    key_id: `key${n}`,
    public_key: `public${n}`,
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
    await store.saveCheckIn("s-1", checkIn, nowMs + 5, -12.5);
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

  test("keeps API keys", async ({ store, reopen }) => {
    const row = {
      key_hash: "k1",
      name: "für alle",
      role: "viewer" as const,
      created_ms: nowMs,
      revoked_ms: null,
    };
    await store.addApiKey(row);
    assertEquals(await (await reopen()).readApiKeys(), [row]);
  });
}
