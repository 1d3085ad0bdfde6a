/** The scripts that browsers get are those that linter and type checker saw;
 * they are small, and reach for nothing elsewhere. @module */

import { assert, assertEquals } from "@std/assert";
import { assets } from "../../../aggregator/dashboard/assets.ts";
import { buildScripts } from "../../../aggregator/dashboard/build.ts";

const browserFolder = new URL("../../../aggregator/dashboard/browser/", import.meta.url);

Deno.test({
  name:
    "scripts of the dashboard are made from browser/; else run: deno run -A aggregator/dashboard/build.ts",
  // The bundler is a process of its own, which ends a moment after it was told to.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const made = await buildScripts();
    const served = new Map(
      assets.filter(({ type }) => type === "text/javascript")
        .map(({ path, body }) => [path.replace("/assets/", ""), body]),
    );
    assertEquals([...served.keys()].sort(), [...made.keys()].sort());
    for (const [name, text] of made) assert(served.get(name) === text, `${name} is not what browser/ makes`);
  },
});

Deno.test("the dashboard is at most 150 KB on the wire, all its files together", async () => {
  let sum = 0;
  for (const { body } of assets) {
    const stream = new Blob([body]).stream().pipeThrough(new CompressionStream("gzip"));
    sum += (await new Response(stream).bytes()).length;
  }
  assert(sum <= 150_000, `${sum} octets`);
  assert(sum > 10_000, "the scripts are there");
});

Deno.test("pages name nothing by an absolute path, and nothing elsewhere; scripts name no other host", () => {
  for (const { path, body, type } of assets) {
    if (type === "text/html") {
      const links = [...body.matchAll(/(?:href|src)="([^"]*)"/g)].map(([, link]) => link);
      assert(links.length > 0);
      for (const link of links) assert(!/^(\/|[a-z]+:)/.test(link), `${path} names ${link}`);
      assert(!/<script(?![^>]* src=)|<style|style="|\son[a-z]+="/.test(body), `${path} has something inline`);
    }
    // The bundler breaks long lines, in strings as well.
    const hosts = [...body.replaceAll("\\\n", "").matchAll(/\bhttps?:\/\/([a-z0-9.-]+)/gi)].map(([, host]) =>
      host
    );
    // Names of XML languages, which nobody fetches.
    assertEquals(hosts.filter((host) => host !== "www.w3.org"), [], path);
  }
});

Deno.test("no source of the dashboard turns a string into markup or script", async () => {
  const banned =
    /dangerouslySetInnerHTML|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function\(|srcdoc/;
  let files = 0;
  for (const folder of ["", "pages/"]) {
    for await (const { name, isFile } of Deno.readDir(new URL(folder, browserFolder))) {
      if (!isFile) continue;
      files++;
      const text = await Deno.readTextFile(new URL(folder + name, browserFolder));
      assert(!banned.test(text), `${folder}${name}: ${banned.exec(text)?.[0]}`);
    }
  }
  assert(files > 30);
});
