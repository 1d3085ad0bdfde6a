/** Decides whether a batch may be used at all.
 *
 * In: headers and body as they came, from a sensor or from whoever can reach us.
 * Out: its segments, or a reason from a closed list.
 * Invariant: header, sensor, key and size are checked before a body is unpacked, unpacking has a fixed limit, and
 * nothing of a value is parsed before its signature is good.
 * Keys are at most {@link keyAgeMsMax} old, so that revoking a sensor works within 5 s.
 * Why the body's own magic number says whether it is compressed:
 * Kafka hands records on unpacked, HTTP as they were sent. @module */

import { Buffer } from "node:buffer";
import type { KeyObject } from "node:crypto";
import { zstdDecompressSync } from "node:zlib";
import {
  type BatchHeader,
  batchLimits,
  type CheckedHeader,
  publicKeyFromRaw,
  readHeader,
  type Refusal,
  refusals,
  verifyBatch,
} from "../../shared/batch.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { bucketOf } from "../../shared/community_id.ts";
import type { SensorRow } from "../model/sensor.ts";
import type { IdentityStore } from "../store/store.ts";
import type { Source } from "./arrival.ts";
import { KnownFacts } from "./known_facts.ts";
import { readColumns, type SegmentColumns } from "./columns.ts";

/** Why ingest refuses a batch. The label set of `batches_refused_total`. */
export const ingestRefusals = [
  ...refusals,
  "quarantined",
  "equivocation",
  "two_epochs",
  "record_malformed",
  "record_version",
  "unstorable",
] as const;
export type IngestRefusal = typeof ingestRefusals[number];

export interface VerifiedBatch {
  header: BatchHeader;
  columns: SegmentColumns;
  packets: number;
  source: Source;
}

export type HeaderGetter = (name: string) => string | undefined;

/** Older keys are read again before a batch is looked at. */
const keyAgeMs = 2_000;
/** Still older ones are not used, even when the store does not answer. */
const keyAgeMsMax = 5_000;
/** An unknown sensor may have enrolled a moment ago; it does not make us ask more often than this. */
const unknownAgeMs = 250;
/** Words of a fault may repeat what a batch holds. */
const faultCharactersMax = 300;
const zstdMagic = [0x28, 0xb5, 0x2f, 0xfd];

interface KnownSensor {
  row: SensorRow;
  key: KeyObject;
}

export class Verifier {
  #buckets: number;
  #store: Pick<IdentityStore, "readSensors">;
  #reporter: Reporter;
  #sensors = new Map<string, KnownSensor>();
  #readMs = -Infinity;
  #facts = new KnownFacts();

  constructor(
    options: { buckets: number },
    deps: { store: Pick<IdentityStore, "readSensors">; reporter: Reporter },
  ) {
    if (!Number.isInteger(options.buckets) || options.buckets < 1 || options.buckets > 1_024) {
      throw new RangeError(
        `Cannot verify batches as "buckets" must be 1 to 1024: current value is ${options.buckets}`,
      );
    }
    this.#buckets = options.buckets;
    this.#store = deps.store;
    this.#reporter = deps.reporter;
  }

  /** Makes the keys fresh enough for batches with these headers.
   * @throws {StoreUnavailable} when they are too old and cannot be read. */
  async prepare(getters: readonly HeaderGetter[], nowMs: number): Promise<void> {
    // A clock set back makes keys look young for ever.
    const ageMs = nowMs < this.#readMs ? Infinity : nowMs - this.#readMs;
    const wouldRefuse = ageMs >= unknownAgeMs &&
      getters.some((get) => !this.#isGood(get("picket-sensor") ?? ""));
    if (ageMs < keyAgeMs && !wouldRefuse) return;
    try {
      await this.#read(nowMs);
    } catch (error) {
      if (ageMs > keyAgeMsMax) throw error;
    }
  }

  /** Known, neither revoked nor in quarantine: else a command of another process may just have let it in. */
  #isGood(sensorId: string): boolean {
    const row = this.#sensors.get(sensorId)?.row;
    return row !== undefined && row.revoked_ms === null && row.quarantined_ms === null;
  }

  /** From the next batch on; the store says so to other instances. */
  noteQuarantine(sensorId: string, nowMs: number): void {
    const known = this.#sensors.get(sensorId);
    if (known) known.row.quarantined_ms ??= nowMs;
  }

  /** Whatever comes is an answer, never an exception: one batch must not stop the ones behind it.
   * `checked`: its header, where somebody had to look at the signature before. */
  verify(
    get: HeaderGetter,
    body: Uint8Array,
    checked: CheckedHeader | null = null,
  ): VerifiedBatch | IngestRefusal {
    try {
      return this.#verify(get, body, checked);
    } catch (error) {
      // A fault of ours, found by a batch; its octets are kept as a dead letter.
      const words = String((error as Error)?.message ?? error).slice(0, faultCharactersMax);
      this.#reporter.error("cannot read a batch", { sensor: get("picket-sensor") ?? "", error: words });
      return "unstorable";
    }
  }

  #verify(
    get: HeaderGetter,
    body: Uint8Array,
    checked: CheckedHeader | null,
  ): VerifiedBatch | IngestRefusal {
    const header = checked?.header ?? readHeader(get);
    if (typeof header === "string") return header;
    const unknown = this.refuse(header);
    if (unknown !== null) return unknown;
    const sensor = this.#sensors.get(header.sensor)!;
    if (header.bucket >= this.#buckets) return "bucket";
    const value = unpack(body);
    if (typeof value === "string") return value;
    const refusal = verifyBatch({ header, value }, sensor.key, checked);
    if (refusal !== null) return refusal;
    const columns = readColumns(value, header.flows, this.#facts);
    if (typeof columns === "string") return columns;
    if (isMisplaced(columns, header.bucket, this.#buckets)) return "bucket";
    const packets = packetsOf(columns);
    const source = sourceOf(sensor.row);
    if (!canCorrect(columns, source.clock_offset_ms)) source.clock_offset_ms = 0;
    return { header, columns, packets, source };
  }

  /** Why a batch with this header is not taken, whatever it holds; null = its sensor is good. */
  refuse(header: BatchHeader): IngestRefusal | null {
    const sensor = this.#sensors.get(header.sensor);
    if (!sensor) return "unknown_sensor";
    if (sensor.row.revoked_ms !== null) return "revoked";
    if (sensor.row.quarantined_ms !== null) return "quarantined";
    return sensor.row.key_id === header.key ? null : "unknown_key";
  }

  async #read(nowMs: number): Promise<void> {
    const rows = await this.#store.readSensors(null);
    this.#sensors = new Map(
      rows.map((row) => {
        const before = this.#sensors.get(row.sensor_id);
        const key = before?.row.public_key === row.public_key
          ? before.key
          : publicKeyFromRaw(Buffer.from(row.public_key, "base64"));
        return [row.sensor_id, { row, key }];
      }),
    );
    this.#readMs = nowMs;
  }
}

/** Sensors put rows that have no digest into bucket 0. */
function isMisplaced({ isPlaced, digests, size }: SegmentColumns, bucket: number, buckets: number): boolean {
  for (let row = 0; row < size; row++) {
    const at = 20 * row;
    const place = isPlaced[row] ? bucketOf(digests.subarray(at, at + 4), buckets) : 0;
    if (place !== bucket) return true;
  }
  return false;
}

function packetsOf({ size, numbers: { fwd_packets, bwd_packets } }: SegmentColumns): number {
  let packets = 0;
  for (let row = 0; row < size; row++) packets += fwd_packets[row] + bwd_packets[row];
  return packets;
}

/** Packet times of a file that is replayed were never this sensor's clock. */
function sourceOf(row: SensorRow): Source {
  const isReplay = row.check_in?.capture.state === "replaying";
  return {
    sensor_id: row.sensor_id,
    site: row.site,
    clock_offset_ms: isReplay ? 0 : row.clock_offset_ms ?? 0,
  };
}

/** Whether all times of a batch are still ones that can be read back once the sensor's clock offset is taken off. Those
 * of a replayed file, or of a clock that lost its mind, may not be;
 * they stay as they are, and are flagged as any odd time. */
function canCorrect({ size, numbers }: SegmentColumns, offsetMs: number): boolean {
  const { start_us, duration_us, flow_age_us } = numbers;
  const offsetUs = offsetMs * 1e3;
  for (let row = 0; row < size; row++) {
    const firstUs = start_us[row] - flow_age_us[row] - offsetUs,
      lastUs = start_us[row] + duration_us[row] - offsetUs;
    if (!(firstUs >= 0 && lastUs <= Number.MAX_SAFE_INTEGER)) return false; // NaN neither.
  }
  return true;
}

/** The value in `body`. Never allocates more than the limits allow. */
export function unpack(body: Uint8Array): Uint8Array | Refusal {
  if (body.length > batchLimits.valueBytesMax) return "too_large";
  if (!zstdMagic.every((octet, i) => body[i] === octet)) return body;
  const ratioBytesMax = body.length * batchLimits.ratioMax;
  const maxOutputLength = Math.min(batchLimits.valueBytesMax, ratioBytesMax);
  try {
    return zstdDecompressSync(body, { maxOutputLength });
  } catch (error) {
    if ((error as { code?: string }).code !== "ERR_BUFFER_TOO_LARGE") return "compression";
    return maxOutputLength === ratioBytesMax ? "ratio" : "too_large";
  }
}
