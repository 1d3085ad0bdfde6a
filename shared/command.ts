/** What a command of either program is, and what it gets from the outside.
 *
 * In: checked options. Out: results on standard output through `print`, everything else through the reporter,
 * an exit code.
 * Invariant: a command touches clock, randomness, signals and environment only through {@link Edges},
 * so a test can own them. @module */

import type { Clock } from "./clock.ts";
import type { Options, OptionTable } from "./options.ts";
import type { Reporter } from "./reporter.ts";
import type { Supervisor } from "./supervisor.ts";

/** What the exit code of every command means. */
export const exitCodes = {
  /** Done. */
  ok: 0,
  /** The work itself failed. */
  failed: 1,
  /** Wrong option, argument or configuration. */
  usage: 2,
  /** Something outside is missing: a tool, a permission, a file, a port, a server. */
  environment: 3,
} as const;

export interface Edges {
  /** One line on standard output. */
  print(line: string): void;
  /** Standard output is a terminal that wants colours. */
  isColourful: boolean;
  /** Writes over the current line of the terminal; null where standard error is none. */
  progress: ((text: string) => void) | null;
  clock: Clock;
  reporter: Reporter;
  env(name: string): string | undefined;
  randomBytes(length: number): Uint8Array;
  /** Systemd, where it started this process and wants to know how it is. */
  supervisor?: Supervisor;
  /** Aborts on the first signal to stop. */
  signal: AbortSignal;
  /** Calls `reload` at each SIGHUP, until the function returned is called. */
  onReload(reload: () => void | Promise<void>): () => void;
}

export interface Command<Table extends OptionTable = OptionTable> {
  name: string;
  /** One line for the list of commands. */
  summary: string;
  /** Positional arguments, as shown in the usage line. */
  operands: string;
  /** What it does, what it needs, what it prints. */
  about: string;
  /** Command lines, without the program's name, that work as they stand. */
  examples: string[];
  options: Table;
  run(options: Options<Table>, operands: string[], edges: Edges): Promise<number>;
}

/** Keeps the option table's type while the command goes into a list. */
export function command<Table extends OptionTable>(definition: Command<Table>): Command {
  return definition as unknown as Command;
}

/** Ends a command with a message and an exit code. */
export class CommandError extends Error {
  override name = "CommandError";
  readonly exitCode: number;

  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** The only operand of a command. @throws {CommandError} when there is none, or more than one. */
export function onlyOperand(operands: string[], what: string): string {
  if (operands.length !== 1) {
    throw new CommandError(
      exitCodes.usage,
      `Cannot go on as one ${what} must be named: ${operands.length} are given`,
    );
  }
  return operands[0];
}

/** Refuses operands. @throws {CommandError} */
export function noOperands(operands: string[]): void {
  if (operands.length > 0) {
    throw new CommandError(
      exitCodes.usage,
      `Cannot go on as "${operands[0].slice(0, 60)}" is one argument too many`,
    );
  }
}

/** 0 <= value < 1 from the edge's randomness. */
export function randomOf(edges: Pick<Edges, "randomBytes">): () => number {
  return () => new DataView(edges.randomBytes(4).buffer as ArrayBuffer).getUint32(0) / 2 ** 32;
}
