/** A release names everything inside it, and is the same when it is built again.
 *
 * Why the whole of it only by night: two builds of four programs and their packages take minutes. @module */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { compilerFor } from "../services/denort.ts";
import { nightly, skipLoudly } from "../services/services.ts";
import { version } from "../../shared/version.ts";
import { run } from "./compiled.ts";

const root = new URL("../../", import.meta.url).pathname;
const script = `${root}deploy/release.sh`;
const releaseTimeoutMs = 1_200_000;
const target = "x86_64-unknown-linux-gnu";

function bill(...more: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const options = ["run", "--quiet", "--no-prompt", "--allow-read"];
  return run(Deno.execPath(), [...options, `${root}deploy/sbom.ts`, ...more]);
}

Deno.test("the bill of materials names every package that the programs can reach, with digest and licence", async () => {
  const { code, stdout, stderr } = await bill("1.2.3", "1700000000", "2.9.6");
  assertEquals(code, 0, stderr);
  const { bomFormat, specVersion, metadata, components, dependencies } = JSON.parse(stdout);
  assertEquals([bomFormat, specVersion, metadata.timestamp], [
    "CycloneDX",
    "1.5",
    "2023-11-14T22:13:20.000Z",
  ]);
  assertEquals(metadata.component.version, "1.2.3");
  const names: string[] = components.map(({ name }: { name: string }) => name);
  const { imports } = JSON.parse(await Deno.readTextFile(`${root}deno.json`));
  // And for the build.
  const forTests = ["axe-core", "esbuild", "fast-check", "playwright-core"];
  for (const [name, from] of Object.entries(imports as Record<string, string>)) {
    // "preact/hooks" is a part of "preact".
    if (/^[a-z]+\//.test(name)) continue;
    assertEquals(names.includes(name), from.startsWith("npm:") && !forTests.includes(name), name);
  }
  // Of the second row, as a package's own need.
  assert(names.includes("denque") && names.includes("deno"), names.join());
  for (const { name, licenses, hashes } of components) {
    assert(licenses.length === 1, name);
    if (name !== "deno") assertMatch(hashes[0].content, /^[0-9a-f]{128}$/, name);
  }
  assertEquals(dependencies[0].dependsOn.length, components.length);
  assertEquals((await bill("1.2.3", "1700000000", "2.9.6")).stdout, stdout);
});

Deno.test("the licences of all that is inside stand in one text", async () => {
  const { code, stdout } = await bill("1.2.3", "1700000000", "2.9.6", "--licences");
  assertEquals(code, 0);
  for (const words of ["mariadb 3", "LGPL-2.1-or-later", "hono 4", "Permission is hereby granted"]) {
    assertStringIncludes(stdout, words);
  }
  assert(!stdout.includes("playwright"));
});

Deno.test("the bill of materials refuses arguments it does not know", async () => {
  for (const args of [[], ["1.2.3"], ["1.2.3", "today", "2.9.6"], ["1.2.3", "1", "2.9.6", "--licenses"]]) {
    const { code, stderr } = await bill(...args);
    assertEquals(code, 1);
    assertStringIncludes(stderr, "Cannot list what is inside as the arguments must be");
  }
});

const refusals: readonly (readonly [args: string[], words: string])[] = [
  [["--tarpit"], "the option is unknown: --tarpit"],
  [["--output"], '"--output" must have a value'],
  [["--key", "/nowhere/key"], '"--key" must be a file that can be read: current value is "/nowhere/key"'],
  [["--output", root], '"--output" must be a folder that is not there yet'],
];
for (const [args, words] of refusals) {
  Deno.test(`release script refuses ${args.join(" ").replace(root, "a folder")} with a sentence`, async () => {
    const refused = await run(script, args);
    assertEquals([refused.code, refused.stdout], [2, ""]);
    assertStringIncludes(refused.stderr, `Cannot release as ${words}`);
  });
}

const slow = nightly("a whole release, built twice");
const compiler = slow.ignore ? { reason: "" } : await compilerFor(target);
const { ignore } = slow.ignore || !("reason" in compiler) ? slow : skipLoudly("a release", compiler.reason);

Deno.test({
  name: "a release is built twice with equal digests, and its digests hold",
  ignore,
  fn: async () => {
    const folder = await Deno.makeTempDir();
    const env = "env" in compiler ? compiler.env : {};
    try {
      const checkout = `${folder}/checkout`;
      assertEquals((await run("git", ["clone", "--quiet", "--no-hardlinks", root, checkout])).code, 0);
      const key = `${folder}/release.key`;
      const release = (...words: string[]) =>
        run(Deno.execPath(), ["run", "-A", "--no-prompt", `${root}aggregator/main.ts`, "release", ...words]);
      assertEquals((await release("keygen", "--key", key)).code, 0);
      const args = [
        "--key",
        key,
        "--output",
        `${folder}/out`,
        "--twice",
        "--target",
        target,
        "--compression",
        "gzip",
      ];
      const { code, stdout, stderr } = await run(
        `${checkout}/deploy/release.sh`,
        args,
        env,
        releaseTimeoutMs,
      );
      assertEquals(code, 0, stderr);
      assertStringIncludes(stderr, "both builds are the same, octet by octet");
      assertEquals(stdout.match(/ {2}\S+$/gm)?.map((name) => name.trim()), [
        "THIRD-PARTY-LICENCES.txt",
        `picket-${version}-${target}.tar.gz`,
        `picket-aggregator_${version}_amd64.deb`,
        `picket-sensor-${target}`,
        `picket-sensor-${target}.release`,
        `picket-sensor_${version}_amd64.deb`,
        "sbom.cdx.json",
      ]);
      const state = ["--state", `${folder}/aggregator`];
      assertEquals((await release("trust", `${key}.pub`, ...state)).code, 0);
      const added = await release("add", `${folder}/out/picket-sensor-${target}`, ...state);
      assertEquals([added.code, added.stderr], [0, ""], added.stdout);
      const checked = await run("sh", ["-c", `cd ${folder}/out && sha256sum --quiet -c SHA256SUMS`]);
      assertEquals([checked.code, checked.stdout], [0, ""]);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
