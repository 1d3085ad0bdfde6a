/** Runs detectors over a capture file, through the same stages as live traffic.
 *
 * In: a declaration, the path of a pcap or pcapng file, limits as by `--limit`.
 * Out: its threats, the most severe first. @module */

import { createReporter } from "../../../shared/reporter.ts";
import { type AnalyzedThreat, analyzeFile } from "../../../aggregator/analyze.ts";
import type { Declaration } from "../../../aggregator/detect/detector.ts";

export async function runOverCapture(
  declaration: Declaration,
  path: string,
  limits: Record<string, number> = {},
): Promise<AnalyzedThreat[]> {
  const { threats } = await analyzeFile(path, {
    reporter: createReporter({ component: "test", write: () => {} }),
    detectors: {
      declarations: [declaration],
      settings: { limits: new Map([[declaration.name, limits]]), off: new Set() },
    },
  });
  return threats;
}
