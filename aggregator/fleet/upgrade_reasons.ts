/** What a sensor's check-in says of its upgrade, in words.
 *
 * Invariant: an upgrade that failed is reported until another one is offered; that a sensor takes none is no fault of
 * it, and said where somebody wants to upgrade it. @module */

import type { CheckInRequest } from "../../shared/control.ts";

/** Sentences; empty when nothing is wrong. */
export function upgradeReasons({ upgrade, version }: Pick<CheckInRequest, "upgrade" | "version">): string[] {
  if (upgrade?.state !== "failed") return [];
  return [
    `Upgrade to version ${upgrade.version ?? "?"} failed, version ${version} runs: ${upgrade.problem ?? "?"}`,
  ];
}
