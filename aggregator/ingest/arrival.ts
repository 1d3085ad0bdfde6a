/** A segment on its way into a flow: whose it is, when it was by our clock, on which network.
 *
 * In: a segment, its source, `nowMs`. Out: corrected times, and whether they can be trusted. Invariant: the sensor's own times stay as they
 * are; what was added to them is kept beside them. @module */

import { icmpCounterpart } from "../../shared/community_id.ts";
import { isPrivateIp } from "../../shared/ip.ts";
import type { Segment } from "../../shared/segment.ts";
import type { Sighting } from "../model/flow.ts";

const year2000Us = 946_684_800e6;
/** Later than the aggregator's clock by more than this is no time to trust. */
const futureUs = 300e6;
/** Offsets below this are within the error of measuring them. */
const offsetMsMin = 250;

/** Who reports. */
export interface Source {
  sensor_id: string;
  site: string;
  /** Sensor's clock minus aggregator's clock. */
  clock_offset_ms: number;
}

/** Times are microseconds since the epoch, corrected. */
export interface Arrival {
  /** Oriented as the flow. */
  segment: Segment;
  startUs: number;
  endUs: number;
  flowStartUs: number;
  addedMs: number;
  isSuspect: boolean;
}

export function arrive(segment: Segment, source: Source, nowMs: number): Arrival {
  const addedMs = Math.abs(source.clock_offset_ms) < offsetMsMin ? 0 : -source.clock_offset_ms;
  const shift = addedUs(addedMs);
  const startUs = Math.round(segment.start * 1e6) + shift;
  const endUs = Math.round(segment.end * 1e6) + shift;
  const flowStartUs = Math.round(segment.flow_start * 1e6) + shift;
  const isSuspect = flowStartUs < year2000Us || endUs > nowMs * 1e3 + futureUs;
  return { segment, startUs, endUs, flowStartUs, addedMs, isSuspect };
}

export function addedUs(addedMs: number): number {
  return Math.round(addedMs * 1e3);
}

export function sightingOf({ segment, addedMs }: Arrival, source: Source): Sighting {
  const { vlan, ip_depth, fwd_packets, fwd_bytes, bwd_packets, bwd_bytes } = segment;
  return {
    sensor_id: source.sensor_id,
    vlan,
    ip_depth,
    start: segment.flow_start,
    end: segment.end,
    fwd_packets,
    fwd_bytes,
    bwd_packets,
    bwd_bytes,
    segments: 1,
    clock_offset_ms: addedMs,
  };
}

/** Private addresses mean something only on their own site. */
export function networkOf({ src_ip, dst_ip }: Segment, site: string): string {
  return isPrivateIp(src_ip) || isPrivateIp(dst_ip) ? site : "global";
}

/** Whether the two directions of such a flow have one key. */
export function isReversible({ protocol, src_port }: Segment): boolean {
  if (protocol === "arp") return false;
  if (protocol === "icmp") return icmpCounterpart(1, src_port) >= 0;
  return protocol !== "icmp6" || icmpCounterpart(58, src_port) >= 0;
}
