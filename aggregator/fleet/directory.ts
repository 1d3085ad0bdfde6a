/** The sensors, as read from the store a moment ago.
 *
 * In: the store. Out: one sensor by id, or all, each with the settings of its policy.
 * Invariant: nothing answered is older than `maxAgeMs`, which bounds how long a revoked sensor is still taken for a
 * good one. Before an id is said to be unknown, or to be of a sensor that is not let in, the store is read again, but
 * not more often than every `unknownMs`: a command may just have let it in.
 * Why a copy: 1,000 sensors check in 100 times a second; each would otherwise cost a query. @module */

import type { SensorRow } from "../model/sensor.ts";
import { PolicyBook, policyFor, type PolicyInForce } from "./policies.ts";
import type { Store } from "../store/store.ts";

export interface DirectoryOptions {
  /** @default 2000 */
  maxAgeMs?: number;
  /** @default 250 */
  unknownMs?: number;
}

export class SensorDirectory {
  /** Which policy a sensor should have. */
  readonly policies: PolicyBook;
  #store: Pick<Store, "readSensors">;
  #maxAgeMs: number;
  #unknownMs: number;
  #rows = new Map<string, SensorRow>();
  /** Check-ins that the store may not have yet, of sensors that are in `#rows`. */
  #noted = new Map<string, Pick<SensorRow, "check_in" | "last_check_in_ms" | "clock_offset_ms">>();
  #readMs = -Infinity;
  #reading: Promise<void> | null = null;
  /** Since the reading that is under way began. */
  #isForgotten = false;

  constructor(options: DirectoryOptions, deps: { store: Pick<Store, "readSensors" | "readPolicies"> }) {
    this.policies = new PolicyBook({}, deps);
    this.#maxAgeMs = options.maxAgeMs ?? 2_000;
    this.#unknownMs = options.unknownMs ?? 250;
    this.#store = deps.store;
  }

  async find(sensorId: string, nowMs: number): Promise<SensorRow | null> {
    await this.#refresh(nowMs, this.#maxAgeMs);
    const row = this.#rows.get(sensorId);
    const isGood = row !== undefined && row.revoked_ms === null && row.quarantined_ms === null;
    if (!isGood) await this.#refresh(nowMs, this.#unknownMs);
    return this.#rows.get(sensorId) ?? null;
  }

  /** The sensor whose id or name `text` is: the live one of that name, or the last of those that were revoked. */
  async resolve(text: string, nowMs: number): Promise<SensorRow | null> {
    const byId = await this.find(text, nowMs);
    if (byId) return byId;
    const named = [...this.#rows.values()].filter(({ name }) => name === text);
    return named.find(({ revoked_ms }) => revoked_ms === null) ??
      named.sort((a, b) => b.enrolled_ms - a.enrolled_ms)[0] ?? null;
  }

  /** What people call the sensor, as far as is known; else its id. */
  nameOf(sensorId: string): string {
    return this.#rows.get(sensorId)?.name ?? sensorId;
  }

  tagsOf(sensorId: string): readonly string[] {
    return this.#rows.get(sensorId)?.tags ?? [];
  }

  async all(nowMs: number): Promise<SensorRow[]> {
    await this.#refresh(nowMs, this.#maxAgeMs);
    return [...this.#rows.values()];
  }

  /** A check-in shows at once, and until the store has it. */
  note(sensorId: string, change: Pick<SensorRow, "check_in" | "last_check_in_ms" | "clock_offset_ms">): void {
    const row = this.#rows.get(sensorId);
    if (!row) return;
    this.#noted.set(sensorId, change);
    this.#rows.set(sensorId, { ...row, ...change });
  }

  /** Makes the next look read the store: a sensor was added or revoked. */
  forget(): void {
    this.#isForgotten = true;
    this.#readMs = -Infinity;
  }

  async #refresh(nowMs: number, maxAgeMs: number): Promise<void> {
    if (Math.abs(nowMs - this.#readMs) < maxAgeMs) return;
    this.#reading ??= this.#read(nowMs);
    await this.#reading;
  }

  #withNoted(row: SensorRow): SensorRow {
    const noted = this.#noted.get(row.sensor_id);
    if (!noted) return row;
    if ((row.last_check_in_ms ?? -Infinity) < noted.last_check_in_ms!) return { ...row, ...noted };
    this.#noted.delete(row.sensor_id);
    return row;
  }

  async #read(nowMs: number): Promise<void> {
    this.#isForgotten = false;
    try {
      // A thousand check-ins are 10 MB: parsing all of them again would hold up everybody who checks in meanwhile.
      const rows = await this.#store.readSensors(this.#rows);
      const inForce = await this.policies.inForce(nowMs);
      this.#rows = new Map(rows.map((row) => [row.sensor_id, withSettings(this.#withNoted(row), inForce)]));
      for (const id of this.#noted.keys()) if (!this.#rows.has(id)) this.#noted.delete(id);
      this.#readMs = this.#isForgotten ? -Infinity : nowMs;
    } finally {
      this.#reading = null;
    }
  }
}

function withSettings(row: SensorRow, inForce: readonly PolicyInForce[]): SensorRow {
  const settings = policyFor(row, inForce)?.settings;
  return settings ? { ...row, settings } : row;
}
