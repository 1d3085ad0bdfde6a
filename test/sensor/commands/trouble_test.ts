/** Tests of a state folder in trouble: a disk that is full or takes no writes, a backup that was restored. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { skipLoudly } from "../../services/services.ts";
import { type Machine, machineTest, until } from "./machine.ts";

const canMount = Deno.uid() === 0 &&
  (await new Deno.Command("unshare", { args: ["-m", "true"] }).output()).success;
const needs = canMount ? { ignore: false } : skipLoudly("full disks", "mounting needs root");

/** Mounts a small disk where the machine's state goes. */
async function onSmallDisk(machine: Machine, use: (mount: (how: string) => Promise<void>) => Promise<void>) {
  const mount = async (...args: string[]) => {
    const { success, stderr } = await new Deno.Command("mount", { args }).output();
    assert(success, new TextDecoder().decode(stderr));
  };
  Deno.mkdirSync(machine.state);
  await mount("-t", "tmpfs", "-o", "size=400k,mode=700", "tmpfs", machine.state);
  try {
    await use((how) => mount("-o", `remount,${how}`, machine.state));
  } finally {
    await new Deno.Command("umount", { args: ["-l", machine.state] }).output();
  }
}

function fill(machine: Machine): void {
  const file = Deno.openSync(`${machine.state}/filler`, { create: true, write: true });
  try {
    for (;;) file.writeSync(new Uint8Array(4_096));
  } catch (error) {
    assertEquals((error as { code?: string }).code, "ENOSPC");
  } finally {
    file.close();
  }
}

machineTest(
  "run on a full disk starts, drains its spool, ships what it captures, and says so",
  (machine) =>
    onSmallDisk(machine, async () => {
      const { aggregator } = machine;
      await machine.enrol();
      await aggregator.stop();
      await machine.call("replay", machine.capture(40), "--ship", "--no-facts", "--timeout-ms", "100");
      const waiting = machine.spooled().length;
      assert(waiting > 0);
      fill(machine);
      aggregator.start();
      const { ended, stop, logs } = machine.begin("run", "--no-facts", "--check-in-s", "1");
      await until(() => aggregator.flows === 40);
      await until(() => machine.spooled().length === 0);
      // What the spool gave back is taken again, by something else.
      fill(machine);
      machine.live.packet(Date.now() * 1_000);
      await until(() => aggregator.flows === 41);
      await until(() => aggregator.checkIns.at(-1)?.spool.error?.includes("disk is full") ?? false);
      assert(logs.some((line) => line.includes("the disk is full")));
      let out = "";
      await until(async () => (out = (await machine.call("status")).out).includes("disk is full"));
      assertStringIncludes(out, "running    yes");
      stop();
      assertEquals(await ended, 0);
      assertEquals([aggregator.flows, aggregator.checkIns.at(-1)?.spool.dropped_batches], [41, 0]);
    }),
  needs,
);

machineTest(
  "run and replay on a disk that takes no writes ship each batch once",
  (machine) =>
    onSmallDisk(machine, async (mount) => {
      const { aggregator } = machine;
      await machine.enrol();
      await mount("ro");
      const { code } = await machine.call("replay", machine.capture(30), "--ship", "--no-facts");
      assertEquals([code, aggregator.flows, aggregator.replays], [0, 30, 0]);
      const { ended, stop, logs } = machine.begin("run", "--no-facts", "--check-in-s", "1");
      await until(() => logs.some((line) => line.includes("capturing")));
      machine.live.packet(Date.now() * 1_000);
      await until(() => aggregator.flows === 31);
      await until(() => (aggregator.checkIns.at(-1)?.spool.error ?? null) !== null);
      stop();
      assertEquals(await ended, 0);
      await mount("rw");
    }),
  needs,
);

machineTest("a state folder restored from a backup does not go on where it was", async (machine) => {
  const { aggregator } = machine;
  await machine.enrol();
  const ship = (...more: string[]) =>
    machine.call("replay", machine.capture(5), "--ship", "--no-facts", "--again", ...more);
  const epochs = () => [...new Set([...aggregator.batches.keys()].map((name) => Number(name.split("-")[0])))];
  await ship();
  const backup = Deno.readTextFileSync(`${machine.state}/epoch`);
  await ship();
  await ship();
  Deno.writeTextFileSync(`${machine.state}/epoch`, backup);
  await ship();
  assertEquals([epochs().length, aggregator.replays, aggregator.flows], [4, 0, 20]);
  assertEquals(epochs(), epochs().toSorted());
});

machineTest("run learns that it has been further already, and goes on above it", async (machine) => {
  const { aggregator } = machine;
  await machine.enrol();
  // Its clock was years ahead when it was last at work; the backup is older than that.
  aggregator.epochMax = 4_000_000_000_000;
  const { ended, stop, logs } = machine.begin("run", "--no-facts", "--check-in-s", "1");
  await until(() => logs.some((line) => line.includes("capturing")));
  machine.live.packet(Date.now() * 1_000);
  await until(() => logs.some((line) => line.includes("knows a later start")));
  machine.live.packet(Date.now() * 1_000);
  await until(() => aggregator.flows === 2);
  const above = [...aggregator.batches.keys()].filter((name) => name.startsWith("4000000000001-")).length;
  assert(above > 0);
  await until(() => {
    const { epoch, sealed } = aggregator.checkIns.at(-1)!;
    return epoch === 4_000_000_000_001 && Object.values(sealed).join() === `${above}`;
  });
  // A copy of this sensor was started: the one that was first must not hide it by overtaking it.
  aggregator.epochMax = 5_000_000_000_000;
  const { length } = aggregator.checkIns;
  await until(() => aggregator.checkIns.length >= length + 2);
  assertEquals(aggregator.checkIns.at(-1)!.epoch, 4_000_000_000_001);
  stop();
  assertEquals(await ended, 0);
  assertEquals(aggregator.flows, 2);
  assertEquals(Deno.readTextFileSync(`${machine.state}/epoch`), "4000000000001\n");
});

machineTest(
  "a start whose epoch the disk does not keep asks the aggregator before it seals anything",
  async (machine) => {
    const { aggregator } = machine;
    await machine.enrol();
    Deno.mkdirSync(`${machine.state}/epoch`);
    // Its clock was years ahead at an earlier start, of which this disk knows nothing either.
    const lowest = () =>
      Math.min(...[...aggregator.batches.keys()].map((name) => Number(name.split("-")[0])));
    aggregator.epochMax = 4_000_000_000_000;
    const { code, log } = await machine.call("replay", machine.capture(5), "--ship", "--no-facts");
    assertEquals([code, aggregator.flows], [0, 5]);
    assertStringIncludes(log, "cannot store the epoch of this start, asking the aggregator");
    assert(lowest() > 4_000_000_000_000 && lowest() <= 4_000_000_010_000, `${lowest()}`);
    aggregator.batches.clear();
    aggregator.epochMax += 10_000;
    const { ended, stop, logs } = machine.begin("run", "--no-facts", "--check-in-s", "1");
    await until(() => logs.some((line) => line.includes("capturing")));
    machine.live.packet(Date.now() * 1_000);
    await until(() => aggregator.flows === 1);
    assert(lowest() > 4_000_000_010_000, `${lowest()}`);
    stop();
    assertEquals(await ended, 0);
  },
);

/** Batches in the spool of an aggregator that is away. */
async function spoolSome(machine: Machine, packets: number): Promise<number> {
  await machine.aggregator.stop();
  await machine.call("replay", machine.capture(packets), "--ship", "--no-facts", "--timeout-ms", "100");
  machine.aggregator.start();
  return machine.spooled().length;
}

machineTest(
  "enrol --new-key carries over what waits in the spool, and all of it arrives",
  async (machine) => {
    const { aggregator } = machine;
    await machine.enrol();
    const waiting = await spoolSome(machine, 40);
    assert(waiting > 0);
    // Quarantined or revoked: the old key can ship nothing any more, and its place is taken.
    aggregator.enrolled = null;
    const how = ["--aggregator", aggregator.url, "--token", aggregator.token, "--new-key"];
    const { code, out } = await machine.call("enrol", ...how);
    assertEquals(code, 0);
    assertStringIncludes(out, `${waiting} batches that wait in the spool were sealed anew`);
    const { out: shipped } = await machine.call("replay", machine.capture(2), "--ship", "--no-facts");
    assertEquals([JSON.parse(shipped).shipped.left_in_spool, aggregator.flows], [0, 42]);
  },
);

machineTest("enrol --new-key that is refused leaves the old identity in force", async (machine) => {
  const { aggregator } = machine;
  await machine.enrol();
  await spoolSome(machine, 10);
  const how = ["--aggregator", aggregator.url, "--new-key"];
  assertEquals((await machine.call("enrol", ...how, "--token", "jt_00000000000000000000000000")).code, 1);
  assertEquals((await machine.call("replay", machine.capture(1), "--ship", "--no-facts")).code, 0);
  assertEquals(aggregator.flows, 11);
});

machineTest("enrol --new-key is refused while the sensor runs", async (machine) => {
  await machine.enrol();
  const { ended, stop, logs } = machine.begin("run", "--no-facts");
  await until(() => logs.some((line) => line.includes("capturing")));
  const { aggregator } = machine;
  const how = ["--aggregator", aggregator.url, "--token", aggregator.token, "--new-key"];
  const { code, err } = await machine.call("enrol", ...how);
  assertEquals(code, 3);
  assertStringIncludes(err, "stop it first");
  stop();
  assertEquals(await ended, 0);
  // The lock that is held elsewhere is waited for until that one ends.
}, { sanitizeOps: false, sanitizeResources: false });

machineTest(
  "enrol as root for somebody else's state folder leaves everything to that one",
  async (machine) => {
    const { aggregator } = machine;
    Deno.mkdirSync(machine.state, { mode: 0o700 });
    await Deno.chown(machine.state, 12_345, 12_345);
    await machine.enrol();
    await spoolSome(machine, 10);
    aggregator.enrolled = null;
    const how = ["--aggregator", aggregator.url, "--token", aggregator.token, "--new-key"];
    assertEquals((await machine.call("enrol", ...how)).code, 0);
    assertEquals((await machine.call("replay", machine.capture(1), "--ship", "--no-facts")).code, 0);
    const owners = new Map<string, number | null>();
    const walk = async (folder: string) => {
      for await (const { name, isDirectory } of Deno.readDir(folder)) {
        owners.set(name, (await Deno.lstat(`${folder}/${name}`)).uid);
        if (isDirectory) await walk(`${folder}/${name}`);
      }
    };
    await walk(machine.state);
    assertEquals([...owners].filter(([, uid]) => uid !== 12_345), []);
    assert(owners.size >= 4, [...owners.keys()].join());
  },
  { ignore: Deno.uid() !== 0 },
);
