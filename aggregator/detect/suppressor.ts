/** Which of the threats just found are hidden: nobody is notified of them, and no model or sensor is asked about them.
 *
 * In: suppressions in force, from the store. Out: yes or no, without waiting. Invariant: the same as the store decides
 * when it saves the threat, at most {@link everyMs} late: another aggregator may have added a suppression meanwhile.
 * While the store is unreachable the last list applies. @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { isInForce, matcherOf, type Suppression } from "../model/suppression.ts";
import type { Threat } from "../model/threat.ts";
import type { SuppressionStore } from "../store/store.ts";

const everyMs = 5_000;

export interface SuppressorDeps {
  store: Pick<SuppressionStore, "readSuppressions" | "endExpired">;
  clock: Clock;
  reporter: Reporter;
}

export class Suppressor {
  #deps: SuppressorDeps;
  #rules: { suppression: Suppression; meets: (threat: Threat) => boolean }[] = [];
  #readMs = -Infinity;

  constructor(deps: SuppressorDeps) {
    this.#deps = deps;
  }

  /** Reads the list again when it is old, or at once; says whether others are in force now. Never rejects. */
  async refresh(isAtOnce = false): Promise<boolean> {
    const { store, clock, reporter } = this.#deps;
    const atMs = clock.monotonicMs();
    if (!isAtOnce && atMs - this.#readMs < everyMs) return false;
    this.#readMs = atMs;
    try {
      const rows = await store.readSuppressions(clock.nowMs());
      const before = this.#rules.map(({ suppression }) => suppression.id).join();
      this.#rules = rows.map((suppression) => ({ suppression, meets: matcherOf(suppression) }));
      reporter.gauge("suppressions_in_force", rows.length);
      return before !== rows.map(({ id }) => id).join();
    } catch (error) {
      reporter.count("suppression_reads_failed_total");
      reporter.warn("cannot read suppressions, those known before stay in force", { error });
      return false;
    }
  }

  hides(threat: Threat): boolean {
    const nowMs = this.#deps.clock.nowMs();
    return this.#rules.some(({ suppression, meets }) => isInForce(suppression, nowMs) && meets(threat));
  }

  /** Threats that are not hidden; the others are counted. */
  shown(threats: readonly Threat[]): Threat[] {
    const shown = threats.filter((threat) => !this.hides(threat));
    this.#deps.reporter.count("threats_suppressed_total", undefined, threats.length - shown.length);
    return shown;
  }

  /** Notes the end of those that expired. */
  async endExpired(): Promise<void> {
    await this.#deps.store.endExpired(this.#deps.clock.nowMs());
  }
}
