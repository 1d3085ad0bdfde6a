/** Tests of the verifier alone: a clock offset is applied only where the times that come of it can be read back.
 * @module */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { Buffer } from "node:buffer";
import { Verifier } from "../../../aggregator/ingest/verify.ts";
import type { SensorRow } from "../../../aggregator/model/sensor.ts";
import { checkHeader, publicKeyFromRaw } from "../../../shared/batch.ts";
import { createReporter } from "../../../shared/reporter.ts";
import type { Segment } from "../../../shared/segment.ts";
import { buckets, getterOf, nowMs, segment, TestSensor } from "./fleet.ts";

const said: string[] = [];
const reporter = createReporter({ component: "test", write: (line) => said.push(line) });

async function offsetFor(rows: Segment[], clockOffsetMs: number): Promise<number> {
  const sensor = new TestSensor("one");
  const row = {
    sensor_id: sensor.id,
    site: "lab",
    key_id: sensor.key,
    public_key: Buffer.from(sensor.publicKey).toString("base64"),
    revoked_ms: null,
    quarantined_ms: null,
    clock_offset_ms: clockOffsetMs,
    check_in: null,
  } as SensorRow;
  const verifier = new Verifier({ buckets }, {
    store: { readSensors: () => Promise.resolve([row]) },
    reporter,
  });
  const [batch] = sensor.seal(rows);
  await verifier.prepare([getterOf(batch)], nowMs);
  const verified = verifier.verify(getterOf(batch), batch.value);
  assert(typeof verified !== "string", String(verified));
  return verified.source.clock_offset_ms;
}

Deno.test("a header that was checked by a key which its sensor no longer has is checked again", async () => {
  const sensor = new TestSensor("one"), other = new TestSensor("one", 2);
  const [batch] = sensor.seal([segment()]);
  const get = getterOf(batch);
  const outcomes = [];
  for (const { publicKey } of [sensor, other]) {
    const row = {
      sensor_id: sensor.id,
      key_id: sensor.key,
      public_key: Buffer.from(publicKey).toString("base64"),
      revoked_ms: null,
      quarantined_ms: null,
    } as SensorRow;
    const readSensors = () => Promise.resolve([row]);
    const verifier = new Verifier({ buckets }, { store: { readSensors }, reporter });
    await verifier.prepare([get], nowMs);
    const checked = checkHeader(batch.header, publicKeyFromRaw(sensor.publicKey));
    const unsigned = { ...batch.header, signature: "" };
    for (const [header, proof] of [[batch.header, checked], [unsigned, checked], [unsigned, null]] as const) {
      const verified = verifier.verify(getterOf({ ...batch, header }), batch.value, proof);
      outcomes.push(typeof verified === "string" ? verified : verified.header.seq);
    }
  }
  // The proof brings its own header, whatever stands beside it.
  assertEquals(outcomes, [1, 1, "header_malformed", "signature", "signature", "header_malformed"]);
});

Deno.test("keys are used for 5 s while the store is away, and no longer", async () => {
  const sensor = new TestSensor("one");
  let isAway = false;
  const row = {
    sensor_id: sensor.id,
    key_id: sensor.key,
    public_key: Buffer.from(sensor.publicKey).toString("base64"),
  } as SensorRow;
  const readSensors = () => isAway ? Promise.reject(new Error("away")) : Promise.resolve([row]);
  const verifier = new Verifier({ buckets }, { store: { readSensors }, reporter });
  const get = getterOf(sensor.seal([segment()])[0]);
  await verifier.prepare([get], nowMs);
  isAway = true;
  await verifier.prepare([get], nowMs + 5_000);
  await assertRejects(() => verifier.prepare([get], nowMs + 5_001), Error, "away");
});

Deno.test("a batch of a sensor that was let in 250 ms ago is taken, and one of a sensor that was not is refused", async () => {
  const sensor = new TestSensor("one");
  const good = {
    sensor_id: sensor.id,
    key_id: sensor.key,
    public_key: Buffer.from(sensor.publicKey).toString("base64"),
    revoked_ms: null,
    quarantined_ms: null,
    clock_offset_ms: 0,
  } as unknown as SensorRow;
  let row = { ...good, quarantined_ms: 1 };
  const verifier = new Verifier({ buckets }, {
    store: { readSensors: () => Promise.resolve([{ ...row }]) },
    reporter,
  });
  const [batch] = sensor.seal([segment()]);
  const verify = async (afterMs: number) => {
    await verifier.prepare([getterOf(batch)], nowMs + afterMs);
    const verified = verifier.verify(getterOf(batch), batch.value);
    return typeof verified === "string" ? verified : "taken";
  };
  assertEquals(await verify(0), "quarantined");
  row = { ...good, quarantined_ms: null as unknown as number };
  assertEquals([await verify(249), await verify(250)], ["quarantined", "taken"]);
});

Deno.test("a batch that trips over a fault of ours is refused, and the log says what the fault was", () => {
  const verifier = new Verifier({ buckets }, { store: { readSensors: () => Promise.resolve([]) }, reporter });
  const get = (name: string) => {
    if (name === "picket-sensor") return "s\x1b1";
    throw new RangeError(`Invalid typed array length: ${"9".repeat(5_000)}`);
  };
  said.length = 0;
  assertEquals(verifier.verify(get, new Uint8Array(8)), "unstorable");
  assertEquals(said.length, 1);
  assert(
    said[0].includes("error: cannot read a batch sensor=s\\u{1b}1 error=Invalid typed array length: 99"),
  );
  assert(said[0].length < 400, String(said[0].length));
});

const from = (start: number, flow_start = start) => segment({ start, end: start + 1, flow_start });

Deno.test("clock offset of hours, or of a clock at 1970, is taken off", async () => {
  const now = 1_700_000_000;
  assertEquals(await offsetFor([from(now)], 7_200_000), 7_200_000);
  assertEquals(await offsetFor([from(100)], -1_700_000_000_000), -1_700_000_000_000);
  assertEquals(await offsetFor([from(100)], 100_000), 100_000);
});

Deno.test("clock offset that would lead before the epoch or beyond 2^53 microseconds is not", async () => {
  assertEquals(await offsetFor([from(100)], 100_001), 0);
  assertEquals(await offsetFor([from(100, 50)], 50_000), 50_000);
  assertEquals(await offsetFor([from(100, 50)], 50_001), 0);
  // 2^53 - 1 microseconds are 9,007,199,254,740.991 ms; the segment ends one second after its start.
  assertEquals(await offsetFor([from(0)], -9_007_199_253_740.991), -9_007_199_253_740.991);
  assertEquals(await offsetFor([from(0)], -9_007_199_253_741), 0);
  assertEquals(await offsetFor([from(0)], 1e300), 0);
  assertEquals(await offsetFor([from(0)], NaN), 0);
});
