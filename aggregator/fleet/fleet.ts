/** Says of every sensor whether it sees what it should, and why not, in words with numbers.
 *
 * In: sensor rows with their last check-in, open gaps, batches stored, and `nowMs`.
 * Out: one status a sensor, with its reasons.
 * Invariant: packets captured = packets in flows + packets left out, by cause;
 * a difference is itself a reason, never rounded away.
 * What it does not mean: `healthy` says that the sensor reports and loses nothing,
 * not that the right cable is plugged in. @module */

import type { Gap } from "../model/ledger.ts";
import type { CanaryState, EndedEpoch, SensorRow } from "../model/sensor.ts";
import type { CheckInRequest } from "../../shared/control.ts";
import { canaryText } from "./canary.ts";
import {
  type Conservation,
  conservationOf,
  type Delivery,
  deliveryOf,
  type Position,
} from "./conservation.ts";
import { type FleetLimits, limitsOf } from "./limits.ts";
import {
  type Found,
  foundNow,
  type ReasonKind,
  ringText,
  type SensorStatus,
  sensorStatuses,
} from "./reasons.ts";
import { span } from "./span.ts";

/** Packets that a sensor had counted in flows, and that no batch brought. */
export interface Hole {
  epoch: number;
  packets: number;
  /** Aggregator's clock: the last check-in of the epoch, and when the hole was found. */
  from_ms: number;
  found_ms: number;
}

export interface SensorHealth {
  sensor_id: string;
  name: string;
  site: string;
  tags: string[];
  status: SensorStatus;
  /** Sentences. Also of a healthy sensor: what a reader has to know, such as a policy that was rolled back. */
  reasons: string[];
  /** What each of them is about. */
  kinds: ReasonKind[];
  enrolled_ms: number;
  last_check_in_ms: number | null;
  last_batch_ms: number | null;
  clock_offset_ms: number | null;
  /** Null until the first check-in. */
  conservation: Conservation | null;
  delivery: Delivery | null;
  open_gaps: number;
  missing_batches: number;
  holes: Hole[];
  /** How far its ring of packets reaches back, in words; null = it never checked in. */
  packet_ring: string | null;
  /** How its newest canary fares, in words; null = there is nothing to say of one. */
  canary: string | null;
  /** Null = none was ever announced. */
  canary_state: CanaryState | null;
  /** Thresholds that hold for it. */
  limits: FleetLimits;
  check_in: CheckInRequest | null;
}

export interface FleetHealth {
  now_ms: number;
  summary: Record<SensorStatus, number>;
  /** Sums over all sensors that checked in. */
  conservation: Conservation;
  sensors: SensorHealth[];
}

/** Health of all sensors; worst first, then by name. `gaps` are the open ones. */
export function fleetHealth(
  sensors: readonly SensorRow[],
  gaps: readonly Gap[],
  positions: ReadonlyMap<string, readonly Position[]>,
  nowMs: number,
  ended: readonly EndedEpoch[] = [],
): FleetHealth {
  const gapsOf = Map.groupBy(gaps, (gap) => gap.sensor_id);
  const endedOf = Map.groupBy(ended, (one) => one.sensor_id);
  const rows = sensors.map((sensor) =>
    sensorHealth(
      sensor,
      gapsOf.get(sensor.sensor_id) ?? [],
      positions.get(sensor.sensor_id) ?? null,
      nowMs,
      endedOf.get(sensor.sensor_id) ?? [],
    )
  );
  rows.sort((a, b) =>
    sensorStatuses.indexOf(a.status) - sensorStatuses.indexOf(b.status) || (a.name < b.name ? -1 : 1)
  );
  const summary = Object.fromEntries(
    sensorStatuses.map((status) => [status, rows.filter((row) => row.status === status).length]),
  ) as Record<SensorStatus, number>;
  const parts = sensors.flatMap((sensor) => sensor.check_in ? [sensor.check_in.capture] : []);
  return { now_ms: nowMs, summary, conservation: conservationOf(parts), sensors: rows };
}

/** Health of one sensor. `positions` null = not asked for. `ended`: its epochs that are over. */
export function sensorHealth(
  sensor: SensorRow,
  gaps: readonly Gap[],
  positions: readonly Position[] | null,
  nowMs: number,
  ended: readonly EndedEpoch[] = [],
): SensorHealth {
  const { check_in: checkIn } = sensor;
  const found = foundNow(sensor, nowMs);
  const missing = gaps.reduce((sum, gap) => sum + gap.to_seq - gap.from_seq + 1, 0);
  if (missing > 0) {
    found.push([
      "lossy",
      `${missing} batches are missing in ${gaps.length} gaps of the sequence`,
      "missing_batches",
    ]);
  }
  const holes = ended.flatMap(holeIn);
  found.push(...holes.map((hole): Found => ["lossy", holeText(hole, nowMs), "missing_packets"]));
  const status = sensorStatuses.find((name) => found.some(([of]) => of === name)) ?? "healthy";
  return {
    sensor_id: sensor.sensor_id,
    name: sensor.name,
    site: sensor.site,
    tags: sensor.tags,
    status,
    reasons: found.map(([, text]) => text),
    kinds: found.map(([, , kind]) => kind),
    enrolled_ms: sensor.enrolled_ms,
    last_check_in_ms: sensor.last_check_in_ms,
    last_batch_ms: sensor.last_batch_ms,
    clock_offset_ms: sensor.clock_offset_ms,
    conservation: checkIn && conservationOf([checkIn.capture]),
    delivery: checkIn && positions && deliveryOf(checkIn, positions),
    open_gaps: gaps.length,
    missing_batches: missing,
    holes,
    packet_ring: checkIn && ringText(checkIn),
    canary: canaryText(sensor, nowMs),
    canary_state: sensor.canary,
    limits: limitsOf(sensor),
    check_in: checkIn,
  };
}

function holeIn({ epoch, missing, last_ms, found_ms }: EndedEpoch): Hole[] {
  return missing === null || found_ms === null
    ? []
    : [{ epoch, packets: missing, from_ms: last_ms, found_ms }];
}

function holeText({ packets, from_ms }: Hole, nowMs: number): string {
  const ago = span(nowMs - from_ms);
  return `${packets} packets that it had counted in flows until ${ago} ago, before it started again, never came`;
}
