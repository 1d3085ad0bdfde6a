/** What the topic of sinks must do: changes ticked off with what tells of them, and messages that leave one way only.
 * @module */

import { assertEquals } from "@std/assert";
import type { OutboxMessage } from "../../../../aggregator/model/message.ts";
import { blankMessage } from "../../../../aggregator/sinks/message.ts";
import type { Test } from "../contract.ts";
import { nowMs, threat } from "../rows.ts";

function waiting(id: string, dueMs: number): OutboxMessage {
  return {
    sink: "chat",
    id,
    state: "waiting",
    made_ms: dueMs,
    due_ms: dueMs,
    attempts: 0,
    reason: "",
    message: blankMessage(id, "test", nowMs),
  };
}

export function sinkCases(test: Test): void {
  test("ticks changes off for sinks under the lease alone, and keeps what changed meanwhile", async ({ store }) => {
    await store.saveThreats([threat("a"), threat("b")]);
    const changes = await store.readSinkChanges(10);
    assertEquals(changes.map(({ id, isNew }) => [id, isNew]), [["a", true], ["b", true]]);
    await store.setThreatStatus("b", "acknowledged", nowMs);
    const old = (await store.takeLease("sinks", "a", 60_000))!;
    await store.releaseLease("sinks", "a");
    const lease = (await store.takeLease("sinks", "b", 60_000))!;
    const told = [{ sink: "chat", subject: "lab|x", severity_rank: 2, until_s: 7.5, told_ms: nowMs }];
    const write = { position: "5", told, messages: [waiting("m1", nowMs)] };
    assertEquals(await store.noteForSinks("sinks", old, write, changes), false);
    assertEquals([(await store.readSinkChanges(10)).length, await store.readTold("chat", ["lab|x"])], [
      2,
      [],
    ]);
    assertEquals(await store.noteForSinks("sinks", lease, write, changes), true);
    assertEquals((await store.readSinkChanges(10)).map(({ id, isNew }) => [id, isNew]), [["b", false]]);
    assertEquals(await store.readTold("chat", ["lab|x", "lab|y"]), told);
    assertEquals((await store.readDueMessages("chat", nowMs, 10)).map(({ id }) => id), ["m1"]);
    await store.pruneTold(nowMs + 1);
    assertEquals(await store.readTold("chat", ["lab|x"]), []);
  });

  test("puts messages off, forgets those that were sent, keeps the newest dead ones", async ({ store, reopen }) => {
    const lease = (await store.takeLease("sinks", "a", 60_000))!;
    const messages = [1, 2, 3, 4].map((n) => waiting(`m${n}`, nowMs + n));
    await store.noteForSinks("sinks", lease, { position: "5", told: [], messages }, []);
    assertEquals((await store.readDueMessages("chat", nowMs + 2, 10)).map(({ id }) => id), ["m1", "m2"]);
    await store.postponeMessage("chat", "m1", nowMs + 50, "x".repeat(500));
    assertEquals((await store.readDueMessages("chat", nowMs + 49, 10)).map(({ id }) => id), [
      "m2",
      "m3",
      "m4",
    ]);
    await store.forgetMessage("chat", "m2");
    assertEquals(await store.giveUpMessage("chat", "m3", "refused", 1), 0);
    assertEquals(await store.giveUpMessage("chat", "m4", "refused", 1), 1);
    const again = await reopen();
    assertEquals((await again.readDeadMessages("chat", 10)).map(({ id, attempts }) => [id, attempts]), [[
      "m4",
      1,
    ]]);
    const [late] = await again.readDueMessages("chat", nowMs + 50, 10);
    assertEquals([late.id, late.attempts, late.reason.length], ["m1", 1, 400]);
    assertEquals(late.message, messages[0].message);
    assertEquals((await again.countMessages()).map(({ sink, waiting, dead }) => [sink, waiting, dead]), [[
      "chat",
      1,
      1,
    ]]);
  });

  test("finds the digest that can still be added to", async ({ store }) => {
    const lease = (await store.takeLease("sinks", "a", 60_000))!;
    const digest = waiting("digest-9", nowMs + 9);
    await store.noteForSinks("sinks", lease, {
      position: "",
      told: [],
      messages: [digest, waiting("m", nowMs + 9)],
    }, []);
    assertEquals((await store.readOpenDigest("chat", nowMs + 8))?.id, "digest-9");
    assertEquals(await store.readOpenDigest("chat", nowMs + 9), null);
    assertEquals(await store.readOpenDigest("mail", nowMs), null);
    const grown = { ...digest, due_ms: 1, message: { ...digest.message, incidents: 7 } };
    await store.noteForSinks("sinks", lease, { position: "", told: [], messages: [grown] }, []);
    const found = await store.readOpenDigest("chat", nowMs + 8);
    assertEquals([found?.message.incidents, found?.due_ms], [7, nowMs + 9], "when it is due stays");
  });
}
