/** A sensor that was let in and is well, for tests to change. @module */

import type { SensorRow } from "../../../aggregator/model/sensor.ts";
import type { CheckInRequest } from "../../../shared/control.ts";

export function sensorRow(nowMs: number, check_in: CheckInRequest | null): SensorRow {
  return {
    sensor_id: "s1",
    name: "roof",
    site: "lab",
    tags: [],
    key_id: "0".repeat(16),
    public_key: "",
    enrolled_ms: nowMs - 86_400_000,
    approved_ms: nowMs - 86_400_000,
    join_token: null,
    revoked_ms: null,
    quarantined_ms: null,
    quarantine_reason: null,
    last_check_in_ms: check_in && nowMs - 5_000,
    last_batch_ms: check_in && nowMs - 4_000,
    clock_offset_ms: 3,
    check_in,
    canary: null,
    canary_asked_ms: null,
  };
}
