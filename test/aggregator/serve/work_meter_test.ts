/** What the meter says while batches are stored, wait, are refused, and fail. @module */

import { assertEquals, assertRejects } from "@std/assert";
import type { IngestOutcome } from "../../../aggregator/ingest/ingest.ts";
import { WorkMeter } from "../../../aggregator/serve/work_meter.ts";
import { TestClock } from "../api/fixture.ts";

Deno.test("a database that refuses each batch at once is seen, until one is stored or nobody tries any more", async () => {
  const clock = new TestClock();
  let next: () => Promise<IngestOutcome> = () => Promise.resolve({ outcome: "stored" });
  const meter = new WorkMeter(
    { submit: () => next(), assign: () => undefined, status: { stored_ms: null } } as never,
    clock,
  );
  const submit = () => meter.submit(() => undefined, new Uint8Array());
  const failing = () => meter.progress().failingSinceMs;
  await submit();
  assertEquals(failing(), null);
  next = () => Promise.reject(new Error("database or disk is full"));
  const sinceMs = clock.ms;
  await assertRejects(submit);
  clock.ms += 20_000;
  await assertRejects(submit);
  assertEquals([failing(), meter.progress().pending], [sinceMs, 0]);
  next = () => Promise.resolve({ outcome: "refused", reason: "signature" });
  await submit();
  assertEquals(failing(), sinceMs, "a refused batch never came to the database");
  next = () => Promise.resolve({ outcome: "replay" });
  await submit();
  assertEquals(failing(), null);
  next = () => Promise.reject(new Error("locked"));
  await assertRejects(submit);
  clock.ms += 120_000;
  assertEquals(failing(), clock.ms - 120_000);
  clock.ms += 1;
  assertEquals(failing(), null);
});

Deno.test("what waits is counted, with the time since when it does", async () => {
  const clock = new TestClock();
  const held = Promise.withResolvers<IngestOutcome>();
  const meter = new WorkMeter(
    { submit: () => held.promise, assign: () => undefined, status: { stored_ms: null } } as never,
    clock,
  );
  const first = meter.submit(() => undefined, new Uint8Array());
  const startMs = clock.ms;
  clock.ms += 5_000;
  const second = meter.submit(() => undefined, new Uint8Array());
  assertEquals([meter.progress().pending, meter.progress().lastMs], [2, startMs]);
  held.resolve({ outcome: "stored" });
  await Promise.all([first, second]);
  assertEquals(meter.progress().pending, 0);
});
