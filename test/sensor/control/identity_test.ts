/** Tests of identity, epoch, lock and status file: what a state folder promises. @module */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  createIdentity,
  type Enrolment,
  IdentityError,
  loadIdentity,
  openStateFolder,
  raiseEpoch,
  saveEnrolment,
} from "../../../sensor/control/identity.ts";
import { lockState } from "../../../sensor/control/state_lock.ts";
import { readStatus, type Status, writeStatus } from "../../../sensor/control/status_file.ts";
import { realDisk } from "../../../sensor/disk.ts";
import { systemClock } from "../../../shared/clock.ts";
import { FakeDisk } from "../ship/fake_disk.ts";
import { prng } from "../ship/helpers.ts";

const folder = "/state";
const seed = new Uint8Array(32).fill(9);
const enrolment: Enrolment = {
  sensor_id: "s1",
  name: "attic",
  site: "home",
  buckets: 4,
  kafka: null,
  aggregator: "http://10.0.0.5:8600",
  aggregator_ca: null,
};
const text = (value: string) => new TextEncoder().encode(value);

Deno.test("identity is the same after it was written and read, before and after enrolment", async () => {
  const disk = new FakeDisk();
  assertEquals(await loadIdentity(disk, folder), null);
  const made = await createIdentity(disk, folder, seed);
  assertEquals(made.enrolment, null);
  await saveEnrolment(disk, folder, enrolment);
  const read = (await loadIdentity(disk, folder))!;
  assertEquals([read.key, read.publicKey, read.enrolment], [made.key, made.publicKey, enrolment]);
});

Deno.test("identity that is damaged is said, with what to do, and without the seed", async () => {
  const disk = new FakeDisk();
  await createIdentity(disk, folder, seed);
  const whole = new TextDecoder().decode(await disk.read(`${folder}/identity.json`));
  for (const damaged of ["", whole.slice(0, -20), whole.replace('"version": 1', '"version": 2'), "[]"]) {
    await disk.write(`${folder}/identity.json`, text(damaged));
    const error = await assertRejects(
      () => loadIdentity(disk, folder),
      IdentityError,
      "delete it and enrol again",
    );
    assert(!(error as Error).message.includes(JSON.parse(whole).seed));
  }
});

Deno.test("identity survives a power cut at any operation of an enrolment, old or new but whole", async () => {
  for (let cutAt = 1; cutAt < 20; cutAt++) {
    const disk = new FakeDisk(prng(cutAt));
    await createIdentity(disk, folder, seed);
    disk.cutAt = disk.operations + cutAt;
    await saveEnrolment(disk, folder, enrolment).catch(() => {});
    disk.crash();
    const read = await loadIdentity(disk, folder);
    assert(read?.enrolment === null || read?.enrolment.sensor_id === "s1", `cut at ${cutAt}`);
  }
});

Deno.test("epoch rises at each start, also over power cuts and a damaged file", async () => {
  const disk = new FakeDisk(prng(3));
  const nowMs = 1_800_000_000_000;
  assertEquals(await raiseEpoch(disk, folder, nowMs), 1);
  assertEquals(await raiseEpoch(disk, folder, nowMs), 2);
  disk.crash();
  assertEquals(await raiseEpoch(disk, folder, nowMs), 3);
  for (let cutAt = 1; cutAt <= 5; cutAt++) {
    disk.cutAt = disk.operations + cutAt;
    await raiseEpoch(disk, folder, nowMs).catch(() => {});
    disk.crash();
  }
  assert(await raiseEpoch(disk, folder, nowMs) > 3);
  for (const damaged of ["", "\n", "-4", "nonsense"]) {
    await disk.write(`${folder}/epoch`, text(damaged));
    assertEquals(await raiseEpoch(disk, folder, nowMs), 1_800_000_000, JSON.stringify(damaged));
  }
});

Deno.test("state folder that cannot be made is said with the option that names another", async () => {
  const error = await assertRejects(() => openStateFolder(realDisk, "/proc/picket/state"), IdentityError);
  assertStringIncludes((error as Error).message, "--state");
});

Deno.test("state folder is locked by one process at a time, until that one ends", async () => {
  const real = await Deno.makeTempDir();
  const program = `const file = await Deno.open("${real}/lock", { create: true, write: true });
    await file.lock(true); console.log("locked"); await new Promise((r) => setTimeout(r, 60_000));`;
  const other = new Deno.Command(Deno.execPath(), {
    args: ["eval", program],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = other.stdout.getReader();
  await reader.read();
  // A lock held elsewhere is waited for without end, so that this half of the test runs in a process of its own.
  const asking = `import { lockState } from ${
    JSON.stringify(import.meta.resolve("../../../sensor/control/state_lock.ts"))
  };
    import { systemClock } from ${JSON.stringify(import.meta.resolve("../../../shared/clock.ts"))};
    console.log(await lockState("${real}", systemClock) === null ? "held" : "free"); Deno.exit(0);`;
  const answer = await new Deno.Command(Deno.execPath(), { args: ["eval", asking] }).output();
  other.kill("SIGKILL");
  await other.status;
  await reader.cancel();
  assertEquals(new TextDecoder().decode(answer.stdout).trim(), "held");
  const lock = await lockState(real, systemClock);
  assert(lock !== null);
  lock.release();
  await Deno.remove(real, { recursive: true });
});

Deno.test("status file gives back what was written, and nothing when it is damaged", async () => {
  const disk = new FakeDisk();
  assertEquals(await readStatus(disk, folder), null);
  const status = { written_ms: 5, health: { capture: { packets: 1 } } } as unknown as Status;
  await writeStatus(disk, folder, status);
  assertEquals(await readStatus(disk, folder), status);
  await disk.write(`${folder}/status.json`, text("{"));
  assertEquals(await readStatus(disk, folder), null);
});
