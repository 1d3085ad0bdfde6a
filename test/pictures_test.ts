/** The pictures of the README: small, each shown there, and each made by the script. @module */

import { assert, assertEquals } from "@std/assert";

const root = new URL("../", import.meta.url);

Deno.test("pictures are at most 150 KB, and the README shows those that the script makes and no others", async () => {
  const readme = await Deno.readTextFile(new URL("README.md", root));
  const script = await Deno.readTextFile(new URL("test/pictures.ts", root));
  const shown = [...readme.matchAll(/!\[[^\]]+\]\(deploy\/demo\/pictures\/([a-z_]+)\.png\)/g)].map((
    [, name],
  ) => name);
  const made = [...script.matchAll(/name: "([a-z_]+)"/g)].map(([, name]) => name);
  const kept: string[] = [];
  for await (const { name } of Deno.readDir(new URL("deploy/demo/pictures/", root))) {
    const { size } = await Deno.stat(new URL(`deploy/demo/pictures/${name}`, root));
    assert(size <= 150_000, `${name} has ${size} octets`);
    kept.push(name.replace(/\.png$/, ""));
  }
  assertEquals(kept.sort(), [...shown].sort());
  assertEquals(kept.sort(), [...made].sort());
});
