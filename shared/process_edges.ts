/** The real edges of a process: its output, signals, environment, clock and randomness.
 *
 * Out: {@link DispatchEdges} for `main.ts`. Why one file: what tests replace is all here and nowhere else. @module */

import { systemClock } from "./clock.ts";
import type { DispatchEdges } from "./dispatch.ts";
import { createReporter } from "./reporter.ts";

/** Edges of the program `component`. */
export function processEdges(component: string): DispatchEdges {
  const edges: DispatchEdges = {
    print,
    complain: (line) => write(Deno.stderr, line + "\n"),
    isColourful: Deno.stdout.isTerminal() && !readVariable("NO_COLOR"),
    progress: Deno.stderr.isTerminal() ? (text) => write(Deno.stderr, `\r\x1b[K${text}`) : null,
    clock: systemClock,
    reporter: createReporter({ component }),
    env: readVariable,
    randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
    signal: listenForStop(),
    onHangUp: (act) => Deno.addSignalListener("SIGHUP", act),
    readTextFile: (path) => Deno.readTextFileSync(path),
    withLogs: ({ json }) => ({ ...edges, reporter: createReporter({ component, json }) }),
  };
  return edges;
}

function write(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += stream.writeSync(bytes.subarray(at));
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

/** Aborts at the first SIGINT or SIGTERM; the second ends the program at once. */
function listenForStop(): AbortSignal {
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      if (stopping.signal.aborted) Deno.exit(130);
      stopping.abort();
    });
  }
  return stopping.signal;
}

function readVariable(name: string): string | undefined {
  try {
    return Deno.env.get(name);
  } catch {
    return undefined; // Not permitted to read it: as if it were not set.
  }
}
