/** Reads the source and says where it strays from the house rules, so that no review has to.
 *
 * In: every text file of the repository, and the names at its top. Out: one problem a line, `path:line: rule`.
 * Invariant: every exception stands in a table here, with its reason;
 * an exception that no file needs any more is a problem too.
 * Why a test and not lint: the rules are about places (which file may read the clock), not about syntax. @module */

import { assert, assertEquals } from "@std/assert";
import { banned, exceptions, foreignOwners, hotPath, type Rule, topLevel } from "./tidy_rules.ts";

const root = new URL("../", import.meta.url).pathname;
const linesMax = 400;
// A suite is a list of cases; it may be longer than what it tests, yet not without end.
const testLinesMax = 600;
const functionLinesMax = 70;
const commentCharactersMax = 120;
const filesMax = 2_000;
const untracked = new Set([".git", ".cache", "node_modules", "dist"]);
const textFile =
  /\.(tsx?|js|css|html|sh|md|yml|yaml|json|service|socket|env|aggregator|xml)$|(^|\/)(run|LICENSE|\.gitignore)$/;

/** What `deno info --json` says, as far as it is read here. */
interface ModuleGraph {
  roots: string[];
  modules: {
    specifier: string;
    dependencies?: { code?: { specifier?: string }; isDynamic?: boolean }[];
  }[];
}

interface Problem {
  path: string;
  line: number;
  rule: Rule;
  text: string;
}

Deno.test("tidy finds nothing in the source", async () => {
  const files = await readFiles();
  const found = [...files].flatMap(([path, text]) => problemsOf(path, text));
  const used = new Set<string>();
  const left = found.filter(({ path, rule }) => {
    const key = `${rule}: ${path}`;
    const allowed = exceptions[rule]?.[path] !== undefined;
    if (allowed) used.add(key);
    return !allowed;
  });
  const unused = Object.entries(exceptions).flatMap(([rule, paths]) =>
    Object.keys(paths).map((path) => `${rule}: ${path}`).filter((key) => !used.has(key))
  );
  assertEquals(left.map(({ path, line, rule, text }) => `${path}:${line}: ${rule}: ${text}`), []);
  assertEquals(unused, [], "exceptions that no file needs");
});

Deno.test("tidy finds at the top of the repository what a newcomer looks for, and nothing else", async () => {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(root)) {
    if (!untracked.has(name)) found.push(isDirectory ? `${name}/` : name);
  }
  assertEquals(found.filter((name) => !topLevel.includes(name)), []);
  assertEquals(topLevel.filter((name) => !found.includes(name)), []);
});

Deno.test("tidy finds a foreign package in one file only", async () => {
  const importers = new Map<string, string[]>();
  for (const [path, text] of await readFiles()) {
    if (!isSource(path)) continue;
    for (const name of foreignPackages(text)) importers.set(name, [...importers.get(name) ?? [], path]);
  }
  const problems = [...importers].flatMap(([name, paths]) => {
    const owner = foreignOwners[name];
    if (!owner) return paths.length > 1 ? [`${name}: ${paths.join(", ")}`] : [];
    return paths.filter((path) => !path.startsWith(owner.below)).map((path) => `${name}: ${path}`);
  });
  assertEquals(problems, []);
});

Deno.test("tidy finds no npm package among what a sensor loads when it starts", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "sensor/main.ts"],
    cwd: root,
    stderr: "null",
  }).output();
  const { roots, modules } = JSON.parse(new TextDecoder().decode(stdout)) as ModuleGraph;
  const bySpecifier = new Map(modules.map((module) => [module.specifier, module]));
  const loaded = new Set(roots);
  for (const specifier of loaded) {
    for (const { code, isDynamic } of bySpecifier.get(specifier)?.dependencies ?? []) {
      if (code?.specifier && !isDynamic) loaded.add(code.specifier);
    }
  }
  assert(loaded.size > 50, `only ${loaded.size} modules were followed`);
  assertEquals([...loaded].filter((specifier) => specifier.startsWith("npm:")), []);
});

Deno.test("tidy finds a reason above every test that may leave something open", async () => {
  const without: string[] = [];
  let found = 0;
  for (const [path, text] of await readFiles()) {
    if (!path.startsWith("test/") || !path.endsWith(".ts") || path === "test/tidy_test.ts") continue;
    const lines = text.split("\n");
    lines.forEach((line, i) => {
      if (!line.includes("sanitizeOps: false")) return;
      found++;
      if (!/^\s*\/\//.test(lines[i - 1] ?? "")) without.push(`${path}:${i + 1}`);
    });
  }
  assertEquals(without, []);
  assert(found > 0, "the pattern finds none");
});

Deno.test("tidy finds every relative link of the Markdown files", async () => {
  const files = await readFiles();
  const broken: string[] = [];
  for (const [path, text] of files) {
    if (!path.endsWith(".md")) continue;
    for (const [, target] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target!)) continue;
      const wanted = new URL(target!, `file://${root}${path}`).pathname;
      if (!await Deno.stat(wanted).then(() => true, () => false)) broken.push(`${path}: ${target}`);
    }
  }
  assertEquals(broken, []);
  assertEquals(files.has("README.md"), true);
});

Deno.test("tidy sees each thing it bans", () => {
  const header = "/** A file. @module */\n";
  const rulesOf = (path: string, text: string) => problemsOf(path, text).map(({ rule }) => rule);
  assertEquals(rulesOf("sensor/a.ts", `${header}const now = Date.now();\n`), ["clock"]);
  assertEquals(rulesOf("sensor/a.ts", `${header}const die = Math.random();\n`), ["random"]);
  assertEquals(rulesOf("sensor/a.ts", `${header}setTimeout(run, 5);\n`), ["timer"]);
  assertEquals(rulesOf("sensor/a.ts", `${header}console.log(1);\n`), ["console"]);
  assertEquals(rulesOf("sensor/a.ts", `${header}Deno.env.get("A");\n`), ["environment"]);
  assertEquals(rulesOf("sensor/a.ts", `${header}// setTimeout( is named in a comment only\n`), []);
  assertEquals(rulesOf("sensor/a.ts", "const a = 1;\n"), ["header"]);
  assertEquals(rulesOf("sensor/a/b.ts", `${header}import { x } from "../../aggregator/x.ts";\n`), ["sides"]);
  assertEquals(rulesOf("aggregator/b.ts", `${header}import { x } from "../sensor/x.ts";\n`), ["sides"]);
  assertEquals(rulesOf("shared/b.ts", `${header}import { x } from "../sensor/x.ts";\n`), ["sides"]);
  assertEquals(rulesOf("sensor/a.ts", `${header}import { x } from "../shared/x.ts";\n`), []);
  assertEquals(rulesOf("sensor/a.ts", header + "let a;\n".repeat(linesMax)), ["file length"]);
  assertEquals(rulesOf("sensor/a.ts", `${header}function f() {\n${"  a;\n".repeat(functionLinesMax)}}\n`), [
    "function length",
  ]);
  const call = `function f() {\n  g(() => {\n    a;\n  }, [b]);\n}\n${"let a;\n".repeat(functionLinesMax)}`;
  assertEquals(rulesOf("sensor/a.ts", header + call), []);
  assertEquals(rulesOf("sensor/a.ts", `${header}class A {\n  private b = 1;\n}\n`), ["private"]);
  assertEquals(rulesOf("sensor/a.ts", `${header}export default 1;\n`), ["default export"]);
  assertEquals(rulesOf("sensor/a.ts", `${header}// ${"a".repeat(117)}\n`), []);
  assertEquals(rulesOf("sensor/a.ts", `${header}// ${"a".repeat(118)}\n`), ["comment length"]);
  assertEquals(rulesOf("test/a.ts", `${header}/**\n * ${"a".repeat(118)} */\n`), ["comment length"]);
  assertEquals(rulesOf("a.service", `# ${"a".repeat(119)}\n`), ["comment length"]);
  assertEquals(rulesOf("a.md", `# ${"a".repeat(119)}\n`), []);
  assertEquals(rulesOf("a.sh", `# TO${"DO"}: later\n`), ["leftover"]);
  assertEquals(rulesOf("a.md", `see /ro${"ot"}/notes\n`), ["absolute path"]);
  assertEquals(rulesOf("a.md", `from registry.npm${"js"}.org\n`), ["registry"]);
});

/** Every problem in one file, exceptions included. */
function problemsOf(path: string, text: string): Problem[] {
  const problems: Problem[] = [];
  const lines = text.split("\n");
  const add = (rule: Rule, line: number) =>
    problems.push({ path, line, rule, text: lines[line - 1]?.trim() ?? "" });
  for (const { rule, pattern } of banned.everywhere) addMatches(lines, pattern, (line) => add(rule, line));
  lines.forEach((line, index) => {
    if (line.length > commentCharactersMax && commentOf(path).test(line)) add("comment length", index + 1);
  });
  if (!/\.tsx?$/.test(path)) return problems;
  if (!/^(?:#!.*\n)?\/\*\*(?:(?!\*\/)[\s\S])*@module \*\//.test(text)) add("header", 1);
  const most = path.startsWith("test/") ? testLinesMax : linesMax;
  if (lines.length - 1 > most && !(path in hotPath)) add("file length", most);
  if (!isSource(path)) return problems;
  const code = withoutComments(text).split("\n");
  for (const { rule, pattern } of banned.inSource) addMatches(code, pattern, (line) => add(rule, line));
  code.forEach((line, index) => {
    const target = /(?:from|import)\s*\(?\s*"(\.[^"]+)"/.exec(line)?.[1];
    if (target && !mayImport(path, new URL(target, `file:///${path}`).pathname.slice(1))) {
      add("sides", index + 1);
    }
  });
  for (const line of longFunctions(lines)) add("function length", line);
  return problems;
}

/** Lines that are nothing but comment. Markdown has no such lines: there `#` is a heading. */
function commentOf(path: string): RegExp {
  return /\.(tsx?|js|css)$/.test(path) ? /^\s*(?:\/\*|\*|\/\/)/ : /\.(md|json)$/.test(path) ? /$^/ : /^\s*#/;
}

function addMatches(lines: string[], pattern: RegExp, add: (line: number) => void): void {
  lines.forEach((line, index) => pattern.test(line) && add(index + 1));
}

/** Words may be shared; the two sides meet only in the file behind `analyze`. */
function mayImport(from: string, to: string): boolean {
  const side = (path: string) => path.split("/")[0]!;
  if (side(from) === side(to) || side(to) === "shared") return true;
  return side(from) !== "shared" && !(side(from) === "sensor" || side(from) === "aggregator");
}

function isSource(path: string): boolean {
  return /^(shared|sensor|aggregator|deploy)\/.*\.tsx?$/.test(path);
}

function foreignPackages(text: string): Set<string> {
  const names = new Set<string>();
  for (const [, name] of text.matchAll(/(?:^|\n)\s*(?:import|export)[^;]*?from "([^."][^"]*)"/g)) {
    if (/^(node:|@std\/)/.test(name!)) continue;
    names.add(name!.split("/").slice(0, name!.startsWith("@") ? 2 : 1).join("/"));
  }
  return names;
}

/** Same lines, comments blanked. Good enough for source that `deno fmt` has laid out. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " "))
    .replace(/(^|[\s;{])\/\/.*$/gm, "$1");
}

/** First lines of top-level functions and of methods, those of an object included, that are too long,
 * by the indentation `deno fmt` gives. */
function longFunctions(lines: string[]): number[] {
  const long: number[] = [];
  const start =
    /^(?:export )?(?:async )?function\b|^ {2}(?:static |async |get |set |\*|override )*#?\w+\(.*\{$/;
  lines.forEach((line, index) => {
    if (!start.test(line)) return;
    const indent = /^ */.exec(line)![0];
    // A call looks like a method until it ends.
    const end = new RegExp(`^${indent}}(?:,|(?:, \\[.*\\])?\\);)?$`);
    let last = index + 1;
    while (last < lines.length && !end.test(lines[last])) last++;
    if (last - index + 1 > functionLinesMax) long.push(index + 1);
  });
  return long;
}

async function readFiles(): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  async function read(folder: string): Promise<void> {
    for await (const entry of Deno.readDir(root + folder)) {
      const path = `${folder}${entry.name}`;
      if (entry.isDirectory && !untracked.has(entry.name)) await read(`${path}/`);
      if (entry.isFile && textFile.test(path)) files.set(path, await Deno.readTextFile(root + path));
      if (files.size > filesMax) throw new RangeError(`Cannot read source as files must be <= ${filesMax}`);
    }
  }
  await read("");
  return files;
}
