/** Flows that memory has forgotten, times that nobody can trust, rows that nobody can read:
 * still one row a flow, nothing lost. @module */

import { segmentLimits } from "../../../shared/segment.ts";
import { assert, assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { openStore } from "../../../aggregator/store/open.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { nowMs, segment, t0, TestSensor, udpSegment } from "./fleet.ts";
import { counted, outcomes, packetsOf, totals, withIngest } from "./with_ingest.ts";

Deno.test("ingest finds a flow again that memory has forgotten, by its id", async () => {
  const sensor = new TestSensor("one"), other = new TestSensor("two", 2);
  const parts = (n: number) =>
    Array.from({ length: 30 }, (_, i) =>
      segment({
        src_port: 2_000 + i,
        tcp_isn: i,
        segment: n,
        flow_start: t0,
        start: t0 + n,
        end: t0 + n + 1,
        facts: { tls: { sni: `${i}.example` } },
      }));
  await withIngest([sensor, other], async ({ store, submit, counter, updates }) => {
    for (let n = 0; n < 3; n++) {
      // One flow at a time, so that each pushes another one out.
      for (const part of parts(n)) await Promise.all(sensor.seal([part]).map(submit));
    }
    const { rows, ...sums } = await counted(store);
    assertEquals([sums.flows, sums.packets], [30, 3 * packetsOf(parts(0))]);
    assertEquals((await totals(store)).flows, 30);
    assert(counter("merge_flows_evicted_total") > 0 && counter("ingest_flow_conflicts_total") > 0);
    assertEquals(updates.filter(({ first }) => first).length, 30);
    // The same packets by another sensor, whose flows memory has forgotten too, add nothing.
    for (const part of parts(0)) await Promise.all(other.seal([part]).map(submit));
    const after = await counted(store);
    assertEquals([after.flows, after.packets, after.sightings], [30, sums.packets, 60]);
    assert(after.rows.every(({ facts }) => facts?.tls?.sni !== undefined) && rows.length === 30);
  }, { merge: { flowsMax: 10 } });
});

Deno.test("ingest gives two flows of one microsecond and one slot an id each", async () => {
  const sensor = new TestSensor("one");
  // 11 bits of slot: of 3,000 flows that begin at once many have the same.
  const segments = Array.from({ length: 3_000 }, (_, i) => segment({ src_port: 1_024 + i, tcp_isn: i }));
  await withIngest([sensor], async ({ store, submit, counter }) => {
    assertEquals(
      new Set(outcomes(await Promise.all(sensor.seal(segments).map(submit)))),
      new Set(["stored"]),
    );
    const { flows, packets, rows } = await counted(store);
    assertEquals([flows, packets], [3_000, packetsOf(segments)]);
    assertEquals(new Set(rows.map(({ src_port }) => src_port)).size, 3_000);
    assert(rows.every(({ start }) => start === t0) && counter("ingest_flow_conflicts_total") > 0);
    assertEquals((await totals(store)).flows, 3_000);
  });
});

for (const [name, at] of [["1970", 100], ["2110", 4_430_000_000], ["tomorrow", t0 + 86_400]] as const) {
  Deno.test(`ingest keeps flows of ${name} apart: rows, flows and totals agree, and times are flagged`, async () => {
    const sensor = new TestSensor("one");
    // One port pair again and again, as a sensor without a clock sees it.
    const segments = Array.from(
      { length: 200 },
      (_, i) => udpSegment({ start: at + i * 60, end: at + i * 60 + 1 }),
    );
    await withIngest([sensor], async ({ store, submit, restart, counter }) => {
      for (let from = 0; from < 200; from += 50) {
        await Promise.all(sensor.seal(segments.slice(from, from + 50)).map(submit));
      }
      assertEquals(counter("ingest_flow_conflicts_total"), 0, "stand-ins differ from the start");
      const { flows, packets, bytes, rows } = await counted(store);
      const sums = await totals(store);
      assertEquals([flows, packets], [200, packetsOf(segments)]);
      assertEquals([sums.flows, sums.packets, sums.bytes], [flows, packets, bytes]);
      assert(rows.every(({ time_suspect }) => time_suspect));
      assertEquals(rows.map(({ start }) => start).sort((a, b) => a - b)[0], at);
      const { first, last } = await store.readTotals();
      assertEquals([first, last], [null, null]);
      await restart();
      const [again] = sensor.seal([segments[199]]);
      assertEquals((await submit(again)).outcome, "stored");
      assertEquals((await counted(store)).flows, 200);
    });
  });
}

Deno.test("ingest stores sums that can be read back, however large the counts of a sensor are", async () => {
  const sensor = new TestSensor("one");
  const max = Number.MAX_SAFE_INTEGER, batches = 130;
  const { countMax } = segmentLimits;
  const large = (n: number) =>
    segment({
      segment: n,
      flow_start: t0,
      start: t0 + n / 10,
      end: t0 + n / 10 + 0.1,
      fwd_bytes: countMax,
      bwd_bytes: countMax,
      factor: 2,
    });
  await withIngest([sensor], async ({ store, submit, restart }) => {
    for (let n = 0; n < batches; n++) await Promise.all(sensor.seal([large(n)]).map(submit));
    const { rows } = await store.readFlows({}, { limit: 10 });
    assertEquals([rows.length, rows[0].fwd_bytes, rows[0].total_bytes], [
      1,
      batches * countMax,
      2 * batches * countMax,
    ]);
    assertEquals((await store.readTotals()).bytes, max);
    const range = { from: t0 - 60, to: t0 + 60 };
    assertEquals((await store.readTopTalkers(range, 1))[0].total_bytes, max);
    assertEquals((await store.readProtocols(range))[0].bytes, max);
    assert((await store.readSeries(range, 60)).every(({ bytes }) => bytes <= max));
    await restart();
  });
});

Deno.test("a stored row that cannot be read is left out and counted, and keeps nothing from starting", async () => {
  const path = await Deno.makeTempFile({ suffix: ".db" });
  const reporter = createReporter({ component: "test", write: () => {} });
  const sensor = new TestSensor("one");
  const segments = [0, 1, 2].map((i) =>
    segment({ src_port: 2_000 + i, tcp_isn: i, facts: { tls: { sni: "a" } } })
  );
  await withIngest(
    [sensor],
    async ({ submit }) => {
      await Promise.all(sensor.seal(segments).map(submit));
    },
    {},
    (store) => store,
    `sqlite:${path}`,
  );
  const database = new DatabaseSync(path);
  database.exec(
    "UPDATE flows SET more = x'ff' WHERE src_port = 2000; UPDATE flows SET facts = '{' WHERE src_port = 2001",
  );
  database.close();
  const store = openStore(`sqlite:${path}`, { reporter });
  await store.start();
  assertEquals((await store.readFlows({}, { limit: 10 })).rows.map(({ src_port }) => src_port), [2_002]);
  assertEquals((await store.readRecentFlows(0, 10)).length, 1);
  assertEquals(reporter.snapshot().get('stored_rows_unreadable_total{table="flows"}'), 4);
  await store.stop();
  const late = segments.map((one) => ({ ...one, segment: 1, start: t0 + 3, end: t0 + 4 }));
  await withIngest(
    [],
    async ({ submit, store }) => {
      await Promise.all(sensor.seal(late).map(submit));
      const { rows } = await store.readFlows({}, { limit: 10 });
      assertEquals(rows.map(({ src_port }) => src_port).sort(), [2_000, 2_001, 2_002]);
    },
    {},
    (store) => store,
    `sqlite:${path}`,
  );
  await Deno.remove(path);
});

Deno.test("a batch whose row in the ledger is forgotten is still a replay, and a late one still fills its gap", async () => {
  const sensor = new TestSensor("one");
  await withIngest([sensor], async ({ store, submit, restart }) => {
    const { bucket } = sensor.seal([segment()])[0].header;
    const batch = (seq: number) => sensor.sealAs([segment({ segment: seq })], { bucket, seq });
    for (const seq of [1, 2, 5]) await submit(batch(seq));
    const before = await totals(store);
    assertEquals(await store.pruneLedger(nowMs + 1), 3);
    await restart();
    for (const seq of [1, 2, 5]) assertEquals((await submit(batch(seq))).outcome, "replay");
    assertEquals(await totals(store), before);
    assertEquals(outcomes([await submit(batch(3)), await submit(batch(4)), await submit(batch(3))]), [
      "stored",
      "stored",
      "replay",
    ]);
    assertEquals(await store.readGaps({ open: true }, 10), []);
  });
});
