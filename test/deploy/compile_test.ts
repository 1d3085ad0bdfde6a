/** deploy/compile.sh makes real binaries: both run here, and the sensor runs as aarch64 under emulation.
 *
 * The binaries are left in `.cache/compiled` for the end-to-end tests; `compiled.ts` builds them once for a state of the source. @module */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { findProgram } from "../services/guarded_child.ts";
import { skipLoudly } from "../services/services.ts";
import { version } from "../../shared/version.ts";
import { compiled, run } from "./compiled.ts";

const native = await compiled("x86_64-unknown-linux-gnu");
const foreign = await compiled("aarch64-unknown-linux-gnu");
const qemu = await findProgram("qemu-aarch64-static");
const capture = new URL("../../deploy/demo/office-day.pcap", import.meta.url).pathname;
const libraries = "/usr/aarch64-linux-gnu";
const canEmulate = qemu !== undefined && await Deno.stat(libraries).then(() => true, () => false);
const emulated = !canEmulate
  ? skipLoudly(
    "aarch64 binary",
    "no emulator (apt: qemu-user-static libc6-arm64-cross libgcc-s1-arm64-cross)",
  )
  : { ignore: foreign.ignore };

for (const name of ["picket-sensor", "picket-aggregator"]) {
  Deno.test({
    name: `compiled ${name} prints its version and its help`,
    ignore: native.ignore,
    fn: async () => {
      const printed = await run(`${native.folder}/${name}`, ["--version"]);
      assertEquals(printed.code, 0, printed.stderr);
      assertStringIncludes(printed.stdout, version);
      const help = await run(`${native.folder}/${name}`, ["--help"]);
      assertEquals(help.code, 0, help.stderr);
      assertMatch(help.stdout, new RegExp(`${name} `));
    },
  });
}

Deno.test({
  name: "compiled sensor may start no other program than those listed",
  ignore: native.ignore,
  fn: async () => {
    const task = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url))).tasks
      .sensor as string;
    assertMatch(task, / --allow-run=[a-z,]+ /);
    assert(!/ -A | --allow-all | --allow-ffi/.test(task));
  },
});

Deno.test({
  name: "aarch64 sensor prints its version under emulation",
  ignore: emulated.ignore,
  fn: async () => {
    const printed = await run(qemu!, ["-L", libraries, `${foreign.folder}/picket-sensor`, "--version"]);
    assertEquals(printed.code, 0, printed.stderr);
    assertStringIncludes(printed.stdout, version);
  },
});

Deno.test({
  name: "aarch64 sensor replays a capture into the same numbers as the native one",
  ignore: emulated.ignore || native.ignore,
  fn: async () => {
    const args = ["replay", capture, "--no-facts"];
    const here = await run(`${native.folder}/picket-sensor`, args);
    const there = await run(qemu!, ["-L", libraries, `${foreign.folder}/picket-sensor`, ...args]);
    assertEquals([there.code, there.stdout], [here.code, here.stdout], there.stderr);
    assert(JSON.parse(here.stdout).capture.packets > 1_000, here.stdout);
  },
});

Deno.test({
  name: "aarch64 sensor examines its machine with doctor",
  ignore: emulated.ignore,
  fn: async () => {
    const state = await Deno.makeTempDir();
    try {
      const args = ["-L", libraries, `${foreign.folder}/picket-sensor`, "doctor", "--state", state];
      const { stdout, stderr } = await run(qemu!, args);
      assertMatch(stdout, /^ok +machine .*aarch64/m, stderr);
      assertMatch(stdout, /^ok +state folder/m);
      assert(!/Requires \w+ access/.test(stdout), stdout);
    } finally {
      await Deno.remove(state, { recursive: true });
    }
  },
});

Deno.test("compile script refuses what it does not know", async () => {
  const script = new URL("../../deploy/compile.sh", import.meta.url).pathname;
  const refused = await run(script, ["--tarpit"]);
  assertEquals(refused.code, 2);
  assertStringIncludes(refused.stderr, "--tarpit");
  assertEquals(refused.stdout, "");
});
