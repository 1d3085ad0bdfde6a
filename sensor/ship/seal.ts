/** Seals segments into signed batches: rows to buckets, buckets to batches.
 *
 * In: sealable rows and `nowMs`. Out: batches, each row in exactly one, in the bucket of its Community ID.
 * Invariant: rows taken = rows in batches returned + rows open; no end of a connection stays open longer than
 * `sealAgeMs` after it came, and no other row longer than {@link patience} times that, as long as `seal` is asked; seq
 * rises by one in each bucket. Bound: `openRowsMax`; the fullest bucket is sealed when it is reached.
 * Why by need: each batch costs a signature, 400 octets of headers, a transaction and a row of the ledger, however few
 * rows are in it. Only the end of a connection is waited for: a flow that ended by silence has been silent for half a
 * minute and more, and one that goes on is reported once a minute. Why not a batch of several buckets, which would be
 * fewer still: a bucket is a partition of the topic, and the unit that moves between aggregators.
 * Why a limit of 900 kB uncompressed: whatever it shrinks to, Kafka's standard record limit of 1 MiB takes it.
 * Why sorted by service, size and addresses, not by time:
 * what stands together is alike, and a batch is a sixth smaller. @module */

import type { KeyObject } from "node:crypto";
import { type Batch, batchLimits, sealBatch } from "../../shared/batch.ts";
import { bucketOf } from "../../shared/community_id.ts";
import { float, strideWords, word } from "../flow/layout.ts";
import { flowHash } from "../flow/segment_page.ts";
import { JsonColumns } from "./json_columns.ts";
import { OpenRows } from "./open_rows.ts";
import type { SealableRows } from "./parcel.ts";

export interface SealOptions {
  /** Fleet-wide number of buckets, from the enrolment. */
  buckets: number;
  epoch: number;
  /** Of the end of a connection, so that it is seen within a second of its last packet. @default 250 */
  sealAgeMs?: number;
  /** Whether anybody waits for the end of a connection; of a replay nobody does. @default true */
  isPrompt?: boolean;
  /** @default 5000 */
  batchFlowsMax?: number;
  /** Octets of the uncompressed value. @default 900000 */
  batchBytesMax?: number;
  /** Rows of all buckets together, 288 octets each beside their facts. @default 20000 */
  openRowsMax?: number;
}

/** Who signs. */
export interface Signer {
  sensor: string;
  key: string;
  privateKey: KeyObject;
}

/** Rows that nobody waits for wait so many times longer. */
const patience = 12;
/** In a replay segments come so fast that a bucket is full of them sooner; and what is not spooled, a crash takes. */
const replayPatience = 2;
/** Mean octets of a row without many facts, uncompressed. */
const rowBytesAtStart = 150;
/** How full a batch is meant to be; rows differ. */
const fillShare = 0.85;

export class Sealer {
  /** Rows whose facts were left out, as they alone were too many octets for a batch. */
  factsCut = 0;
  /** Of the rows in all batches, both directions; as the aggregator's ledger counts them. */
  packets = 0;
  #open: OpenRows;
  #json = new JsonColumns();
  #digest = new Uint8Array(20);
  #seq: number[];
  #options: Required<SealOptions>;
  #signer: Signer;
  /** Octets of a row in the batches before: so that a bucket is cut well at once, not encoded again in halves. */
  #rowBytes = rowBytesAtStart;

  /** @throws {RangeError} when a limit is out of range. */
  constructor(options: SealOptions, signer: Signer) {
    this.#options = checkSealOptions(options);
    this.#open = new OpenRows(options.buckets, this.#options.openRowsMax);
    this.#seq = new Array(options.buckets).fill(0);
    this.#signer = signer;
  }

  /** Rows that are in no batch yet. */
  get openRows(): number {
    return this.#open.length;
  }

  /** Takes a copy of the rows; returns the batches that became full. */
  add(rows: SealableRows, nowMs: number): Batch[] {
    const open = this.#open;
    const full: Batch[] = [];
    for (let row = 0; row < rows.length; row++) {
      flowHash(rows.words, rows.floats, row * strideWords, this.#digest);
      const bucket = bucketOf(this.#digest, this.#options.buckets);
      if (open.isFull) full.push(...this.#close(open.fullest, nowMs));
      open.add(rows, row, bucket, nowMs);
      if (open.counts[bucket] >= this.#options.batchFlowsMax) full.push(...this.#close(bucket, nowMs));
    }
    return full;
  }

  /** Seals what is old enough; with `everything` also what is not. */
  seal(nowMs: number, everything = false): Batch[] {
    const { sealAgeMs, isPrompt } = this.#options;
    const { counts, sinceMs, awaitedMs } = this.#open;
    const batches: Batch[] = [];
    // A negative age: the clock was set back, and nobody knows how old the rows are.
    const isOver = (sinceMs: number, ageMs: number) =>
      nowMs - sinceMs >= ageMs || (nowMs < sinceMs && sinceMs !== Infinity);
    for (let bucket = 0; bucket < counts.length; bucket++) {
      const isDue = everything ||
        isOver(sinceMs[bucket], (isPrompt ? patience : replayPatience) * sealAgeMs) ||
        (isPrompt && isOver(awaitedMs[bucket], sealAgeMs));
      if (counts[bucket] > 0 && isDue) batches.push(...this.#close(bucket, nowMs));
    }
    return batches;
  }

  #close(bucket: number, nowMs: number): Batch[] {
    const slots = this.#open.take(bucket);
    this.#sort(slots);
    const parts = Math.ceil(slots.length * this.#rowBytes / (this.#options.batchBytesMax * fillShare));
    const rows = Math.ceil(slots.length / parts);
    const batches: Batch[] = [];
    for (let from = 0; from < slots.length; from += rows) {
      batches.push(...this.#sealRows(bucket, slots.subarray(from, from + rows), nowMs));
    }
    this.#open.giveBack(slots);
    return batches;
  }

  /** By protocol and what stands beside it in the word, service, size, destination, source, time. */
  #sort(slots: Int32Array): void {
    const { words, floats } = this.#open;
    slots.sort((slot, other) => {
      const a = slot * strideWords, b = other * strideWords;
      return words[a + word.meta] - words[b + word.meta] ||
        (words[a + word.ports] & 0xffff) - (words[b + word.ports] & 0xffff) ||
        words[a + word.packets] + words[a + word.packets + 1] - words[b + word.packets] -
          words[b + word.packets + 1] ||
        words[a + word.dst] - words[b + word.dst] ||
        words[a + word.dst + 3] - words[b + word.dst + 3] ||
        words[a + word.src] - words[b + word.src] ||
        floats[(a >> 1) + float.startUs] - floats[(b >> 1) + float.startUs];
    });
  }

  /** Seals these rows, in halves when they are too many octets for one batch. */
  #sealRows(bucket: number, slots: Int32Array, nowMs: number): Batch[] {
    const value = this.#json.encode(this.#open, slots);
    this.#rowBytes += (value.length / slots.length - this.#rowBytes) / 4;
    if (value.length > this.#options.batchBytesMax) {
      if (slots.length > 1) {
        const middle = slots.length >> 1;
        return [
          ...this.#sealRows(bucket, slots.subarray(0, middle), nowMs),
          ...this.#sealRows(bucket, slots.subarray(middle), nowMs),
        ];
      }
      if (this.#open.dropFacts(slots[0])) {
        this.factsCut++;
        return this.#sealRows(bucket, slots, nowMs);
      }
    }
    const { words } = this.#open;
    for (const slot of slots) {
      const at = slot * strideWords + word.packets;
      this.packets += (words[at] >>> 0) + (words[at + 1] >>> 0);
    }
    const seq = ++this.#seq[bucket];
    const sealed = Math.max(0, Math.floor(nowMs));
    const position = { epoch: this.#options.epoch, bucket, seq, flows: slots.length, sealed };
    return [sealBatch(value.slice(), this.#signer, position)];
  }
}

/** Fills in defaults. @throws {RangeError} when a limit is out of range. */
export function checkSealOptions(given: SealOptions): Required<SealOptions> {
  const options = {
    sealAgeMs: 250,
    isPrompt: true,
    batchFlowsMax: 5_000,
    batchBytesMax: 900_000,
    openRowsMax: 20_000,
    ...given,
  };
  check("buckets", options.buckets, 1_024);
  check("sealAgeMs", options.sealAgeMs, 60_000);
  check("batchFlowsMax", options.batchFlowsMax, batchLimits.flowsMax);
  check("batchBytesMax", options.batchBytesMax, batchLimits.valueBytesMax);
  check("openRowsMax", options.openRowsMax, 1_000_000);
  return options;
}

function check(name: string, value: number, max: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= max) return;
  throw new RangeError(`Cannot seal batches as "${name}" must be 1 to ${max}: current value is ${value}`);
}
