/** A flow as the aggregator knows it: one conversation, whatever number of sensors and segments reported it.
 *
 * In: segments of verified batches. Out: rows of the store, updates for the detectors.
 * Invariant: each direction's counts are those of one vantage; nothing is summed over sensors. @module */

import type { Segment } from "../../shared/segment.ts";

/** One vantage's view of a flow. A vantage is a sensor, a VLAN and a tunnel depth: a sensor that sees a packet before
 * and after a router or a tunnel has two. Times are the sensor's own, epoch seconds. */
export interface Sighting {
  sensor_id: string;
  vlan: number;
  ip_depth: number;
  start: number;
  end: number;
  fwd_packets: number;
  fwd_bytes: number;
  bwd_packets: number;
  bwd_bytes: number;
  segments: number;
  /** Milliseconds that were added to the sensor's times for the merge. */
  clock_offset_ms: number;
}

/** A stored flow. Field meanings as in {@link Segment}, over all segments. */
export interface Flow extends Omit<Segment, "segment" | "flow_start" | "end_reason"> {
  /** 16 hex digits, time-ordered; the same for the same flow however often its batches come again. */
  flow_id: string;
  /** Site name when an address is private, "global" when both are public. */
  network: string;
  /** fwd_packets + bwd_packets, and the same for bytes: the columns people sort by. */
  total_packets: number;
  total_bytes: number;
  /** Vantage sensors whose counts are the flow's, each way; "" while a direction is unseen. */
  fwd_sensor: string;
  bwd_sensor: string;
  /** Last end reason; "active" while the flow goes on. */
  end_reason: Segment["end_reason"];
  /** A time before 2000 or in the future at arrival: kept, flagged, not trusted. */
  time_suspect: boolean;
  /** Aggregator's clock at first and last change, ms since the epoch. */
  stored_ms: number;
  updated_ms: number;
  seen_by: Sighting[];
}

/** What one merged segment adds to a flow, for the detectors. Two sightings of the same packets give one update. */
export interface FlowUpdate {
  flow_id: string;
  network: string;
  /** The first update of this flow. */
  first: boolean;
  /** The merged increment, oriented as the flow; counts may be 0 when another vantage already brought them. */
  segment: Segment;
  /** Sensors that have seen the flow so far. */
  sensors: string[];
}
