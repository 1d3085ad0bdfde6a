/** What the topic of retention must do: tell what is stored by days, and let a part of a day go as a whole. @module */

import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../../../shared/clock.ts";
import type { Test } from "../contract.ts";
import { flowsOf, flowWrite, idOf, ledgerRow, nothing, nowMs, sighting, t0, threat } from "../rows.ts";

const day = t0 - t0 % 86_400;

export function retentionCases(test: Test): void {
  test("drops a day of flows with its sightings and leaves the others", async ({ store }) => {
    await store.prepareDays((day - 86_400) * 1_000);
    const numbers = [-90_000, -80_000, 0, 1, 90_000];
    const writes = numbers.map((n) => ({
      ...flowWrite(n),
      sightings: [sighting("s-one", n), sighting("s-two", n)],
    }));
    await store.ingest({ ...nothing(), ...flowsOf(writes) });
    await store.saveThreats([threat("t1", { flow_ids: numbers.map((n) => idOf(n)) })]);
    await store.prepareDays(nowMs);
    const days = await store.readDays();
    assertEquals(days.map(({ day: at, flows, gone }) => [(at - day) / 86_400, flows, gone.length]), [
      [-1, 2, 0],
      [0, 2, 0],
      [1, 1, 0],
    ]);
    assertEquals(days.map(({ stored_ms }) => stored_ms), [nowMs, nowMs, nowMs]);
    await store.dropDay(day - 86_400, "flows");
    const left = async () => (await store.readFlows({}, { limit: 10 })).rows;
    assertEquals((await left()).map(({ flow_id }) => flow_id), [90_000, 1, 0].map((n) => idOf(n)));
    assert((await left()).every(({ seen_by }) => seen_by.length === 2));
    assertEquals((await store.readFlows({ threat_id: "t1" }, { limit: 10 })).rows.length, 3);
    assertEquals((await store.readDays())[0].gone, ["flows"]);
    await store.dropDay(day, "flows");
    assertEquals((await left()).map(({ flow_id }) => flow_id), [idOf(90_000)]);
    // What comes late for a day that is gone is stored, and leaves again.
    await store.ingest({ ...nothing(), ...flowsOf([flowWrite(5)]) });
    assertEquals((await store.readDays()).map(({ gone }) => gone), [["flows"], [], []]);
    await store.dropDay(day, "flows");
    await store.dropDay(day, "flows");
    assertEquals((await left()).length, 1);
    await store.forgetDay(day);
    assertEquals((await store.readDays()).length, 2);
    assert(await store.readSize() > 10_000);
  });

  test("lets everybody else have a turn while it drops and prunes", async ({ store }) => {
    const count = 9_000;
    const numbers = Array.from({ length: count }, (_, n) => n);
    const traffic = numbers.map((n) => ({
      second: day + n,
      sensor_id: "s-one",
      protocol: "tcp",
      flows: 1,
      packets: 2,
      bytes: 3,
    }));
    const ledger = numbers.map((n) => ({ ...ledgerRow(n + 1), received_ms: nowMs + n }));
    await store.ingest({ ...nothing(), ...flowsOf(numbers.map((n) => flowWrite(n))), traffic, ledger });
    /** Turns of the event loop that others had meanwhile. */
    const turnsDuring = async (work: Promise<unknown>) => {
      let turns = 0, isOver = false;
      const ended = work.finally(() => isOver = true);
      while (!isOver) {
        await systemClock.sleep(0);
        turns++;
      }
      await ended;
      return turns;
    };
    assert(await turnsDuring(store.dropDay(day, "flows")) >= 5);
    assert(await turnsDuring(store.dropDay(day, "seconds")) >= 5);
    assert(await turnsDuring(store.pruneLedger(nowMs + count)) >= 5);
    assertEquals((await store.readFlows({}, { limit: 10 })).rows, []);
    assertEquals(await store.readLedger(ledger.slice(0, 100)), []);
  });

  test("takes an update to a flow that retention took as a flow of its own", async ({ store }) => {
    await store.ingest({ ...nothing(), ...flowsOf([flowWrite(1)]) });
    await store.dropDay(day, "flows");
    await store.ingest({ ...nothing(), ...flowsOf([flowWrite(1, {}, { kind: "update", newSightings: 0 })]) });
    assertEquals((await store.readFlow(idOf(1)))?.total_packets, 15);
  });

  test("drops series from fine to coarse, each by itself", async ({ store }) => {
    const row = (second: number) => ({
      second,
      sensor_id: "s-one",
      protocol: "tcp",
      flows: 1,
      packets: 2,
      bytes: 3,
    });
    const traffic = [day, day + 5, day + 3_700, day + 86_400].map(row);
    await store.ingest({ ...nothing(), traffic });
    const series = async (stepS: number) =>
      (await store.readSeries({ from: day, to: day + 86_400 }, stepS)).map((
        { time, packets },
      ) => [time - day, packets]);
    const seconds = async () =>
      (await store.readSeries({ from: day, to: day + 3_700 }, 1)).map(({ time }) => time - day);
    assertEquals(await seconds(), [0, 5, 3_700]);
    assertEquals(await series(3_600), [[0, 4], [3_600, 2], [86_400, 2]]);
    await store.dropDay(day, "seconds");
    assertEquals(await seconds(), []);
    assertEquals((await store.readSeries({ from: day, to: day + 3_700 }, 10)).length, 2);
    await store.dropDay(day, "tens");
    assertEquals((await store.readSeries({ from: day, to: day + 3_700 }, 10)).length, 0);
    await store.dropDay(day, "minutes");
    assertEquals(await series(3_600), [[0, 4], [3_600, 2], [86_400, 2]]);
    await store.dropDay(day, "hours");
    assertEquals(await series(3_600), [[86_400, 2]]);
  });

  test("forgets old batches, but not those in an open gap", async ({ store }) => {
    const ledger = [1, 2, 5, 6, 9].map((seq) => ({ ...ledgerRow(seq), received_ms: nowMs + seq }));
    const gap = {
      sensor_id: "s-one",
      epoch: 5,
      bucket: 1,
      from_seq: 4,
      to_seq: 5,
      found_ms: nowMs,
      closed_ms: null,
    };
    const closed = { ...gap, from_seq: 2, to_seq: 2, closed_ms: nowMs };
    await store.ingest({ ...nothing(), ledger, gaps: [gap, closed] });
    assertEquals(await store.pruneLedger(nowMs + 9), 3);
    assertEquals((await store.readLedger(ledger)).map(({ seq }) => seq).sort(), [5, 9]);
    assertEquals(await store.pruneLedger(nowMs + 9), 0);
    assertEquals(await store.pruneGaps(nowMs), 0);
    assertEquals(await store.pruneGaps(nowMs + 1), 1);
    assertEquals((await store.readGaps({}, 10)).length, 1);
    assertEquals(await store.readPositions("s-one", 5), [{ bucket: 1, seq_max: 9, batches: 5 }]);
  });
}
