/** A small fleet for tests of ingest: sensors with keys that seal batches, and a store they are enrolled in.
 *
 * Out: real signed batches over real segments; no network. Times are given by the test. @module */

import { Buffer } from "node:buffer";
import type { KeyObject } from "node:crypto";
import { zstdCompressSync } from "node:zlib";
import type { Clock } from "../../../shared/clock.ts";
import { type Batch, keyId, keysFromSeed, sealBatch, sha256Hex, writeHeader } from "../../../shared/batch.ts";
import { bucketOf, communityId, flowDigest } from "../../../shared/community_id.ts";
import {
  type Segment,
  type SegmentColumn,
  segmentColumnNames,
  segmentColumns,
  type SegmentTable,
} from "../../../shared/segment.ts";
import { encodeValue } from "../../shared/columns.ts";
import type { HeaderGetter } from "../../../aggregator/ingest/verify.ts";
import type { Store } from "../../../aggregator/store/store.ts";

export const nowMs = Date.UTC(2026, 0, 15, 12);
/** Packet time of the tests, a minute before their clock. */
export const t0 = nowMs / 1000 - 60;

/** A segment of a finished TCP connection, with what the test changes. */
export function segment(changes: Partial<Segment> = {}): Segment {
  const base: Segment = {
    community_id: "",
    ip_depth: 1,
    tunnel: "",
    vlan: 0,
    vlan_inner: 0,
    protocol: "tcp",
    src_ip: "10.0.0.5",
    src_port: 40_000,
    dst_ip: "10.0.0.9",
    dst_port: 443,
    src_mac: "02:00:00:00:00:05",
    dst_mac: "02:00:00:00:00:09",
    start: t0,
    end: t0 + 2,
    flow_start: changes.start ?? t0,
    segment: 0,
    fwd_packets: 10,
    fwd_bytes: 1_000,
    fwd_payload_bytes: 480,
    bwd_packets: 8,
    bwd_bytes: 8_000,
    bwd_payload_bytes: 7_584,
    fwd_tcp_flags: 27,
    bwd_tcp_flags: 27,
    fwd_syn_count: 1,
    bwd_syn_count: 1,
    fwd_fin_count: 1,
    bwd_fin_count: 1,
    fwd_rst_count: 0,
    bwd_rst_count: 0,
    fwd_ttl: 64,
    bwd_ttl: 60,
    conn_state: "SF",
    handshake_rtt_us: 900,
    tcp_isn: 12_345,
    packet_length_min: 52,
    packet_length_max: 1_500,
    packet_length_mean: 500,
    packet_length_deviation: 300,
    interarrival_us_min: 10,
    interarrival_us_max: 1_000_000,
    interarrival_us_mean: 118_000,
    interarrival_us_deviation: 200_000,
    end_reason: "fin",
    factor: 1,
    app_protocol: "tls",
    facts: null,
    ...changes,
  };
  return { ...base, community_id: base.protocol === "arp" ? "" : communityId(base) };
}

/** A UDP exchange: no sequence numbers, so times decide. */
export function udpSegment(changes: Partial<Segment> = {}): Segment {
  return segment({
    protocol: "udp",
    dst_port: 53,
    tcp_isn: null,
    fwd_tcp_flags: 0,
    bwd_tcp_flags: 0,
    fwd_syn_count: 0,
    bwd_syn_count: 0,
    fwd_fin_count: 0,
    bwd_fin_count: 0,
    handshake_rtt_us: 0,
    end_reason: "idle",
    app_protocol: "dns",
    ...changes,
  });
}

export function tableOf(segments: readonly Segment[]): SegmentTable {
  const times: Partial<Record<SegmentColumn, (one: Segment) => number>> = {
    start_us: (one) => Math.round(one.start * 1e6),
    duration_us: (one) => Math.round(one.end * 1e6) - Math.round(one.start * 1e6),
    flow_age_us: (one) => Math.round(one.start * 1e6) - Math.round(one.flow_start * 1e6),
  };
  return Object.fromEntries(
    segmentColumnNames.map((name) => [
      name,
      segments.map((one) => times[name]?.(one) ?? one[name as keyof Segment] ?? segmentColumns[name].default),
    ]),
  );
}

export const buckets = 4;

/** A sensor as the wire knows it. */
export class TestSensor {
  readonly id: string;
  readonly publicKey: Uint8Array;
  readonly key: string;
  epoch = 1;
  #privateKey: KeyObject;
  #seq = new Map<number, number>();

  constructor(readonly name: string, seed = 1) {
    const keys = keysFromSeed(new Uint8Array(32).fill(seed));
    this.#privateKey = keys.privateKey;
    this.publicKey = keys.publicKey;
    this.key = keyId(keys.publicKey);
    this.id = `s-${name}`;
  }

  /** As after a start of the sensor. */
  restart(): void {
    this.epoch++;
    this.#seq.clear();
  }

  async enrol(store: Store, site = "lab"): Promise<void> {
    const token_hash = sha256Hex(`token of ${this.name}`);
    await store.addJoinToken({
      token_hash,
      site,
      tags: [],
      created_ms: nowMs,
      expires_ms: nowMs + 900_000,
      uses_max: 1,
      uses: 0,
      needs_approval: false,
      revoked_ms: null,
      used_ms: null,
      used_by: null,
    });
    const done = await store.redeemJoinToken(token_hash, {
      sensor_id: this.id,
      name: this.name,
      key_id: this.key,
      public_key: Buffer.from(this.publicKey).toString("base64"),
    }, nowMs);
    if (done.outcome !== "enrolled") throw new Error(`Cannot enrol ${this.name}: ${done.outcome}`);
  }

  /** Batches of `segments`, one for each bucket that has any. */
  seal(segments: readonly Segment[], sealed = nowMs): Batch[] {
    const byBucket = new Map<number, Segment[]>();
    for (const one of segments) {
      const digest = flowDigest(one);
      const bucket = digest === null ? 0 : bucketOf(digest, buckets);
      byBucket.set(bucket, [...byBucket.get(bucket) ?? [], one]);
    }
    return [...byBucket].map(([bucket, rows]) => {
      const seq = (this.#seq.get(bucket) ?? 0) + 1;
      this.#seq.set(bucket, seq);
      return this.sealAs(rows, { bucket, seq, sealed });
    });
  }

  sealAs(
    rows: readonly Segment[],
    position: { bucket: number; seq: number; sealed?: number; epoch?: number },
  ): Batch {
    return sealBatch(encodeValue(tableOf(rows)), {
      sensor: this.id,
      key: this.key,
      privateKey: this.#privateKey,
    }, { epoch: this.epoch, flows: rows.length, sealed: nowMs, ...position });
  }
}

export function getterOf(batch: Batch): HeaderGetter {
  const header = writeHeader(batch.header);
  return (name) => header[name];
}

/** The value as one zstd frame, as it travels over HTTP. */
export function bodyOf(batch: Batch): Uint8Array {
  return zstdCompressSync(batch.value);
}

/** A clock that stands still until it is told to go on; a sleep ends when the clock passes its end. */
export class TestClock implements Clock {
  #now = nowMs;
  #sleepers: { untilMs: number; wake: () => void }[] = [];
  /** Sleeps end at once, each moving the clock: for loops that only wait. */
  isImpatient = false;

  nowMs(): number {
    return this.#now;
  }

  monotonicMs(): number {
    return this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    if (this.isImpatient) {
      this.#now += ms;
      return new Promise((resolve) => queueMicrotask(resolve));
    }
    return new Promise((resolve) => {
      this.#sleepers.push({ untilMs: this.#now + ms, wake: resolve });
      signal?.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  advance(ms: number): void {
    this.#now += ms;
    const due = this.#sleepers.filter(({ untilMs }) => untilMs <= this.#now);
    this.#sleepers = this.#sleepers.filter(({ untilMs }) => untilMs > this.#now);
    for (const { wake } of due) wake();
  }
}
