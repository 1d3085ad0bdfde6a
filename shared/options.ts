/** Options of a command as one table: name, kind, default, unit, sentence.
 *
 * In: the table, arguments, environment, a configuration file (JSON object).
 * Out: checked values, or every problem at once.
 * Order of force: argument, environment (`PICKET_<NAME>`), file, default. Unknown names are refused everywhere.
 * The flag of `idleTimeoutMs` is `--idle-timeout-ms`, its variable `PICKET_IDLE_TIMEOUT_MS`. @module */

import { parseArgs } from "@std/cli/parse-args";

interface Common {
  /** One sentence; names what it does, not how. */
  help: string;
  /** Word shown for the value in help. */
  value?: string;
  /** One letter that stands for the flag: "o" for `-o`. */
  short?: string;
  /** Never printed by `--dump`; refused as an argument, since arguments are visible to every user of the machine. */
  secret?: boolean;
}
export interface TextOption extends Common {
  kind: "text";
  default: string;
  choices?: readonly string[];
}
export interface NumberOption extends Common {
  kind: "number";
  default: number;
  min?: number;
  max?: number;
}
export interface FlagOption extends Common {
  kind: "flag";
  default: boolean;
}
export interface ListOption extends Common {
  kind: "list";
  default: readonly string[];
}
export type Option = TextOption | NumberOption | FlagOption | ListOption;
export type OptionTable = Readonly<Record<string, Option>>;
export type Options<Table extends OptionTable> = {
  [Name in keyof Table]: Table[Name]["kind"] extends "number" ? number
    : Table[Name]["kind"] extends "flag" ? boolean
    : Table[Name]["kind"] extends "list" ? string[]
    : string;
};

export type Resolved<Table extends OptionTable> =
  | { ok: true; options: Options<Table>; positional: string[] }
  | { ok: false; problems: string[] };

/** Resolves `table` from all its sources. Problems are sentences that name the option, the rule and the value.
 *
 * @example An argument wins over the environment.
 * ```ts
 * import { assert, assertEquals } from "@std/assert";
 * import { type OptionTable, resolveOptions } from "./options.ts";
 *
 * const table = {
 *   idleTimeoutMs: { kind: "number", default: 120_000, min: 1_000, help: "Close a flow after this silence" },
 *   flows: { kind: "flag", default: false, help: "Print every flow" },
 * } as const satisfies OptionTable;
 * const env = (name: string) => ({ PICKET_IDLE_TIMEOUT_MS: "5000", PICKET_FLOWS: "true" })[name];
 *
 * const resolved = resolveOptions(table, { args: ["--idle-timeout-ms", "9000"], env });
 * assert(resolved.ok);
 * assertEquals(resolved.options, { idleTimeoutMs: 9_000, flows: true });
 * assertEquals(resolveOptions(table, { args: ["--idle-timeout-ms=9"] }), {
 *   ok: false,
 *   problems: ['Cannot use "idleTimeoutMs" as it must be >= 1000: current value is "9"'],
 * });
 * ``` */
export function resolveOptions<Table extends OptionTable>(
  table: Table,
  sources: { args: string[]; env?: (name: string) => string | undefined; file?: Record<string, unknown> },
): Resolved<Table> {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  const { given, positional } = readArguments(table, sources.args, problems);
  for (const name of Object.keys(sources.file ?? {})) {
    if (!Object.hasOwn(table, name)) {
      problems.push(`Unknown configuration key "${name}"${suggestion(name, table)}`);
    }
  }
  for (const [name, option] of Object.entries(table)) {
    const argument = given.get(name);
    if (argument !== undefined && option.secret) {
      problems.push(
        `Cannot take "${flagOf(name)}" as an argument as others could read it: set ${variableOf(name)}`,
      );
    }
    const raw = argument ?? sources.env?.(variableOf(name)) ?? sources.file?.[name];
    values[name] = raw === undefined ? option.default : convert(name, option, raw, problems);
  }
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, options: values as Options<Table>, positional };
}

function readArguments(table: OptionTable, words: string[], problems: string[]) {
  const names = Object.keys(table);
  const short = new Map(
    names.filter((name) => table[name].short).map((name) => [`-${table[name].short}`, flagOf(name)]),
  );
  const args = words.map((argument) => short.get(argument) ?? argument);
  const flags = names.filter((name) => table[name].kind === "flag").map(kebab);
  const given = new Map<string, unknown>();
  const parsed = parseArgs(args, {
    boolean: flags,
    negatable: flags,
    string: names.filter((name) => table[name].kind !== "flag").map(kebab),
    collect: names.filter((name) => table[name].kind === "list").map(kebab),
    unknown: (argument: string, key?: string) => {
      if (key === undefined) return true;
      problems.push(`Unknown option "${argument}"${suggestion(camel(key), table)}`);
      return false;
    },
  });
  const seen = new Set(
    args.filter((a) => a.startsWith("--")).map((a) => a.slice(2).split("=")[0].replace(/^no-/, "")),
  );
  for (const name of names) {
    const value = (parsed as Record<string, unknown>)[kebab(name)];
    if (!seen.has(kebab(name)) || value === undefined) continue;
    if (value === "" && !args.includes(`${flagOf(name)}=`) && table[name].kind !== "flag") {
      problems.push(`Cannot read "${flagOf(name)}" as it needs a value`);
    } else given.set(name, value);
  }
  return { given, positional: parsed._.map(String) };
}

function convert(name: string, option: Option, raw: unknown, problems: string[]): unknown {
  const say = (rule: string) =>
    problems.push(`Cannot use "${name}" as it must be ${rule}: current value is ${show(raw)}`);
  switch (option.kind) {
    case "flag":
      if (typeof raw === "boolean") return raw;
      if (raw === "true" || raw === "1") return true;
      if (raw === "false" || raw === "0" || raw === "") return false;
      return say("true or false");
    case "number": {
      const value = typeof raw === "string" && raw.trim() !== "" ? Number(raw) : raw;
      if (typeof value !== "number" || !Number.isFinite(value)) return say("a number");
      if (option.min !== undefined && value < option.min) return say(`>= ${option.min}`);
      if (option.max !== undefined && value > option.max) return say(`<= ${option.max}`);
      return value;
    }
    case "list": {
      const list = typeof raw === "string" ? [raw] : raw;
      if (!Array.isArray(list) || !list.every((item) => typeof item === "string")) {
        return say("a list of words");
      }
      return list.flatMap((item) => item.split(",")).filter((item) => item !== "");
    }
    case "text":
      if (typeof raw !== "string") return say("text");
      if (option.choices && !option.choices.includes(raw)) return say(`one of ${option.choices.join(", ")}`);
      return raw;
  }
}

/** Aligned help lines of a table, one option each: flag, sentence, default. */
export function helpOptions(table: OptionTable): string {
  const rows = Object.entries(table).map(([name, option]) => {
    const standard = defaultText(option);
    return [usageOf(name, option), option.help + (standard === "" ? "" : ` [${standard}]`)];
  });
  const width = Math.max(0, ...rows.map(([flag]) => flag.length));
  return rows.map(([flag, text]) => `  ${flag.padEnd(width)}  ${text}`).join("\n");
}

/** How an option is given: `--idle-timeout-ms N`; a secret by its variable alone. */
export function usageOf(name: string, option: Option): string {
  if (option.secret) return variableOf(name);
  if (option.kind === "flag") return option.default ? `--no-${kebab(name)}` : flagOf(name);
  const value = option.value ?? (option.kind === "number" ? "N" : option.kind === "list" ? "A,B" : "TEXT");
  return `${option.short ? `-${option.short}, ` : ""}${flagOf(name)} ${value}`;
}

/** What holds when an option is not given; "" = nothing to show. */
export function defaultText(option: Option): string {
  if (option.kind === "flag") return "";
  return typeof option.default === "object" ? option.default.join(",") : String(option.default);
}

/** What is in force, as a configuration file; secrets are left out. */
export function dumpOptions<Table extends OptionTable>(table: Table, options: Options<Table>): string {
  const shown = Object.entries(options).filter(([name]) => !table[name].secret);
  return JSON.stringify(Object.fromEntries(shown), null, 2);
}

/** `idleTimeoutMs` -> `--idle-timeout-ms`. */
export function flagOf(name: string): string {
  return `--${kebab(name)}`;
}

/** `idleTimeoutMs` -> `PICKET_IDLE_TIMEOUT_MS`. */
export function variableOf(name: string): string {
  return `PICKET_${kebab(name).replaceAll("-", "_").toUpperCase()}`;
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function camel(flag: string): string {
  return flag.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function suggestion(name: string, table: OptionTable): string {
  const close = Object.keys(table).find((known) => distance(known.toLowerCase(), name.toLowerCase()) <= 2);
  return close ? `: did you mean "${flagOf(close)}"?` : "";
}

/** Levenshtein distance, for suggestions; names are short. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return 3;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length];
}

function show(value: unknown): string {
  return typeof value === "string"
    ? `"${value.slice(0, 100)}"`
    : JSON.stringify(value)?.slice(0, 100) ?? String(value);
}
