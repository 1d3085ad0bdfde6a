/** Tests of the spool: what is promised survives crashes, faults, a full disk and damaged files. @module */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { realDisk } from "../../../sensor/disk.ts";
import { valueOf } from "../../../sensor/ship/packed_batch.ts";
import { Spool, type SpoolOptions } from "../../../sensor/ship/spool.ts";
import { batchOf, counted, fileOf, prng, signer, silentReporter } from "./helpers.ts";
import { FakeDisk } from "./fake_disk.ts";

const folder = "/spool";

async function openSpool(disk = new FakeDisk(), options: Partial<SpoolOptions> = {}) {
  const { reporter, lines } = silentReporter();
  const spool = new Spool({ folder, ...options }, { disk, reporter });
  await spool.start();
  return { spool, disk, reporter, lines };
}

/** Names of everything in the spool, by lending it all and giving it back. */
function names(spool: Spool): string[] {
  const entries = [];
  // Those of one start at a time.
  for (let lent = spool.lend(1e6, 1e12); lent.length > 0; lent = spool.lend(1e6, 1e12)) entries.push(...lent);
  for (const entry of entries) spool.giveBack(entry);
  return entries.map((entry) => entry.name);
}

Deno.test("spool gives back what was put, oldest first, and forgets what is acknowledged", async () => {
  const { spool, disk } = await openSpool();
  await spool.put([fileOf(1, 0, 1), fileOf(1, 1, 1)]);
  await spool.put([fileOf(1, 0, 2)]);
  assertEquals(names(spool), ["1-0-1.batch", "1-1-1.batch", "1-0-2.batch"]);
  const [first] = spool.lend(1, 1e6);
  const batch = await spool.read(first, signer);
  assertEquals(batch?.header.seq, 1);
  assertEquals(valueOf(batch!), batchOf(1, 0, 1).value);
  await spool.acknowledge(first);
  assertEquals(names(spool), ["1-1-1.batch", "1-0-2.batch"]);
  assertEquals(disk.paths("/spool/").length, 2);
  assertEquals(spool.bytes, disk.bytes);
});

Deno.test("spool after a start holds what an earlier run left, by epoch and seq, and clears half-written files", async () => {
  const disk = new FakeDisk();
  const first = await openSpool(disk);
  await first.spool.put([fileOf(2, 0, 10), fileOf(2, 0, 9), fileOf(1, 3, 30)]);
  await disk.write("/spool/2-0-11.batch.part", new Uint8Array(3));
  await disk.write("/spool/notes.txt", new Uint8Array(3));
  const { spool } = await openSpool(disk);
  assertEquals(names(spool), ["1-3-30.batch", "2-0-9.batch", "2-0-10.batch"]);
  assertEquals(disk.paths("/spool/2-0-11"), []);
  assertEquals(disk.paths("/spool/notes").length, 1);
});

Deno.test("spool that is full drops its oldest batches, counts them, and stays below its limit", async () => {
  const { spool, reporter, lines } = await openSpool(new FakeDisk(), { bytesMax: 4_000 });
  for (let seq = 1; seq <= 20; seq++) await spool.put([fileOf(1, 0, seq, 500)]);
  assert(spool.bytes <= 4_000, `${spool.bytes}`);
  assert(spool.batches >= 2);
  assertEquals(spool.batches + spool.droppedBatches, 20);
  const newest = Array.from({ length: spool.batches }, (_, i) => `1-0-${21 - spool.batches + i}.batch`);
  assertEquals(counted(reporter, "batches_dropped_total", "full"), spool.droppedBatches);
  assertEquals(names(spool), newest);
  assert(lines.some((line) => line.includes("dropped its oldest batches")));
});

Deno.test("spool never drops a batch that a sender holds", async () => {
  const { spool } = await openSpool(new FakeDisk(), { bytesMax: 4_000 });
  await spool.put([fileOf(1, 0, 1, 500)]);
  const [held] = spool.lend(1, 1e6);
  for (let seq = 2; seq <= 20; seq++) await spool.put([fileOf(1, 0, seq, 500)]);
  assertEquals((await spool.read(held, signer))?.header.seq, 1);
});

Deno.test("spool on a full disk drops its oldest batches to write the newest, once memory is full too", async () => {
  const disk = new FakeDisk();
  disk.bytesMax = 5_000;
  const { spool, reporter } = await openSpool(disk, { unwrittenBatchesMax: 3 });
  for (let seq = 1; seq <= 20; seq++) await spool.put([fileOf(1, 0, seq, 500)]);
  assertEquals(names(spool).at(-1), "1-0-20.batch");
  assert(spool.unwritten <= 3, `${spool.unwritten}`);
  assertEquals(spool.batches + counted(reporter, "batches_dropped_total", "full"), 20);
  assert(disk.bytes <= 5_000 && spool.bytes === disk.bytes, `${spool.bytes} of ${disk.bytes}`);
});

Deno.test("spool on a full disk gives what it has on disk and in memory, and drops nothing", async () => {
  const disk = new FakeDisk();
  const { spool, reporter } = await openSpool(disk);
  await spool.put([fileOf(1, 0, 1, 500)]);
  disk.bytesMax = disk.bytes + 100;
  for (let seq = 2; seq <= 5; seq++) await spool.put([fileOf(1, 0, seq, 500)]);
  assertEquals([spool.batches, spool.unwritten, spool.droppedBatches], [5, 4, 0]);
  assertEquals(spool.problem, "the disk is full: No space left on device");
  const lent = spool.lend(3, 1e9);
  for (const entry of lent) {
    assertEquals((await spool.read(entry, signer))?.header.seq, entry.seq);
    await spool.acknowledge(entry);
  }
  assertEquals(lent.map(({ seq }) => seq), [1, 2, 3]);
  assertEquals([spool.batches, spool.unwritten], [2, 2]);
  await spool.put([]);
  assertEquals(disk.paths("/spool/"), [], "halves of files take room that others need");
  disk.bytesMax = Infinity;
  await spool.put([]);
  assertEquals([spool.batches, spool.unwritten, spool.problem], [2, 0, null]);
  assertEquals(disk.paths("/spool/").length, 2);
  assertEquals(counted(reporter, "batches_dropped_total"), 0);
});

Deno.test("spool does not write again what was acknowledged while it was being written", async () => {
  const disk = new FakeDisk();
  const { spool } = await openSpool(disk);
  disk.bytesMax = 0;
  await spool.put([fileOf(1, 0, 1), fileOf(1, 0, 2)]);
  disk.bytesMax = Infinity;
  const [first] = spool.lend(1, 1e9);
  const written = spool.put([]);
  await spool.acknowledge(first);
  await written;
  assertEquals([names(spool), disk.paths("/spool/")], [["1-0-2.batch"], ["/spool/1-0-2.batch"]]);
  assertEquals(spool.bytes, disk.bytes);
});

Deno.test("spool opens on a disk that gives nothing, and sends from memory", async () => {
  const disk = new FakeDisk();
  disk.failRatio = 1;
  Object.defineProperty(disk, "random", { value: () => 0.5 });
  const { spool } = await openSpool(disk);
  await spool.put([fileOf(1, 0, 1)]);
  assertEquals([spool.batches, spool.problem], [1, "Input/output error"]);
  const [entry] = spool.lend(1, 1e9);
  assertEquals((await spool.read(entry, signer))?.header.seq, 1);
  await spool.acknowledge(entry);
  assertEquals([spool.batches, spool.unwritten], [0, 0]);
});

Deno.test("spool finds what an earlier run left as soon as a disk that failed at the start can be listed", async () => {
  const disk = new FakeDisk();
  const before = await openSpool(disk);
  await before.spool.put([fileOf(1, 0, 1), fileOf(1, 0, 2)]);
  disk.failAt = disk.operations + 2; // The folder is there, its list is not.
  const { spool } = await openSpool(disk);
  assertEquals([names(spool), spool.problem], [[], "Input/output error"]);
  await spool.put([fileOf(2, 0, 1)]);
  assertEquals(names(spool), ["1-0-1.batch", "1-0-2.batch", "2-0-1.batch"]);
  assertEquals([spool.bytes, spool.problem], [disk.bytes, null]);
  await spool.put([fileOf(2, 0, 2)]);
  assertEquals(spool.batches, 4, "once");
});

Deno.test("spool that is listed late knows its own batches, also those it could not write or has sent", async () => {
  const disk = new FakeDisk();
  const before = await openSpool(disk);
  await before.spool.put([fileOf(1, 0, 1)]);
  disk.failRatio = 1;
  Object.defineProperty(disk, "random", { value: () => 0.5 });
  const { spool } = await openSpool(disk);
  await spool.put([fileOf(2, 0, 1), fileOf(2, 0, 2)]);
  const [sent] = spool.lend(1, 1e9);
  await spool.acknowledge(sent);
  disk.failRatio = 0;
  await spool.put([fileOf(2, 0, 3)]);
  assertEquals(names(spool), ["1-0-1.batch", "2-0-2.batch", "2-0-3.batch"]);
  assertEquals(spool.bytes, disk.bytes);
});

Deno.test("spool lets no file that cannot be read or deleted stand in the way of the others", async () => {
  const disk = new FakeDisk();
  const { spool, reporter } = await openSpool(disk);
  await spool.put([fileOf(1, 0, 1), fileOf(1, 0, 2)]);
  const [bad] = spool.lend(1, 1e9);
  disk.failAt = disk.operations + 1;
  await spool.read(bad, signer).then(() => assert(false), () => {});
  spool.giveBack(bad);
  const [next] = spool.lend(1, 1e9);
  assertEquals(next.seq, 2);
  // It was sent; that the disk keeps it is no reason to send it again.
  disk.failAt = disk.operations + 1;
  await spool.acknowledge(next);
  assertEquals([names(spool), disk.paths("/spool/1-0-2").length], [["1-0-1.batch"], 1]);
  assertEquals(counted(reporter, "spool_delete_errors_total"), 1);
  const [again] = spool.lend(1, 1e9);
  await spool.read(again, signer);
  await spool.acknowledge(again);
  assertEquals(disk.paths("/spool/"), []);
});

Deno.test("spool sends what an earlier start left before anything newer", async () => {
  const { spool } = await openSpool();
  await spool.put([fileOf(1, 0, 1), fileOf(1, 1, 1), fileOf(2, 0, 1)]);
  assertEquals(spool.lend(8, 1e9).map(({ name }) => name), ["1-0-1.batch", "1-1-1.batch"]);
});

Deno.test("spool sets files aside that are none, by name, and drops nothing intact on their account", async () => {
  const real = await Deno.makeTempDir();
  const mine = `${real}/spool`;
  const { reporter, lines } = silentReporter();
  const open = async () => {
    const spool = new Spool({ folder: mine, bytesMax: 100_000 }, { disk: realDisk, reporter });
    await spool.start();
    return spool;
  };
  await (await open()).put([fileOf(2, 0, 1), fileOf(2, 0, 2)]);
  await Deno.writeFile(`${mine}/1-0-1.batch`, new Uint8Array(1));
  await Deno.truncate(`${mine}/1-0-1.batch`, 2 ** 34);
  await Deno.mkdir(`${mine}/1-0-2.batch/within`, { recursive: true });
  await Deno.symlink("/dev/zero", `${mine}/1-0-3.batch`);
  await new Deno.Command("mkfifo", { args: [`${mine}/1-0-4.batch`, `${mine}/2-0-3.batch.part`] }).output();
  const spool = await open();
  assertEquals(names(spool), ["2-0-1.batch", "2-0-2.batch"]);
  await spool.put([fileOf(2, 0, 3)]);
  assertEquals([spool.batches, spool.droppedBatches, spool.quarantined], [3, 0, 4]);
  assertEquals(counted(reporter, "batches_quarantined_total", '"not_a_file"'), 3);
  assertEquals(counted(reporter, "batches_quarantined_total", '"too_large"'), 1);
  assert(lines.some((line) => line.includes("1-0-1.batch")));
  // One that grew since it was listed.
  await Deno.truncate(`${mine}/2-0-1.batch`, 2 ** 34);
  const read = [];
  for (const entry of spool.lend(9, 1e12)) read.push((await spool.read(entry, signer))?.header.seq ?? null);
  assertEquals(read, [null, 2, 3]);
  await Deno.remove(real, { recursive: true });
});

Deno.test("spool keeps batches in memory while the disk refuses, writes them later, and counts what it had to drop", async () => {
  const disk = new FakeDisk();
  const { spool, reporter } = await openSpool(disk, { unwrittenBatchesMax: 3 });
  disk.failRatio = 1;
  const broken = () => 0.5;
  Object.defineProperty(disk, "random", { value: broken });
  for (let seq = 1; seq <= 5; seq++) await spool.put([fileOf(1, 0, seq)]);
  assertEquals(spool.unwritten, 3);
  assertEquals(spool.droppedBatches, 2);
  assertEquals(counted(reporter, "batches_dropped_total", "unwritable"), 2);
  disk.failRatio = 0;
  await spool.put([]);
  assertEquals(names(spool), ["1-0-3.batch", "1-0-4.batch", "1-0-5.batch"]);
});

Deno.test("spool sets a damaged, renamed or foreign file aside, counts it, and goes on with the next", async () => {
  const disk = new FakeDisk();
  const { spool, reporter } = await openSpool(disk);
  await spool.put([1, 2, 3, 4, 5, 6].map((seq) => fileOf(1, 0, seq)));
  disk.damage("/spool/1-0-1.batch", (bytes) => bytes.slice(0, 20));
  disk.damage("/spool/1-0-2.batch", (bytes) => bytes.with(bytes.length - 3, bytes.at(-3)! ^ 255));
  disk.damage("/spool/1-0-3.batch", () => new Uint8Array(0));
  await disk.rename("/spool/1-0-5.batch", "/spool/1-0-4.batch");
  const read = [];
  for (const entry of spool.lend(100, 1e9)) {
    read.push((await spool.read(entry, { ...signer }))?.header.seq ?? null);
  }
  // The fourth is what was the fifth, under a wrong name; the fifth is gone.
  assertEquals(read, [null, null, null, null, null, 6]);
  for (const [reason, count] of [["header", 2], ["body", 1], ["name", 1], ["vanished", 1]] as const) {
    assertEquals(counted(reporter, "batches_quarantined_total", `"${reason}"`), count, reason);
  }
  assertEquals(spool.quarantined, 4);
  assertEquals(spool.batches, 1);
  const [last] = spool.lend(1, 1e9);
  assertEquals(last, undefined);
});

Deno.test("spool refuses a batch signed by another identity", async () => {
  const { spool, reporter } = await openSpool();
  await spool.put([fileOf(1, 0, 1)]);
  const [entry] = spool.lend(1, 1e9);
  assertEquals(await spool.read(entry, { sensor: "s_other", key: signer.key }), null);
  assertEquals(counted(reporter, "batches_quarantined_total", "identity"), 1);
});

Deno.test("spool bounds its quarantine", async () => {
  const { spool, disk } = await openSpool(new FakeDisk(), { quarantineFilesMax: 3 });
  await spool.put([1, 2, 3, 4, 5].map((seq) => fileOf(1, 0, seq)));
  for (const entry of spool.lend(100, 1e9)) await spool.quarantine(entry, "refused");
  assertEquals(disk.paths("/spool/quarantine/").length, 3);
  assertEquals(spool.quarantined, 3);
});

Deno.test("spool says which limit is wrong", () => {
  const { reporter } = silentReporter();
  assertThrows(
    () => new Spool({ folder, bytesMax: 0 }, { disk: new FakeDisk(), reporter }),
    RangeError,
    'Cannot open spool as "bytesMax" must be >= 1: current value is 0',
  );
});

/** Puts, acknowledges some, on a disk that fails as told; returns what was promised and not acknowledged. */
async function work(disk: FakeDisk): Promise<{ promised: Set<string>; spool: Spool | null }> {
  const promised = new Set<string>();
  const { reporter } = silentReporter();
  const spool = new Spool({ folder }, { disk, reporter });
  try {
    await spool.start();
  } catch {
    return { promised, spool: null };
  }
  for (let seq = 1; seq <= 4; seq++) {
    await spool.put([fileOf(1, 0, seq), fileOf(1, 1, seq)]);
    if (spool.unwritten === 0) { for (const name of names(spool)) promised.add(name); }
    const [entry] = spool.lend(1, 1e9);
    if (!entry) continue;
    promised.delete(entry.name); // From here on it may be gone, or not.
    await spool.acknowledge(entry).catch(() => spool.giveBack(entry));
  }
  return { promised, spool };
}

Deno.test("spool keeps its promise whichever operation fails", async () => {
  for (let failAt = 1;; failAt++) {
    const disk = new FakeDisk(prng(failAt));
    disk.failAt = failAt;
    const { promised, spool } = await work(disk);
    if (failAt > disk.operations) break;
    assertEquals(spool?.droppedBatches ?? 0, 0);
    disk.crash();
    const { spool: next } = await openSpool(disk);
    const there = new Set(names(next));
    for (const name of promised) assert(there.has(name), `${name} is lost when operation ${failAt} fails`);
  }
});

/** Batches lost over a power cut at every operation, in several outcomes each. */
async function lossesOfPowerCuts(ignoresSync: boolean): Promise<number> {
  let losses = 0;
  for (let cutAt = 1;; cutAt++) {
    let operations = 0;
    for (let seed = 1; seed <= 5; seed++) {
      const disk = new FakeDisk(prng(seed * 1_000 + cutAt));
      disk.ignoresSync = ignoresSync;
      disk.cutAt = cutAt;
      const { promised } = await work(disk);
      operations = disk.operations;
      disk.crash();
      const { spool } = await openSpool(disk);
      const readable = new Set<string>();
      for (const entry of spool.lend(1e6, 1e12)) {
        if (await spool.read(entry, signer)) readable.add(entry.name);
      }
      for (const name of promised) if (!readable.has(name)) losses++;
    }
    if (cutAt > operations) return losses;
  }
}

Deno.test("spool loses nothing it promised when the power goes at any operation", async () => {
  assertEquals(await lossesOfPowerCuts(false), 0);
});

Deno.test("spool without fsync does lose batches, so the test above can fail", async () => {
  assert(await lossesOfPowerCuts(true) > 0);
});

Deno.test("spool behaves like a plain list over put, acknowledge and crash", async () => {
  const action = fc.oneof(
    fc.record({ kind: fc.constant("put" as const), buckets: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ kind: fc.constant("acknowledge" as const), count: fc.integer({ min: 1, max: 4 }) }),
    fc.record({ kind: fc.constant("crash" as const), seed: fc.integer({ min: 1, max: 1_000 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 40 }), async (actions) => {
      let seed = 1;
      const disk = new FakeDisk(() => prng(seed++)());
      let { spool } = await openSpool(disk);
      let model: string[] = [];
      /** Acknowledged since the last folder sync: a power cut may bring them back, as replays. */
      let returning = new Set<string>();
      let epoch = 1, seq = 0;
      for (const step of actions) {
        if (step.kind === "put") {
          seq++;
          const batches = Array.from({ length: step.buckets }, (_, bucket) => fileOf(epoch, bucket, seq));
          await spool.put(batches);
          model.push(...batches.map(({ header }) => `${epoch}-${header.bucket}-${seq}.batch`));
          returning = new Set();
        } else if (step.kind === "acknowledge") {
          for (const entry of spool.lend(step.count, 1e9)) {
            assert(await spool.read(entry, signer));
            await spool.acknowledge(entry);
            returning.add(entry.name);
            model = model.filter((name) => name !== entry.name);
          }
        } else {
          seed = step.seed;
          disk.crash();
          ({ spool } = await openSpool(disk));
          epoch++;
          seq = 0;
          const there = names(spool);
          for (const name of there) assert(model.includes(name) || returning.has(name), name);
          for (const name of model) assert(there.includes(name), name);
          model = there;
          returning = new Set();
        }
        assertEquals(new Set(names(spool)), new Set(model));
      }
    }),
    { numRuns: 150, seed: 42 },
  );
});

Deno.test("spool works on the real disk, and its files are readable by their owner only", async () => {
  const real = await Deno.makeTempDir();
  try {
    const { reporter } = silentReporter();
    const spool = new Spool({ folder: `${real}/spool` }, { disk: realDisk, reporter });
    await spool.start();
    await spool.put([fileOf(1, 0, 1), fileOf(1, 0, 2)]);
    assertEquals((await Deno.stat(`${real}/spool/1-0-1.batch`)).mode! & 0o777, 0o600);
    const again = new Spool({ folder: `${real}/spool` }, { disk: realDisk, reporter });
    await again.start();
    const [first, second] = again.lend(2, 1e9);
    assertEquals(valueOf((await again.read(first, signer))!), batchOf(1, 0, 1).value);
    await again.acknowledge(first);
    await again.quarantine(second, "refused");
    assertEquals([...Deno.readDirSync(`${real}/spool`)].map((entry) => entry.name), ["quarantine"]);
  } finally {
    await Deno.remove(real, { recursive: true });
  }
});
