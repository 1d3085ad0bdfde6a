/** The scripts that browsers get are those that linter and type checker saw. @module */

import { assert, assertEquals } from "@std/assert";
import { assets } from "../../../aggregator/dashboard/assets.ts";
import { buildScripts } from "../../../aggregator/dashboard/build.ts";

Deno.test("scripts of the dashboard are made from browser/; else run: deno run -A aggregator/dashboard/build.ts", async () => {
  const made = await buildScripts();
  const served = new Map(
    assets.filter(({ type }) => type === "text/javascript")
      .map(({ path, body }) => [path.replace("/assets/", ""), body]),
  );
  assertEquals([...served.keys()].sort(), [...made.keys()].sort());
  for (const [name, text] of made) assert(served.get(name) === text, `${name} is not what browser/ makes`);
});

Deno.test("pages and scripts name nothing by an absolute path, and nothing elsewhere", () => {
  for (const { path, body } of assets) {
    const links = [...body.matchAll(/(?:href|src)="([^"]*)"|from "([^"]*)"/g)].map(([, a, b]) => a ?? b);
    for (const link of links) assert(!/^(\/|[a-z]+:)/.test(link), `${path} names ${link}`);
  }
});
