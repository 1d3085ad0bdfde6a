/** From the command line to a command: help, version, options from all sources, exit code.
 *
 * In: arguments, the program with its commands, the edges.
 * Out: the exit code; a problem is one line each on standard error.
 * Invariant: wrong options never start anything; all of them are said at once. A configuration file may hold the
 * options of every command, so that one file serves all; a key that no command knows is refused. @module */

import { type Command, CommandError, type Edges, exitCodes } from "./command.ts";
import { escapeLine } from "./escape.ts";
import { helpOptions, type OptionTable, resolveOptions } from "./options.ts";
import { version } from "./version.ts";

/** One of the two programs. */
export interface Program {
  name: string;
  /** What it does, in half a sentence. */
  about: string;
  /** Read when it is there and `--config` names no other. */
  configPath: string;
  /** Command lines for a newcomer, without the program's name, each with what it is for. */
  firstSteps: readonly (readonly [line: string, what: string])[];
  commands: readonly Command[];
  /** Whether an error that is no `CommandError` means that something outside is missing. */
  isEnvironment(error: unknown): boolean;
}

export interface DispatchEdges extends Edges {
  /** One line on standard error. */
  complain(line: string): void;
  readTextFile(path: string): string;
  /** Makes the reporter that the options ask for. */
  withLogs(options: { json: boolean }): Edges;
}

/** Runs what `args` say. Never throws. */
export async function dispatch(
  args: string[],
  program: Program,
  edges: DispatchEdges,
): Promise<number> {
  const { commands } = program;
  const [name, ...rest] = args;
  if (name === "--version" || name === "-V" || name === "version") {
    edges.print(`${program.name} ${version}`);
    return exitCodes.ok;
  }
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    const about = commands.find((known) => known.name === rest[0]);
    edges.print(about ? commandHelp(program, about) : programHelp(program));
    return name === undefined ? exitCodes.usage : exitCodes.ok;
  }
  const chosen = commands.find((known) => known.name === name);
  if (!chosen) {
    edges.complain(
      `${program.name}: Unknown command ${JSON.stringify(name.slice(0, 60))}: see \`${program.name} --help\``,
    );
    return exitCodes.usage;
  }
  if (rest.includes("--help") || rest.includes("-h")) {
    edges.print(commandHelp(program, chosen));
    return exitCodes.ok;
  }
  return await runCommand(program, chosen, rest, edges);
}

async function runCommand(
  program: Program,
  chosen: Command,
  args: string[],
  edges: DispatchEdges,
): Promise<number> {
  const file = readConfig(program, args, edges);
  const problems = file.ok ? [] : [file.problem];
  const values = file.ok ? keysFor(program, chosen, file.values, problems) : {};
  const resolved = resolveOptions(chosen.options, { args, env: (name) => edges.env(name), file: values });
  if (!resolved.ok) problems.push(...resolved.problems);
  if (problems.length > 0 || !resolved.ok) {
    for (const problem of problems) edges.complain(`${program.name}: ${escapeLine(problem)}`);
    edges.complain(`${program.name}: see \`${program.name} ${chosen.name} --help\``);
    return exitCodes.usage;
  }
  const logged = edges.withLogs({ json: (resolved.options as { logJson?: boolean }).logJson === true });
  try {
    return await chosen.run(resolved.options, resolved.positional, logged);
  } catch (error) {
    edges.complain(`${program.name}: ${escapeLine(error instanceof Error ? error.message : String(error))}`);
    if (error instanceof CommandError) return error.exitCode;
    return program.isEnvironment(error) ? exitCodes.environment : exitCodes.failed;
  }
}

type Config = { ok: true; values: Record<string, unknown> } | { ok: false; problem: string };

function readConfig(program: Program, args: string[], edges: DispatchEdges): Config {
  const at = args.findIndex((argument) => argument === "--config" || argument.startsWith("--config="));
  const given = at < 0
    ? edges.env("PICKET_CONFIG")
    : args[at] === "--config"
    ? args[at + 1]
    : args[at].slice("--config=".length);
  const path = given || program.configPath;
  let text: string;
  try {
    text = edges.readTextFile(path);
  } catch (error) {
    if (!given) return { ok: true, values: {} };
    return { ok: false, problem: `Cannot read configuration "${path}": ${(error as Error).message}` };
  }
  try {
    const values = JSON.parse(text);
    if (typeof values === "object" && values !== null && !Array.isArray(values)) return { ok: true, values };
    return { ok: false, problem: `Cannot read configuration "${path}" as it must be one JSON object` };
  } catch (error) {
    return { ok: false, problem: `Cannot read configuration "${path}" as JSON: ${(error as Error).message}` };
  }
}

/** Keys of the file that are this command's;
 * those of other commands are left alone, unknown ones go on to be refused. */
function keysFor(
  program: Program,
  chosen: Command,
  values: Record<string, unknown>,
  problems: string[],
): Record<string, unknown> {
  const all: OptionTable = Object.assign({}, ...program.commands.map((known) => known.options));
  const kept: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(values)) {
    if (Object.hasOwn(all, key) && all[key].secret) {
      problems.push(`Cannot take "${key}" from a configuration file: set it in the environment`);
    } else if (Object.hasOwn(chosen.options, key) || !Object.hasOwn(all, key)) kept[key] = value;
  }
  return kept;
}

function programHelp({ name: program, about, commands, firstSteps }: Program): string {
  const list = commands.map(({ name, operands, summary }) =>
    [`${name} ${operands}`.trim(), summary] as const
  );
  return `${program} ${version}: ${about}.

Usage: ${program} <command> [options]

Commands:
${columns(list, "")}

First steps:
${columns(firstSteps, `${program} `)}

${exitCodeHelp}
Every option can also be set as PICKET_<NAME> in the environment or in a JSON file named by --config.
\`${program} <command> --help\` shows the options of a command.`;
}

function columns(rows: readonly (readonly [string, string])[], before: string): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${before}${left.padEnd(width)}  ${right}`.trimEnd()).join("\n");
}

const exitCodeHelp =
  `Exit codes: 0 done, 1 the work failed, 2 wrong option or configuration, 3 something is missing outside
(a tool, a permission, a file, a port, a server).`;

function commandHelp(program: Program, about: Command): string {
  const examples = about.examples.map((example) => `  ${program.name} ${example}`).join("\n");
  return `Usage: ${program.name} ${`${about.name} ${about.operands}`.trim()} [options]

${about.about}

Options:
${helpOptions(about.options)}

Examples:
${examples}

${exitCodeHelp}`;
}
