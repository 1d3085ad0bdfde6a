/** The way batches leave a sensor: one interface, over HTTP or Kafka.
 *
 * In: unpacked batches, oldest first.
 * Out: which of them the other side has for good, which it will never take, and why the rest stays.
 * Invariant: within a bucket nothing is reported as taken that follows a batch which is not.
 * A transport keeps no batch: whatever it does not name stays in the spool. @module */

import type { PackedBatch } from "./packed_batch.ts";

/** Why sending stopped. The label set of `send_errors_total`. */
export const sendProblems = [
  "unreachable",
  "timeout",
  "certificate", // The other side answers, but cannot be trusted.
  "overloaded",
  "not_accepted", // The other side does not know this sensor, or no longer.
  "failed",
] as const;
export type SendProblem = typeof sendProblems[number];

export interface SendResult {
  /** Safe on the other side; may be deleted here. */
  taken: PackedBatch[];
  /** Will never be taken, with the reason the other side gave. */
  refused: { batch: PackedBatch; reason: string }[];
  /** Why the others were not sent; null when there are none. Trying again later may help with every one of these. */
  problem: { code: SendProblem; message: string; retryAfterMs?: number } | null;
}

export interface Transport {
  readonly kind: "http" | "kafka";
  /** With whom it spoke, beside those it was told. */
  readonly peers?: readonly { host: string; port: number }[];
  /** Opens what needs opening; called again after a problem. Never rejects. */
  send(batches: PackedBatch[]): Promise<SendResult>;
  /** Trusts another certificate authority of the aggregator from the next batch on. */
  trust?(ca: string | null): void;
  close(): Promise<void>;
}
