/** A policy as the fleet stores it: every version, and which sensors it is for.
 *
 * Invariant: rows are added, never changed, so that what a sensor reports as its version can always be looked up.
 * @module */

import type { PolicySettings } from "../../shared/policy.ts";

export interface PolicyRow {
  /** Unique in the fleet, rising. */
  version: number;
  name: string;
  /** `all`, `tag=NAME` or `sensor=NAME`. */
  target: string;
  /** Null = the policy of this name ended here. */
  settings: PolicySettings | null;
  created_ms: number;
  created_by: string;
}

/** Versions of one name, and names: more cannot be added. */
export const policyLimits = { versionsMax: 500, namesMax: 100 } as const;

export const targetPattern = /^(all|(tag|sensor)=[A-Za-z0-9][A-Za-z0-9._-]{0,62})$/;
