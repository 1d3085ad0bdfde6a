/** From when on something is wrong with a sensor: thresholds, each with its unit, as the fleet or a policy sets them.
 *
 * In: a sensor with the settings of the policy that is for it. Out: the thresholds that hold for it.
 * Invariant: the centre's alone: they hold as soon as the policy is set, whether the sensor has taken it or not, as one
 * that is out of contact must be judged too. Those that are in no policy are the same for the whole fleet. @module */

import type { SensorRow } from "../model/sensor.ts";

export const fleetLimits = {
  /** Three check-ins missed. */
  lateAfterMs: 30_000,
  /** A network without one ARP or broadcast in this time is unplugged, or the port mirror is off. */
  blindAfterS: 60,
  /** A small network is quiet at night, but in so long some host speaks to another. */
  broadcastOnlyS: 600,
  /** Packets dropped by the kernel or dumpcap, or by the card, as a share of all: since the start, or of the last
   * minute. Below it a reader could not notice it in any count. */
  dropShareMax: 0.001,
  /** Packets chosen for tshark that the bounded deep lane did not take, as a share of those chosen. */
  factRefusalShareMax: 0.01,
  /** Ends of tshark that nobody asked for, in ten minutes: one packet may kill one. */
  dissectorFailuresMin: 3,
  /** Missed in a row, an hour apart unless somebody asks. */
  canariesMissedMin: 2,
  /** Packets seen a moment before, as a share of all: above it most counts mislead who reads them. */
  copyShareMax: 0.2,
  /** A ring of packets that reaches back less far has lost most of them before an analyst or a detector asks. */
  ringReachMsMin: 60_000,
  /** Clock difference that makes times of two sensors hard to compare. */
  clockOffsetMsMax: 2_000,
} as const;
export type FleetLimits = { readonly [Name in keyof typeof fleetLimits]: number };

export function limitsOf({ settings }: Pick<SensorRow, "settings">): FleetLimits {
  if (!settings) return fleetLimits;
  const {
    lateAfterS,
    blindAfterS,
    broadcastOnlyS,
    lossPermille,
    tsharkFailures,
    canariesMissed,
    clockOffsetMs,
  } = settings;
  return {
    ...fleetLimits,
    ...lateAfterS !== undefined && { lateAfterMs: lateAfterS * 1_000 },
    ...blindAfterS !== undefined && { blindAfterS },
    ...broadcastOnlyS !== undefined && { broadcastOnlyS },
    ...lossPermille !== undefined && { dropShareMax: lossPermille / 1_000 },
    ...tsharkFailures !== undefined && { dissectorFailuresMin: tsharkFailures },
    ...canariesMissed !== undefined && { canariesMissedMin: canariesMissed },
    ...clockOffsetMs !== undefined && { clockOffsetMsMax: clockOffsetMs },
  };
}
