/** A stored flow back in memory.
 *
 * In: a flow with its sightings. Out: the row the merger would have if it had never stopped.
 * Approximate: the store does not keep why a sighting's last segment ended; the flow's own reason stands for it. @module */

import { Buffer } from "node:buffer";
import { connStates, endReasons } from "../../shared/segment.ts";
import { addedUs } from "./arrival.ts";
import type { Flow } from "../model/flow.ts";
import { hasIsn, highFirst, isSuspect, type MergeState } from "./merge_state.ts";
import { isHighFirst } from "./turn.ts";
import type { Vantages } from "./vantages.ts";

export function restoreFlow(state: MergeState, vantages: Vantages, stored: Flow): number {
  const id = Buffer.from(stored.flow_id, "hex");
  const low = id.readUInt32BE(11), high = id.readUInt32BE(7);
  const flow = state.addFlow(low, high);
  const { columns } = state.flows;
  columns.idUs[flow] = id.readUIntBE(0, 3) * 2 ** 32 + id.readUInt32BE(3);
  columns.idOctet[flow] = id[15];
  columns.startUs[flow] = Math.round(stored.start * 1e6);
  columns.endUs[flow] = Math.round(stored.end * 1e6);
  columns.updatedMs[flow] = stored.updated_ms;
  columns.isn[flow] = stored.tcp_isn ?? 0;
  columns.bits[flow] = (stored.tcp_isn === null ? 0 : hasIsn) | (isHighFirst(stored) ? highFirst : 0) |
    (stored.time_suspect ? isSuspect : 0);
  columns.connState[flow] = connStates.indexOf(stored.conn_state);
  columns.endReason[flow] = endReasons.indexOf(stored.end_reason);
  columns.factor[flow] = stored.factor;
  columns.fwdFlags[flow] = stored.fwd_tcp_flags;
  columns.bwdFlags[flow] = stored.bwd_tcp_flags;
  for (const seen of stored.seen_by) {
    const sighting = state.addSighting(
      flow,
      vantages.number(seen.sensor_id, seen.vlan, seen.ip_depth),
    );
    const views = state.sightings.columns;
    views.fwdPackets[sighting] = seen.fwd_packets;
    views.fwdBytes[sighting] = seen.fwd_bytes;
    views.bwdPackets[sighting] = seen.bwd_packets;
    views.bwdBytes[sighting] = seen.bwd_bytes;
    views.endUs[sighting] = Math.round(seen.end * 1e6) + addedUs(seen.clock_offset_ms);
    views.endReason[sighting] = columns.endReason[flow];
    // Of a sensor's several vantages the owner is the one whose counts are the flow's.
    if (
      seen.sensor_id === stored.fwd_sensor &&
      (columns.fwd[flow] < 0 || seen.fwd_packets === stored.fwd_packets)
    ) {
      columns.fwd[flow] = sighting;
    }
    if (
      seen.sensor_id === stored.bwd_sensor &&
      (columns.bwd[flow] < 0 || seen.bwd_packets === stored.bwd_packets)
    ) {
      columns.bwd[flow] = sighting;
    }
  }
  return flow;
}
