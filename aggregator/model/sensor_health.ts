/** How a sensor was at one moment, as it is stored.
 *
 * Invariant: counts are totals of the epoch, so that a row that is missing between two others costs no packet of any
 * sum; null = the sensor had not checked in. @module */

export interface HealthRow {
  sensor_id: string;
  /** Aggregator's clock. */
  at_ms: number;
  /** Of what is said of it: 2 = it changed, 1 = the first row of its hour, 0 = any other, which leaves first. */
  weight: 0 | 1 | 2;
  status: string;
  kinds: string[];
  /** Sentences; empty unless it changed. */
  reasons: string[];
  epoch: number | null;
  packets: number | null;
  in_flows: number | null;
  left_out: number | null;
  dropped: number | null;
  card_dropped: number | null;
  spooled_batches: number | null;
  missing_batches: number;
  missing_packets: number;
  clock_offset_ms: number | null;
}

/** Rows of one sensor, at times from `fromMs` on and before `beforeMs`; `changes`: only where it changed. */
export interface HealthQuery {
  sensorId: string;
  fromMs: number;
  beforeMs: number;
  changes: boolean;
}
