/** The real edges of a process: its output, signals, environment, clock and randomness.
 *
 * Out: {@link DispatchEdges} for `main.ts`. Why one file: what tests replace is all here and nowhere else. @module */

import { fstatSync } from "node:fs";
import { type Clock, systemClock } from "./clock.ts";
import type { DispatchEdges } from "./dispatch.ts";
import { createReporter, type LineReader, type Reporter } from "./reporter.ts";
import { createSupervisor } from "./supervisor.ts";

/** Edges of the program `component`. */
export function processEdges(component: string): DispatchEdges {
  const reader = lineReader();
  const signals = new Signals(systemClock, () => edges.reporter);
  const supervisor = createSupervisor({ env: readVariable, pid: Deno.pid }, { clock: systemClock });
  const edges: DispatchEdges = {
    ...(supervisor && { supervisor }),
    print,
    complain: (line) => write(Deno.stderr, line + "\n"),
    isColourful: Deno.stdout.isTerminal() && !readVariable("NO_COLOR"),
    progress: Deno.stderr.isTerminal() ? (text) => write(Deno.stderr, `\r\x1b[K${text}`) : null,
    clock: systemClock,
    reporter: createReporter({ component, reader }),
    env: readVariable,
    randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
    signal: signals.stopping,
    onReload: (reload) => signals.onReload(reload),
    readTextFile: (path) => Deno.readTextFileSync(path),
    withLogs: ({ json }) => {
      edges.reporter = createReporter({ component, json, reader });
      return edges;
    },
  };
  return edges;
}

function write(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += stream.writeSync(bytes.subarray(at));
}

/** Who reads standard error. The variable alone says nothing: a program started by a service inherits it,
 * whatever it writes to. */
function lineReader(): LineReader {
  if (Deno.stderr.isTerminal()) return "terminal";
  const stream = readVariable("JOURNAL_STREAM");
  if (stream === undefined) return "file";
  const { dev, ino } = fstatSync(2);
  return stream === `${dev}:${ino}` ? "journal" : "file";
}

/** A reader that went away, as in `| head`, ends the program quietly. */
function print(line: string): void {
  try {
    write(Deno.stdout, line + "\n");
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) Deno.exit(0);
    throw error;
  }
}

/** Each ends the program in order. QUIT dumps no core: what is open would be lost. */
const stopSignals = ["SIGINT", "SIGTERM", "SIGQUIT", "SIGPWR", "SIGXCPU"] as const;
/** Each would end the program at once, and none of them asks it to.
 * A write beyond a limit fails by itself, with EFBIG. */
const ignoredSignals = [
  "SIGUSR1",
  "SIGUSR2",
  "SIGALRM",
  "SIGVTALRM",
  "SIGPROF",
  "SIGIO",
  "SIGXFSZ",
] as const;
/** A second signal to stop within this time is the first one again: the terminal and a parent both pass it on. */
const insistMs = 1_000;
/** The runtime answers USR1 in its own time, before us or after. */
const debuggerChecksMs = [0, 10, 40, 200, 1_000];

/** What signals do to both programs: INT, TERM and QUIT stop in order, HUP reloads, USR1 and USR2 do nothing. */
class Signals {
  readonly #clock: Clock;
  readonly #reporter: () => Reporter;
  #stop = new AbortController();
  #stopMs = 0;
  #reloads = new Set<() => void | Promise<void>>();

  constructor(clock: Clock, reporter: () => Reporter) {
    this.#clock = clock;
    this.#reporter = reporter;
    for (const name of stopSignals) Deno.addSignalListener(name, () => this.#stopped());
    for (const name of ignoredSignals) Deno.addSignalListener(name, () => this.#ignored(name));
    Deno.addSignalListener("SIGHUP", () => this.#reload());
  }

  /** Aborts at the first signal to stop; one that comes a second later or more ends the program at once. */
  get stopping(): AbortSignal {
    return this.#stop.signal;
  }

  /** Calls `reload` at each SIGHUP, until what is returned is called. */
  onReload(reload: () => void | Promise<void>): () => void {
    this.#reloads.add(reload);
    return () => void this.#reloads.delete(reload);
  }

  #stopped(): void {
    const nowMs = this.#clock.monotonicMs();
    if (!this.#stop.signal.aborted) this.#stopMs = nowMs;
    else if (nowMs - this.#stopMs >= insistMs) Deno.exit(130);
    this.#stop.abort();
  }

  async #ignored(name: typeof ignoredSignals[number]): Promise<void> {
    this.#reporter().count("signals_ignored_total", { signal: name });
    if (name === "SIGUSR1") await closeDebugger(this.#clock);
  }

  async #reload(): Promise<void> {
    const reporter = this.#reporter();
    reporter.count("reloads_total");
    if (this.#reloads.size === 0) reporter.info("SIGHUP: there is nothing to reload");
    for (const reload of this.#reloads) {
      try {
        await reload();
      } catch (error) {
        reporter.error("cannot reload, what was in force stays", { error: (error as Error).message });
      }
    }
  }
}

/** From source, the runtime opens a debugger at SIGUSR1, whoever listens;
 * everything the program knows would be readable there. */
async function closeDebugger(clock: Clock): Promise<void> {
  const inspector = await import("node:inspector");
  for (const waitMs of debuggerChecksMs) {
    if (waitMs > 0) await clock.sleep(waitMs);
    inspector.close();
  }
}

function readVariable(name: string): string | undefined {
  try {
    return Deno.env.get(name);
  } catch {
    return undefined; // Not permitted to read it: as if it were not set.
  }
}
