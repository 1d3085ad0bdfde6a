/** The sealing thread and the outbox around it: a real thread, a fake disk. @module */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { publicKeyFromRaw, verifyBatch } from "../../../shared/batch.ts";
import { decodeValue } from "../../shared/columns.ts";
import { systemClock } from "../../../shared/clock.ts";
import { Outbox } from "../../../sensor/ship/outbox.ts";
import { type BatchFile, unpackBatch, valueOf } from "../../../sensor/ship/packed_batch.ts";
import { SealThread } from "../../../sensor/ship/seal_thread.ts";
import { Shipper } from "../../../sensor/ship/shipper.ts";
import { Spool } from "../../../sensor/ship/spool.ts";
import type { Transport } from "../../../sensor/ship/transport.ts";
import { pageOf } from "../flow/pages.ts";
import { FakeDisk } from "./fake_disk.ts";
import { counted, fileOf, publicKey, signer, silentReporter, turn } from "./helpers.ts";

const page = (count: number, text = "") =>
  pageOf(Array.from({ length: count }, (_, i) => ({
    start_us: 1_700_000_000_000_000 + i,
    src_ip: "10.0.0.1",
    dst_ip: "192.0.2.1",
    src_port: i,
    dst_port: 443,
    packets: [2, 3] as const,
    facts: text === "" ? null : { other: { "sip.Method": text } },
  })));

function threadOf(options: { batchBytesMax?: number } = {}) {
  const { reporter } = silentReporter();
  const sealing = new SealThread({ buckets: 2, epoch: 5, sealAgeMs: 1_600, ...options }, {
    signer,
    reporter,
  });
  return { sealing, reporter };
}

Deno.test("thread gives back signed batches of every row, in order, and counts them", async () => {
  const { sealing, reporter } = threadOf();
  sealing.start();
  const open = page(100, "é");
  assertEquals(sealing.add(open, 1_000), null);
  open.clear(); // The page is ours again at once.
  assertEquals(await sealing.seal(1_001), []);
  const [first, second] = [sealing.seal(30_000), sealing.seal(30_000, true)];
  assertEquals(sealing.pending, 2);
  const files = await first;
  assertEquals(await second, []);
  assertEquals(files.map(({ header }) => [header.bucket, header.epoch, header.seq]), [[0, 5, 1], [1, 5, 1]]);
  const ports = new Set<unknown>();
  for (const { bytes } of files) {
    const packed = unpackBatch(bytes);
    assert(typeof packed !== "string");
    const batch = { header: packed.header, value: valueOf(packed) };
    assertEquals(verifyBatch(batch, publicKeyFromRaw(publicKey)), null);
    const table = decodeValue(batch.value, batch.header.flows);
    assert(typeof table !== "string");
    table.src_port.forEach((port) => ports.add(port));
    assertEquals(table.facts[0], { other: { "sip.Method": "é" } });
  }
  assertEquals(ports.size, 100);
  assertEquals(sealing.sealed, { "0": 1, "1": 1 });
  assertEquals(counted(reporter, "segments_sealed_total"), 100);
  assertEquals(counted(reporter, "batches_sealed_total"), 2);
  sealing.stop();
  await assertRejects(() => sealing.seal(0), Error, "Cannot seal segments as the sealing thread ended");
});

Deno.test("thread says how many rows lost their facts to the limit of a batch", async () => {
  const { sealing, reporter } = threadOf({ batchBytesMax: 2_000 });
  sealing.start();
  sealing.add(page(3, "a".repeat(5_000)), 0);
  const files = await sealing.seal(0, true);
  assertEquals(files.reduce((sum, { header }) => sum + header.flows, 0), 3);
  assertEquals(counted(reporter, "facts_cut_total"), 3);
  sealing.stop();
});

Deno.test("thread that fails rejects what was asked and what will be, and does not end the program", async () => {
  const { reporter } = silentReporter();
  const privateKey = { export: () => new Uint8Array(5) } as unknown as typeof signer.privateKey;
  const sealing = new SealThread({ buckets: 2, epoch: 1 }, { signer: { ...signer, privateKey }, reporter });
  sealing.start();
  const why = "as the sealing thread ended: Uncaught RangeError: Cannot read private key";
  await assertRejects(() => sealing.add(page(512), 0)!, Error, why);
  await assertRejects(() => sealing.seal(0), Error, why);
  sealing.stop();
});

Deno.test("thread is asked once it has a parcel full, in parcels whatever the pages", async () => {
  const { sealing } = threadOf();
  sealing.start();
  const answers = Array.from({ length: 70 }, () => sealing.add(page(30), 0));
  assertEquals(answers.filter((answer) => answer !== null).length, Math.floor(70 * 30 / 512));
  const files = (await Promise.all([...answers, sealing.seal(0, true)])).flatMap((files) => files ?? []);
  assertEquals(files.reduce((sum, { header }) => sum + header.flows, 0), 70 * 30);
  sealing.stop();
});

Deno.test("thread is asked once the facts of a parcel are many, however few its rows", async () => {
  const { sealing } = threadOf();
  sealing.start();
  const answer = sealing.add(page(40, "x".repeat(60_000)), 1_000);
  assert(answer !== null && sealing.pending === 3, `${sealing.pending} requests`);
  assertEquals((await sealing.seal(1_000, true)).reduce((sum, { header }) => sum + header.flows, 0), 40);
  sealing.stop();
});

Deno.test("thread checks its limits before it starts, and is asked in vain before it did", async () => {
  const { reporter } = silentReporter();
  assertThrows(
    () => new SealThread({ buckets: 0, epoch: 1 }, { signer, reporter }),
    RangeError,
    'Cannot seal batches as "buckets" must be 1 to 1024: current value is 0',
  );
  await assertRejects(() => threadOf().sealing.seal(0), Error, "was not started");
});

Deno.test("outbox is neither flushed nor drained while a batch is being written that a tick sealed", async () => {
  const { sealing, reporter } = threadOf();
  const opened = Promise.withResolvers<void>();
  const disk = new class extends FakeDisk {
    override async write(path: string, bytes: Uint8Array): Promise<void> {
      await opened.promise;
      await super.write(path, bytes);
    }
  }();
  const spool = new Spool({ folder: "/spool" }, { disk, reporter });
  const transport: Transport = {
    kind: "http",
    send: (batches) => Promise.resolve({ taken: batches, refused: [], problem: null }),
    close: () => Promise.resolve(),
  };
  const deps = { spool, transport, identity: signer, clock: systemClock, reporter, random: () => 0.5 };
  const shipper = new Shipper({}, deps);
  const outbox = new Outbox({ live: false }, { sealing, spool, shipper, clock: systemClock, reporter });
  await outbox.start();
  await sealing.seal(0); // The thread is there, however long it took to start.
  const writing = spool.put([fileOf(5, 0, 1)]);
  await turn();
  assertEquals(spool.unwritten, 1);
  const ended: string[] = [];
  const flushed = outbox.flush().then(() => ended.push("flushed"));
  const drained = outbox.drained(new AbortController().signal).then(() => ended.push("drained"));
  // Nothing is left to wait for but the disk: the tick waits for it too, so the thread is asked no more.
  while (sealing.pending > 0) await systemClock.sleep(1);
  for (let i = 0; i < 20; i++) await turn();
  assertEquals(ended, []);
  opened.resolve();
  await Promise.all([writing, flushed, drained]);
  assertEquals(ended.sort(), ["drained", "flushed"]);
  assertEquals([spool.batches, shipper.sentBatches], [0, 1]);
  await outbox.stop();
});

Deno.test("outbox takes many pages, keeps few of them waiting, and every row is acknowledged", async () => {
  const { sealing, reporter } = threadOf();
  const disk = new FakeDisk();
  const spool = new Spool({ folder: "/spool" }, { disk, reporter });
  let flows = 0;
  const transport: Transport = {
    kind: "http",
    send: (batches) => {
      flows += batches.reduce((sum, { header }) => sum + header.flows, 0);
      return Promise.resolve({ taken: batches, refused: [], problem: null });
    },
    close: () => Promise.resolve(),
  };
  const deps = { spool, transport, identity: signer, clock: systemClock, reporter, random: () => 0.5 };
  const shipper = new Shipper({}, deps);
  const outbox = new Outbox({ live: false }, { sealing, spool, shipper, clock: systemClock, reporter });
  await outbox.start();
  let pendingMost = 0;
  for (let i = 0; i < 100; i++) {
    await outbox.take(page(500));
    pendingMost = Math.max(pendingMost, sealing.pending);
  }
  await outbox.flush();
  assert(await outbox.drained(new AbortController().signal));
  assertEquals(flows, 50_000);
  assert(pendingMost <= 34, `${pendingMost} requests waited`);
  await outbox.stop();
  await outbox.take(page(512)); // Its failure is noticed soon after.
  await turn();
  await assertRejects(() => outbox.take(page(1)), Error, "sealing thread ended");
});

Deno.test("thread goes on in another epoch, with seq from 1, and what was added before stays in the one before", async () => {
  const { sealing } = threadOf();
  sealing.start();
  sealing.add(page(20), 0);
  const renewed = sealing.renew(9, 10);
  sealing.add(page(30), 20);
  const before = await renewed;
  assertEquals(sealing.sealed, {});
  assertEquals(sealing.totals, { batches: 0, flows: 0, packets: 0 });
  const after = await sealing.seal(30, true);
  const rows = (files: BatchFile[]) => files.reduce((sum, { header }) => sum + header.flows, 0);
  const epochs = (
    files: BatchFile[],
  ) => [...new Set(files.map(({ header: { epoch, seq } }) => `${epoch}/${seq}`))];
  assertEquals([rows(before), epochs(before)], [20, ["5/1"]]);
  assertEquals([rows(after), epochs(after)], [30, ["9/1"]]);
  assertEquals(sealing.sealed, { 0: 1, 1: 1 });
  assertEquals(sealing.totals, { batches: 2, flows: 30, packets: 150 });
  sealing.stop();
});
