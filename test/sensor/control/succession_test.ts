/** Tests of one identity taking another's place: what waits in the spool goes with it, wherever that is interrupted.
 * @module */

import { assert, assertEquals } from "@std/assert";
import { keyId, keysFromSeed, publicKeyFromRaw, verifyBatch } from "../../../shared/batch.ts";
import { carryOver } from "../../../sensor/control/carry_over.ts";
import {
  createIdentity,
  type Enrolment,
  loadIdentity,
  nextIdentity,
  saveEnrolment,
} from "../../../sensor/control/identity.ts";
import { Succession } from "../../../sensor/control/succession.ts";
import { unpackBatch, valueOf } from "../../../sensor/ship/packed_batch.ts";
import { Spool } from "../../../sensor/ship/spool.ts";
import { FakeDisk } from "../ship/fake_disk.ts";
import { batchOf, FakeClock, fileOf, prng, silentReporter } from "../ship/helpers.ts";

const folder = "/state";
const enrolled = (sensor_id: string, buckets = 4): Enrolment => ({
  sensor_id,
  name: "attic",
  site: "home",
  buckets,
  kafka: null,
  aggregator: "http://10.0.0.5:8600",
  aggregator_ca: null,
});
/** The seed of the signer in helpers.ts. */
const oldSeed = new Uint8Array(32).fill(7), newSeed = new Uint8Array(32).fill(8);
const spooled: [number, number, number][] = [[1, 0, 4], [1, 0, 5], [1, 2, 9], [2, 0, 1], [2, 1, 1]];
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const values = spooled.map(([epoch, bucket, seq]) => text(batchOf(epoch, bucket, seq).value)).sort();

/** A state folder with batches that wait. */
async function machine(random?: () => number): Promise<FakeDisk> {
  const disk = new FakeDisk(random);
  await createIdentity(disk, folder, oldSeed);
  await saveEnrolment(disk, folder, enrolled("s_test"));
  const spool = new Spool({ folder: `${folder}/spool` }, { disk, reporter: silentReporter().reporter });
  await spool.start();
  await spool.put(spooled.map(([epoch, bucket, seq]) => fileOf(epoch, bucket, seq)));
  return disk;
}

async function succeed(disk: FakeDisk, enrolment = enrolled("s_next"), discard = false) {
  const { reporter } = silentReporter();
  const before = await loadIdentity(disk, folder);
  const next = await nextIdentity(disk, folder, newSeed);
  const randomBytes = (length: number) => new Uint8Array(length);
  const edges = { clock: new FakeClock(), reporter, randomBytes };
  const succession = new Succession(folder, { disk, edges });
  return await succession.run(before, next, enrolment, { isNext: true, discard });
}

/** Values of everything that the identity in force could ship, after a session has finished what was begun. */
async function shippable(disk: FakeDisk): Promise<string[]> {
  const { reporter } = silentReporter();
  let identity = (await loadIdentity(disk, folder))!;
  await carryOver(`${folder}/spool`, identity, { disk, reporter });
  await saveEnrolment(disk, folder, identity.enrolment!);
  identity = (await loadIdentity(disk, folder))!;
  const spool = new Spool({ folder: `${folder}/spool` }, { disk, reporter });
  await spool.start();
  const found: string[] = [];
  for (let lent = spool.lend(9, 1e9); lent.length > 0; lent = spool.lend(9, 1e9)) {
    for (const entry of lent) {
      const batch = await spool.read(entry, { sensor: identity.enrolment!.sensor_id, key: identity.key });
      if (batch) found.push(text(valueOf(batch)));
    }
  }
  return found.sort();
}

Deno.test("a new key takes the batches of the old one with it, signed anew, without holes in their numbers", async () => {
  const disk = await machine();
  const outcome = await succeed(disk);
  assertEquals(outcome, { carried: 5, left: 0, discarded: 0, kept_in: null });
  const { publicKey } = keysFromSeed(newSeed);
  const names = disk.paths(`${folder}/spool/`).map((path) => path.split("/").at(-1)!);
  const epoch = Number(names[0].split("-")[0]);
  assertEquals(
    names,
    [1, 2, 3].map((seq) => `${epoch}-0-${seq}.batch`).concat([`${epoch}-1-1.batch`, `${epoch}-2-1.batch`]),
  );
  for (const name of names) {
    const batch = unpackBatch(await disk.read(`${folder}/spool/${name}`));
    assert(typeof batch !== "string");
    const { header } = batch;
    assertEquals([header.sensor, header.key], ["s_next", keyId(publicKey)]);
    assertEquals(verifyBatch({ header, value: valueOf(batch) }, publicKeyFromRaw(publicKey)), null);
  }
  assertEquals(disk.paths(`${folder}/identity`), [`${folder}/identity.json`]);
  assertEquals(await shippable(disk), values);
});

Deno.test("a succession that the power interrupts at any operation loses and doubles nothing", async () => {
  let isDone = false, cuts = 0;
  for (let cutAt = 1; !isDone; cutAt++) {
    const disk = await machine(prng(cutAt));
    disk.cutAt = disk.operations + cutAt;
    isDone = await succeed(disk).then(({ left }) => left === 0, () => false);
    disk.crash();
    assertEquals(await shippable(disk), values, `cut at operation ${cutAt}`);
    // The same command again ends with the new identity, and the same batches.
    assertEquals((await loadIdentity(disk, folder))!.enrolment?.sensor_id === "s_test" && isDone, false);
    await succeed(disk);
    assertEquals(await shippable(disk), values, `cut at operation ${cutAt}, again`);
    cuts++;
  }
  assert(cuts > 20, `${cuts}`);
});

Deno.test("a succession sets no damaged or foreign batch in force, and leaves it for the spool to set aside", async () => {
  const disk = await machine();
  disk.damage(`${folder}/spool/1-0-4.batch`, (bytes) => bytes.with(bytes.length - 2, bytes.at(-2)! ^ 1));
  // Its header was changed by somebody without the key.
  disk.damage(
    `${folder}/spool/1-2-9.batch`,
    (bytes) => new TextEncoder().encode(text(bytes).replace('"picket-flows":"1"', '"picket-flows":"2"')),
  );
  const { carried, left } = await succeed(disk);
  assertEquals([carried, left], [3, 2]);
  assertEquals((await shippable(disk)).length, 3);
});

Deno.test("a fleet with other buckets gets no batches of the fleet before, and they are kept", async () => {
  const disk = await machine();
  const { carried, kept_in } = await succeed(disk, enrolled("s_next", 8));
  assertEquals([carried, disk.paths(`${folder}/spool/`)], [0, []]);
  assertEquals(disk.paths(`${kept_in}/`).length, 5);
});

Deno.test("batches are deleted only when that is asked for, and after the new identity is in force", async () => {
  const disk = await machine();
  assertEquals((await succeed(disk, enrolled("s_next"), true)).discarded, 5);
  assertEquals(disk.paths(`${folder}/spool/`), []);
});
