/** What the merger remembers of each flow: rows of flows and of sightings, found by fingerprint.
 *
 * In: a fingerprint of network and Community ID. Out: rows. Invariant: flows of one fingerprint form a chain, newest
 * first; each flow's sightings form another. Between `begin` and `commit` everything can be taken back.
 * Bound: by the caller, who evicts before a transaction; rows are about 170 octets a flow with one sighting. @module */

import { FingerprintIndex } from "./fingerprint_index.ts";
import { Pool } from "./pool.ts";

export const hasIsn = 1, highFirst = 2, isSuspect = 4;
/** Values of which the first one known stays. */
export const has = { srcMac: 1, dstMac: 2, fwdTtl: 4, bwdTtl: 8, rtt: 16, app: 32 } as const;

export const flowSpec = {
  low: Uint32Array,
  high: Uint32Array,
  /** Time and slot of the flow's id. */
  idUs: Float64Array,
  slot: Uint16Array,
  bucket: Uint16Array,
  startUs: Float64Array,
  endUs: Float64Array,
  updatedMs: Float64Array,
  isn: Uint32Array,
  bits: Uint8Array,
  connState: Uint8Array,
  endReason: Uint8Array,
  /** Least sampling factor of its segments; 0 = none came yet. */
  factor: Uint32Array,
  fwdFlags: Uint8Array,
  bwdFlags: Uint8Array,
  /** Rows of sightings whose counts are the flow's; -1 = none yet. */
  fwd: Int32Array,
  bwd: Int32Array,
  /** First row of the flow's sightings; the rest by `next`. */
  sightings: Int32Array,
  /** Older flow of the same fingerprint; -1 = none. */
  older: Int32Array,
  /** First row of the facts told, by `next`; -1 = none. */
  facts: Int32Array,
  /** How many those are. */
  factCount: Uint16Array,
  /** What the stored flow has: see `has`. */
  has: Uint8Array,
  /** Row in the write at hand, plus 1; 0 = none. */
  pending: Uint32Array,
} as const;

export const sightingSpec = {
  vantage: Uint32Array,
  next: Int32Array,
  fwdPackets: Float64Array,
  fwdBytes: Float64Array,
  bwdPackets: Float64Array,
  bwdBytes: Float64Array,
  /** Corrected. */
  endUs: Float64Array,
  /** Of its first packet, by the sensor's own clock. */
  ownStartUs: Float64Array,
  /** Added to the sensor's times. */
  offsetUs: Float64Array,
  segments: Float64Array,
  endReason: Uint8Array,
  /** 1 = it has a row of its own in the store; the only sighting of a flow has none. */
  isStored: Uint8Array,
} as const;

export class MergeState {
  readonly flows = new Pool(flowSpec);
  readonly sightings = new Pool(sightingSpec);
  #index = new FingerprintIndex();
  /** Rows taken since `begin`; a sighting stands after its flow. */
  readonly #newFlows: number[] = [];
  readonly #newSightings: number[] = [];

  /** Newest flow of a fingerprint, or -1. */
  newest(low: number, high: number): number {
    return this.#index.get(low, high);
  }

  begin(): void {
    this.#newFlows.length = this.#newSightings.length = 0;
    this.flows.begin();
    this.sightings.begin();
  }

  commit(): void {
    this.#newFlows.length = this.#newSightings.length = 0;
    this.flows.commit();
    this.sightings.commit();
  }

  rollback(): void {
    // Values first: what the steps give back must stay as they leave it.
    this.flows.rollback();
    this.sightings.rollback();
    for (let at = this.#newSightings.length - 2; at >= 0; at -= 2) {
      const flow = this.#newSightings[at], sighting = this.#newSightings[at + 1];
      // The chain of a flow that was there before begins again where it began.
      if (this.flows.columns.sightings[flow] === sighting) {
        this.flows.columns.sightings[flow] = this.sightings.columns.next[sighting];
      }
      this.sightings.give(sighting);
    }
    for (const flow of this.#newFlows.reverse()) {
      this.flows.columns.sightings[flow] = -1;
      this.removeFlow(flow);
    }
    this.commit();
  }

  addFlow(low: number, high: number): number {
    const flow = this.flows.take();
    const { columns } = this.flows;
    columns.low[flow] = low;
    columns.high[flow] = high;
    columns.fwd[flow] = columns.bwd[flow] = columns.sightings[flow] = -1;
    columns.older[flow] = this.#index.get(low, high);
    this.#index.set(low, high, flow);
    columns.facts[flow] = -1;
    this.#newFlows.push(flow);
    return flow;
  }

  addSighting(flow: number, vantage: number): number {
    const sighting = this.sightings.take();
    this.sightings.columns.vantage[sighting] = vantage;
    this.sightings.columns.next[sighting] = this.flows.columns.sightings[flow];
    this.flows.touch(flow);
    this.flows.columns.sightings[flow] = sighting;
    this.#newSightings.push(flow, sighting);
    return sighting;
  }

  findSighting(flow: number, vantage: number): number {
    let sighting = this.flows.columns.sightings[flow];
    while (sighting >= 0 && this.sightings.columns.vantage[sighting] !== vantage) {
      sighting = this.sightings.columns.next[sighting];
    }
    return sighting;
  }

  removeFlow(flow: number): void {
    const { low, high, older, sightings } = this.flows.columns;
    const newest = this.#index.get(low[flow], high[flow]);
    if (newest === flow) {
      if (older[flow] >= 0) this.#index.set(low[flow], high[flow], older[flow]);
      else this.#index.delete(low[flow], high[flow]);
    } else {
      let newer = newest;
      while (older[newer] !== flow) newer = older[newer];
      older[newer] = older[flow];
    }
    for (let sighting = sightings[flow]; sighting >= 0;) {
      const next = this.sightings.columns.next[sighting];
      this.sightings.give(sighting);
      sighting = next;
    }
    sightings[flow] = -1;
    // A row that is given back has updatedMs 0 and is passed over by whoever looks for old ones.
    this.flows.columns.updatedMs[flow] = 0;
    this.flows.give(flow);
  }
}
