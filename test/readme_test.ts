/** Every command of README and operator's guide is run by a test, or is known to exist with the options it shows; how
 * stands in test/guide.ts. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { flowTable } from "../aggregator/filter/flow_table.ts";
import { parseFilter } from "../aggregator/filter/parse.ts";
import { threatTable } from "../aggregator/filter/threat_table.ts";
import { fromSource, run } from "./e2e/world.ts";
import { bare, blocksOf, commands, guides, shownCommands } from "./guide.ts";

const root = new URL("../", import.meta.url).pathname;
/** Code spans and lines of code blocks. */
const code = guides.flatMap((path) => [
  ...[...Deno.readTextFileSync(root + path).matchAll(/`([^`\n]+)`/g)].map((match) => match[1]),
  ...blocksOf(path).flatMap(({ text }) => text.trim().split("\n")),
]).map(bare);

Deno.test("README and operator's guide show no command that no test runs, and no test runs others", () => {
  const shown = shownCommands();
  assertEquals(shown.filter((command) => !commands[command]), [], "add them to test/guide.ts");
  assertEquals(Object.keys(commands).filter((command) => !shown.includes(command)), [], "shown nowhere");
  for (const how of Object.values(commands)) {
    if ("asked" in how) assert(how.asked !== "");
    if ("elsewhere" in how) assert(Deno.statSync(root + how.elsewhere).isFile, how.elsewhere);
  }
});

Deno.test("README and operator's guide show only commands and options that exist", async () => {
  // Those that a machine runs show it there.
  const shown = code.filter((span) => !("machine" in (commands[span] ?? {})));
  const asked = new Map<string, Set<string>>();
  for (const span of shown) {
    const match = /^(?:sudo )?(?:deno task |picket-)(sensor|aggregator) ([a-z][a-z-]*)/.exec(span) ??
      /^()(serve) --/.exec(span);
    if (!match) continue;
    const name = `${match[1] || "aggregator"} ${match[2]}`;
    const flags = [...span.matchAll(/--[a-z-]+/g)].map(([flag]) => flag);
    asked.set(name, (asked.get(name) ?? new Set<string>()).union(new Set(flags)));
  }
  await Promise.all([...asked].map(async ([name, flags]) => {
    const [side, command] = name.split(" ");
    const help = await run([...fromSource[side as "sensor" | "aggregator"], command, "--help"]);
    assertEquals(help.code, 0, `${name}: ${help.stderr}`);
    for (const flag of flags) assertStringIncludes(help.stdout, flag, name);
  }));
  assert(asked.size >= 5, `${asked.size} commands were found`);
});

Deno.test("README's filters are filters", () => {
  const [flows, threats] = blocksOf("README.md").find(({ language }) => language === "")!.text.split("\n");
  parseFilter(flows, flowTable, Date.now());
  parseFilter(threats, threatTable, Date.now());
});

Deno.test("README's and operator's guide's scripts are there and can be run", async () => {
  const scripts = new Set(code.flatMap((span) => /^\.\/(\S+\.sh)/.exec(span)?.[1] ?? []));
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
    // It takes no options.
    if (script === "test/run.sh") continue;
    const { stdout } = await run([root + script, "--help"]);
    const shown = code.filter((span) =>
      span.startsWith(`./${script}`) || span.startsWith(`./${script.slice(7)}`)
    );
    for (const [flag] of shown.join("\n").matchAll(/--[a-z-]+/g)) assertStringIncludes(stdout, flag, script);
  }
});
