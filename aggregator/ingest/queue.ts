/** What waits for ingest, what comes of it, and how much of it may wait.
 *
 * Out: the options of ingest with their defaults, in one place; the words between its queue and its groups. @module */

import type { CheckedHeader } from "../../shared/batch.ts";
import type { MergeOptions } from "./merge_options.ts";
import type { HeaderGetter, IngestRefusal } from "./verify.ts";

export interface IngestOptions {
  /** Fleet-wide number of buckets. */
  buckets: number;
  /** Batches that wait. @default 1024 */
  queueBatchesMax: number;
  /** Octets of all batches that wait. @default 67108864 */
  queueBytesMax: number;
  /** Batches of one transaction. @default 512 */
  groupBatchesMax: number;
  /** Flows of one transaction; the batch that reaches it is the last one. @default 20000 */
  groupFlowsMax: number;
  /** Least time from one group to the next while few batches wait, so that a store that is busy for each transaction
   * does not get one for each batch. @default 0 */
  gatherMs: number;
  /** Stored flows read back at the start. @default 50000 */
  rebuildFlowsMax: number;
  /** @default 100 */
  deadLettersPerMinuteMax: number;
  merge: Partial<MergeOptions>;
}

export const ingestDefaults: Omit<IngestOptions, "buckets"> = {
  queueBatchesMax: 1_024,
  queueBytesMax: 64 * 1024 * 1024,
  groupBatchesMax: 512,
  groupFlowsMax: 20_000,
  gatherMs: 0,
  rebuildFlowsMax: 50_000,
  deadLettersPerMinuteMax: 100,
  merge: {},
};

export type IngestOutcome = { outcome: "stored" | "replay" } | { outcome: "refused"; reason: IngestRefusal };

/** Where a Kafka record stood. */
export interface RecordPosition {
  topic: string;
  partition: number;
  offset: string;
  /** See {@link OffsetRow.mark}. */
  mark: string;
  /** Why it is refused unseen: it could not be read, or not be stored. */
  fault?: IngestRefusal;
}

/** Batches of a bucket, up to `seq`, that are known to have been sealed. */
export interface ExpectedBatches {
  sensor: string;
  epoch: number;
  bucket: number;
  seq: number;
}

/** A batch that waits. */
export interface WaitingBatch {
  get: HeaderGetter;
  body: Uint8Array;
  position: RecordPosition | null;
  checked: CheckedHeader | null;
  resolve: (outcome: IngestOutcome) => void;
  reject: (error: unknown) => void;
}
