/** How batches become transactions: few that follow one another wait for each other, many do not wait. @module */

import { assertEquals } from "@std/assert";
import { segment, TestSensor } from "./fleet.ts";
import { outcomes, withIngest } from "./with_ingest.ts";

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
