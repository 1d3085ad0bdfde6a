/** Connection states and facts seen the other way round,
 * and states of flows whose two directions came from two vantages.
 *
 * Invariant: turning twice gives the state again, those without a mirror image excepted. @module */

import type { Facts } from "../../shared/facts.ts";
import { type ConnState, connStates } from "../../shared/segment.ts";

const mirrored: Partial<Record<ConnState, ConnState>> = {
  RSTO: "RSTR",
  RSTR: "RSTO",
  S2: "S3",
  S3: "S2",
  SH: "SHR",
  SHR: "SH",
  RSTOS0: "RSTRH",
  RSTRH: "RSTOS0",
  // An attempt seen from its wrong end says nothing that Zeek has a word for.
  S0: "OTH",
  REJ: "OTH",
};

/** By number of a state, the number of its mirror image. */
export const mirroredStates: readonly number[] = connStates.map((state) =>
  connStates.indexOf(mirrored[state] ?? state)
);

/** Of facts only the first octets tell the way they went. */
export function turnFacts(facts: Facts | null): Facts | null {
  if (!facts?.first) return facts;
  const { fwd, bwd } = facts.first;
  return { ...facts, first: { ...bwd !== undefined && { fwd: bwd }, ...fwd !== undefined && { bwd: fwd } } };
}

const fin = 1, syn = 2, rst = 4;

/** State of a flow of which no single vantage saw both directions, from the flags of each.
 * The order of resets is not known then. */
export function joinedState(protocol: string, fwdFlags: number, bwdFlags: number): ConnState {
  if (protocol !== "tcp") return "SF";
  if (!(fwdFlags & syn)) {
    return bwdFlags & syn && bwdFlags & rst ? "RSTRH" : bwdFlags & syn && bwdFlags & fin ? "SHR" : "OTH";
  }
  if (!(bwdFlags & syn)) return bwdFlags & rst ? "REJ" : "OTH";
  if (fwdFlags & fin && bwdFlags & fin) return "SF";
  if (fwdFlags & rst) return "RSTO";
  if (bwdFlags & rst) return "RSTR";
  return fwdFlags & fin ? "S2" : bwdFlags & fin ? "S3" : "S1";
}
