/** Batches that were sealed and never came become a gap within minutes, packets that were counted a hole,
 * and only those. @module */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { DeliveryWatch, endedBy } from "../../../aggregator/fleet/delivery_watch.ts";
import { sensorHealth } from "../../../aggregator/fleet/fleet.ts";
import { Ingest } from "../../../aggregator/ingest/ingest.ts";
import { openStore } from "../../../aggregator/store/open.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { healthOf } from "../api/fixture.ts";
import { bodyOf, buckets, getterOf, segment, TestClock, TestSensor } from "../ingest/fleet.ts";

async function inFleet(
  work: (fleet: {
    sensor: TestSensor;
    /** Batches of one bucket. */
    batches(count: number): ReturnType<TestSensor["seal"]>;
    arrive(batches: ReturnType<TestSensor["seal"]>): Promise<void>;
    checkIn(sealed: Record<string, number>, spooled?: number, inFlows?: number): Promise<void>;
    /** Sweeps every 30 s for so long. */
    pass(seconds: number): Promise<void>;
    openGaps(): Promise<string[]>;
    /** Epoch and packets of each hole in the sensor's health. */
    holes(): Promise<number[][]>;
    words(): Promise<string>;
    restart(): Promise<void>;
    reading: { isReading: boolean };
  }) => Promise<void>,
): Promise<void> {
  const reporter = createReporter({ component: "test", write: () => {} });
  const clock = new TestClock();
  const store = openStore("sqlite::memory:", { reporter, clock });
  await store.start();
  const sensor = new TestSensor("one");
  await sensor.enrol(store);
  let ingest: Ingest, watch: DeliveryWatch;
  const reading = { isReading: true };
  const restart = async () => {
    await ingest?.stop();
    ingest = new Ingest({ buckets }, { store, reporter, clock });
    await ingest.start();
    const expect = (batches: Parameters<Ingest["expect"]>[0]) => ingest.expect(batches);
    watch = new DeliveryWatch({}, { store, expect, isReading: () => reading.isReading, clock, reporter });
  };
  await restart();
  const health = async () => {
    const [row] = await store.readSensors();
    return sensorHealth(row, [], null, clock.nowMs(), await store.readEndedEpochs());
  };
  let made = 0;
  await work({
    sensor,
    reading,
    restart,
    batches: (count) =>
      Array.from({ length: count }, () => sensor.seal([segment({ src_port: 3_000, tcp_isn: ++made })]))
        .flat(),
    async arrive(batches) {
      for (const batch of batches) await ingest.submit(getterOf(batch), bodyOf(batch));
    },
    async checkIn(sealed, spooled = 0, inFlows = 0) {
      const health = healthOf(sensor.id, clock.nowMs());
      Object.assign(health, { epoch: sensor.epoch, sealed });
      health.spool.batches = spooled;
      health.capture.in_flows = inFlows;
      const [row] = await store.readSensors();
      await store.saveCheckIns([{
        sensorId: sensor.id,
        checkIn: health,
        nowMs: clock.nowMs(),
        clockOffsetMs: 0,
        ended: endedBy(health, row, clock.nowMs()),
      }]);
    },
    holes: async () => (await health()).holes.map(({ epoch, packets }) => [epoch, packets]),
    words: async () => (await health()).reasons.join(),
    async pass(seconds) {
      for (let left = seconds; left > 0; left -= 30) {
        await watch.sweep(clock.nowMs());
        for (let turn = 0; turn < 200; turn++) await Promise.resolve();
        clock.advance(30_000);
      }
    },
    openGaps: async () =>
      (await store.readGaps({ open: true }, 99)).map(({ epoch, bucket, from_seq, to_seq }) =>
        `${epoch}/${bucket}: ${from_seq}-${to_seq}`
      ),
  });
  await ingest!.stop();
  await store.stop();
}

Deno.test("an epoch of which nothing came is a gap after two minutes, closed when it comes after all", () =>
  inFleet(async ({ batches, arrive, checkIn, pass, openGaps, restart }) => {
    const lost = batches(4);
    const { bucket } = lost[0].header;
    await checkIn({ [bucket]: 4 });
    await pass(120);
    assertEquals(await openGaps(), []);
    await pass(60);
    assertEquals(await openGaps(), [`1/${bucket}: 1-4`]);
    await pass(300);
    assertEquals(await openGaps(), [`1/${bucket}: 1-4`]);
    // Also for an aggregator that was started since.
    await restart();
    await arrive([lost[2]]);
    assertEquals((await openGaps()).sort(), [`1/${bucket}: 1-2`, `1/${bucket}: 4-4`]);
    await arrive(lost);
    assertEquals(await openGaps(), []);
  }));

Deno.test("the last batches of an epoch are missed too, also when the sensor was started again since", () =>
  inFleet(async ({ sensor, batches, arrive, checkIn, pass, openGaps }) => {
    const first = batches(5);
    const { bucket } = first[0].header;
    await arrive(first.slice(0, 3));
    await checkIn({ [bucket]: 5 });
    await pass(30);
    sensor.restart();
    const next = batches(2);
    await arrive(next);
    await checkIn({ [bucket]: 2 });
    await pass(180);
    assertEquals(await openGaps(), [`1/${bucket}: 4-5`]);
  }));

Deno.test("nothing is missed while it is in the spool, on its way, or while nobody reads", () =>
  inFleet(async ({ batches, arrive, checkIn, pass, openGaps, reading }) => {
    const late = batches(8);
    const { bucket } = late[0].header;
    await checkIn({ [bucket]: 8 }, 8);
    await pass(600);
    assertEquals(await openGaps(), []);
    await checkIn({ [bucket]: 8 });
    for (const batch of late.slice(0, 6)) {
      await pass(90);
      await arrive([batch]);
    }
    assertEquals(await openGaps(), []);
    reading.isReading = false;
    await pass(900);
    reading.isReading = true;
    await pass(90);
    assertEquals(await openGaps(), []);
    await arrive(late);
    await pass(300);
    assertEquals(await openGaps(), []);
  }));

// A batch of one segment has 18 packets.

Deno.test("packets that a killed sensor had counted and not sealed are a hole within minutes, for a day", () =>
  inFleet(async ({ sensor, batches, arrive, checkIn, pass, holes, words }) => {
    await arrive(batches(5));
    await checkIn({}, 0, 100);
    await pass(30);
    sensor.restart();
    await checkIn({}, 0, 3);
    await pass(120);
    assertEquals(await holes(), []);
    await pass(60);
    assertEquals(await holes(), [[1, 10]]);
    assertStringIncludes(await words(), "10 packets that it had counted in flows until 4 min ago");
    await pass(86_000);
    assertEquals(await holes(), [[1, 10]]);
    await pass(900);
    assertEquals(await holes(), [], "a day later it is history");
  }));

Deno.test("an epoch of which all came is no hole, and one of which nothing came is a whole one", () =>
  inFleet(async ({ sensor, batches, arrive, checkIn, pass, holes }) => {
    await arrive(batches(2));
    await checkIn({}, 0, 36);
    sensor.restart();
    await checkIn({}, 0, 500);
    sensor.restart();
    await checkIn({}, 0, 0);
    await pass(300);
    assertEquals(await holes(), [[2, 500]]);
  }));

Deno.test("packets that wait in the spool, are on their way, or in a log that nobody reads now, are no hole", () =>
  inFleet(async ({ sensor, batches, arrive, checkIn, pass, holes, reading }) => {
    const late = batches(4);
    await checkIn({}, 4, 90);
    sensor.restart();
    await checkIn({}, 5, 0);
    await pass(900);
    assertEquals(await holes(), []);
    await checkIn({}, 0, 0);
    for (const batch of late.slice(0, 3)) {
      await pass(90);
      await arrive([batch]);
    }
    assertEquals(await holes(), []);
    reading.isReading = false;
    await pass(900);
    assertEquals(await holes(), []);
    reading.isReading = true;
    await arrive([late[3]]);
    await pass(300);
    assertEquals(await holes(), [[1, 18]]);
  }));

Deno.test("a hole is looked at again, and closes when the packets come after all", () =>
  inFleet(async ({ sensor, batches, arrive, checkIn, pass, holes }) => {
    const late = batches(3);
    await checkIn({}, 0, 54);
    sensor.restart();
    await checkIn({}, 0, 0);
    await pass(300);
    assertEquals(await holes(), [[1, 54]]);
    await arrive([late[0]]);
    await pass(330);
    assertEquals(await holes(), [[1, 36]]);
    await arrive(late);
    await pass(330);
    assertEquals(await holes(), []);
  }));

Deno.test("an aggregator that is started again misses what it had missed before, and what it was about to", () =>
  inFleet(async ({ sensor, checkIn, pass, holes, restart }) => {
    await checkIn({}, 0, 40);
    sensor.restart();
    await checkIn({}, 0, 7);
    await restart();
    await pass(180);
    assertEquals(await holes(), [[1, 40]]);
    await restart();
    assertEquals(await holes(), [[1, 40]]);
    sensor.restart();
    await restart();
    // The epoch ended while nobody was there.
    await checkIn({}, 0, 0);
    await pass(180);
    assertEquals(await holes(), [[1, 40], [2, 7]]);
  }));
