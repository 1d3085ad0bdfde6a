/** Ingest over a real SQLite store: exactly once, whatever comes twice, late, altered, or from a clone. @module */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { Ingest } from "../../../aggregator/ingest/ingest.ts";
import { openStore } from "../../../aggregator/store/open.ts";
import type { IngestWrite } from "../../../aggregator/model/ledger.ts";
import { type Store, StoreUnavailable } from "../../../aggregator/store/store.ts";
import type { Batch } from "../../../shared/batch.ts";
import { createReporter } from "../../../shared/reporter.ts";
import type { Segment } from "../../../shared/segment.ts";
import { capture, counted, outcomes, packetsOf, totals, withIngest } from "./with_ingest.ts";
import { bodyOf, buckets, getterOf, nowMs, segment, TestClock, TestSensor } from "./fleet.ts";

Deno.test("ingest gives the same totals for a capture through two sensors as through one, with both in seen_by", async () => {
  const one = new TestSensor("one", 1), two = new TestSensor("two", 2);
  const segments = capture(300);
  await withIngest([one, two], async ({ store, submit, counter }) => {
    await Promise.all(one.seal(segments).map(submit));
    const alone = await totals(store);
    assertEquals(alone.packets, packetsOf(segments));
    await Promise.all(two.seal(segments).map(submit));
    assertEquals(await totals(store), { ...alone, sightings: 600 });
    const stored = await counted(store);
    assertEquals([stored.flows, stored.packets, stored.bytes], [alone.flows, alone.packets, alone.bytes]);
    assert(stored.rows.every(({ seen_by }) => seen_by.map((s) => s.sensor_id).join() === "s-one,s-two"));
    // Conservation: what the sightings say is what the batches said.
    assertEquals(stored.seenPackets, 2 * packetsOf(segments));
    assertEquals(counter("packets_stored_total"), 2 * packetsOf(segments));
  });
});

Deno.test("ingest counts long spans whose traffic it did not spread, as there were too many", async () => {
  const sensor = new TestSensor("one");
  const long = (i: number) => {
    const start = 1_700_000_000 + i * 1_000;
    return segment({ tcp_isn: i, start, end: start + 600, fwd_packets: 1_000 });
  };
  await withIngest([sensor], async ({ submit, counter }) => {
    await Promise.all(sensor.seal(Array.from({ length: 500 }, (_, i) => long(i))).map(submit));
    assert(counter("traffic_spans_lumped_total") > 0);
  });
  await withIngest([sensor], async ({ submit, counter }) => {
    await Promise.all(sensor.seal(Array.from({ length: 100 }, (_, i) => long(i))).map(submit));
    assertEquals(counter("traffic_spans_lumped_total"), 0);
  });
});

Deno.test("ingest changes nothing when the same batch comes five times, in one group or in five", async () => {
  const sensor = new TestSensor("one");
  await withIngest([sensor], async ({ store, submit, counter, updates, restart }) => {
    const [batch] = sensor.seal([segment()]);
    assertEquals(outcomes(await Promise.all([1, 2].map(() => submit(batch)))), ["stored", "replay"]);
    const before = await counted(store);
    for (let i = 0; i < 2; i++) assertEquals((await submit(batch)).outcome, "replay");
    await restart();
    assertEquals((await submit(batch)).outcome, "replay");
    assertEquals(await counted(store), before);
    assertEquals(updates.length, 1);
    assertEquals([counter("batches_stored_total"), counter("batches_replayed_total")], [1, 4]);
  });
});

Deno.test("ingest refuses and counts a batch with any one byte changed", async () => {
  const sensor = new TestSensor("one");
  await withIngest([sensor], async ({ store, ingest, counter }) => {
    const [batch] = sensor.seal([segment({ facts: { tls: { sni: "example.org" } } })]);
    const body = bodyOf(batch);
    let sent = 0;
    const isRefused = async (get: (name: string) => string | undefined, bytes: Uint8Array) => {
      sent++;
      const outcome = await ingest.submit(get, bytes);
      assertEquals(outcome.outcome, "refused", JSON.stringify(outcome));
    };
    for (let i = 0; i < batch.value.length; i++) {
      const altered = batch.value.slice();
      altered[i] ^= 1 << i % 8;
      await isRefused(getterOf(batch), altered);
    }
    for (let i = 0; i < body.length; i++) {
      const altered = new Uint8Array(body);
      altered[i] ^= 1 << i % 8;
      // A changed bit of the frame may leave the value as it is; only then the batch is still the sensor's own.
      const outcome = await ingest.submit(getterOf(batch), altered);
      sent++;
      if (outcome.outcome !== "refused") await store.readTotals().then(({ flows }) => assertEquals(flows, 1));
    }
    const get = getterOf(batch);
    for (
      const name of ["sensor", "key", "epoch", "bucket", "seq", "flows", "sealed", "sha256", "signature"]
    ) {
      const text = get(`picket-${name}`)!;
      for (let i = 0; i < text.length - (name === "signature" ? 3 : 0); i++) {
        const altered = text.slice(0, i) + String.fromCharCode(text.charCodeAt(i) ^ 1) + text.slice(i + 1);
        await isRefused((asked) => asked === `picket-${name}` ? altered : get(asked), batch.value);
      }
      await isRefused((asked) => asked === `picket-${name}` ? undefined : get(asked), batch.value);
    }
    const refused = [
      "sha256",
      "signature",
      "unknown_sensor",
      "unknown_key",
      "header_malformed",
      "header_missing",
    ]
      .map((reason) => counter(`batches_refused_total{reason="${reason}"}`));
    assert(refused.every((count) => count > 0), String(refused));
    assertEquals(counter("batches_received_total"), sent);
    const accepted = counter("batches_stored_total") + counter("batches_replayed_total");
    assert((await store.readTotals()).flows <= 1 && accepted <= 24, `accepted ${accepted}`);
    assertEquals((await store.readDeadLetters(1_000)).length, 100);
    assert(counter('dead_letters_left_out_total{reason="sha256"}') > 0);
  });
});

Deno.test("ingest refuses bombs by their limits, in small memory", async () => {
  const { zstdCompressSync } = await import("node:zlib");
  const sensor = new TestSensor("one");
  await withIngest([sensor], async ({ ingest, counter, store }) => {
    const [batch] = sensor.seal([segment()]);
    const bomb = zstdCompressSync(new Uint8Array(256 * 1024 * 1024));
    const wide = crypto.getRandomValues(new Uint8Array(60_000));
    const long = zstdCompressSync(
      new Uint8Array(9 * 1024 * 1024).map((_, i) => wide[(i * 7 + (i >> 13)) % 60_000]),
    );
    const before = Deno.memoryUsage().rss;
    assertEquals(await ingest.submit(getterOf(batch), bomb), { outcome: "refused", reason: "ratio" });
    assert(Deno.memoryUsage().rss - before < 64 * 1024 * 1024);
    const tooLong = await ingest.submit(getterOf(batch), long);
    assert(tooLong.outcome === "refused" && ["too_large", "ratio"].includes(tooLong.reason));
    const huge = new Uint8Array(8 * 1024 * 1024 + 1);
    assertEquals(await ingest.submit(getterOf(batch), huge), { outcome: "refused", reason: "too_large" });
    const noise = new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, 1, 2, 3]);
    assertEquals(await ingest.submit(getterOf(batch), noise), { outcome: "refused", reason: "compression" });
    assertEquals(counter('batches_refused_total{reason="compression"}'), 1);
    const [letter] = await store.readDeadLetters(1);
    assertEquals([letter.reason, letter.origin, letter.sensor_id], ["compression", "http", "s-one"]);
    assertEquals([...letter.sample], [...noise]);
  });
});

Deno.test("ingest refuses columns that lie, though their signature is good", async () => {
  const sensor = new TestSensor("one");
  await withIngest([sensor], async ({ submit }) => {
    const reasons = async (rows: Segment[], bucket: number) => {
      const outcome = await submit(sensor.sealAs(rows, { bucket, seq: 1 }));
      return outcome.outcome === "refused" ? outcome.reason : outcome.outcome;
    };
    const right = sensor.seal([segment()])[0].header.bucket;
    assertEquals(await reasons([segment()], (right + 1) % buckets), "bucket");
    assertEquals(await reasons([segment()], buckets), "bucket");
    assertEquals(await reasons([{ ...segment(), fwd_packets: -1 }], right), "column_value");
    assertEquals(await reasons([{ ...segment(), src_ip: "10.0.0.256" }], right), "column_value");
    assertEquals(await reasons([segment()], right), "stored");
  });
});

Deno.test("ingest stops taking batches of a revoked sensor within five seconds", async () => {
  const sensor = new TestSensor("one");
  await withIngest([sensor], async ({ submit, store, clock }) => {
    const batches = [1, 2, 3].map((i) =>
      sensor.sealAs([segment()], { bucket: sensor.seal([segment()])[0].header.bucket, seq: i })
    );
    assertEquals((await submit(batches[0])).outcome, "stored");
    await store.revokeSensor(sensor.id, nowMs);
    clock.advance(4_999);
    assertEquals(await submit(batches[1]), { outcome: "refused", reason: "revoked" });
  });
});

Deno.test("ingest takes a sensor that enrolled a moment ago", async () => {
  const sensor = new TestSensor("one"), late = new TestSensor("late", 9);
  await withIngest([sensor], async ({ submit, store, clock }) => {
    assertEquals((await submit(sensor.seal([segment()])[0])).outcome, "stored");
    await late.enrol(store);
    clock.advance(300);
    assertEquals((await submit(late.seal([segment()])[0])).outcome, "stored");
  });
});

Deno.test("ingest lists what is missing as a gap and closes it when it came", async () => {
  const sensor = new TestSensor("one");
  await withIngest([sensor], async ({ submit, store, restart }) => {
    const { bucket } = sensor.seal([segment()])[0].header;
    const batch = (seq: number) => sensor.sealAs([segment({ segment: seq })], { bucket, seq });
    await submit(batch(2));
    await submit(batch(6));
    const open = async () =>
      (await store.readGaps({ open: true }, 10)).map(({ from_seq, to_seq }) => [from_seq, to_seq]).sort();
    assertEquals(await open(), [[1, 1], [3, 5]]);
    await restart();
    await submit(batch(4));
    assertEquals(await open(), [[1, 1], [3, 3], [5, 5]]);
    await Promise.all([1, 3, 5].map((seq) => submit(batch(seq))));
    assertEquals(await open(), []);
    const closed = await store.readGaps({ sensor_id: sensor.id, open: false }, 10);
    assertEquals(closed.map(({ from_seq, to_seq }) => [from_seq, to_seq]).sort(), [[1, 1], [3, 3], [5, 5]]);
    assertEquals(await store.readPositions(sensor.id, 1), [{ bucket, seq_max: 6, batches: 6 }]);
  });
});

Deno.test("ingest stores the same whatever the order, the repeats and the grouping, and lists no gap at the end", async () => {
  const segments = capture(40);
  let expected: unknown;
  for (let seed = 1; seed <= 40; seed++) {
    const sensor = new TestSensor("one");
    const random = randomOf(seed);
    await withIngest([sensor], async ({ submit, store }) => {
      const batches = Array.from({ length: 8 }, (_, i) => sensor.seal(segments.slice(i * 5, i * 5 + 5)))
        .flat();
      const sent = batches.flatMap((batch) => new Array(1 + Math.floor(random() * 3)).fill(batch));
      sent.sort(() => random() - 0.5);
      const pending: Promise<unknown>[] = [];
      for (const batch of sent) {
        pending.push(submit(batch));
        if (random() < 0.3) await Promise.all(pending.splice(0));
      }
      await Promise.all(pending);
      assertEquals(await store.readGaps({ open: true }, 10), [], `seed ${seed}`);
      const { flows, packets, bytes, sightings } = await counted(store);
      const result = { flows, packets, bytes, sightings };
      assertEquals(result, expected ??= result, `seed ${seed}`);
      assertEquals(packets, packetsOf(segments));
    });
  }
});

Deno.test("ingest quarantines a sensor whose one number has two contents", async () => {
  const sensor = new TestSensor("one");
  await withIngest([sensor], async ({ submit, store, clock, counter }) => {
    const { bucket } = sensor.seal([segment()])[0].header;
    assertEquals((await submit(sensor.sealAs([segment()], { bucket, seq: 1 }))).outcome, "stored");
    const other = sensor.sealAs([segment({ fwd_packets: 11 })], { bucket, seq: 1 });
    assertEquals(await submit(other), { outcome: "refused", reason: "equivocation" });
    const next = sensor.sealAs([segment()], { bucket, seq: 2 });
    assertEquals(await submit(next), { outcome: "refused", reason: "quarantined" });
    clock.advance(10_000);
    assertEquals(await submit(next), { outcome: "refused", reason: "quarantined" });
    const [row] = await store.readSensors();
    assertEquals([row.quarantined_ms, row.quarantine_reason], [
      nowMs,
      `two different batches have one number: epoch 1, bucket ${bucket}, seq 1`,
    ]);
    assertEquals(counter("sensors_quarantined_total"), 1);
    assertEquals((await store.readTotals()).flows, 1);
  });
});

Deno.test("ingest takes late batches of an old epoch, and quarantines when the old epoch seals new ones", async () => {
  const sensor = new TestSensor("one");
  await withIngest([sensor], async ({ submit, store, clock }) => {
    const { bucket } = sensor.seal([segment()])[0].header;
    const seal = (epoch: number, seq: number, sealed: number) =>
      sensor.sealAs([segment({ segment: seq })], { bucket, seq, epoch, sealed });
    assertEquals((await submit(seal(1, 1, nowMs))).outcome, "stored");
    clock.advance(600_000);
    assertEquals((await submit(seal(2, 1, nowMs + 600_000))).outcome, "stored");
    // The spool of epoch 1, sealed before the restart, arrives after it.
    assertEquals((await submit(seal(1, 2, nowMs + 590_000))).outcome, "stored");
    // A sensor without a battery clock: its new epoch began in the past.
    assertEquals((await submit(seal(3, 1, nowMs - 86_400_000))).outcome, "stored");
    assertEquals((await submit(seal(2, 2, nowMs + 601_000))).outcome, "stored");
    clock.advance(600_000);
    assertEquals(await submit(seal(1, 3, nowMs + 1_190_000)), { outcome: "refused", reason: "two_epochs" });
    const [row] = await store.readSensors();
    assert(row.quarantine_reason?.startsWith("an older epoch still seals batches"));
  });
});

Deno.test("ingest is exactly once when the reply to a commit is lost", async () => {
  const sensor = new TestSensor("one");
  const failing = failingStore((calls) => calls === 1 ? "after" : calls === 4 ? "before" : null);
  await withIngest(
    [sensor],
    async ({ submit, store, clock, updates, counter }) => {
      clock.isImpatient = true;
      const segments = capture(60);
      for (const batch of sensor.seal(segments)) assertEquals((await submit(batch)).outcome, "stored");
      const stored = await counted(store);
      assertEquals([stored.flows, stored.packets], [60, packetsOf(segments)]);
      assertEquals(await totals(store), {
        flows: 60,
        packets: stored.packets,
        bytes: stored.bytes,
        sightings: 60,
      });
      // The detectors hear of each flow once, also of those whose commit looked lost.
      assertEquals(new Set(updates.map(({ flow_id }) => flow_id)).size, 60);
      assertEquals(updates.length, 60);
      assert(counter("ingest_retries_total") >= 2);
    },
    {},
    failing,
  );
});

Deno.test("ingest started anew after a crash between commit and acknowledgement stores nothing twice", async () => {
  for (const moment of ["before", "after"] as const) {
    const sensor = new TestSensor("one"), other = new TestSensor("two", 2);
    const segments = capture(60);
    const reporter = createReporter({ component: "test", write: () => {} });
    const store = openStore("sqlite::memory:", { reporter });
    await store.start();
    await sensor.enrol(store);
    await other.enrol(store);
    const batches = [...sensor.seal(segments), ...other.seal(segments)];
    for (let crashAt = 1; crashAt <= batches.length; crashAt++) {
      // The crash: the store is told, the sensor never is; then this ingest and its memory are gone.
      const clock = new TestClock();
      const crashing = failingStore((calls) => calls === crashAt ? moment : null)(store);
      const ingest = new Ingest({ buckets }, { store: crashing, reporter, clock });
      await ingest.start();
      const sent = Promise.allSettled(
        batches.map((batch, i) => i < crashAt ? ingest.submit(getterOf(batch), bodyOf(batch)) : null),
      );
      for (let i = 0; i < 20; i++) await Promise.resolve();
      await ingest.stop();
      await sent;
    }
    const last = new Ingest({ buckets }, { store, reporter, clock: new TestClock() });
    await last.start();
    await Promise.all(batches.map((batch) => last.submit(getterOf(batch), bodyOf(batch))));
    await last.stop();
    const stored = await counted(store);
    assertEquals([stored.flows, stored.packets, stored.sightings], [60, packetsOf(segments), 120], moment);
    assertEquals(stored.seenPackets, 2 * packetsOf(segments));
    assertEquals((await totals(store)).packets, stored.packets);
    await store.stop();
  }
});

Deno.test("ingest gives way when another instance stored some of its batches first", async () => {
  const sensor = new TestSensor("one"), two = new TestSensor("two", 2);
  const segments = capture(30);
  let other: Ingest | null = null;
  let stolen: Batch[] = [];
  const thief = (store: Store): Store => {
    let done = false;
    return proxied(store, async (write, ingest) => {
      if (!done && other !== null) {
        done = true;
        await Promise.all(stolen.map((batch) => other!.submit(getterOf(batch), bodyOf(batch))));
      }
      await ingest(write);
    });
  };
  await withIngest(
    [sensor, two],
    async ({ submit, store, counter, clock }) => {
      const reporter = createReporter({ component: "other", write: () => {} });
      clock.advance(1);
      other = new Ingest({ buckets }, { store, reporter, clock: new TestClock() });
      await other.start();
      stolen = sensor.seal(segments).slice(0, 2);
      const batches = [...stolen, ...two.seal(segments)];
      const results = await Promise.all(batches.map(submit));
      assertEquals(outcomes(results.slice(0, 2)), ["replay", "replay"]);
      assertEquals(counter("ingest_conflicts_total"), 1);
      const stored = await counted(store);
      assertEquals([stored.flows, stored.packets], [30, packetsOf(segments)]);
      await other.stop();
    },
    {},
    thief,
  );
});

Deno.test("ingest takes another instance's commit for its own by nothing, not even when all of it is there", async () => {
  const sensor = new TestSensor("one");
  const stolen = sensor.seal(capture(30));
  let other: Ingest | null = null;
  const thief = (store: Store): Store =>
    proxied(store, async (write, ingest) => {
      const instance = other;
      other = null;
      if (instance) await Promise.all(stolen.map((batch) => instance.submit(getterOf(batch), bodyOf(batch))));
      await ingest(write);
    });
  await withIngest(
    [sensor],
    async ({ submit, store, counter, clock, updates }) => {
      clock.advance(1);
      const reporter = createReporter({ component: "other", write: () => {} });
      const instance = other = new Ingest({ buckets }, { store, reporter, clock: new TestClock() });
      await instance.start();
      const results = await Promise.all(stolen.map(submit));
      assertEquals([...new Set(outcomes(results))], ["replay"]);
      assertEquals([counter("ingest_conflicts_total"), updates.length], [1, 0]);
      assertEquals((await counted(store)).flows, 30);
      await instance.stop();
    },
    {},
    thief,
  );
});

Deno.test("ingest tells callers to wait when its queue is full, and takes all when the store is back", async () => {
  const sensor = new TestSensor("one");
  let isDown = true;
  const down = (store: Store) =>
    proxied(store, (write, ingest) => {
      if (isDown) throw new StoreUnavailable("the store is down");
      return ingest(write);
    });
  await withIngest(
    [sensor],
    async ({ submit, ingest, clock, counter, store }) => {
      const { bucket } = sensor.seal([segment()])[0].header;
      const batch = (seq: number) => sensor.sealAs([segment({ segment: seq })], { bucket, seq });
      const first = submit(batch(1));
      for (let i = 0; i < 200 && ingest.status.waiting_for === null; i++) await Promise.resolve();
      assertEquals(ingest.status.waiting_for, "the store is down");
      const waiting = [2, 3].map((seq) => submit(batch(seq)));
      await assertRejects(() => submit(batch(4)), StoreUnavailable, "queue is full");
      assertEquals(counter("ingest_queue_full_total"), 1);
      isDown = false;
      clock.advance(60_000);
      assertEquals(outcomes(await Promise.all([first, ...waiting])), ["stored", "stored", "stored"]);
      assertEquals(ingest.status.waiting_for, null);
      assertEquals((await store.readTotals()).packets, 54);
    },
    { queueBatchesMax: 2 },
    down,
  );
});

/** The store with `ingest` replaced. */
function proxied(
  store: Store,
  ingest: (write: IngestWrite, real: (write: IngestWrite) => Promise<void>) => Promise<void>,
): Store {
  return new Proxy(store, {
    get(target, name) {
      if (name === "ingest") return (write: IngestWrite) => ingest(write, (same) => target.ingest(same));
      const member = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

/** A store whose n-th ingest fails before or after it is done. */
function failingStore(when: (calls: number) => "before" | "after" | null): (store: Store) => Store {
  let calls = 0;
  return (store) =>
    proxied(store, async (write, ingest) => {
      const moment = when(++calls);
      if (moment !== "before") await ingest(write);
      if (moment !== null) throw new StoreUnavailable("the reply was lost");
    });
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = state + 0x6d2b79f5 | 0;
    let mixed = Math.imul(state ^ state >>> 15, 1 | state);
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed;
    return ((mixed ^ mixed >>> 14) >>> 0) / 4_294_967_296;
  };
}
