/** Makes the scripts that browsers get out of `browser/`: `deno run -A aggregator/dashboard/build.ts`.
 *
 * In: TypeScript that linter and type checker see. Out: `assets/*.js`, checked in, one module each; types are taken away, nothing else is
 * done. A test compares them.
 * Why no bundler: seven small modules over one connection load as fast as one, and there is no other program to fetch. @module */

import { stripTypeScriptTypes } from "node:module";

const folder = new URL(".", import.meta.url);

/** The scripts by file name. */
export async function buildScripts(): Promise<Map<string, string>> {
  const scripts = new Map<string, string>();
  for await (const { name } of Deno.readDir(new URL("browser/", folder))) {
    const text = await Deno.readTextFile(new URL(`browser/${name}`, folder));
    scripts.set(name.replace(/\.ts$/, ".js"), withoutTypes(text));
  }
  return scripts;
}

function withoutTypes(text: string): string {
  return stripTypeScriptTypes(text.replace(/^\/\/\/ <reference[^\n]*\n/gm, ""))
    .replace(/(from "\.\/[a-z_]+)\.ts"/g, '$1.js"')
    .replace(/[ \t]+$/gm, "")
    .replace(/\n{3,}/g, "\n\n");
}

if (import.meta.main) {
  for (const [name, text] of await buildScripts()) {
    await Deno.writeTextFile(new URL(`assets/${name}`, folder), text);
  }
}
