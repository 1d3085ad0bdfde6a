/** A flow with everything that is dropped from the store together with it: what an archive holds and restores.
 * @module */

import type { Flow } from "./flow.ts";

export interface ArchivedFlow {
  /** `seen_by` is empty where one vantage alone saw the flow: it follows from the other fields. */
  flow: Flow;
  /** Segments, and what was added to the times, of that one vantage. */
  segments: number;
  clock_offset_us: number;
  threat_ids: string[];
}

/** What an archived day adds up to. */
export interface DaySums {
  flows: number;
  packets: number;
  bytes: number;
  /** Rows of their own, of flows that more than one vantage saw. */
  sightings: number;
  threat_links: number;
}

export function noSums(): DaySums {
  return { flows: 0, packets: 0, bytes: 0, sightings: 0, threat_links: 0 };
}

export function addToSums(sums: DaySums, { flow, threat_ids }: ArchivedFlow): void {
  sums.flows++;
  sums.packets += flow.fwd_packets + flow.bwd_packets;
  sums.bytes += flow.fwd_bytes + flow.bwd_bytes;
  sums.sightings += flow.seen_by.length;
  sums.threat_links += threat_ids.length;
}
