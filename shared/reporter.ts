/** Counters and log lines: the one way anything in Picket says something happened.
 *
 * In: `count`, `gauge`, `observe`, `info`, `warn`, `error`.
 * Out: a snapshot for `/metrics` and check-ins; log lines on standard error.
 * Invariant: one message is written at most 3 times in 10 s; those held back are counted and said with the next one.
 * A line says its time, unless who reads it knows: the journal, or a person at a terminal.
 * The journal gets the level as a priority.
 * Names: `<noun>_<unit>_total` for counters. Labels come from closed lists, never from the wire. @module */

import type { Clock } from "./clock.ts";
import { systemClock } from "./clock.ts";
import { escapeLine } from "./escape.ts";

export type Labels = Readonly<Record<string, string | number>>;

export interface Reporter {
  /** Adds `by` (default 1) to a counter. */
  count(name: string, labels?: Labels, by?: number): void;
  /** Sets a gauge. */
  gauge(name: string, value: number, labels?: Labels): void;
  /** Adds a time to a histogram with the buckets of {@link bucketSeconds}. */
  observe(name: string, seconds: number, labels?: Labels): void;
  info(message: string, fields?: Record<string, unknown>): void;
  /** Odd, but no data lost. */
  warn(message: string, fields?: Record<string, unknown>): void;
  /** Data lost, or an operator is needed. */
  error(message: string, fields?: Record<string, unknown>): void;
  /** All counters and gauges by `name{label="value"}` in Prometheus' notation. */
  snapshot(): Map<string, number>;
}

/** Who reads the lines: a person at a terminal, systemd's journal, or a file. */
export type LineReader = "terminal" | "journal" | "file";
type Level = "info" | "warning" | "error";

/** Priorities of syslog, as systemd reads them at the start of a line. */
const priorities: Record<Level, number> = { info: 6, warning: 4, error: 3 };

const linesMax = 3;
const windowMs = 10_000;
const messagesMax = 1_000;
const seriesMax = 10_000;

/** Upper ends of a histogram's buckets; the last one has none. */
export const bucketSeconds = [0.005, 0.025, 0.1, 0.25, 1, 5, 30, 120, 600] as const;

/** A reporter that writes `write` one line a message.
 *
 * @example What is counted, and what is said.
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createReporter } from "./reporter.ts";
 *
 * const lines: string[] = [];
 * const reporter = createReporter({ component: "sensor", write: (line) => lines.push(line) });
 * reporter.count("batches_refused_total", { reason: "sha256" });
 * reporter.count("batches_refused_total", { reason: "sha256" }, 2);
 * reporter.warn("cannot send batch, will retry", { attempt: 2 });
 * assertEquals([...reporter.snapshot()], [['batches_refused_total{reason="sha256"}', 3]]);
 * assertEquals(lines, ["sensor: warning: cannot send batch, will retry attempt=2"]);
 * ``` */
export function createReporter(
  options: {
    component: string;
    write?: (line: string) => void;
    clock?: Clock;
    json?: boolean;
    quiet?: boolean;
    reader?: LineReader;
  },
): Reporter {
  const { component, write = writeStderr, clock = systemClock, json = false, quiet = false } = options;
  const { reader = "terminal" } = options;
  const series = new Map<string, number>();
  const recent = new Map<string, { since: number; written: number; held: number }>();

  function set(name: string, labels: Labels | undefined, change: (before: number) => number): void {
    const key = seriesKey(name, labels);
    if (!series.has(key) && series.size >= seriesMax) {
      series.set("series_refused_total", (series.get("series_refused_total") ?? 0) + 1);
      return;
    }
    series.set(key, change(series.get(key) ?? 0));
  }

  function log(level: Level, message: string, fields: Record<string, unknown> = {}): void {
    const now = clock.monotonicMs();
    if (recent.size >= messagesMax) recent.clear();
    let seen = recent.get(message);
    if (!seen || now - seen.since > windowMs) {
      seen = { since: now, written: 0, held: seen?.held ?? 0 };
      recent.set(message, seen);
    }
    if (seen.written >= linesMax) {
      seen.held++;
      return;
    }
    seen.written++;
    const extra = seen.held > 0 ? { ...fields, held_back: seen.held } : fields;
    seen.held = 0;
    const time = new Date(clock.nowMs()).toISOString();
    const priority = reader === "journal" ? `<${priorities[level]}>` : "";
    if (json) {
      write(priority + JSON.stringify({ time, level, component, message, ...extra }));
    } else {
      const words = Object.entries(extra).map(([name, value]) => ` ${name}=${escapeLine(show(value))}`).join(
        "",
      );
      // The journal has time and program of its own.
      const head = { terminal: `${component}: `, journal: priority, file: `${time} ${component}: ` }[reader];
      write(`${head}${level === "info" ? "" : level + ": "}${escapeLine(message)}${words}`);
    }
  }

  return {
    count: (name, labels, by = 1) => set(name, labels, (before) => before + by),
    gauge: (name, value, labels) => set(name, labels, () => value),
    observe: (name, seconds, labels) => {
      for (const part of observed(name, seconds, labels)) set(part.name, part.labels, (was) => was + part.by);
    },
    info: (message, fields) => quiet ? undefined : log("info", message, fields),
    warn: (message, fields) => log("warning", message, fields),
    error: (message, fields) => log("error", message, fields),
    snapshot: () => new Map(series),
  };
}

/** What one time adds to the series of a histogram; to those of its buckets 0, too, so that all are there. */
function observed(
  name: string,
  seconds: number,
  labels?: Labels,
): { name: string; labels: Labels | undefined; by: number }[] {
  const value = Math.max(0, seconds);
  const buckets = [...bucketSeconds, Infinity].map((end) => ({
    name: `${name}_bucket`,
    labels: { ...labels, le: end === Infinity ? "+Inf" : end },
    by: value <= end ? 1 : 0,
  }));
  return [...buckets, { name: `${name}_sum`, labels, by: value }, { name: `${name}_count`, labels, by: 1 }];
}

/** `name{a="1",b="2"}`, labels in name order. */
export function seriesKey(name: string, labels?: Labels): string {
  const names = labels ? Object.keys(labels).sort() : [];
  if (names.length === 0) return name;
  return `${name}{${names.map((n) => `${n}="${String(labels![n]).replace(/[\\"\n]/g, "_")}"`).join(",")}}`;
}

function show(value: unknown): string {
  if (value instanceof Error) return value.message;
  return typeof value === "string" ? value : JSON.stringify(value) ?? String(value);
}

function writeStderr(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(line + "\n"));
}
