/** Whose counts a direction of a flow has, and what of a segment is new to the flow.
 *
 * In: a segment that its sighting already has. Out: the same segment with the counts that the flow did not have yet.
 * Invariant: after each call the flow's counts of a direction are the totals of the sighting that owns it.
 * The owner is the first that shows the direction. Silent: its last packet is `silenceMs` older than the other's; or it said that the
 * flow goes on, or was cut off, and the other has seen a later end. Then the most complete sighting takes over. @module */

import type { Reporter } from "../../shared/reporter.ts";
import { endReasons, type Segment } from "../../shared/segment.ts";
import type { MergeState } from "./merge_state.ts";

const active = endReasons.indexOf("active");
const cutOff = [endReasons.indexOf("evicted"), endReasons.indexOf("stopped")];

export interface Owning {
  state: MergeState;
  silenceMs: number;
  reporter: Reporter;
}

/** The part of a segment that the flow did not have yet. */
export function acceptSegment(
  owning: Owning,
  flow: number,
  sighting: number,
  segment: Segment,
): Segment {
  const fwd = acceptDirection(owning, flow, sighting, "fwd", segment.fwd_packets, segment.fwd_bytes);
  const bwd = acceptDirection(owning, flow, sighting, "bwd", segment.bwd_packets, segment.bwd_bytes);
  const { columns } = owning.state.flows;
  const hasFwd = columns.fwd[flow] === sighting, hasBwd = columns.bwd[flow] === sighting;
  if (hasFwd && hasBwd && fwd.packets === segment.fwd_packets && bwd.packets === segment.bwd_packets) {
    return segment;
  }
  return {
    ...segment,
    fwd_packets: fwd.packets,
    fwd_bytes: fwd.bytes,
    fwd_payload_bytes: hasFwd ? segment.fwd_payload_bytes : 0,
    fwd_syn_count: hasFwd ? segment.fwd_syn_count : 0,
    fwd_fin_count: hasFwd ? segment.fwd_fin_count : 0,
    fwd_rst_count: hasFwd ? segment.fwd_rst_count : 0,
    bwd_packets: bwd.packets,
    bwd_bytes: bwd.bytes,
    bwd_payload_bytes: hasBwd ? segment.bwd_payload_bytes : 0,
    bwd_syn_count: hasBwd ? segment.bwd_syn_count : 0,
    bwd_fin_count: hasBwd ? segment.bwd_fin_count : 0,
    bwd_rst_count: hasBwd ? segment.bwd_rst_count : 0,
  };
}

function acceptDirection(
  owning: Owning,
  flow: number,
  sighting: number,
  direction: "fwd" | "bwd",
  packets: number,
  bytes: number,
): { packets: number; bytes: number } {
  if (packets === 0) return { packets: 0, bytes: 0 };
  const owners = owning.state.flows.columns[direction];
  const owner = owners[flow];
  if (owner < 0) owners[flow] = sighting;
  if (owner < 0 || owner === sighting) return { packets, bytes };
  if (!isSilent(owning, owner, sighting)) return { packets: 0, bytes: 0 };
  const { columns } = owning.state.sightings;
  const countOf = columns[`${direction}Packets`], bytesOf = columns[`${direction}Bytes`];
  let best = owner;
  for (let one = owning.state.flows.columns.sightings[flow]; one >= 0; one = columns.next[one]) {
    if (countOf[one] > countOf[best] && bytesOf[one] >= bytesOf[owner]) best = one;
  }
  if (best === owner) return { packets: 0, bytes: 0 };
  owners[flow] = best;
  owning.reporter.count("merge_takeovers_total", { direction });
  return { packets: countOf[best] - countOf[owner], bytes: bytesOf[best] - bytesOf[owner] };
}

/** Whether `owner` stopped telling while `other` went on. */
function isSilent({ state, silenceMs }: Owning, owner: number, other: number): boolean {
  const { endUs, endReason } = state.sightings.columns;
  if (endUs[other] <= endUs[owner]) return false;
  if (endUs[other] > endUs[owner] + silenceMs * 1e3) return true;
  if (cutOff.includes(endReason[owner])) return true;
  return endReason[owner] === active && endReason[other] !== active && !cutOff.includes(endReason[other]);
}
