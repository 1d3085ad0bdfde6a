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
  const entries = spool.lend(1e6, 1e12);
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
  assertEquals(names(spool).at(-1), "1-0-20.batch");
  assertEquals(counted(reporter, "batches_dropped_total", "full"), spool.droppedBatches);
  assert(lines.some((line) => line.includes("dropped its oldest batches")));
});

Deno.test("spool never drops a batch that a sender holds", async () => {
  const { spool } = await openSpool(new FakeDisk(), { bytesMax: 4_000 });
  await spool.put([fileOf(1, 0, 1, 500)]);
  const [held] = spool.lend(1, 1e6);
  for (let seq = 2; seq <= 20; seq++) await spool.put([fileOf(1, 0, seq, 500)]);
  assertEquals((await spool.read(held, signer))?.header.seq, 1);
});

Deno.test("spool on a full disk drops its oldest batches to write the newest", async () => {
  const disk = new FakeDisk();
  disk.bytesMax = 5_000;
  const { spool, reporter } = await openSpool(disk);
  for (let seq = 1; seq <= 20; seq++) await spool.put([fileOf(1, 0, seq, 500)]);
  assertEquals(names(spool).at(-1), "1-0-20.batch");
  assertEquals(spool.unwritten, 0);
  assertEquals(spool.batches + counted(reporter, "batches_dropped_total"), 20);
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
