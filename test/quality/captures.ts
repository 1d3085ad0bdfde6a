/** The captures of others, with what is known of them, and what Picket finds in them.
 *
 * In: ../shared/data/pcap with MANIFEST.tsv and labels.tsv, and the field cases; not part of the repository.
 * Out: one row a threat.
 * Invariant: a capture that takes longer than `deadlineMs` fails instead of holding up the gate. @module */

import { assertEquals } from "@std/assert";
import { createReporter } from "../../shared/reporter.ts";
import { type Analysis, analyzeFile } from "../../aggregator/analyze.ts";
import { skipLoudly } from "../services/services.ts";

const data = new URL("../../../shared/data/", import.meta.url).pathname;
const pcap = `${data}pcap/`, fieldCases = `${data}fieldcases/sensor/`;
const deadlineMs = 180_000;

const isThere = await Deno.stat(`${pcap}MANIFEST.tsv`).then(() => true, () => false);
/** For `Deno.test`: skips loudly where the captures are absent. */
export const overCaptures = isThere
  ? { ignore: false }
  : skipLoudly("detection over the captures of others", "../shared/data is absent");

export interface Labelled {
  file: string;
  path: string;
  /** "normal", the kind of attack, or "unjudged". */
  kind: string;
  attacker: string;
  victim: string;
}

/** All labelled captures, and the two field cases about detection, which are normal. */
export async function labelledCaptures(): Promise<Labelled[]> {
  const text = await Deno.readTextFile(`${pcap}labels.tsv`);
  const labelled = text.trimEnd().split("\n").slice(1).map((line) => {
    const [file, attack, attacker, victim] = line.split("\t");
    const kind = attack === "none" ? "normal" : attack;
    return { file, path: pcap + file, kind, attacker, victim };
  });
  const normal = { kind: "normal", attacker: "", victim: "" };
  return [
    ...labelled,
    ...["monitoring-scrapes.pcap.gz", "tcp-app-heartbeat-5min-10h.pcap"].map((file) => ({
      ...normal,
      file,
      path: fieldCases + file,
    })),
  ];
}

const analyses = new Map<string, Promise<Analysis>>();

/** Analyzes a capture, once in a run. */
export function analysisOf({ file, path }: Labelled): Promise<Analysis> {
  const known = analyses.get(file);
  if (known) return known;
  const analysis = analyze(file, path);
  analyses.set(file, analysis);
  return analysis;
}

async function analyze(file: string, path: string): Promise<Analysis> {
  const analysis = await analyzeFile(path, {
    reporter: createReporter({ component: "test", write: () => {} }),
    signal: AbortSignal.timeout(deadlineMs),
  });
  assertEquals(analysis.capture.note === "interrupted", false, `${file} took longer than ${deadlineMs} ms`);
  return analysis;
}

/** One line a threat: detector, attacker, victim, port, severity, count; the many are counted. */
export function threatRows({ threats }: Analysis): string[] {
  const ends = (ips: readonly string[]) => ips.length === 1 ? ips[0] : `${ips.length} hosts`;
  return threats.map(({ detector, src_ips, dst_ips, dst_port, severity, count }) =>
    [detector, ends(src_ips), ends(dst_ips), dst_port ?? "-", severity, count].join("\t")
  ).sort();
}
