/** Walls are found by trying, and stand only where the child's own report shows them. @module */

import { assert, assertEquals } from "@std/assert";
import {
  findPrefix,
  reportCommands,
  type WallName,
  wallNames,
  wallsIn,
} from "../../../../sensor/dissect/child/sandbox.ts";

const outside = { uid: 100, keyPath: "/var/lib/picket-sensor/identity.json", isBehindUnit: true };
const whole = [
  "Uid:\t200\t200\t200\t200",
  "CapPrm:\t0000000000000000",
  "CapEff:\t0000000000000000",
  "CapAmb:\t0000000000000000",
  "NoNewPrivs:\t1",
  "Seccomp:\t2",
  "Max cpu time              3600                 3600                 seconds   ",
  "Max address space         671088640            671088640            bytes     ",
  "Interfaces: shown",
  "Key: hidden",
  "",
].join("\n");

Deno.test("only tools that work are put before the child", async () => {
  const limits = { memoryBytesMax: 1_000, cpuSecondsMax: 10 };
  const tried: string[] = [];
  assertEquals(await findPrefix(limits, () => Promise.resolve(false)), []);
  const prefix = await findPrefix(limits, (command, args) => {
    tried.push([command, ...args].join(" "));
    return Promise.resolve(!tried.at(-1)!.includes("unshare") && !tried.at(-1)!.includes("--bounding-set"));
  });
  assertEquals([prefix[0], prefix.includes("--as=1000"), prefix.includes("unshare")], [
    "prlimit",
    true,
    false,
  ]);
  assert(tried.every((command) => command.endsWith("setpriv --version")));
});

Deno.test("a whole report shows every wall", () => {
  assertEquals(wallsIn(whole, outside), { standing: wallNames, missing: [] });
});

const gaps: readonly (readonly [wall: WallName, from: string, to: string])[] = [
  ["capabilities", "CapEff:\t0000000000000000", "CapEff:\t0000000000002000"],
  ["capabilities", "CapPrm:\t0000000000000000", "CapPrm:\t0000000000002000"],
  ["capabilities", "CapAmb:\t0000000000000000", "CapAmb:\t0000000000002000"],
  ["capabilities", "CapAmb:\t0000000000000000\n", ""],
  ["privileges", "NoNewPrivs:\t1", "NoNewPrivs:\t0"],
  ["network", "Interfaces: shown", "Interface: eth0\nInterfaces: shown"],
  ["network", "Interfaces: shown\n", ""],
  ["files", "Key: hidden", "Key: readable"],
  ["memory", "space         671088640", "space         unlimited"],
  ["time", "time              3600", "time              unlimited"],
  ["user", "Uid:\t200", "Uid:\t100"],
  ["syscalls", "Seccomp:\t2", "Seccomp:\t0"],
];
for (const [wall, from, to] of gaps) {
  Deno.test(`a report with ${JSON.stringify(to)} for ${JSON.stringify(from)} misses the wall ${wall}`, () => {
    assert(whole.includes(from));
    assertEquals(wallsIn(whole.replace(from, to), outside).missing, [wall]);
  });
}

Deno.test("without a report nothing stands", () => {
  assertEquals(wallsIn("", outside), { standing: [], missing: wallNames });
});

Deno.test("who has no key needs no wall around it, and no unit is asked for a filter of system calls", () => {
  const report = whole.replace("Seccomp:\t2", "Seccomp:\t0").replace("Uid:\t200", "Uid:\t100");
  const { missing, standing } = wallsIn(report, { uid: 100, keyPath: null, isBehindUnit: false });
  assertEquals([missing, standing.includes("files")], [[], false]);
});

Deno.test("a key file of any name is one word of the report", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/it's "$(touch owned)" \`touch owned\`; touch owned`;
    await Deno.writeTextFile(path, "key");
    const { stdout } = await new Deno.Command("sh", { args: ["-c", reportCommands(path)], cwd: folder })
      .output();
    assert(new TextDecoder().decode(stdout).includes("Key: readable\n\n"));
    assertEquals([...Deno.readDirSync(folder)].length, 1);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
