/** Sensors that exist only in a bench: many at once in the store, and one that seals flows of its own.
 *
 * In: a store's URL, how many. Out: rows of sensors, made as an enrolment makes one; signed batches.
 * Why not by enrolment: ten thousand of them wait for the disk as often, and how fast sensors enrol is another
 * question. @module */

import { Buffer } from "node:buffer";
import { zstdCompressSync } from "node:zlib";
import { openDatabase, openStore } from "../../aggregator/store/open.ts";
import { keyId, keysFromSeed, sealBatch, writeHeader } from "../../shared/batch.ts";
import { bucketOf, flowDigest } from "../../shared/community_id.ts";
import { createReporter } from "../../shared/reporter.ts";
import { encodeValue } from "../shared/columns.ts";

const reporter = createReporter({ component: "bench", write: () => {} });

export interface MadeSensor {
  id: string;
  key: string;
  privateKey: ReturnType<typeof keysFromSeed>["privateKey"];
  publicKey: string;
}

export function makeSensors(count: number): MadeSensor[] {
  return Array.from({ length: count }, (_, index) => {
    const { privateKey, publicKey } = keysFromSeed(crypto.getRandomValues(new Uint8Array(32)));
    const text = Buffer.from(publicKey).toString("base64");
    return {
      id: `sbench${String(index).padStart(15, "0")}`,
      key: keyId(publicKey),
      privateKey,
      publicKey: text,
    };
  });
}

/** With these policies; the first sensor enrols, the others are copies of its row. */
export async function enrolAll(
  url: string,
  sensors: readonly MadeSensor[],
  policies: boolean,
): Promise<void> {
  const store = openStore(url, { reporter });
  await store.start();
  const nowMs = Date.now();
  for (const target of policies ? ["all", "tag=canary"] : []) {
    const settings = { filter: "not port 9100", noise: ["mdns" as const], snaplen: 256 };
    await store.addPolicy({ name: "bench", target, settings, created_ms: nowMs, created_by: "bench" });
  }
  await store.addJoinToken({
    token_hash: "bench",
    site: "lab",
    tags: ["bench", "indoor"],
    created_ms: nowMs,
    expires_ms: nowMs + 3_600_000,
    uses_max: sensors.length,
    uses: 0,
    needs_approval: false,
    revoked_ms: null,
    used_ms: null,
    used_by: null,
  });
  const [first, ...others] = sensors.map(({ id, key, publicKey }) => ({
    sensor_id: id,
    name: `sensor-${id.slice(-5)}`,
    key_id: key,
    public_key: publicKey,
  }));
  await store.redeemJoinToken("bench", first, nowMs);
  await store.stop();
  const database = openDatabase(url, { reporter });
  await database.open();
  const same = "site, tags, enrolled_ms, approved_ms, join_token";
  const own = "sensor_id, name, live_name, key_id, public_key";
  await database.transaction(async (session) => {
    for (const { sensor_id, name, key_id, public_key } of others) {
      await session.run(
        `INSERT INTO sensors (${own}, ${same}) SELECT ?, ?, ?, ?, ?, ${same} FROM sensors WHERE sensor_id = ?`,
        [sensor_id, name, name, key_id, public_key, first.sensor_id],
      );
    }
  });
  await database.close();
}

/** A batch on its way; `ends`: when each of its flows ended, ms since the epoch. */
export interface MadeBatch {
  headers: Record<string, string>;
  value: Uint8Array;
  bucket: number;
  ends: readonly number[];
}

/** A sensor on a network of its own, where TCP connections of 20 packets begin and end.
 * A bucket is sealed `sealAgeMs` after the first end in it, as a live sensor does. */
export class MadeTraffic {
  #sensor: MadeSensor;
  #index: number;
  #flows = 0;
  #buckets: { ends: number[]; ports: number[]; seq: number }[];

  constructor(sensor: MadeSensor, index: number, buckets: number) {
    this.#sensor = sensor;
    this.#index = index;
    this.#buckets = Array.from({ length: buckets }, () => ({ ends: [], ports: [], seq: 0 }));
  }

  /** A connection ended now. */
  end(nowMs: number): void {
    const port = 1_024 + this.#flows++ % 60_000;
    const [src, dst] = this.#addresses();
    const bucket = this
      .#buckets[
        bucketOf(
          flowDigest({ protocol: "tcp", src_ip: src, dst_ip: dst, src_port: port, dst_port: 443 })!,
          this.#buckets.length,
        )
      ];
    bucket.ends.push(nowMs);
    bucket.ports.push(port);
  }

  seal(nowMs: number, sealAgeMs: number): MadeBatch[] {
    const made: MadeBatch[] = [];
    for (const [number, bucket] of this.#buckets.entries()) {
      if (bucket.ends.length === 0 || nowMs - bucket.ends[0] < sealAgeMs) continue;
      const { ends, ports } = bucket;
      [bucket.ends, bucket.ports] = [[], []];
      const value = this.#value(ends, ports);
      const place = {
        epoch: 1,
        bucket: number,
        seq: ++bucket.seq,
        flows: ends.length,
        sealed: Math.floor(nowMs),
      };
      const { id, key, privateKey } = this.#sensor;
      const { header } = sealBatch(value, { sensor: id, key, privateKey }, place);
      made.push({ headers: writeHeader(header), value, bucket: number, ends });
    }
    return made;
  }

  #addresses(): [src: string, dst: string] {
    return [`10.${this.#index >> 8}.${this.#index & 255}.7`, "192.0.2.9"];
  }

  #value(ends: readonly number[], ports: readonly number[]): Uint8Array {
    const [src, dst] = this.#addresses();
    const all = <Value>(value: Value) => ends.map(() => value);
    return encodeValue({
      start_us: ends.map((ms) => Math.floor(ms * 1e3) - 180_000),
      duration_us: all(180_000),
      protocol: all("tcp"),
      src_ip: all(src),
      dst_ip: all(dst),
      src_port: [...ports],
      dst_port: all(443),
      fwd_packets: all(9),
      fwd_bytes: all(1_460),
      bwd_packets: all(11),
      bwd_bytes: all(9_800),
      tcp_isn: ports.map((port) => port * 65_537),
      conn_state: all("SF"),
      end_reason: all("fin"),
    });
  }
}

export function compressed({ value }: MadeBatch): Uint8Array {
  return zstdCompressSync(value);
}
