/** Makes the scripts that browsers get out of `browser/`: `deno run -A aggregator/dashboard/build.ts`.
 *
 * In: TypeScript that linter and type checker see, one entry a page. Out: `assets/main.js` and `assets/docs.js`,
 * checked in, each whole and without its types. A test compares them.
 * Why checked in: an aggregator from a checkout needs no bundler, and what browsers get is reviewed. @module */

import { build, stop } from "esbuild";

const folder = new URL(".", import.meta.url).pathname;

/** The scripts by file name. */
export async function buildScripts(): Promise<Map<string, string>> {
  const { outputFiles } = await build({
    entryPoints: { main: `${folder}browser/main.tsx`, docs: `${folder}browser/docs.tsx` },
    outdir: `${folder}assets`,
    write: false,
    bundle: true,
    format: "esm",
    target: "es2022",
    minify: true,
    lineLimit: 200,
    legalComments: "none",
    jsx: "automatic",
    jsxImportSource: "preact",
    charset: "utf8",
  });
  await stop();
  return new Map(outputFiles.map(({ path, text }) => [path.split("/").at(-1)!, text]));
}

if (import.meta.main) {
  for (const [name, text] of await buildScripts()) await Deno.writeTextFile(`${folder}assets/${name}`, text);
}
