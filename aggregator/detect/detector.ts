/** What every detector is: a state machine over flow updates that holds bounded state and says what it found.
 *
 * In: one {@link FlowUpdate} at a time, in any order of time. Out: findings, and the words that explain them.
 * Invariant: no detector reads a clock; times are those of packets. A finding carries its whole episode, so that a later
 * finding of the same identity replaces the earlier one.
 * Why `step` and `collect` apart: a flood steps ten thousand times a second, but is worth one finding a batch. @module */

import type { FlowUpdate } from "../model/flow.ts";
import type { Evidence, Finding } from "../model/threat.ts";

/** A detector in the words of an analyst. Operators' own modules export one as `detector`. */
export interface Detector {
  /** Stable name, also that of its file: "port_scan_vertical". */
  readonly name: string;
  readonly advice: Advice;
  /** Takes one update in. Never throws on odd values. */
  step(update: FlowUpdate): void;
  /** Everything above its threshold that changed since the last call. */
  collect(): Finding[];
  /** Keys followed now, and keys forgotten early because the bound was reached. */
  readonly tracked: number;
  readonly evicted: number;
}

/** The words of a detector, for people who are no experts. */
export interface Advice {
  /** One sentence: who did what to whom, with the numbers that matter. */
  summary(finding: Finding): string;
  /** Why anyone would do that. */
  meaning: string;
  /** What to do next, most urgent first. */
  action: string;
  /** How to rule out a false alarm. */
  falseAlarm: string;
}

/** Upper bounds of one finding. */
export const findingLimits = { addressesMax: 100, flowIdsMax: 50, sensorsMax: 50 } as const;

/** Numbers evidence e1, e2, ... in the order given; a third part marks the value as chosen by the sender of packets. */
export function numberEvidence(
  parts: (readonly [name: string, value: string | number, hostile?: boolean])[],
): Evidence[] {
  return parts.map(([name, value, hostile = false], i) => ({ id: `e${i + 1}`, name, value, hostile }));
}

/** Value of a named piece of evidence, "" when there is none. */
export function evidenceValue(finding: Pick<Finding, "evidence">, name: string): string | number {
  return finding.evidence.find((piece) => piece.name === name)?.value ?? "";
}

/** `base` points at `threshold`, `perTenfold` more for each tenfold, never above `max`. */
export function growingPoints(
  value: number,
  threshold: number,
  points: { base: number; perTenfold: number; max: number },
): number {
  const grown = points.base + points.perTenfold * Math.log10(Math.max(1, value / threshold));
  return Math.min(points.max, Math.round(grown));
}
