/** `parseArgs` with the signature of `@std/cli/parse-args`, for machines that cannot reach JSR.
 *
 * In: arguments and which of them are flags, texts or lists. Out: one object, positional arguments in `_`.
 * Covers what Picket uses: `boolean`, `string`, `collect`, `negatable`, `default`, `alias`, `stopEarly`,
 * `"--"`, `unknown`. @module */

export interface ParseOptions {
  /** Names that take no value. */
  boolean?: readonly string[];
  /** Names whose value stays text. */
  string?: readonly string[];
  /** Names that may be given several times; their value is a list. */
  collect?: readonly string[];
  /** Flags that `--no-NAME` turns off. */
  negatable?: readonly string[];
  default?: Record<string, unknown>;
  alias?: Record<string, string | readonly string[]>;
  /** Everything after the first positional argument is positional. */
  stopEarly?: boolean;
  /** Put what follows `--` into the property "--" instead of `_`. */
  "--"?: boolean;
  /** Called for an option that is not named above; `false` drops it. */
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

export interface Args {
  [name: string]: unknown;
  _: (string | number)[];
}

/** Parses `args`; numbers in positional arguments become numbers, as in std. */
export function parseArgs(args: readonly string[], options: ParseOptions = {}): Args {
  const boolean = new Set(options.boolean),
    text = new Set(options.string),
    collect = new Set(options.collect);
  const negatable = new Set(options.negatable);
  const aliases = new Map<string, string>();
  for (const [name, others] of Object.entries(options.alias ?? {})) {
    for (const other of [others].flat()) aliases.set(other, name);
  }
  const result: Args = { _: [] };
  const known = (name: string) => boolean.has(name) || text.has(name) || collect.has(name);

  function set(argument: string, rawName: string, value: unknown): void {
    const name = aliases.get(rawName) ?? rawName;
    if (!known(name) && options.unknown && options.unknown(argument, name, value) === false) return;
    const typed = text.has(name) || boolean.has(name) || typeof value !== "string" ? value : numberOr(value);
    if (collect.has(name)) (result[name] ??= [] as unknown[], result[name] as unknown[]).push(typed);
    else result[name] = typed;
  }

  function positional(argument: string): void {
    if (options.unknown && options.unknown(argument) === false) return;
    result._.push(text.has("_") ? argument : numberOr(argument));
  }

  for (let i = 0; i < args.length; i++) {
    const argument = args[i];
    if (argument === "--") {
      const rest = args.slice(i + 1);
      if (options["--"]) result["--"] = rest;
      else result._.push(...rest);
      break;
    }
    const match = /^--?([^-=][^=]*)(?:=([\s\S]*))?$/.exec(argument);
    if (!match) {
      positional(argument);
      if (options.stopEarly) {
        result._.push(...args.slice(i + 1));
        break;
      }
      continue;
    }
    const [, rawName, attached] = match;
    const name = aliases.get(rawName) ?? rawName;
    if (argument.startsWith("--no-") && negatable.has(name.slice(3))) set(argument, name.slice(3), false);
    else if (attached !== undefined) set(argument, name, boolean.has(name) ? attached !== "false" : attached);
    else if (boolean.has(name)) set(argument, name, true);
    else if (i + 1 < args.length && !/^-[^-\d]|^--/.test(args[i + 1])) set(argument, name, args[++i]);
    else set(argument, name, text.has(name) ? "" : true);
  }

  for (const name of boolean) if (result[name] === undefined) result[name] = options.default?.[name] ?? false;
  for (const name of collect) result[name] ??= options.default?.[name] ?? [];
  for (const [name, value] of Object.entries(options.default ?? {})) result[name] ??= value;
  for (const [other, name] of aliases) if (result[name] !== undefined) result[other] = result[name];
  return result;
}

function numberOr(text: string): string | number {
  return /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/.test(text) ? Number(text) : text;
}
