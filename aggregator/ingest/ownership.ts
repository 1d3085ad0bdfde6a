/** Whose counts a direction of a flow has, and what of a segment is new to the flow.
 *
 * In: an arrival whose counts its sighting already has.
 * Out: its packets and bytes become those that the flow did not have yet.
 * Invariant: after each call the flow's counts of a direction are the totals of the sighting that owns it.
 * The owner is the first that shows the direction. Silent: its last packet is `silenceMs` older than the other's; or it
 * said that the flow goes on, or was cut off, and the other has seen a later end.
 * Then the most complete sighting takes over. @module */

import type { Reporter } from "../../shared/reporter.ts";
import { endReasons } from "../../shared/segment.ts";
import type { Arrival } from "./arrival.ts";
import type { MergeState } from "./merge_state.ts";

const active = endReasons.indexOf("active");
const cutOff = [endReasons.indexOf("evicted"), endReasons.indexOf("stopped")];

export interface Owning {
  state: MergeState;
  silenceMs: number;
  reporter: Reporter;
}

/** Leaves in `arrival` the part that the flow did not have yet. */
export function accept(owning: Owning, flow: number, sighting: number, arrival: Arrival): void {
  const fwd = arrival.fwdPackets > 0 ? ownerOf(owning, flow, sighting, "fwd") : same;
  if (fwd === none) arrival.fwdPackets = arrival.fwdBytes = 0;
  if (fwd >= 0) {
    const { fwdPackets, fwdBytes } = owning.state.sightings.columns;
    const owner = owning.state.flows.columns.fwd[flow];
    arrival.fwdPackets = fwdPackets[owner] - fwdPackets[fwd];
    arrival.fwdBytes = fwdBytes[owner] - fwdBytes[fwd];
  }
  const bwd = arrival.bwdPackets > 0 ? ownerOf(owning, flow, sighting, "bwd") : same;
  if (bwd === none) arrival.bwdPackets = arrival.bwdBytes = 0;
  if (bwd >= 0) {
    const { bwdPackets, bwdBytes } = owning.state.sightings.columns;
    const owner = owning.state.flows.columns.bwd[flow];
    arrival.bwdPackets = bwdPackets[owner] - bwdPackets[bwd];
    arrival.bwdBytes = bwdBytes[owner] - bwdBytes[bwd];
  }
}

/** The sighting owns the direction; it does not; any other value is the owner that it or a third one took over from. */
const same = -1, none = -2;

function ownerOf(owning: Owning, flow: number, sighting: number, direction: "fwd" | "bwd"): number {
  const owners = owning.state.flows.columns[direction];
  const owner = owners[flow];
  if (owner < 0) owners[flow] = sighting;
  if (owner < 0 || owner === sighting) return same;
  if (!isSilent(owning, owner, sighting)) return none;
  const { columns } = owning.state.sightings;
  const countOf = columns[`${direction}Packets`], bytesOf = columns[`${direction}Bytes`];
  let best = owner;
  for (let one = owning.state.flows.columns.sightings[flow]; one >= 0; one = columns.next[one]) {
    if (countOf[one] > countOf[best] && bytesOf[one] >= bytesOf[owner]) best = one;
  }
  if (best === owner) return none;
  owners[flow] = best;
  owning.reporter.count("merge_takeovers_total", { direction });
  return owner;
}

/** Whether `owner` stopped telling while `other` went on. */
function isSilent({ state, silenceMs }: Owning, owner: number, other: number): boolean {
  const { endUs, endReason } = state.sightings.columns;
  if (endUs[other] <= endUs[owner]) return false;
  if (endUs[other] > endUs[owner] + silenceMs * 1e3) return true;
  if (cutOff.includes(endReason[owner])) return true;
  return endReason[owner] === active && endReason[other] !== active && !cutOff.includes(endReason[other]);
}
