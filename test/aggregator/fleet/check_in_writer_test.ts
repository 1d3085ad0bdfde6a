/** Check-ins on their way into the store: many at once, the urgent ones now, none lost while the store is away.
 * @module */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { CheckInWriter } from "../../../aggregator/fleet/check_in_writer.ts";
import { SensorDirectory } from "../../../aggregator/fleet/directory.ts";
import type { CheckInWrite, SensorRow } from "../../../aggregator/model/sensor.ts";
import { healthOf, TestClock } from "../api/fixture.ts";

const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

function startScene() {
  const clock = new TestClock();
  const written: string[][] = [];
  const ended: number[][] = [];
  const state = { failure: null as Error | null };
  const writer = new CheckInWriter({}, {
    clock,
    store: {
      saveCheckIns(writes: readonly CheckInWrite[]) {
        if (state.failure) return Promise.reject(state.failure);
        written.push(writes.map(({ sensorId, nowMs }) => `${sensorId} ${nowMs}`));
        ended.push(writes.flatMap(({ ended }) => ended.map(({ epoch }) => epoch)));
        return Promise.resolve();
      },
    },
  });
  const keep = (sensorId: string, nowMs: number, isUrgent = false, endedEpoch?: number) =>
    writer.keep(
      {
        sensorId,
        checkIn: healthOf(sensorId, nowMs),
        nowMs,
        clockOffsetMs: 0,
        ended: endedEpoch === undefined ? [] : [{ epoch: endedEpoch, in_flows: 1, last_ms: 1 }],
      },
      isUrgent,
    );
  return { clock, writer, written, ended, state, keep };
}

Deno.test("check-ins of a second are one transaction, the latest of each sensor", async () => {
  const { clock, writer, written, keep } = startScene();
  writer.start();
  for (let i = 0; i < 90; i++) await keep(`s${i}`, 1);
  await keep("s0", 2);
  clock.advance(999);
  await settle();
  assertEquals(written, []);
  clock.advance(1);
  await settle();
  assertEquals([written.length, written[0].length, written[0][0]], [1, 90, "s0 2"]);
  clock.advance(1_000);
  await settle();
  assertEquals(written.length, 1, "nothing waits, nothing is written");
  await keep("s1", 3);
  await writer.stop();
  assertEquals(written.at(-1), ["s1 3"], "what waits at the end is written");
});

Deno.test("an urgent check-in is stored before it is answered, with what waited", async () => {
  const { clock, writer, written, keep } = startScene();
  await keep("s1", 1);
  await keep("s2", 2, true);
  assertEquals(written, [["s1 1", "s2 2"]]);
  const both = Promise.all([keep("s3", 3, true), keep("s4", 4, true)]);
  clock.advance(100);
  await both;
  assertEquals(written.flat().length, 4);
  await writer.stop();
});

Deno.test("urgent check-ins of a whole fleet are ten transactions a second, not one each", async () => {
  const { clock, writer, written, keep } = startScene();
  const answers: Promise<void>[] = [];
  let answered = 0;
  for (let ms = 0; ms < 1_000; ms += 10) {
    for (let i = 0; i < 10; i++) answers.push(keep(`s${ms + i}`, ms, true).then(() => void answered++));
    clock.advance(10);
    await new Promise((resolve) => setTimeout(resolve));
  }
  assert(written.length >= 9 && written.length <= 11, `${written.length}`);
  assert(answered >= 900, `${answered} are answered: each is in the write after its own 100 ms`);
  clock.advance(100);
  await Promise.all(answers);
  assertEquals(written.flat().length, 1_000);
  await writer.stop();
});

Deno.test("a hundred check-ins are written before their second is over, ninety-nine are not", async () => {
  const { writer, written, keep } = startScene();
  for (let i = 0; i < 99; i++) await keep(`s${i}`, 1);
  await settle();
  assertEquals(written, []);
  await keep("s99", 1);
  await settle();
  assertEquals(written.map(({ length }) => length), [100]);
  await writer.stop();
});

Deno.test("while the store is away who checks in is told, and the latest are kept until it is back", async () => {
  const { clock, writer, written, state, keep } = startScene();
  writer.start();
  state.failure = new Error("database or disk is full");
  await keep("s1", 1);
  clock.advance(1_000);
  await settle();
  await assertRejects(() => keep("s1", 2), Error, "full");
  await assertRejects(() => keep("s2", 3, true), Error, "full");
  state.failure = null;
  clock.advance(1_000);
  await settle();
  assertEquals(written, [["s1 2", "s2 3"]]);
  await keep("s1", 4);
  await writer.stop();
});

Deno.test("an epoch that ended while the store was away is told when it is back, however many check-ins came since", async () => {
  const { clock, writer, written, ended, state, keep } = startScene();
  writer.start();
  state.failure = new Error("database is locked");
  await assertRejects(() => keep("s1", 1, true, 7), Error, "locked");
  await assertRejects(() => keep("s1", 2), Error, "locked");
  await assertRejects(() => keep("s1", 3, true, 8), Error, "locked");
  state.failure = null;
  clock.advance(1_000);
  await settle();
  assertEquals([written, ended], [[["s1 3"]], [[7, 8]]]);
  await writer.stop();
});

Deno.test("a check-in that the store does not have yet shows, and stays shown when the store is read again", async () => {
  const row = {
    sensor_id: "s1",
    name: "roof",
    last_check_in_ms: 10,
    check_in: null,
    clock_offset_ms: 0,
  } as SensorRow;
  let stored = row;
  const directory = new SensorDirectory({}, {
    store: { readSensors: () => Promise.resolve([stored]), readPolicies: () => Promise.resolve([]) },
  });
  const seen = async () => {
    directory.forget();
    return (await directory.find("s1", 0))!.last_check_in_ms;
  };
  assertEquals(await seen(), 10);
  directory.note("s1", { last_check_in_ms: 20, check_in: null, clock_offset_ms: 0 });
  assertEquals([await seen(), await seen()], [20, 20]);
  stored = { ...row, last_check_in_ms: 20 };
  assertEquals(await seen(), 20);
  stored = { ...row, last_check_in_ms: 5 };
  assertEquals(await seen(), 5, "what the store had is the store's from then on");
});
