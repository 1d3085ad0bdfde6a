/** deploy/compile.sh makes real binaries: both run here, and the sensor runs as aarch64 under emulation.
 *
 * The binaries are left in `.cache/compiled` for the end-to-end tests;
 * `compiled.ts` builds them once for a state of the source. @module */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { findProgram } from "../services/guarded_child.ts";
import { skipLoudly } from "../services/services.ts";
import { version } from "../../shared/version.ts";
import { compilerFor } from "../services/denort.ts";
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

const script = new URL("../../deploy/compile.sh", import.meta.url).pathname;
const refusals: readonly (readonly [args: string[], env: Record<string, string>, words: string])[] = [
  [["--tarpit"], {}, "the option is unknown: --tarpit"],
  [["--target"], {}, '"--target" must have a value'],
  [
    ["--target", "arm"],
    {},
    'must be x86_64-unknown-linux-gnu or aarch64-unknown-linux-gnu: current value is "arm"',
  ],
  [["--only", "picket"], {}, 'must be picket-sensor or picket-aggregator: current value is "picket"'],
  [["--output", "/proc/none"], {}, 'must be a folder that can be written: current value is "/proc/none"'],
  [[], { DENORT_BIN: "/nonexistent" }, "the compile runtime cannot be read: /nonexistent"],
];
for (const [args, env, words] of refusals) {
  Deno.test(`compile script refuses ${args.join(" ") || Object.keys(env)[0]} with a sentence`, async () => {
    const refused = await run(script, args, env);
    assertEquals([refused.code, refused.stdout], [2, ""]);
    assertStringIncludes(refused.stderr, `Cannot compile as`);
    assertStringIncludes(refused.stderr, words);
  });
}

Deno.test({
  name: "compile script names its outputs by target, and leaves nothing of a compile that went wrong",
  ignore: native.ignore,
  fn: async () => {
    const output = await Deno.makeTempDir();
    const names = () => [...Deno.readDirSync(output)].map(({ name }) => name).sort();
    const compile = (target: string, env: Record<string, string>) =>
      run(script, ["--only", "picket-sensor", "--output", output, "--target", target], env);
    try {
      const [here, other] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"] as const;
      const compiler = await compilerFor(here);
      if ("reason" in compiler) throw new Error(compiler.reason);
      const wrong = await compile(other, compiler.env);
      assertEquals([wrong.code, names()], [1, []]);
      assertStringIncludes(wrong.stderr, "the compile runtime is of another machine");
      const repl = await compile(here, { ...compiler.env, DENORT_BIN: compiler.env.COMPILE_DENO });
      assertEquals([repl.code, names()], [1, []]);
      assertStringIncludes(repl.stderr, "the result does not run as picket-sensor");
      const right = await compile(here, compiler.env);
      assertEquals([right.code, names()], [0, ["picket-sensor", `picket-sensor-${here}`]], right.stderr);
      assertStringIncludes((await run(`${output}/picket-sensor`, ["--version"])).stdout, version);
    } finally {
      await Deno.remove(output, { recursive: true });
    }
  },
});
