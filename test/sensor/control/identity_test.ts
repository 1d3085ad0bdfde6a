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

const at2027Ms = 1_800_000_000_000;
const at = (nowMs: number, floor = 0, chance = 0) => ({ nowMs, floor, random: () => chance });

Deno.test("epoch rises at each start, also over power cuts, a damaged file, and a clock that is set back", async () => {
  const disk = new FakeDisk(prng(3));
  const raise = async (nowMs: number, floor?: number) =>
    (await raiseEpoch(disk, folder, at(nowMs, floor))).epoch;
  // Without a clock, as on a machine that wakes up in 1970.
  assertEquals(await raise(5_000), 5_000);
  assertEquals(await raise(1_000), 5_001);
  assertEquals(await raise(at2027Ms), 1_800_000_000_000);
  assertEquals(await raise(at2027Ms), 1_800_000_000_001);
  disk.crash();
  assertEquals(await raise(5_000), 1_800_000_000_002);
  for (let cutAt = 1; cutAt <= 5; cutAt++) {
    disk.cutAt = disk.operations + cutAt;
    await raise(at2027Ms).catch(() => {});
    disk.crash();
  }
  assert(await raise(5_000) > 1_800_000_000_002);
  assertEquals(await raise(5_000, 2_000_000_000_000), 2_000_000_000_001);
  for (const damaged of ["", "\n", "-4", "nonsense", "9".repeat(100)]) {
    await disk.write(`${folder}/epoch`, text(damaged));
    const { epoch, problem } = await raiseEpoch(disk, folder, at(at2027Ms));
    assertEquals(epoch, 1_800_000_000_000, JSON.stringify(damaged));
    assert(problem !== null);
  }
});

Deno.test("epoch rises above what was used even when the file is an old one, or none", async () => {
  const disk = new FakeDisk();
  const { epoch: used } = await raiseEpoch(disk, folder, at(at2027Ms));
  await disk.write(`${folder}/epoch`, text("3\n"));
  assertEquals((await raiseEpoch(disk, folder, at(at2027Ms + 10_000))).epoch, used + 10_000);
  await disk.remove(`${folder}/epoch`);
  assertEquals((await raiseEpoch(disk, folder, at(at2027Ms + 20_000))).epoch, used + 20_000);
});

Deno.test("epoch is the clock's on a disk that takes or gives nothing, and the sensor is told why", async () => {
  const disk = new FakeDisk();
  await raiseEpoch(disk, folder, at(5_000));
  disk.bytesMax = 0;
  const full = await raiseEpoch(disk, folder, at(at2027Ms));
  assertEquals(full, { epoch: 1_800_000_000_000, problem: "No space left on device" });
  disk.failRatio = 1;
  Object.defineProperty(disk, "random", { value: () => 0.5 });
  assertEquals((await raiseEpoch(disk, folder, at(at2027Ms))).problem, "Input/output error");
});

Deno.test("epochs that a disk does not keep are told apart by chance, and stay above those that it kept", async () => {
  const disk = new FakeDisk();
  await raiseEpoch(disk, folder, at(at2027Ms));
  disk.bytesMax = 0;
  // Each start finds the same file, and a clock behind it.
  const epochOf = async (chance: number, floor = 0) =>
    (await raiseEpoch(disk, folder, at(5_000, floor, chance))).epoch;
  assertEquals(await epochOf(0), 1_800_000_000_001);
  assertEquals(await epochOf(0.5), 1_800_000_005_001);
  assertEquals(await epochOf(0.99999), 1_800_000_010_000);
  assertEquals(await epochOf(0.5, 1_900_000_000_000), 1_900_000_005_001);
  disk.bytesMax = Infinity;
  assertEquals(await raiseEpoch(disk, folder, at(5_000, 0, 0.5)), {
    epoch: 1_800_000_000_001,
    problem: null,
  });
  // Of a file that nobody can read the last start is not known either; what follows is sure again.
  await disk.write(`${folder}/epoch`, text("x"));
  assertEquals((await raiseEpoch(disk, folder, at(5_000, 0, 0.5))).epoch, 10_000);
  assertEquals(await raiseEpoch(disk, folder, at(5_000, 0, 0.5)), { epoch: 10_001, problem: null });
});

Deno.test("a write of the epoch that fails once gives none that a later start has too", async () => {
  for (let cut = 1; cut <= 12; cut++) {
    const disk = new FakeDisk();
    await raiseEpoch(disk, folder, at(at2027Ms));
    let operations = 0;
    const failing = new Proxy(disk, {
      get(target, name) {
        const value = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        return (...given: unknown[]) => {
          const done = value.apply(target, given);
          return ++operations === cut
            ? Promise.resolve(done).then(() => Promise.reject(new Error("late")))
            : done;
        };
      },
    });
    const used = [(await raiseEpoch(failing, folder, at(5_000, 0, 0.0003))).epoch];
    for (let start = 0; start < 5; start++) used.push((await raiseEpoch(disk, folder, at(5_000))).epoch);
    if (new Set(used).size < used.length) throw new Error(`operation ${cut}: ${used.join()}`);
  }
});

Deno.test("state files that are none of ours are refused by name, or made anew, and never waited for", async () => {
  const real = await Deno.makeTempDir();
  const makers: [string, (path: string) => Promise<unknown>][] = [
    ["folder", (path) => Deno.mkdir(path)],
    ["FIFO", (path) => new Deno.Command("mkfifo", { args: [path] }).output()],
    ["link", (path) => Deno.symlink("/etc/hostname", path)],
    ["huge", async (path) => {
      await Deno.writeTextFile(path, "{");
      await Deno.truncate(path, 2 ** 33);
    }],
  ];
  for (const [name, make] of makers) {
    for (const file of ["identity.json", "status.json", "epoch", "epoch.part", "status.json.part"]) {
      await make(`${real}/${file}`);
    }
    const error = await assertRejects(() => loadIdentity(realDisk, real), IdentityError, "identity.json");
    assertStringIncludes((error as Error).message, name === "huge" ? "too large" : "is not a file");
    assertEquals(await readStatus(realDisk, real), null);
    assertEquals((await raiseEpoch(realDisk, real, at(at2027Ms))).epoch, 1_800_000_000_000, name);
    const status = { written_ms: 5, health: { capture: {} } } as unknown as Status;
    const isWritten = await writeStatus(realDisk, real, status).then(() => true, () => false);
    assertEquals(isWritten, name !== "folder");
    for await (const entry of Deno.readDir(real)) await Deno.remove(`${real}/${entry.name}`);
  }
  await Deno.remove(real, { recursive: true });
});

Deno.test({
  name: "what root makes in a folder of somebody else belongs to that one",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    const real = await Deno.makeTempDir();
    await Deno.chown(real, 12_345, 12_346);
    await createIdentity(realDisk, real, seed);
    await saveEnrolment(realDisk, real, enrolment);
    await raiseEpoch(realDisk, real, at(at2027Ms));
    await writeStatus(realDisk, real, { written_ms: 5 } as Status);
    await realDisk.makeFolder(`${real}/spool/quarantine`);
    await realDisk.write(`${real}/spool/quarantine/a`, text("a"));
    for (
      const name of [
        "identity.json",
        "epoch",
        "status.json",
        "spool",
        "spool/quarantine",
        "spool/quarantine/a",
      ]
    ) {
      const { uid, gid } = await Deno.stat(`${real}/${name}`);
      assertEquals([uid, gid], [12_345, 12_346], name);
    }
    await Deno.remove(real, { recursive: true });
  },
});

Deno.test("state folder that cannot be made is said with the option that names another", async () => {
  const error = await assertRejects(() => openStateFolder(realDisk, "/proc/picket/state"), IdentityError);
  assertStringIncludes((error as Error).message, "--state");
});

Deno.test("state folder is locked by one process at a time, until that one ends", async () => {
  const real = await Deno.makeTempDir();
  const program = `const file = await Deno.open("${real}", { read: true });
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
  const later = { written_ms: 6, health: { capture: { packets: 2 } } } as unknown as Status;
  await writeStatus(disk, folder, { written_ms: 4, health: { capture: {} } } as unknown as Status);
  // A full disk: what is there is written over.
  disk.bytesMax = disk.bytes;
  await writeStatus(disk, folder, later);
  assertEquals(await readStatus(disk, folder), later);
  disk.bytesMax = Infinity;
  const status = { written_ms: 5, health: { capture: { packets: 1 } } } as unknown as Status;
  await writeStatus(disk, folder, status);
  assertEquals(await readStatus(disk, folder), status);
  await disk.write(`${folder}/status.json`, text("{"));
  assertEquals(await readStatus(disk, folder), null);
});
