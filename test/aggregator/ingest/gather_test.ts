/** How batches become transactions: few that follow one another wait for each other, many do not wait, and one group is
 * stored while the listener works on the one before. @module */

import { assertEquals } from "@std/assert";
import type { FlowUpdate } from "../../../aggregator/model/flow.ts";
import { segment, TestSensor } from "./fleet.ts";
import { outcomes, withIngest } from "./with_ingest.ts";

const turns = async () => {
  for (let i = 0; i < 5; i++) await turn();
};
const turn = () => new Promise((resolve) => setTimeout(resolve, 5));

Deno.test("batches that follow one another within 50 ms are one transaction, the first of them waits for none", async () => {
  const sensor = new TestSensor("s_one");
  await withIngest([sensor], async ({ submit, clock, counter }) => {
    const transactions = () => counter("ingest_transactions_total");
    const { bucket } = sensor.seal([segment()])[0].header;
    const batch = (seq: number) => submit(sensor.sealAs([segment({ segment: seq })], { bucket, seq }));
    assertEquals(outcomes([await batch(1)]), ["stored"]);
    const more = [2, 3, 4].map(batch);
    await turn();
    assertEquals(transactions(), 1);
    clock.advance(49);
    await turn();
    assertEquals(transactions(), 1);
    clock.advance(1);
    assertEquals(outcomes(await Promise.all(more)), ["stored", "stored", "stored"]);
    assertEquals(transactions(), 2);
    clock.advance(50);
    assertEquals(outcomes([await batch(5)]), ["stored"]);
    assertEquals(transactions(), 3, "after a pause nobody waits");
  }, { gatherMs: 50 });
});

Deno.test("a group that is full waits for nothing more", async () => {
  const sensor = new TestSensor("s_one");
  await withIngest([sensor], async ({ submit, counter }) => {
    const { bucket } = sensor.seal([segment()])[0].header;
    const batch = (seq: number) => submit(sensor.sealAs([segment({ segment: seq })], { bucket, seq }));
    await batch(1);
    assertEquals(outcomes(await Promise.all([2, 3].map(batch))), ["stored", "stored"]);
    assertEquals(counter("ingest_transactions_total"), 2);
  }, { gatherMs: 50, groupBatchesMax: 2 });
});

Deno.test("one group is stored while the listener has the one before, the next waits, and all are told in order", async () => {
  const sensor = new TestSensor("s_one");
  const told: number[] = [], ends: (() => void)[] = [];
  const listen = async (updates: FlowUpdate[]) => {
    await new Promise<void>((resolve) => ends.push(resolve));
    told.push(...updates.map(({ segment }) => segment.segment));
  };
  let stopped: Promise<void> | null = null;
  await withIngest(
    [sensor],
    async ({ submit, counter, ingest }) => {
      const { bucket } = sensor.seal([segment()])[0].header;
      const batch = (seq: number) => submit(sensor.sealAs([segment({ segment: seq })], { bucket, seq }));
      const stored: number[] = [];
      const all = [1, 2, 3, 4].map((seq) => batch(seq).then(() => stored.push(seq)));
      await turns();
      assertEquals([stored, told, ends.length], [[1, 2], [], 1]);
      ends[0]();
      await turns();
      assertEquals([stored, told, ends.length], [[1, 2, 3], [1], 2]);
      ends[1]();
      await turns();
      assertEquals([stored, told, ends.length], [[1, 2, 3, 4], [1, 2], 3]);
      stopped = ingest.stop();
      await turns();
      ends[2]();
      await turns();
      assertEquals([told, ends.length], [[1, 2, 3], 4]);
      let isStopped = false;
      void stopped.then(() => isStopped = true);
      await turns();
      assertEquals(isStopped, false, "the last one is still told");
      ends[3]();
      await Promise.all([stopped, ...all]);
      assertEquals([told, counter("ingest_transactions_total")], [[1, 2, 3, 4], 4]);
    },
    { groupBatchesMax: 1 },
    undefined,
    undefined,
    listen,
  );
});
