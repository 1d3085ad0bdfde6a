/** Releases and upgrades as an operator handles them: keys, signatures, the folder, a rollout. @module */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { releaseCommand } from "../../../aggregator/commands/release_command.ts";
import { upgradeCommand } from "../../../aggregator/commands/upgrade_command.ts";
import { version } from "../../../shared/version.ts";
import { tinyProgram } from "../../sensor/control/upgrade_fixture.ts";
import { type Ran, runInside, withFolder } from "./harness.ts";

interface Place {
  folder: string;
  key: string;
  program: string;
  run(...args: string[]): Promise<Ran>;
  // deno-lint-ignore no-explicit-any -- a test reads what a command prints, whatever its shape.
  json(...args: string[]): Promise<any>;
}

function scenario(work: (place: Place) => Promise<void>): Promise<void> {
  return withFolder(async (folder) => {
    const run = (...args: string[]) =>
      runInside([releaseCommand, upgradeCommand], [...args, "--state", `${folder}/state`]);
    const program = `${folder}/picket-sensor`;
    await Deno.writeFile(program, tinyProgram(0));
    const json = async (...args: string[]) => JSON.parse((await run(...args, "--json")).stdout);
    await work({ folder, key: `${folder}/release.key`, program, run, json });
  });
}

Deno.test("a key is made, signs a program, is trusted, and what it signed is taken in and removed", () =>
  scenario(async ({ key, program, run, json, folder }) => {
    const made = await json("release", "keygen", "--key", key);
    assertEquals(Deno.statSync(key).mode! & 0o777, 0o600);
    assertEquals(
      (await run("release", "list")).stdout,
      "no release key is trusted: picket-aggregator release trust FILE",
    );
    const signed = await run("release", "sign", program, "--key", key, "--as", "1.4.2+7");
    assertStringIncludes(
      signed.stdout,
      `${program}.release: version 1.4.2+7 for x86_64-unknown-linux-gnu, takes over from 1.3 to 1.5`,
    );
    const early = await run("release", "add", program);
    assertEquals([early.code, early.stdout.includes("there is no release key")], [1, true]);
    assertEquals((await json("release", "trust", `${key}.pub`)).id, made.id);
    assertEquals((await run("release", "add", program)).code, 0);
    assertMatch(
      (await run("release", "list")).stdout,
      /^release key [0-9a-f]{16}\nversion 1.4.2\+7 for x86_64/,
    );
    const inside = `${folder}/state/releases/picket-sensor-1.4.2+7-x86_64-unknown-linux-gnu`;
    assertEquals(Deno.statSync(inside).mode! & 0o077, 0);
    await Deno.writeFile(inside, tinyProgram(1));
    const changed = await run("release", "list");
    assertEquals(changed.code, 1);
    assertStringIncludes(
      changed.stdout,
      "NOT OFFERED picket-sensor-1.4.2+7-x86_64-unknown-linux-gnu: it is not the",
    );
    await run("release", "add", program);
    assertEquals((await json("release", "remove", "1.4.2+7")).removed, 1);
    assertEquals((await run("release", "remove", "1.4.2+7")).code, 1);
    const list = Object.keys((await json("release", "list")).rows);
    assertEquals(list, []);
  }));

Deno.test("without words a program is signed as this version, and for one minor version down and up", () =>
  scenario(async ({ key, program, json }) => {
    await json("release", "keygen", "--key", key);
    const { signed: [one] } = await json("release", "sign", program, "--key", key);
    assertEquals([one.version, one.bytes, one.program], [version, 4_096, "picket-sensor"]);
    const { signed: [other] } = await json("release", "sign", program, "--key", key, "--fits", "0.1..3.2");
    assertEquals(other.fits, { min: "0.1", max: "3.2" });
  }));

Deno.test("release refuses with a sentence: a key that is none or that others may read, a program that is none", () =>
  scenario(async ({ key, program, run, folder }) => {
    await run("release", "keygen", "--key", key);
    const again = await run("release", "keygen", "--key", key);
    assertEquals([again.code, again.stderr.includes("Cannot make a release key")], [3, true]);
    await Deno.writeTextFile(`${folder}/admin.key`, "picket_abc\n", { mode: 0o600 });
    await Deno.writeTextFile(`${folder}/script`, "#!/bin/sh\n");
    const cases: [args: string[], code: number, words: string][] = [
      [["sign", program], 2, '"--key" must name the file of the private release key'],
      [["sign", program, "--key", `${folder}/nothing`], 3, "Cannot read release key"],
      [["sign", program, "--key", `${folder}/admin.key`], 2, "must be a private release key"],
      [["sign", program, "--key", `${key}.pub`], 2, "others may read"],
      [["sign", `${folder}/script`, "--key", key], 2, "must be a program for x86-64 or aarch64"],
      [["sign", `${folder}/nothing`, "--key", key], 3, "Cannot sign"],
      [["sign", program, "--key", key, "--as", "1.2"], 2, '"--as" must be like 1.2.3'],
      [["sign", program, "--key", key, "--fits", "1.2"], 2, '"--fits" must be like 1.0..1.2'],
      [["sign"], 2, '"sign" needs at least one operand'],
      [["trust", key], 2, "needs one file of a public release key"],
      [["keygen"], 2, '"--key" must name the file to make'],
      [["steal"], 2, "the verb must be one of keygen, sign, trust, add, list, remove"],
    ];
    for (const [args, code, words] of cases) {
      const refused = await run("release", ...args);
      assertEquals(refused.code, code, args.join(" "));
      assertStringIncludes(refused.stderr, words);
    }
    await Deno.chmod(key, 0o640);
    assertStringIncludes((await run("release", "sign", program, "--key", key)).stderr, "chmod 600");
  }));

Deno.test("an upgrade is begun, shown, paused, resumed and cancelled", () =>
  scenario(async ({ key, program, run, json }) => {
    await run("release", "keygen", "--key", key);
    await run("release", "sign", program, "--key", key, "--as", "1.1.0");
    await run("release", "trust", `${key}.pub`);
    assertEquals((await run("upgrade", "list")).stdout, "there was no upgrade");
    const early = await run("upgrade", "start", "1.1.0");
    assert(early.code !== 0);
    assertStringIncludes(early.stderr, "There is no release of this version");
    await run("release", "add", program);
    const begun = await run(
      "upgrade",
      "start",
      "1.1.0",
      "--canary",
      "tag=roof",
      "--canary-time",
      "12h",
      "--step",
      "50",
    );
    assertEquals(begun.stdout, "rollout 1 of version 1.1.0 begins: picket-aggregator upgrade status");
    assertMatch(
      (await run("upgrade", "status")).stdout,
      /^rollout 1 of version 1.1.0: running, at canaries \(tag=roof\); begun .* by command\nsensors: none$/,
    );
    const { rollout } = await json("upgrade", "status", "1");
    assertEquals([rollout.canary_s, rollout.step_percent, rollout.step_s], [43_200, 50, 3_600]);
    for (const [verb, state] of [["pause", "paused"], ["resume", "running"], ["cancel", "cancelled"]]) {
      assertEquals((await run("upgrade", verb)).stdout, `rollout 1 of version 1.1.0 is ${state}`);
    }
    const late = await run("upgrade", "resume");
    assert(late.code !== 0);
    assertStringIncludes(late.stderr, "It is cancelled");
    assertEquals((await json("upgrade", "start", "1.1.0", "--canary", "10%", "--allow-older")).id, 2);
    assertEquals((await json("upgrade", "status")).rollout.canary, "percent=10");
    for (
      const [args, words] of [
        [["start"], "one version must be named"],
        [["start", "1.1.0", "--canary-time", "1s"], '"--canary-time" as it must be a span from 1m to 30d'],
        [["start", "1.1.0", "--canary", "everybody"], "must be tag=NAME or percent=N"],
      ] as const
    ) {
      assertStringIncludes((await run("upgrade", ...args)).stderr, words);
    }
  }));
