/** What the topic of ingest must do: one transaction or nothing, and books that can be read again. @module */

import { assertEquals, assertRejects } from "@std/assert";
import { LedgerConflict } from "../../../../aggregator/store/store.ts";
import type { Test } from "../contract.ts";
import { deadLetter, flowsOf, flowWrite, idOf, ledgerRow, nothing, nowMs } from "../rows.ts";

export function ledgerCases(test: Test): void {
  test("sums the packets of an epoch", async ({ store }) => {
    const ledger = [1, 2, 3].map((seq) => ({ ...ledgerRow(seq), packets: seq * 10 }));
    await store.ingest({ ...nothing(), ledger });
    const { sensor_id, epoch } = ledger[0];
    assertEquals(await store.readEpochPackets(sensor_id, epoch), 60);
    assertEquals(await store.readEpochPackets(sensor_id, epoch + 1), 0);
  });

  test("refuses a ledger key that is there and writes nothing of that transaction", async ({ store }) => {
    await store.ingest({ ...nothing(), ledger: [ledgerRow(1)], ...flowsOf([flowWrite(1)]) });
    const write = {
      ...nothing(),
      ledger: [ledgerRow(2), ledgerRow(1)],
      ...flowsOf([flowWrite(2)]),
      offsets: [{ topic: "t", partition: 0, next_offset: "9", mark: "m" }],
      deadLetters: [deadLetter("sha256")],
    };
    await assertRejects(() => store.ingest(write), LedgerConflict);
    assertEquals(await store.readFlow(idOf(2)), null);
    assertEquals(await store.readOffsets("t"), []);
    assertEquals(await store.readDeadLetters(10), []);
    assertEquals((await store.readTotals()).flows, 1);
    assertEquals(await store.readLedger([ledgerRow(1), ledgerRow(2)]), [ledgerRow(1)]);
  });

  test("answers which batches of a long list it has", async ({ store }) => {
    await store.ingest({ ...nothing(), ledger: Array.from({ length: 450 }, (_, i) => ledgerRow(i * 2)) });
    const asked = Array.from({ length: 900 }, (_, i) => ledgerRow(i));
    assertEquals((await store.readLedger(asked)).length, 450);
    assertEquals(await store.readLedger([]), []);
  });

  test("keeps positions and epochs of a sensor", async ({ store }) => {
    await store.ingest({
      ...nothing(),
      ledger: [ledgerRow(4), { ...ledgerRow(9), bucket: 3, sealed_ms: nowMs + 7 }],
    });
    await store.ingest({
      ...nothing(),
      ledger: [ledgerRow(2), { ...ledgerRow(1), epoch: 6, sealed_ms: nowMs + 9 }],
    });
    assertEquals(await store.readPositions("s-one", 5), [
      { bucket: 1, seq_max: 4, batches: 2 },
      { bucket: 3, seq_max: 9, batches: 1 },
    ]);
    assertEquals(await store.readEpochs("s-one"), [
      { epoch: 5, first_sealed_ms: nowMs - 100, first_received_ms: nowMs, last_sealed_ms: nowMs + 7 },
      { epoch: 6, first_sealed_ms: nowMs + 9, first_received_ms: nowMs, last_sealed_ms: nowMs + 9 },
    ]);
  });

  test("adds up several batches of a sequence and of an epoch in one write", async ({ store }) => {
    const at = (seq: number, bucket: number, sealed: number) => ({
      ...ledgerRow(seq),
      bucket,
      sealed_ms: nowMs + sealed,
    });
    await store.ingest({ ...nothing(), ledger: [at(3, 1, 5)] });
    await store.ingest({
      ...nothing(),
      ledger: [at(7, 1, 20), at(2, 2, 8), at(5, 1, 40), at(1, 2, 1), at(6, 1, 30)],
    });
    assertEquals(await store.readPositions("s-one", 5), [
      { bucket: 1, seq_max: 7, batches: 4 },
      { bucket: 2, seq_max: 2, batches: 2 },
    ]);
    assertEquals(await store.readEpochs("s-one"), [
      { epoch: 5, first_sealed_ms: nowMs + 5, first_received_ms: nowMs, last_sealed_ms: nowMs + 40 },
    ]);
  });

  test("keeps the offsets of the last transaction", async ({ store, reopen }) => {
    const offset = (partition: number, next_offset: string) => ({
      topic: "t",
      partition,
      next_offset,
      mark: `before ${next_offset}`,
    });
    await store.ingest({ ...nothing(), offsets: [offset(0, "5"), offset(1, "9007199254740993")] });
    await store.ingest({ ...nothing(), offsets: [offset(0, "6")] });
    const again = await reopen();
    assertEquals(await again.readOffsets("t"), [offset(0, "6"), offset(1, "9007199254740993")]);
    assertEquals(await again.readOffsets("other"), []);
  });

  test("replaces the open gaps of a sequence and keeps closed ones", async ({ store }) => {
    const gap = (from_seq: number, to_seq: number, closed_ms: number | null = null, bucket = 1) => ({
      sensor_id: "s-one",
      epoch: 5,
      bucket,
      from_seq,
      to_seq,
      found_ms: nowMs,
      closed_ms,
    });
    const key = { sensor_id: "s-one", epoch: 5, bucket: 1 };
    await store.ingest({ ...nothing(), gaps: [gap(2, 4), gap(7, 7), gap(1, 1, null, 2)] });
    await store.ingest({
      ...nothing(),
      gaps: [gap(2, 2), gap(4, 4), gap(7, 7, nowMs + 1)],
      gapsReplaced: [key],
    });
    assertEquals(await store.readGaps({ open: true }, 10), [gap(2, 2), gap(4, 4), gap(1, 1, null, 2)]);
    assertEquals(await store.readGaps({ open: false, sensor_id: "s-one" }, 10), [gap(7, 7, nowMs + 1)]);
    assertEquals(await store.readGaps({ sensor_id: "other" }, 10), []);
  });

  test("refuses a write that does not know what was taken of its sequences, whole", async ({ store }) => {
    const key = { sensor_id: "s-fence", epoch: 5, bucket: 1 };
    const row = (seq: number, bucket = 1) => ({ ...ledgerRow(seq), ...key, bucket });
    const sequence = (batches: number, bucket = 1) => ({ ...key, bucket, batches });
    const gap = { ...key, from_seq: 2, to_seq: 2, found_ms: nowMs, closed_ms: null };
    await store.ingest({ ...nothing(), ledger: [row(1)], sequences: [sequence(1)] });
    await store.ingest({
      ...nothing(),
      ledger: [row(3), row(1, 2)],
      sequences: [sequence(2), sequence(1, 2)],
    });
    for (const batches of [1, 3]) {
      const write = { ...nothing(), sequences: [sequence(1, 2), sequence(batches)], gaps: [gap] };
      await assertRejects(() => store.ingest(write), LedgerConflict);
      // One that knows of no batch before its own: another instance took them meanwhile.
      const late = { ...write, ledger: [row(4)], sequences: [sequence(batches + 1)] };
      await assertRejects(() => store.ingest(late), LedgerConflict);
    }
    assertEquals(await store.readGaps({ sensor_id: key.sensor_id }, 10), []);
    assertEquals(
      (await store.readPositions(key.sensor_id, 5)).map(({ seq_max, batches }) => [seq_max, batches]),
      [[3, 2], [1, 1]],
    );
    await store.ingest({ ...nothing(), sequences: [sequence(2), sequence(0, 3)], gaps: [gap] });
    assertEquals(await store.readGaps({ sensor_id: key.sensor_id }, 10), [gap]);
  });

  test("gives the gaps that were open at some time within a span", async ({ store }) => {
    const gap = (seq: number, found_ms: number, closed_ms: number | null) => ({
      sensor_id: "s1",
      epoch: 1,
      bucket: 0,
      from_seq: seq,
      to_seq: seq,
      found_ms,
      closed_ms,
    });
    const gaps = [gap(1, 1_000, 2_000), gap(3, 1_000, null), gap(5, 3_000, 4_000), gap(7, 5_000, null)];
    await store.ingest({ ...nothing(), gaps });
    const within = async (fromMs: number, untilMs: number) =>
      (await store.readGaps({ sensor_id: "s1", fromMs, untilMs }, 10)).map(({ from_seq }) => from_seq);
    assertEquals(await within(2_000, 3_000), [1, 3]);
    assertEquals(await within(2_001, 3_001), [5, 3]);
    assertEquals(await within(4_001, 5_000), [3]);
    assertEquals(await within(0, 1_000), []);
  });

  test("narrows gaps that were opened while their batches were on the way", async ({ store }) => {
    const key = { sensor_id: "s-late", epoch: 5, bucket: 1 };
    const row = (seq: number) => ({ ...ledgerRow(seq), ...key });
    const gap = (from_seq: number, to_seq: number, closed_ms: number | null = null) => ({
      ...key,
      from_seq,
      to_seq,
      found_ms: nowMs,
      closed_ms,
    });
    const left = async (open: boolean) =>
      (await store.readGaps({ sensor_id: key.sensor_id, open }, 10)).map((one) => [one.from_seq, one.to_seq]);
    await store.ingest({ ...nothing(), ledger: [row(10)], gaps: [gap(2, 2), gap(4, 8)] });
    await store.ingest({ ...nothing(), ledger: [row(2), row(5), row(6)] });
    assertEquals([await left(true), await left(false)], [[[4, 4], [7, 8]], [[2, 2]]]);
    await store.ingest({ ...nothing(), ledger: [row(4), { ...row(7), bucket: 2 }] });
    assertEquals(await left(true), [[7, 8]]);
    await store.ingest({ ...nothing(), ledger: [row(8), row(7)] });
    assertEquals([await left(true), await left(false)], [[], [[2, 2], [4, 4], [7, 8]]]);
    // More than one question is asked for so many.
    const many = Array.from({ length: 450 }, (_, i) => row(101 + i));
    await store.ingest({ ...nothing(), gaps: [gap(100, 551)] });
    await store.ingest({ ...nothing(), ledger: many });
    assertEquals(await left(true), [[100, 100], [551, 551]]);
  });

  test("keeps dead letters with the octets that came, newest first", async ({ store }) => {
    const letters = ["sha256", "ratio"].map(deadLetter);
    await store.ingest({ ...nothing(), deadLetters: letters });
    assertEquals(await store.readDeadLetters(10), letters.toReversed());
    assertEquals((await store.readDeadLetters(1)).length, 1);
  });
}
