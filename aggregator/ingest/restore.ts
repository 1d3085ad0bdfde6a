/** Stored flows back in memory.
 *
 * In: flows with their sightings, the buckets that are wanted.
 * Out: the rows the merger would have if it had never stopped.
 * Approximate: the store does not keep why a sighting's last segment ended; the flow's own reason stands for it.
 * @module */

import { bucketOf } from "../../shared/community_id.ts";
import { connStates, endReasons } from "../../shared/segment.ts";
import type { Facts } from "../../shared/facts.ts";
import type { Flow } from "../model/flow.ts";
import { readFlowId } from "../model/flow_id.ts";
import { isHighFirst } from "./arrival.ts";
import { columnsOf, ownKey, type SegmentColumns } from "./columns.ts";
import { highOf, lowOf, type Salts } from "./flow_id.ts";
import { has, hasIsn, highFirst, isSuspect, type MergeState } from "./merge_state.ts";
import type { Vantages } from "./vantages.ts";

/** Some of `count` buckets; null = all. */
export interface BucketChoice {
  count: number;
  some: ReadonlySet<number> | null;
}

export const allBuckets: BucketChoice = { count: 1, some: null };

export function restoreFlows(
  flows: readonly Flow[],
  state: MergeState,
  vantages: Vantages,
  salts: Salts,
  buckets: BucketChoice,
  facts: { remember: (facts: Facts | null, flow: number) => void; forget: (flow: number) => void },
): void {
  const given = columnsOf(flows.map((flow) => ({ ...flow, segment: 0, flow_start: flow.start })));
  for (const [row, stored] of flows.entries()) {
    const id = readFlowId(stored.flow_id);
    if (id === null) continue;
    // As sensors place them: what has no digest is in bucket 0.
    const at = 20 * row;
    const bucket = given.isPlaced[row] ? bucketOf(given.digests.subarray(at, at + 4), buckets.count) : 0;
    if (buckets.some !== null && !buckets.some.has(bucket)) continue;
    const flow = restoreFlow(stored, id, given, row, state, salts, facts.forget);
    state.flows.columns.bucket[flow] = bucket;
    restoreSightings(stored, flow, state, vantages);
    facts.remember(stored.facts, flow);
  }
}

function restoreFlow(
  stored: Flow,
  id: { us: number; slot: number },
  given: SegmentColumns,
  row: number,
  state: MergeState,
  salts: Salts,
  forget: (flow: number) => void,
): number {
  const salt = salts.of(stored.network);
  const key = given.isNamed[row] ? given.digests.subarray(20 * row, 20 * row + 20) : ownKey(given, row);
  const low = lowOf(key, 0, salt), high = highOf(key, 0, salt);
  forgetSame(low, high, id, state, forget);
  const flow = state.addFlow(low, high);
  const { columns } = state.flows;
  columns.idUs[flow] = id.us;
  columns.slot[flow] = id.slot;
  columns.startUs[flow] = Math.round(stored.start * 1e6);
  columns.endUs[flow] = Math.round(stored.end * 1e6);
  columns.updatedMs[flow] = stored.updated_ms;
  columns.isn[flow] = stored.tcp_isn ?? 0;
  columns.bits[flow] = (stored.tcp_isn === null ? 0 : hasIsn) | (isHighFirst(given, row) ? highFirst : 0) |
    (stored.time_suspect ? isSuspect : 0);
  columns.connState[flow] = connStates.indexOf(stored.conn_state);
  columns.endReason[flow] = endReasons.indexOf(stored.end_reason);
  columns.factor[flow] = stored.factor;
  columns.fwdFlags[flow] = stored.fwd_tcp_flags;
  columns.bwdFlags[flow] = stored.bwd_tcp_flags;
  columns.has[flow] = (stored.src_mac ? has.srcMac : 0) | (stored.dst_mac ? has.dstMac : 0) |
    (stored.fwd_ttl ? has.fwdTtl : 0) | (stored.bwd_ttl ? has.bwdTtl : 0) |
    (stored.handshake_rtt_us ? has.rtt : 0) | (stored.app_protocol ? has.app : 0);
  return flow;
}

/** What memory has of this flow is older than the store. */
function forgetSame(
  low: number,
  high: number,
  { us, slot }: { us: number; slot: number },
  state: MergeState,
  forget: (flow: number) => void,
): void {
  const { columns } = state.flows;
  for (let flow = state.newest(low, high); flow >= 0; flow = columns.older[flow]) {
    if (columns.idUs[flow] !== us || columns.slot[flow] !== slot) continue;
    forget(flow);
    return;
  }
}

function restoreSightings(stored: Flow, flow: number, state: MergeState, vantages: Vantages): void {
  const { columns } = state.flows;
  for (const seen of stored.seen_by) {
    const sighting = state.addSighting(flow, vantages.number(seen.sensor_id, seen.vlan, seen.ip_depth));
    const views = state.sightings.columns;
    const offsetUs = Math.round(seen.clock_offset_ms * 1e3);
    views.fwdPackets[sighting] = seen.fwd_packets;
    views.fwdBytes[sighting] = seen.fwd_bytes;
    views.bwdPackets[sighting] = seen.bwd_packets;
    views.bwdBytes[sighting] = seen.bwd_bytes;
    views.endUs[sighting] = Math.round(seen.end * 1e6) + offsetUs;
    views.ownStartUs[sighting] = Math.round(seen.start * 1e6);
    views.offsetUs[sighting] = offsetUs;
    views.segments[sighting] = seen.segments;
    views.endReason[sighting] = columns.endReason[flow];
    views.isStored[sighting] = stored.seen_by.length > 1 ? 1 : 0;
    // Of a sensor's several vantages the owner is the one whose counts are the flow's.
    if (
      seen.sensor_id === stored.fwd_sensor &&
      (columns.fwd[flow] < 0 || seen.fwd_packets === stored.fwd_packets)
    ) columns.fwd[flow] = sighting;
    if (
      seen.sensor_id === stored.bwd_sensor &&
      (columns.bwd[flow] < 0 || seen.bwd_packets === stored.bwd_packets)
    ) columns.bwd[flow] = sighting;
  }
}
