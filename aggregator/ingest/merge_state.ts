/** What the merger remembers of each flow: rows of flows and of sightings, found by fingerprint.
 *
 * In: a fingerprint of network and Community ID. Out: rows. Invariant: flows of one fingerprint form a chain, newest first; each flow's
 * sightings form another. Between `begin` and `commit` everything can be taken back.
 * Bound: by the caller, who evicts before a transaction; rows are about 150 octets a flow with one sighting. @module */

import { FingerprintIndex } from "./fingerprint_index.ts";
import { Pool } from "./pool.ts";

export const hasIsn = 1, highFirst = 2, isSuspect = 4;

export const flowSpec = {
  low: Uint32Array,
  high: Uint32Array,
  /** Microseconds that the flow's id begins with. */
  idUs: Float64Array,
  startUs: Float64Array,
  endUs: Float64Array,
  updatedMs: Float64Array,
  isn: Uint32Array,
  idOctet: Uint8Array,
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
  endReason: Uint8Array,
} as const;

export class MergeState {
  readonly flows = new Pool(flowSpec);
  readonly sightings = new Pool(sightingSpec);
  #index = new FingerprintIndex();
  #undo: (() => void)[] | null = null;

  /** Newest flow of a fingerprint, or -1. */
  newest(low: number, high: number): number {
    return this.#index.get(low, high);
  }

  begin(): void {
    this.#undo = [];
    this.flows.begin();
    this.sightings.begin();
  }

  commit(): void {
    this.#undo = null;
    this.flows.commit();
    this.sightings.commit();
  }

  rollback(): void {
    const undo = this.#undo ?? [];
    this.#undo = null;
    // Values first: what the steps give back must stay as they leave it.
    this.flows.rollback();
    this.sightings.rollback();
    for (const step of undo.reverse()) step();
  }

  addFlow(low: number, high: number): number {
    const flow = this.flows.take();
    const { columns } = this.flows;
    columns.low[flow] = low;
    columns.high[flow] = high;
    columns.fwd[flow] = columns.bwd[flow] = columns.sightings[flow] = -1;
    columns.older[flow] = this.#index.get(low, high);
    this.#index.set(low, high, flow);
    this.#undo?.push(() => this.removeFlow(flow));
    return flow;
  }

  addSighting(flow: number, vantage: number): number {
    const sighting = this.sightings.take();
    this.sightings.columns.vantage[sighting] = vantage;
    this.sightings.columns.next[sighting] = this.flows.columns.sightings[flow];
    this.flows.touch(flow);
    this.flows.columns.sightings[flow] = sighting;
    this.#undo?.push(() => {
      this.flows.columns.sightings[flow] = this.sightings.columns.next[sighting];
      this.sightings.give(sighting);
    });
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
