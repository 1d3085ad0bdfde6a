/** A day leaves the store after its archive is whole; one that cannot be archived stays until the disk forces it.
 * @module */

import { assert, assertEquals } from "@std/assert";
import { ArchiveThread, type DayKeeper } from "../../../aggregator/archive/archive_thread.ts";
import { readManifests } from "../../../aggregator/archive/manifest.ts";
import type { StoredDay } from "../../../aggregator/model/retention.ts";
import type { RetentionLimits } from "../../../aggregator/retention/plan.ts";
import { Retention } from "../../../aggregator/retention/retention.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { allFlows, date, day, fill, onBothStores, passwordOf, withoutPassword } from "../archive/stores.ts";
import { TestClock } from "../api/fixture.ts";
import { flowsOf, flowWrite, nothing, nowMs, t0 } from "../store/rows.ts";

const dayMs = 86_400_000;
const kept = { rows: 1, octets: 1, unreadable: 0 } as Awaited<ReturnType<DayKeeper["keep"]>>;

/** One turn over two old days and one new, with a keeper of the test's. */
async function turn(
  limits: RetentionLimits,
  keep: (tries: number, isFinal: boolean, days: StoredDay[]) => void,
  afterMs = 40 * dayMs,
) {
  const lines: string[] = [];
  const reporter = createReporter({ component: "test", write: (line) => lines.push(line) });
  const clock = new TestClock();
  clock.ms = day * 1e3 + afterMs;
  const days: StoredDay[] = [0, 1, 40].map((n) => ({
    day: day + n * 86_400,
    flows: 100,
    stored_ms: (day + n * 86_400) * 1e3,
    gone: ["seconds", "tens", "minutes", "hours"],
  }));
  const calls: string[] = [];
  let tries = 0;
  const store = {
    prepareDays: () => Promise.resolve(),
    readDays: () => Promise.resolve(days.map((one) => ({ ...one }))),
    readSize: () => Promise.resolve(1_000),
    dropDay: (at: number, part: string) => {
      calls.push(`drop ${part} ${(at - day) / 86_400}`);
      return Promise.resolve();
    },
    forgetDay: () => Promise.resolve(),
    pruneLedger: () => Promise.resolve(0),
    pruneTalkers: () => Promise.resolve(),
    pruneGaps: () => Promise.resolve(0),
    pruneDecisions: () => Promise.resolve(),
    pruneHealth: () => Promise.resolve(0),
    takeLease: () => Promise.resolve({ holder: "test", generation: 1, position: "" }),
    moveLease: () => Promise.resolve(true),
    releaseLease: () => Promise.resolve(),
  };
  const archive: DayKeeper = {
    keep(one, isFinal) {
      calls.push(`keep ${(one.day - day) / 86_400}${isFinal ? " final" : ""}`);
      keep(++tries, isFinal, days);
      return Promise.resolve(kept);
    },
  };
  const retention = new Retention(limits, { store, holder: "test", clock, reporter, archive });
  await retention.turn();
  return { calls, lines: lines.join("\n"), count: reporter.snapshot(), problem: retention.archiveProblem() };
}

const byAge = { flowDays: 30, bytesMax: 0 };

Deno.test("a day is archived, then made final, then dropped", async () => {
  const { calls, problem } = await turn(byAge, () => {});
  assertEquals(calls, ["keep 0", "keep 0 final", "drop flows 0", "keep 1", "keep 1 final", "drop flows 1"]);
  assertEquals(problem, null);
});

Deno.test("a day that cannot be archived stays, counted and said; the others leave", async () => {
  const { calls, problem, count, lines } = await turn(byAge, (tries) => {
    if (tries === 1) throw new Error("the folder is read-only");
  });
  assertEquals(calls, ["keep 0", "keep 1", "keep 1 final", "drop flows 1"]);
  assertEquals(problem, `${date}: the folder is read-only`);
  assertEquals(count.get('archives_failed_total{reason="age"}'), 1);
  assertEquals(count.get("days_archived_total"), 1);
  assert(lines.includes("the folder is read-only") && lines.includes(date), lines);
});

Deno.test("the disk budget drops a day without an archive, as an error that names it", async () => {
  const limits = { flowDays: 3_650, bytesMax: 900 };
  const { calls, problem, count, lines } = await turn(limits, () => {
    throw new Error("no space left");
  });
  assertEquals(calls, ["keep 0", "drop flows 0"]);
  assertEquals(count.get("days_dropped_unarchived_total"), 1);
  assert(/error.*is dropped without an archive/.test(lines) && lines.includes(date), lines);
  assertEquals(problem, `${date}: no space left`);
});

Deno.test("what comes while a day is archived is archived too, three times at most", async () => {
  const add = (times: number) => (tries: number, isFinal: boolean, days: StoredDay[]) => {
    if (tries <= times && !isFinal) days[0].stored_ms++;
    else if (tries <= times) days[0].flows++;
  };
  const once = await turn(byAge, add(1));
  assertEquals(once.calls.slice(0, 4), ["keep 0", "keep 0", "keep 0 final", "drop flows 0"]);
  const twice = await turn(byAge, add(2));
  assertEquals(twice.calls.slice(0, 4), ["keep 0", "keep 0", "keep 0 final", "drop flows 0"]);
  const thrice = await turn(byAge, add(3));
  assertEquals(thrice.calls.slice(0, 3), ["keep 0", "keep 0", "keep 0 final"]);
  assert(!thrice.calls.includes("drop flows 0"));
  assertEquals(thrice.problem, `${date}: flows were added to it while it was archived 3 times`);
});

Deno.test("a day that another aggregator let leave meanwhile is not archived as an empty one", async () => {
  const { calls, problem } = await turn(byAge, (_tries, _isFinal, days) => {
    days[0].flows = 0;
    days[0].gone.push("flows");
  });
  assertEquals(calls.slice(0, 3), ["keep 0", "drop flows 0", "keep 1"]);
  assertEquals(problem, null);
});

onBothStores("retention archives on a thread of its own, while ingest goes on", async (place) => {
  const { store, folder, reporter } = place;
  await fill(store, 3_000);
  const clock = new TestClock();
  clock.ms = (day + 3 * 86_400) * 1e3;
  const archive = new ArchiveThread({
    url: withoutPassword(place.url),
    password: passwordOf(place.url),
    ca: null,
    folder: `${folder}/archive`,
    bucket: null,
  });
  const retention = new Retention({ flowDays: 2, bytesMax: 0 }, {
    store,
    holder: "test",
    clock,
    reporter,
    archive,
  });
  const turned = retention.turn();
  const late = flowWrite(day - t0 + 86_405, { stored_ms: nowMs, updated_ms: nowMs });
  await store.ingest({ ...nothing(), ...flowsOf([late]) });
  await turned;
  const { manifests } = await readManifests(`${folder}/archive`);
  assertEquals(manifests.map(({ day, rows, is_final }) => [day, rows, is_final]), [
    ["2026-01-14", 1, true],
    [date, 3_000, true],
  ]);
  assertEquals(retention.archiveProblem(), null);
  assertEquals((await allFlows(store)).length, 2);
  await Deno.writeTextFile(`${folder}/file`, "");
  clock.ms += 10 * dayMs;
  const broken = new ArchiveThread({
    url: place.url,
    password: "",
    ca: null,
    folder: `${folder}/file`,
    bucket: null,
  });
  const second = new Retention({ flowDays: 1, bytesMax: 0 }, {
    store,
    holder: "test",
    clock,
    reporter,
    archive: broken,
  });
  await second.turn();
  assert(second.archiveProblem() !== null);
  assertEquals((await allFlows(store)).length, 2);
});
