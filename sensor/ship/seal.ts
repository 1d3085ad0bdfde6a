/** Seals segments into signed batches: rows to buckets, buckets to batches.
 *
 * In: exported segment rows and `nowMs`. Out: batches, each row in exactly one, in the bucket of its Community ID, by start time.
 * Invariant: rows taken = rows in batches returned + rows open; no row stays open longer than `sealAgeMs` after it came, as long
 * as `seal` is asked; seq rises by one in each bucket.
 * Why a limit of 900 kB uncompressed: whatever it shrinks to, Kafka's standard record limit of 1 MiB takes it. @module */

import type { KeyObject } from "node:crypto";
import { type Batch, batchLimits, encodeValue, sealBatch } from "../../shared/batch.ts";
import { bucketOf, flowDigest } from "../../shared/community_id.ts";
import { type SegmentColumn, segmentColumnNames, type SegmentTable } from "../../shared/segment.ts";
import type { Reporter } from "../../shared/reporter.ts";

export interface SealOptions {
  /** Fleet-wide number of buckets, from the enrolment. */
  buckets: number;
  epoch: number;
  /** Longest; with the ticks of whoever asks, rows stay below one second in memory. The fewer buckets wait, the sooner they are sealed,
   * down to an eighth of this: twenty batches a second at most, which the card of a small sensor can write. @default 800 */
  sealAgeMs?: number;
  /** @default 5000 */
  batchFlowsMax?: number;
  /** Octets of the uncompressed value. @default 900000 */
  batchBytesMax?: number;
}

/** Who signs. */
export interface Signer {
  sensor: string;
  key: string;
  privateKey: KeyObject;
}

/** Exported segments, column by column; `community` holds the 20-octet digest of each row. */
export interface SealableRows {
  readonly columns: { readonly [name in SegmentColumn]: readonly unknown[] };
  readonly length: number;
  digest?(index: number): Uint8Array;
}

interface OpenBucket {
  columns: Required<SegmentTable>;
  length: number;
  /** When its first row came. */
  sinceMs: number;
}

/** Mean octets of a row without many facts, uncompressed. */
const rowBytesAtStart = 150;
/** How full a batch is meant to be; rows differ. */
const fillShare = 0.85;

export class Sealer {
  #open: OpenBucket[];
  #seq: number[];
  #options: Required<SealOptions>;
  #signer: Signer;
  #reporter: Reporter;
  /** Octets of a row in the batches before: so that a bucket is cut well at once, not encoded again in halves. */
  #rowBytes = rowBytesAtStart;

  /** @throws {RangeError} when a limit is out of range. */
  constructor(options: SealOptions, deps: { signer: Signer; reporter: Reporter }) {
    this.#options = { sealAgeMs: 800, batchFlowsMax: 5_000, batchBytesMax: 900_000, ...options };
    check("buckets", this.#options.buckets, 1_024);
    check("sealAgeMs", this.#options.sealAgeMs, 60_000);
    check("batchFlowsMax", this.#options.batchFlowsMax, batchLimits.flowsMax);
    check("batchBytesMax", this.#options.batchBytesMax, batchLimits.valueBytesMax);
    this.#open = Array.from({ length: options.buckets }, emptyBucket);
    this.#seq = new Array(options.buckets).fill(0);
    this.#signer = deps.signer;
    this.#reporter = deps.reporter;
  }

  /** Highest seq sealed in each bucket that has one, by bucket number. */
  get sealed(): Record<string, number> {
    return Object.fromEntries(this.#seq.flatMap((seq, bucket) => seq > 0 ? [[String(bucket), seq]] : []));
  }

  /** Rows that are in no batch yet. */
  get openRows(): number {
    return this.#open.reduce((sum, bucket) => sum + bucket.length, 0);
  }

  /** Takes a copy of rows `from` to the end; returns the batches that became full. */
  add(rows: SealableRows, nowMs: number): Batch[] {
    const full: Batch[] = [];
    for (let row = 0; row < rows.length; row++) {
      const bucket = this.#bucketOf(rows, row);
      const open = this.#open[bucket];
      if (open.length === 0) open.sinceMs = nowMs;
      for (const name of segmentColumnNames) open.columns[name].push(rows.columns[name][row]);
      if (++open.length >= this.#options.batchFlowsMax) full.push(...this.#close(bucket, nowMs));
    }
    this.#reporter.count("segments_sealed_total", undefined, rows.length);
    return full;
  }

  /** Seals what is old enough; with `everything` also what is not. */
  seal(nowMs: number, everything = false): Batch[] {
    const { sealAgeMs } = this.#options;
    const waiting = this.#open.reduce((sum, { length }) => sum + (length > 0 ? 1 : 0), 0);
    const dueMs = Math.min(sealAgeMs, Math.max(2, waiting) * sealAgeMs / 16);
    return this.#open.flatMap(({ length, sinceMs }, bucket) => {
      const age = nowMs - sinceMs;
      // A negative age: the clock was set back, and nobody knows how old the rows are.
      const isDue = everything || age >= dueMs || age < 0;
      return length > 0 && isDue ? this.#close(bucket, nowMs) : [];
    });
  }

  #bucketOf(rows: SealableRows, row: number): number {
    let digest: Uint8Array | null = rows.digest?.(row) ?? null;
    // ARP has no Community ID; its bucket comes from the addresses alone, as the aggregator computes it too.
    if (digest === null || digest.every((octet) => octet === 0)) {
      const { protocol, src_ip, dst_ip, src_port, dst_port } = rows.columns;
      digest = flowDigest({
        protocol: protocol[row] as string,
        src_ip: src_ip[row] as string,
        dst_ip: dst_ip[row] as string,
        src_port: src_port[row] as number,
        dst_port: dst_port[row] as number,
      });
    }
    return digest === null ? 0 : bucketOf(digest, this.#options.buckets);
  }

  #close(bucket: number, nowMs: number): Batch[] {
    const { columns, length } = this.#open[bucket];
    this.#open[bucket] = emptyBucket();
    const sorted = byStart(columns, length);
    const parts = Math.ceil(length * this.#rowBytes / (this.#options.batchBytesMax * fillShare));
    const rows = Math.ceil(length / parts);
    const batches: Batch[] = [];
    for (let from = 0; from < length; from += rows) {
      batches.push(...this.#sealRows(bucket, sorted, from, Math.min(from + rows, length), nowMs));
    }
    return batches;
  }

  /** Seals rows `from` to `to`, in halves when they are too many octets for one batch. */
  #sealRows(bucket: number, columns: SegmentTable, from: number, to: number, nowMs: number): Batch[] {
    const value = encodeValue(columns, from, to);
    this.#rowBytes += (value.length / (to - from) - this.#rowBytes) / 4;
    if (value.length > this.#options.batchBytesMax) {
      if (to - from > 1) {
        const middle = (from + to) >> 1;
        return [
          ...this.#sealRows(bucket, columns, from, middle, nowMs),
          ...this.#sealRows(bucket, columns, middle, to, nowMs),
        ];
      }
      if (columns.facts![from] !== null) {
        this.#reporter.count("facts_cut_total", { reason: "batch_bytes" });
        columns.facts![from] = null;
        return this.#sealRows(bucket, columns, from, to, nowMs);
      }
    }
    const seq = ++this.#seq[bucket];
    const sealed = Math.max(0, Math.floor(nowMs));
    const position = { epoch: this.#options.epoch, bucket, seq, flows: to - from, sealed };
    this.#reporter.count("batches_sealed_total");
    return [sealBatch(value, this.#signer, position)];
  }
}

function check(name: string, value: number, max: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= max) return;
  throw new RangeError(`Cannot seal batches as "${name}" must be 1 to ${max}: current value is ${value}`);
}

function emptyBucket(): OpenBucket {
  const columns = Object.fromEntries(segmentColumnNames.map((name) => [name, [] as unknown[]]));
  return { columns: columns as Required<SegmentTable>, length: 0, sinceMs: 0 };
}

function byStart(columns: Required<SegmentTable>, length: number): SegmentTable {
  const start = columns.start_us as number[];
  const order = Array.from({ length }, (_, i) => i).sort((a, b) => start[a] - start[b]);
  return Object.fromEntries(segmentColumnNames.map((name) => [name, order.map((row) => columns[name][row])]));
}
