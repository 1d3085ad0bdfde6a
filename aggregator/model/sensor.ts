/** A sensor as the fleet knows it, and the token that lets it in.
 *
 * Invariant: a token is known by its hash alone; a sensor's private key never gets here. @module */

import type { CheckInRequest } from "../../shared/control.ts";

export interface SensorRow {
  sensor_id: string;
  name: string;
  site: string;
  tags: string[];
  key_id: string;
  /** Raw public key, base64. */
  public_key: string;
  enrolled_ms: number;
  revoked_ms: number | null;
  /** Two live epochs or two contents for one seq: a cloned identity. Its batches are refused. */
  quarantined_ms: number | null;
  quarantine_reason: string | null;
  last_check_in_ms: number | null;
  last_batch_ms: number | null;
  /** Sensor clock minus aggregator clock, ms; null = unknown. */
  clock_offset_ms: number | null;
  check_in: CheckInRequest | null;
}

export interface JoinTokenRow {
  /** SHA-256 of the token, hex. */
  token_hash: string;
  site: string;
  tags: string[];
  created_ms: number;
  expires_ms: number;
  used_ms: number | null;
  used_by: string | null;
}

/** What came of redeeming a token. */
export const redeemOutcomes = [
  "enrolled",
  "same_sensor",
  "unknown_token",
  "expired_token",
  "used_token",
  "name_taken",
] as const;

export type RedeemOutcome = typeof redeemOutcomes[number];
