/** The commands of README and operator's guide exist, with the options it shows; its two first commands are run whole
 * elsewhere: `quickstart.sh` in test/deploy/quickstart_test.ts, and `run.sh` is what runs this. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromSource, run } from "./e2e/world.ts";

const root = new URL("../", import.meta.url).pathname;
/** Code spans and lines of code blocks. */
function codeOf(path: string): string[] {
  const text = Deno.readTextFileSync(root + path);
  return [
    ...[...text.matchAll(/`([^`\n]+)`/g)].map((match) => match[1]),
    ...[...text.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap((match) => match[1].trim().split("\n")),
  ];
}
const guides = ["README.md", "deploy/README.md"];
const code = guides.flatMap(codeOf);

Deno.test("README and operator's guide show only commands and options that exist", async () => {
  let checked = 0;
  for (const span of code) {
    const match = /^(?:sudo )?(?:deno task |picket-)(sensor|aggregator) ([a-z][a-z-]*)/.exec(span);
    if (!match) continue;
    const [, side, command] = match;
    const help = await run([...fromSource[side as "sensor" | "aggregator"], command, "--help"]);
    assertEquals(help.code, 0, `${span}: ${help.stderr}`);
    for (const [flag] of span.matchAll(/--[a-z-]+/g)) assertStringIncludes(help.stdout, flag, span);
    checked++;
  }
  assert(checked >= 8, `${checked} commands were found`);
});

Deno.test("README's and operator's guide's scripts are there and can be run", async () => {
  const scripts = new Set(code.flatMap((span) => /^(?:sudo )?\.\/(\S+\.sh)/.exec(span)?.[1] ?? []));
  assertEquals([...scripts].sort(), [
    "deploy/compile.sh",
    "deploy/package.sh",
    "deploy/quickstart.sh",
    "deploy/release.sh",
    "install.sh",
    "test/run.sh",
  ]);
  // In the release's archive it lies at the top.
  scripts.delete("install.sh");
  scripts.add("deploy/install.sh");
  for (const script of scripts) {
    const { mode } = await Deno.stat(root + script);
    assert(((mode ?? 0) & 0o111) !== 0, `${script} is executable`);
  }
});
