/** What leaves, when, and why: literal numbers on both sides of each limit. @module */

import { assertEquals, assertThrows } from "@std/assert";
import type { StoredDay } from "../../../aggregator/model/retention.ts";
import { isEmpty, planDrops } from "../../../aggregator/retention/plan.ts";
import { Retention } from "../../../aggregator/retention/retention.ts";
import { openStore } from "../../../aggregator/store/open.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { TestClock } from "../ingest/fleet.ts";

const day = 1_768_435_200; // 2026-01-15
const endMs = (day + 86_400) * 1_000;
const hour = 3_600_000;

function stored(at: number, changes: Partial<StoredDay> = {}): StoredDay {
  return { day: at, flows: 100, stored_ms: (at + 86_000) * 1_000, gone: [], ...changes };
}

const limits = { flowDays: 30, bytesMax: 0 };
const partsAt = (afterMs: number, changes: Partial<StoredDay> = {}) =>
  planDrops([stored(day, changes)], 0, limits, endMs + afterMs).map(({ part, reason }) =>
    `${part} ${reason}`
  );

Deno.test("a part of a day leaves when its lifetime is over after the day's end", () => {
  assertEquals(partsAt(1 * hour - 1), []);
  assertEquals(partsAt(1 * hour), ["seconds age"]);
  assertEquals(partsAt(24 * hour - 1), ["seconds age"]);
  assertEquals(partsAt(24 * hour), ["seconds age", "tens age"]);
  assertEquals(partsAt(7 * 24 * hour - 1), ["seconds age", "tens age"]);
  assertEquals(partsAt(7 * 24 * hour), ["seconds age", "tens age", "minutes age"]);
  assertEquals(partsAt(30 * 24 * hour - 1, { gone: ["seconds", "tens"] }), ["minutes age"]);
  assertEquals(partsAt(30 * 24 * hour, { gone: ["seconds", "tens", "minutes"] }), ["flows age"]);
  assertEquals(partsAt(365 * 24 * hour - 1, { gone: ["flows", "seconds", "tens", "minutes"] }), []);
  assertEquals(partsAt(365 * 24 * hour, { gone: ["flows", "seconds", "tens", "minutes"] }), ["hours age"]);
});

Deno.test("a capture of long ago lives as long as one of today", () => {
  const old = stored(1_000_000_800, { stored_ms: endMs });
  const planned = (afterMs: number) => planDrops([old], 0, limits, endMs + afterMs).map(({ part }) => part);
  assertEquals(planned(1 * hour - 1), []);
  assertEquals(planned(30 * 24 * hour - 1), ["seconds", "tens", "minutes"]);
  assertEquals(planned(30 * 24 * hour), ["flows", "seconds", "tens", "minutes"]);
});

Deno.test("for want of disk the oldest flows leave until nine tenths are left, never those of the newest day", () => {
  const days = [0, 1, 2, 3, 4].map((n) => stored(day + n * 86_400));
  const nowMs = (day + 4 * 86_400) * 1_000;
  const drops = (bytes: number, bytesMax: number) =>
    planDrops(days, bytes, { flowDays: 30, bytesMax }, nowMs).filter(({ reason }) => reason === "disk").map((
      drop,
    ) => (drop.day - day) / 86_400);
  assertEquals(drops(1_000, 1_000), []);
  assertEquals(drops(1_001, 1_000), [0]);
  assertEquals(drops(1_000, 880), [0, 1]);
  assertEquals(drops(1_000, 890), [0]);
  assertEquals(drops(1_000, 1), [0, 1, 2, 3]);
  assertEquals(drops(1_000_000, 0), []);
});

Deno.test("what leaves for its age is not counted as room to be made", () => {
  const days = [stored(day - 40 * 86_400), stored(day), stored(day + 86_400)];
  const found = planDrops(days, 900, { flowDays: 30, bytesMax: 700 }, (day + 86_400) * 1_000);
  assertEquals(found.filter(({ part }) => part === "flows").map(({ day: at, reason }) => [at, reason]), [
    [day - 40 * 86_400, "age"],
  ]);
  assertEquals(
    isEmpty(stored(day, { flows: 0, gone: ["flows", "seconds", "tens", "minutes", "hours"] })),
    true,
  );
  // A drop of its flows broke off.
  assertEquals(
    isEmpty(stored(day, { flows: 1, gone: ["flows", "seconds", "tens", "minutes", "hours"] })),
    false,
  );
  assertEquals(isEmpty(stored(day, { gone: ["flows", "seconds", "tens", "minutes"] })), false);
});

Deno.test("retention refuses limits that make no sense, and goes on when a turn fails", async () => {
  const reporter = createReporter({ component: "test", write: () => {} });
  const clock = new TestClock();
  let turns = 0;
  const store = {
    takeLease: () => Promise.resolve({ holder: "a", generation: 1, position: "" }),
    moveLease: () => Promise.resolve(true),
    releaseLease: () => Promise.resolve(),
    prepareDays: () => Promise.resolve(),
    readDays: () => Promise.reject(new Error(`turn ${++turns}`)),
    readSize: () => Promise.resolve(0),
    dropDay: () => Promise.resolve(),
    forgetDay: () => Promise.resolve(),
    pruneLedger: () => Promise.resolve(0),
    pruneTalkers: () => Promise.resolve(),
    pruneGaps: () => Promise.resolve(0),
    pruneDecisions: () => Promise.resolve(),
    pruneHealth: () => Promise.resolve(0),
  };
  assertThrows(
    () => new Retention({ flowDays: 0, bytesMax: 0 }, { store, holder: "a", clock, reporter }),
    RangeError,
  );
  assertThrows(
    () => new Retention({ flowDays: 1, bytesMax: -1 }, { store, holder: "a", clock, reporter }),
    RangeError,
  );
  const retention = new Retention(limits, { store, holder: "a", clock, reporter });
  await retention.start();
  for (let i = 0; i < 3; i++) {
    for (let wait = 0; wait < 20; wait++) await Promise.resolve();
    clock.advance(600_000);
  }
  for (let wait = 0; wait < 20; wait++) await Promise.resolve();
  assertEquals([turns >= 3, reporter.snapshot().get("retention_turns_failed_total")], [true, turns]);
  await retention.stop();
});

Deno.test("of several aggregators the one with the lease drops days", async () => {
  const reporter = createReporter({ component: "test", write: () => {} });
  const store = openStore("sqlite::memory:", { reporter });
  await store.start();
  const clock = new TestClock();
  const turns = { a: 0, b: 0 };
  const retentionOf = (holder: keyof typeof turns) =>
    new Retention(limits, {
      store: { ...store, readDays: () => (turns[holder]++, store.readDays()) },
      holder,
      clock,
      reporter,
    });
  const first = retentionOf("a"), second = retentionOf("b");
  await first.turn();
  await second.turn();
  await first.turn();
  assertEquals(turns, { a: 4, b: 0 });
  await first.stop();
  await second.turn();
  assertEquals(turns, { a: 4, b: 2 });
  await store.stop();
});

Deno.test("what rests on flows leaves before the flows of its day", async () => {
  const reporter = createReporter({ component: "test", write: () => {} });
  const clock = new TestClock();
  const calls: string[] = [], decisionsBefore: number[] = [];
  const old = stored(day - 400 * 86_400);
  const store = {
    prepareDays: () => Promise.resolve(),
    readDays: () => Promise.resolve([old]),
    readSize: () => Promise.resolve(0),
    dropDay: (_day: number, part: string) => Promise.resolve(void calls.push(part)),
    forgetDay: () => Promise.resolve(),
    pruneLedger: () => Promise.resolve(0),
    pruneTalkers: () => Promise.resolve(),
    pruneGaps: () => Promise.resolve(0),
    pruneDecisions: (beforeMs: number) => Promise.resolve(void decisionsBefore.push(beforeMs)),
    pruneHealth: () => Promise.resolve(0),
    takeLease: () => Promise.resolve({ holder: "a", generation: 1, position: "" }),
    moveLease: () => Promise.resolve(true),
    releaseLease: () => Promise.resolve(),
  };
  const onFlowsLeaving = (at: number) => Promise.resolve(void calls.push(`before ${at}`));
  await new Retention({ flowDays: 30, bytesMax: 0 }, { store, holder: "a", clock, reporter, onFlowsLeaving })
    .turn();
  assertEquals(calls[calls.indexOf("flows") - 1], `before ${old.day}`);
  assertEquals([...calls].sort(), [`before ${old.day}`, "flows", "hours", "minutes", "seconds", "tens"]);
  assertEquals(
    decisionsBefore.map((ms) => (clock.nowMs() - ms) / 86_400_000),
    [400],
    "what people decided, by days",
  );
});
