/** The books of ingest: which batches were taken in, which are missing, and how far each Kafka partition was read.
 *
 * Invariant: (sensor_id, epoch, bucket, seq) names one batch for ever.
 * One {@link IngestWrite} is one database transaction. @module */

import type { FlowRows } from "./flow_rows.ts";
import type { SightingRows } from "./sighting_rows.ts";
import type { TrafficRow } from "./traffic.ts";

/** A batch taken in. (sensor_id, epoch, bucket, seq) is unique. */
export interface LedgerRow {
  sensor_id: string;
  epoch: number;
  bucket: number;
  seq: number;
  sha256: string;
  flows: number;
  packets: number;
  sealed_ms: number;
  received_ms: number;
}

export type LedgerKey = Pick<LedgerRow, "sensor_id" | "epoch" | "bucket" | "seq">;

/** When batches of one epoch of a sensor came, and when the sensor sealed them. */
export interface EpochRow {
  epoch: number;
  /** Of the first batch taken in: sensor's clock, aggregator's clock. */
  first_sealed_ms: number;
  first_received_ms: number;
  /** Latest `sealed` of all its batches. */
  last_sealed_ms: number;
}

/** Seqs missing in one (sensor, epoch, bucket), inclusive. `closed_ms` is set when the batches came after all. */
export interface Gap {
  sensor_id: string;
  epoch: number;
  bucket: number;
  from_seq: number;
  to_seq: number;
  found_ms: number;
  closed_ms: number | null;
}

export interface GapQuery {
  sensor_id?: string;
  open?: boolean;
  fromMs?: number;
  untilMs?: number;
}

export interface OffsetRow {
  topic: string;
  partition: number;
  /** Next offset to read. */
  next_offset: string;
  /** Tells the record before it from any other: an offset belongs to one log. */
  mark: string;
}

export interface DeadLetter {
  received_ms: number;
  reason: string;
  /** "http" or "kafka:<topic>/<partition>@<offset>". */
  origin: string;
  sensor_id: string;
  /** First octets of what came, at most 4 KiB. */
  sample: Uint8Array;
}

/** One ingest transaction. */
export interface IngestWrite {
  ledger: LedgerRow[];
  flows: FlowRows;
  sightings: SightingRows;
  /** Vantages that saw their flow for the first time. */
  newSightings: number;
  traffic: TrafficRow[];
  gaps: Gap[];
  /** Gaps whose missing batches came: closed or narrowed, by replacing all open gaps of a (sensor, epoch, bucket). */
  gapsReplaced: Pick<Gap, "sensor_id" | "epoch" | "bucket">[];
  /** Sequences whose gaps change, and how many batches of them are taken in after this write. If it is another number,
   * somebody else wrote meanwhile, and the gaps may be none: the write fails as with a ledger key that is taken. */
  sequences: (Pick<Gap, "sensor_id" | "epoch" | "bucket"> & { batches: number })[];
  deadLetters: DeadLetter[];
  offsets: OffsetRow[];
}
