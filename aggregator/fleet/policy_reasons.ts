/** What a sensor's check-in says of its policy, in words.
 *
 * Invariant: a policy that a sensor rolled back is reported until its version changes;
 * one that was only just offered is not. @module */

import type { CheckInRequest } from "../../shared/control.ts";

/** Sentences; empty when all is as it was wanted. */
export function policyReasons({ policy }: CheckInRequest): string[] {
  if (!policy) return [];
  const { name, wanted, actual, problem, kept } = policy;
  const had = actual === 0 ? "its own options" : `version ${actual}`;
  return [
    ...(problem === null ? [] : [
      `Policy ${
        name ?? "?"
      } version ${wanted} was rolled back to ${had}: ${problem}. Change it: picket-aggregator policy set`,
    ]),
    ...(problem !== null || kept.length === 0 ? [] : [
      `Its own options keep ${kept.join(", ")} from policy ${name ?? "?"} version ${wanted}`,
    ]),
  ];
}

/** Said of a sensor that sees no packet. */
export function filterWarning({ policy }: CheckInRequest): string {
  if (!policy?.filtered || policy.actual === 0) return "";
  return `; the filter of its policy ${policy.name ?? "?"} version ${policy.actual} may match nothing`;
}
