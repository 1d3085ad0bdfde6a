/** Topics of the store about the fleet: what sensors shall do, which program they shall run, how they were. @module */

import type { Actor, AuditAction } from "../model/audit.ts";
import type { HealthQuery, HealthRow } from "../model/sensor_health.ts";
import type { PolicyRow } from "../model/policy.ts";
import type { RolloutChange, RolloutRow } from "../model/upgrade.ts";

/** What the fleet sets on its sensors. */
export interface PolicyStore {
  /** Returns its version; null = there are too many of this name, or too many names. */
  addPolicy(row: Omit<PolicyRow, "version">, by?: Actor): Promise<number | null>;
  /** Every version of each, the oldest first. */
  readPolicies(): Promise<PolicyRow[]>;
}

/** Which version the sensors are to run. */
export interface RolloutStore {
  /** Returns its id; null = another one runs or is paused. */
  addRollout(row: Omit<RolloutRow, "id">, by: Actor): Promise<number | null>;
  /** The newest first. */
  readRollouts(limit: number): Promise<RolloutRow[]>;
  /** `by` null = it changed by itself. False = it is not as it `was` any more. */
  changeRollout(
    was: Pick<RolloutRow, "id" | "state" | "percent" | "attempt">,
    change: RolloutChange,
    by: { actor: Actor; action: AuditAction; nowMs: number } | null,
  ): Promise<boolean>;
}

/** How sensors were, over time. */
export interface HealthStore {
  /** What is there of the same sensor and time stays. */
  saveHealth(rows: readonly HealthRow[]): Promise<void>;
  /** Newest first. */
  readHealth(query: HealthQuery, limit: number): Promise<HealthRow[]>;
  /** The last row of each sensor since then. */
  readLastHealth(sinceMs: number): Promise<HealthRow[]>;
  /** Forgets rows from before; of those from before `thinBeforeMs` one an hour stays, and changes. How many went. */
  pruneHealth(until: { beforeMs: number; thinBeforeMs: number }): Promise<number>;
}
