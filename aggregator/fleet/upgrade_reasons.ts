/** What a sensor's check-in says of its upgrade, in words.
 *
 * Invariant: an upgrade that failed is reported until another one is offered; that a sensor takes none is no fault of
 * it, and said where somebody wants to upgrade it. @module */

import type { CheckInRequest } from "../../shared/control.ts";
import { compareMinorsOf, isVersion } from "../../shared/release.ts";

/** Sentences; empty when nothing is wrong. */
export function upgradeReasons({ upgrade, version }: Pick<CheckInRequest, "upgrade" | "version">): string[] {
  if (upgrade?.state !== "failed") return [];
  return [
    `Upgrade to version ${upgrade.version ?? "?"} failed, version ${version} runs: ${upgrade.problem ?? "?"}`,
  ];
}

/** Of a sensor that is a minor version behind the aggregator, or more: ahead, or a patch behind, is fine. */
export function outdatedReasons(sensor: string, aggregator: string): string[] {
  if (!isVersion(sensor) || compareMinorsOf(sensor, aggregator) >= 0) return [];
  return [
    `Its version ${sensor} is older than the aggregator's ${aggregator}: install its package, or picket-aggregator upgrade start`,
  ];
}
