/** What a flow as a whole learns from a segment.
 *
 * In: an arrival whose counts were accepted.
 * Out: the flow's states, times and flags; whether anything of it is news to the store.
 * Invariant: false = the stored flow is as it would be with this segment, so nothing has to be written. @module */

import { connStates, endReasons } from "../../shared/segment.ts";
import type { Arrival } from "./arrival.ts";
import { has, hasIsn, type MergeState } from "./merge_state.ts";
import { joinedState } from "./turn.ts";

const active = endReasons.indexOf("active");
/** Beyond what a sensor of ours samples; a factor is a claim of its sensor. */
const factorMax = 1_024;

/** What the flow as a whole learns from a segment; false when it knew all of it. */
export function noteFlow(
  state: MergeState,
  flow: number,
  sighting: number,
  arrival: Arrival,
  nowMs: number,
): boolean {
  const { columns } = state.flows;
  const { columns: given, row, flowStartUs, endUs } = arrival;
  let isChanged = false;
  if (arrival.isn >= 0 && !(columns.bits[flow] & hasIsn)) {
    columns.isn[flow] = arrival.isn;
    columns.bits[flow] |= hasIsn;
    isChanged = true;
  }
  const brings = bringsOf(arrival) & ~columns.has[flow];
  if (brings !== 0) columns.has[flow] |= brings;
  const fwdFlags = columns.fwdFlags[flow] | arrival.fwdFlags;
  const bwdFlags = columns.bwdFlags[flow] | arrival.bwdFlags;
  // The least factor is that of the sensor that left out least: the flow was bound to be seen by it. What was added to
  // the sums before it was heard from stays as it is.
  const factor = Math.min(
    columns.factor[flow] === 0 ? factorMax : columns.factor[flow],
    Math.max(1, given.numbers.factor[row]),
  );
  isChanged ||= brings !== 0 || fwdFlags !== columns.fwdFlags[flow] ||
    bwdFlags !== columns.bwdFlags[flow] ||
    factor !== columns.factor[flow] || flowStartUs < columns.startUs[flow] || endUs > columns.endUs[flow];
  columns.fwdFlags[flow] = fwdFlags;
  columns.bwdFlags[flow] = bwdFlags;
  columns.factor[flow] = factor;
  columns.startUs[flow] = Math.min(columns.startUs[flow], flowStartUs);
  columns.updatedMs[flow] = nowMs;
  return noteEnd(state, flow, sighting, arrival) || isChanged;
}

function noteEnd(state: MergeState, flow: number, sighting: number, arrival: Arrival): boolean {
  const { columns } = state.flows;
  const { endUs, endReason: reason } = arrival;
  const before = columns.endReason[flow], stateBefore = columns.connState[flow];
  const isLatest = endUs >= columns.endUs[flow];
  // Of two sensors that saw the same last packet, the one that says why it was the last knows more.
  const saysLess = reason === active && endUs === columns.endUs[flow] && before !== active;
  if (isLatest) {
    columns.endUs[flow] = endUs;
    if (!saysLess) columns.endReason[flow] = reason;
  }
  const fwd = columns.fwd[flow], bwd = columns.bwd[flow];
  if (fwd >= 0 && bwd >= 0 && fwd !== bwd) {
    const protocol = arrival.columns.protocol[arrival.row];
    const joined = joinedState(protocol, columns.fwdFlags[flow], columns.bwdFlags[flow]);
    columns.connState[flow] = connStates.indexOf(joined);
  } else if (isLatest && (fwd === sighting || bwd === sighting)) {
    columns.connState[flow] = arrival.connState;
  }
  return columns.endReason[flow] !== before || columns.connState[flow] !== stateBefore;
}

/** Values of which the first one known stays. */
function bringsOf({ columns, row, isTurned }: Arrival): number {
  const n = columns.numbers;
  const macs = columns.hasMacs[row];
  let brings = isTurned ? macs >> 1 | (macs & 1) << 1 : macs;
  if (n.fwd_ttl[row] !== 0) brings |= isTurned ? has.bwdTtl : has.fwdTtl;
  if (n.bwd_ttl[row] !== 0) brings |= isTurned ? has.fwdTtl : has.bwdTtl;
  if (n.handshake_rtt_us[row] !== 0) brings |= has.rtt;
  if (columns.app_protocol[row] !== "") brings |= has.app;
  return brings;
}
