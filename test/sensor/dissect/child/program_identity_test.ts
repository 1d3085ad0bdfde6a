/** Which tshark this is: another one after every way to replace it, the same one otherwise,
 * none when it may not be run. @module */

import { assert, assertEquals } from "@std/assert";
import { identifyProgram } from "../../../../sensor/dissect/child/program_identity.ts";
import { systemClock } from "../../../../shared/clock.ts";

/** A program with a library and a plugin below a prefix of its own. */
async function withProgram(body: (prefix: string, program: string) => Promise<void>): Promise<void> {
  const prefix = await Deno.makeTempDir({ prefix: "picket-identity-" });
  try {
    for (const folder of ["bin", "lib/wireshark/plugins/4.0", "share/wireshark"]) {
      await Deno.mkdir(`${prefix}/${folder}`, { recursive: true });
    }
    await Deno.writeTextFile(`${prefix}/bin/tshark`, "#!/bin/sh\n");
    await Deno.chmod(`${prefix}/bin/tshark`, 0o755);
    await Deno.writeTextFile(`${prefix}/lib/libwireshark.so.1`, "library");
    await Deno.writeTextFile(`${prefix}/lib/wireshark/plugins/4.0/a.so`, "plugin");
    await body(prefix, `${prefix}/bin/tshark`);
  } finally {
    await Deno.remove(prefix, { recursive: true });
  }
}

const replacements: Record<string, (prefix: string) => Promise<unknown>> = {
  "the program is touched": (prefix) => Deno.utime(`${prefix}/bin/tshark`, 1_700_000_000, 1_700_000_000),
  "the program gets longer": (prefix) => Deno.writeTextFile(`${prefix}/bin/tshark`, "\n", { append: true }),
  "the program is another file, of the same size and time": async (prefix) => {
    const { mtime } = await Deno.stat(`${prefix}/bin/tshark`);
    await Deno.writeTextFile(`${prefix}/bin/new`, "#!/bin/ld\n", { mode: 0o755 });
    await Deno.utime(`${prefix}/bin/new`, mtime!, mtime!);
    await Deno.rename(`${prefix}/bin/new`, `${prefix}/bin/tshark`);
  },
  "the program is a link to another": async (prefix) => {
    await Deno.rename(`${prefix}/bin/tshark`, `${prefix}/bin/tshark-4`);
    await Deno.symlink("tshark-4", `${prefix}/bin/tshark`);
  },
  "a library is replaced": async (prefix) => {
    await Deno.writeTextFile(`${prefix}/lib/new`, "another library");
    await Deno.rename(`${prefix}/lib/new`, `${prefix}/lib/libwireshark.so.1`);
  },
  "a plugin comes": (prefix) => Deno.writeTextFile(`${prefix}/lib/wireshark/plugins/own.lua`, "-- script"),
  "a plugin goes": (prefix) => Deno.remove(`${prefix}/lib/wireshark/plugins/4.0/a.so`),
  "a plugin is written over": (prefix) =>
    Deno.writeTextFile(`${prefix}/lib/wireshark/plugins/4.0/a.so`, "another plugin"),
  "the first script comes": (prefix) => Deno.writeTextFile(`${prefix}/share/wireshark/init.lua`, "-- script"),
};

Deno.test("a program is another one when", async (t) => {
  for (const [how, replace] of Object.entries(replacements)) {
    await t.step(how, () =>
      withProgram(async (prefix, program) => {
        const before = await identifyProgram(program);
        assert(before !== null);
        assertEquals(await identifyProgram(program), before);
        // The clock of a file system stands still for up to 10 ms; nobody replaces a library that soon.
        await systemClock.sleep(30);
        await replace(prefix);
        const after = await identifyProgram(program);
        assert(after !== null);
        assert(after !== before);
      }));
  }
});

Deno.test("what cannot be run as it is named has no identity", () =>
  withProgram(async (prefix, program) => {
    assertEquals(await identifyProgram("tshark-that-is-not"), null);
    assertEquals(await identifyProgram(`${prefix}/bin`), null);
    assertEquals(await identifyProgram("bin/tshark"), null);
    assertEquals(await identifyProgram("./tshark"), null);
    assertEquals(await identifyProgram(""), null);
    await Deno.chmod(program, 0o644);
    assertEquals(await identifyProgram(program), null);
  }));

Deno.test("more plugins than anybody has are not looked through", () =>
  withProgram(async (prefix, program) => {
    for (let i = 0; i < 2_001; i++) Deno.writeTextFileSync(`${prefix}/lib/wireshark/plugins/${i}.so`, "");
    assertEquals(await identifyProgram(program), null);
  }));

Deno.test({
  name: "a program that this process may not run has no identity",
  permissions: { read: true, write: true, run: ["sh"] },
  fn: () =>
    withProgram(async (_prefix, program) => {
      assertEquals(await identifyProgram(program), null);
      assert(await identifyProgram("sh") !== null);
    }),
});
