/** Which sensor is asked for which packets.
 *
 * In: stored flows. Out: one plan for each sensor that saw any of them, with the flows in that sensor's own time;
 * why one cannot be asked.
 * Bound: {@link sensorsMax} sensors, those that saw most of the flows. A flow is asked for from a second before its
 * first packet to a minute after its last one, longer while it goes on: its end may not have been stored yet.
 * @module */

import { packetLimits, type WantedFlow } from "../../shared/packets.ts";
import type { Flow } from "../model/flow.ts";

export interface SensorPlan {
  sensor_id: string;
  flows: WantedFlow[];
  /** A clause about the sensor; "" = it can be asked. */
  reason: string;
  /** Start of the newest flow. */
  flow_us: number;
}

const sensorsMax = 8;
const beforeUs = 1e6, afterUs = 60e6, activeUs = 600e6;

export function planRequests(flows: readonly Flow[]): SensorPlan[] {
  const bySensor = new Map<string, WantedFlow[]>();
  for (const { community_id, end_reason, seen_by } of flows) {
    for (const { sensor_id, start, end } of seen_by) {
      const own = bySensor.get(sensor_id) ?? [];
      bySensor.set(sensor_id, own);
      // ARP has no Community ID, and packets are found by it.
      if (community_id === "") continue;
      const from_us = Math.max(0, Math.floor(start * 1e6 - beforeUs));
      const to_us = Math.ceil(end * 1e6) + (end_reason === "active" ? activeUs : afterUs);
      const same = own.find((one) =>
        one.community_id === community_id && from_us <= one.to_us && one.from_us <= to_us
      );
      if (same === undefined) own.push({ community_id, from_us, to_us });
      else {
        same.from_us = Math.min(same.from_us, from_us);
        same.to_us = Math.max(same.to_us, to_us);
      }
    }
  }
  const flow_us = Math.max(0, ...flows.map(({ start }) => Math.floor(start * 1e6)));
  return [...bySensor].sort(([, a], [, b]) => b.length - a.length).slice(0, sensorsMax).map((
    [sensor_id, own],
  ) => ({
    sensor_id,
    flows: own.slice(0, packetLimits.flowsMax),
    reason: own.length === 0 ? "saw ARP only, whose packets cannot be found by flow" : "",
    flow_us,
  }));
}
