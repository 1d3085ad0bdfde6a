/** Which policy a sensor should have.
 *
 * In: every version of every policy, a sensor. Out: at most one policy for it; the policies in force.
 * Rule: of one name, the newest version whose target fits the sensor; of several names, the one with the closest target
 * (sensor before tag before all), and of these the newest. So a version for `tag=canary` reaches the canaries alone
 * while the others keep what they had, and the same settings for `all` later reach everybody.
 * Invariant: what is answered is at most `maxAgeMs` old. A sensor has one policy or none: settings of two are never
 * mixed, so that a version alone says which settings apply. @module */

import type { Policy } from "../../shared/policy.ts";
import type { PolicyRow } from "../model/policy.ts";
import type { SensorRow } from "../model/sensor.ts";
import type { PolicyStore } from "../store/store.ts";

/** A policy that has not ended. */
export type PolicyInForce = PolicyRow & { settings: NonNullable<PolicyRow["settings"]> };

type Named = Pick<SensorRow, "sensor_id" | "name" | "tags">;

export class PolicyBook {
  #store: Pick<PolicyStore, "readPolicies">;
  #maxAgeMs: number;
  #rows: readonly PolicyRow[] = [];
  #inForce: readonly PolicyInForce[] = [];
  #readMs = -Infinity;
  #reading: Promise<void> | null = null;

  constructor(options: { maxAgeMs?: number }, deps: { store: Pick<PolicyStore, "readPolicies"> }) {
    this.#maxAgeMs = options.maxAgeMs ?? 2_000;
    this.#store = deps.store;
  }

  /** Every version, the oldest first. */
  async all(nowMs: number): Promise<readonly PolicyRow[]> {
    await this.#refresh(nowMs);
    return this.#rows;
  }

  async inForce(nowMs: number): Promise<readonly PolicyInForce[]> {
    await this.#refresh(nowMs);
    return this.#inForce;
  }

  async wantedBy(sensor: Named, nowMs: number): Promise<Policy | null> {
    const row = policyFor(sensor, await this.inForce(nowMs));
    return row && { name: row.name, version: row.version, settings: row.settings };
  }

  /** Makes the next look read the store: a version was added. */
  forget(): void {
    this.#readMs = -Infinity;
  }

  async #refresh(nowMs: number): Promise<void> {
    if (Math.abs(nowMs - this.#readMs) < this.#maxAgeMs) return;
    this.#reading ??= this.#read(nowMs);
    await this.#reading;
  }

  async #read(nowMs: number): Promise<void> {
    try {
      this.#rows = await this.#store.readPolicies();
      this.#inForce = policiesInForce(this.#rows);
      this.#readMs = nowMs;
    } finally {
      this.#reading = null;
    }
  }
}

/** Of each name and target the newest, unless a later one for all took its place or the policy ended.
 * The oldest first. */
export function policiesInForce(rows: readonly PolicyRow[]): PolicyInForce[] {
  const byName = new Map<string, Map<string, PolicyInForce>>();
  for (const row of rows) {
    const targets = byName.get(row.name) ?? new Map<string, PolicyInForce>();
    byName.set(row.name, targets);
    if (row.settings === null || row.target === "all") targets.clear();
    if (row.settings !== null) targets.set(row.target, row as PolicyInForce);
  }
  return [...byName.values()].flatMap((targets) => [...targets.values()]).sort((a, b) =>
    a.version - b.version
  );
}

/** `inForce`: the oldest first. */
export function policyFor(sensor: Named, inForce: readonly PolicyInForce[]): PolicyInForce | null {
  const newest = new Map<string, PolicyInForce>();
  for (const row of inForce) if (closeness(row.target, sensor) > 0) newest.set(row.name, row);
  let best: PolicyInForce | null = null;
  for (const row of newest.values()) {
    const by = best === null ? 1 : closeness(row.target, sensor) - closeness(best.target, sensor);
    if (best === null || by > 0 || (by === 0 && row.version > best.version)) best = row;
  }
  return best;
}

/** 0 = the target is for others. */
function closeness(target: string, { sensor_id, name, tags }: Named): number {
  if (target === "all") return 1;
  const value = target.slice(target.indexOf("=") + 1);
  if (target.startsWith("tag=")) return tags.includes(value) ? 2 : 0;
  return value === name || value === sensor_id ? 3 : 0;
}
