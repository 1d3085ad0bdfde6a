/** What the topic of rollouts must do: one at a time, changed only from what it was, audited, bounded. @module */

import { assert, assertEquals } from "@std/assert";
import type { RolloutRow } from "../../../../aggregator/model/upgrade.ts";
import type { Test } from "../contract.ts";
import { nowMs } from "../rows.ts";

const by = { name: "ann", keyId: "0123456789ab" };

function rollout(change: Partial<RolloutRow> = {}): Omit<RolloutRow, "id"> {
  return {
    version: "1.1.0",
    canary: "tag=canary",
    canary_ms: 3_600_000,
    step_percent: 25,
    step_ms: 7_200_000,
    allow_older: false,
    state: "running",
    percent: 0,
    stage_ms: nowMs,
    attempt: 1,
    reason: null,
    created_ms: nowMs,
    created_by: "ann",
    ...change,
  };
}

export function rolloutCases(test: Test): void {
  test("keeps rollouts whole, the newest first, and begins none while one runs or is paused", async ({ store, reopen }) => {
    assertEquals(await store.readRollouts(10), []);
    const first = await store.addRollout(rollout({ allow_older: true, created_by: "x".repeat(100) }), by);
    assertEquals(await store.addRollout(rollout(), by), null);
    const [row] = await store.readRollouts(10);
    assertEquals(row, { ...rollout({ allow_older: true, created_by: "x".repeat(64) }), id: first! });
    assert(await store.changeRollout(row, { state: "paused" }, null));
    assertEquals(await store.addRollout(rollout(), by), null);
    assert(
      await store.changeRollout({ ...row, state: "paused" }, { state: "halted", reason: "roof: é" }, null),
    );
    const second = await store.addRollout(rollout({ version: "1.1.0+2" }), by);
    const again = await reopen();
    const rows = await again.readRollouts(10);
    assertEquals(rows.map(({ id, state, reason }) => [id, state, reason]), [
      [second, "running", null],
      [first, "halted", "roof: é"],
    ]);
    assertEquals((await again.readRollouts(1)).map(({ version }) => version), ["1.1.0+2"]);
  });

  test("changes a rollout only from what it was decided about, and the same once", async ({ store }) => {
    await store.addRollout(rollout(), by);
    const [was] = await store.readRollouts(1);
    const step = () => store.changeRollout(was, { percent: 25, stage_ms: nowMs + 5 }, null);
    const done = await Promise.all([step(), step(), step()]);
    assertEquals(done.filter(Boolean).length, 1);
    for (
      const other of [{ ...was, percent: 50 }, { ...was, state: "paused" as const }, { ...was, attempt: 2 }]
    ) {
      assertEquals(await store.changeRollout(other, { state: "cancelled" }, null), false);
    }
    const [now] = await store.readRollouts(1);
    assertEquals([now.percent, now.stage_ms, now.state], [25, nowMs + 5, "running"]);
    const changed = { state: "halted" as const, reason: "y".repeat(500) };
    assert(await store.changeRollout(now, changed, null));
    assertEquals((await store.readRollouts(1))[0].reason?.length, 400);
  });

  test("of rollouts that begin at once one does", async ({ store }) => {
    await store.addRollout(rollout({ state: "done" }), by);
    const begun = await Promise.all([1, 2, 3].map(() => store.addRollout(rollout(), by)));
    assertEquals(begun.filter((id) => id !== null).length, 1);
  });

  test("audits who began and who changed a rollout, and not what it did by itself", async ({ store }) => {
    const id = await store.addRollout(rollout(), by);
    const [was] = await store.readRollouts(1);
    await store.changeRollout(was, { percent: 25 }, null);
    const actor = { actor: by, action: "upgrade_cancel" as const, nowMs };
    await store.changeRollout({ ...was, percent: 25 }, { state: "cancelled" }, actor);
    await store.changeRollout({ ...was, percent: 99 }, { state: "cancelled" }, actor);
    const { rows } = await store.readAudit({ limit: 10 });
    assertEquals(rows.map(({ action, subject, made_by }) => [action, subject, made_by]), [
      ["upgrade_cancel", String(id), "ann"],
      ["upgrade_start", String(id), "ann"],
    ]);
  });

  test("forgets the oldest of more than 200 rollouts", async ({ store }) => {
    const first = await store.addRollout(rollout({ state: "done" }), by);
    for (let i = 1; i < 200; i++) await store.addRollout(rollout({ state: "done" }), by);
    assertEquals((await store.readRollouts(1_000)).at(-1)?.id, first);
    await store.addRollout(rollout({ state: "done" }), by);
    const rows = await store.readRollouts(1_000);
    assertEquals([rows.length, rows.at(-1)!.id], [200, first! + 1]);
  });
}
