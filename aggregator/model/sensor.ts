/** A sensor as the fleet knows it, and the token that lets it in.
 *
 * Invariant: a token is known by its hash alone; a sensor's private key never gets here. @module */

import type { CheckInRequest } from "../../shared/control.ts";
import type { PolicySettings } from "../../shared/policy.ts";

export interface SensorRow {
  sensor_id: string;
  name: string;
  site: string;
  tags: string[];
  key_id: string;
  /** Raw public key, base64. */
  public_key: string;
  enrolled_ms: number;
  /** Null = an operator has not yet approved it; its batches are refused until then. */
  approved_ms: number | null;
  /** Hash of the token it enrolled with last. */
  join_token: string | null;
  revoked_ms: number | null;
  /** Two live epochs or two contents for one seq: a cloned identity. Its batches are refused. */
  quarantined_ms: number | null;
  quarantine_reason: string | null;
  last_check_in_ms: number | null;
  last_batch_ms: number | null;
  /** Sensor clock minus aggregator clock, ms; null = unknown. */
  clock_offset_ms: number | null;
  check_in: CheckInRequest | null;
  /** What became of its canaries; null = none was ever announced. */
  canary: CanaryState | null;
  /** When somebody asked for a canary last; null = nobody ever did. */
  canary_asked_ms: number | null;
  /** Of the policy that it should have; absent = there is none. Not of its row: the directory knows. */
  settings?: PolicySettings;
}

/** What became of a sensor's canaries. `*_sent_ms` by the sensor's clock, the rest by the aggregator's. */
export interface CanaryState {
  /** Of the newest one that a check-in announced. */
  sent_ms: number;
  announced_ms: number;
  /** Interfaces whose flow was not found so far. */
  missing: string[];
  /** It was given up; it still counts when it comes. */
  is_missed: boolean;
  /** Given up in a row, the newest included. */
  missed: number;
  /** The newest that was found whole; null = none ever was. */
  arrived_ms: number | null;
  arrived_sent_ms: number | null;
}

/** A check-in to store. */
export interface CheckInWrite {
  sensorId: string;
  checkIn: CheckInRequest;
  /** Aggregator's clock when it came. */
  nowMs: number;
  clockOffsetMs: number;
  /** Epochs that it shows to be over. */
  ended: readonly Pick<EndedEpoch, "epoch" | "in_flows" | "last_ms">[];
}

/** An epoch that is over, as the sensor's last check-in of it counted. */
export interface EndedEpoch {
  sensor_id: string;
  epoch: number;
  /** Packets the sensor had counted in flows. */
  in_flows: number;
  /** Aggregator's clock when that check-in came. */
  last_ms: number;
  /** Packets of these that no batch brought, and when that was found; null = not found to be so. */
  missing: number | null;
  found_ms: number | null;
}

export interface JoinTokenRow {
  /** SHA-256 of the token, hex. */
  token_hash: string;
  site: string;
  tags: string[];
  created_ms: number;
  expires_ms: number;
  /** Sensors that may enrol with it, and how many did. */
  uses_max: number;
  uses: number;
  /** Who enrols with it waits for an operator's approval. */
  needs_approval: boolean;
  revoked_ms: number | null;
  /** Last use. */
  used_ms: number | null;
  used_by: string | null;
}

/** Written where a sensor waits for approval, so that its batches are refused like those of a quarantined one. */
export const pendingReason = "It waits for an operator's approval";

/** What an operator changes about a sensor. */
export type SensorChange =
  /** Takes a pending one in. */
  | { kind: "approve" }
  /** Lifts a quarantine. */
  | { kind: "release" }
  | { kind: "rename"; name: string }
  | { kind: "tag"; tags: string[] }
  /** Forgets it; its flows stay. */
  | { kind: "remove" };

export const sensorChangeOutcomes = ["changed", "unknown_sensor", "name_taken"] as const;
export type SensorChangeOutcome = typeof sensorChangeOutcomes[number];

/** What came of redeeming a token. */
export const redeemOutcomes = [
  "enrolled",
  "same_sensor",
  "unknown_token",
  "expired_token",
  "revoked_token",
  "used_token",
  "name_taken",
  "key_taken",
] as const;

export type RedeemOutcome = typeof redeemOutcomes[number];
