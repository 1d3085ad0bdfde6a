/** Batches for the ingest bench: a real sensor's, recorded once, sealed again by as many sensors as a run wants.
 *
 * In: a capture. Out: values and their buckets, in the order in which the sensor shipped them;
 * kept in a folder for the next run.
 * Why sealed again: a run needs fresh identities, and two sensors on one path ship the same values under two names.
 * @module */

import { Buffer } from "node:buffer";
import type { KeyObject } from "node:crypto";
import { zstdDecompressSync } from "node:zlib";
import { readColumns } from "../../aggregator/ingest/columns.ts";
import type { IdentityStore } from "../../aggregator/store/store.ts";
import { keyId, keysFromSeed, sealBatch, sha256Hex, writeHeader } from "../../shared/batch.ts";
import { measure } from "./measure.ts";
import { sensorCommand, sensorPrograms } from "./programs.ts";
import { Sink } from "./sink.ts";

export interface RecordedBatch {
  bucket: number;
  flows: number;
  value: Uint8Array;
}

export interface SealedBatch {
  headers: Record<string, string>;
  value: Uint8Array;
  flows: number;
}

/** Reads `path`, or records it with a sensor that replays `capture`: also when it is no longer understood. */
export async function recordedBatches(
  root: string,
  capture: string,
  path: string,
): Promise<RecordedBatch[]> {
  const known = await readRecording(path).catch(() => []);
  // What an older sensor shipped may not be taken any more.
  const isGood = known.every(({ value, flows }) => typeof readColumns(value, flows) !== "string");
  if (known.length > 0 && isGood) return known;
  await record(root, capture, path);
  return await readRecording(path);
}

export async function readRecording(path: string): Promise<RecordedBatch[]> {
  const bytes = await Deno.readFile(path);
  const view = new DataView(bytes.buffer);
  const found: RecordedBatch[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = view.getUint32(at), bucket = view.getUint32(at + 4), flows = view.getUint32(at + 8);
    found.push({ bucket, flows, value: bytes.slice(at + 12, at + 12 + length) });
    at += 12 + length;
  }
  return found;
}

async function record(root: string, capture: string, path: string): Promise<void> {
  const state = await Deno.makeTempDir({ prefix: "picket-bench-state-" });
  const parts: Uint8Array[] = [];
  const sink = new Sink((headers, body) => {
    const compressed = body.length > 4 && body[0] === 0x28 && body[1] === 0xb5;
    const value = compressed ? new Uint8Array(zstdDecompressSync(body)) : body;
    const head = new DataView(new ArrayBuffer(12));
    head.setUint32(0, value.length);
    head.setUint32(4, Number(headers.get("picket-bucket")));
    head.setUint32(8, Number(headers.get("picket-flows")));
    parts.push(new Uint8Array(head.buffer), value);
  });
  sink.start();
  try {
    await sink.enrol(state);
    const [whole] = sensorPrograms(await sensorCommand(root), state);
    await measure(whole.command(capture, state), { capture, cwd: root });
    await Deno.writeFile(`${path}.part`, Buffer.concat(parts));
    await Deno.rename(`${path}.part`, path);
  } finally {
    await sink.stop();
    await Deno.remove(state, { recursive: true });
  }
}

/** A sensor that seals what another one recorded. */
export class BenchSensor {
  readonly id: string;
  #privateKey: KeyObject;
  #publicKey: Uint8Array;
  #seq = new Map<number, number>();

  constructor(readonly name: string, seed: number) {
    const { privateKey, publicKey } = keysFromSeed(new Uint8Array(32).fill(seed));
    this.#privateKey = privateKey;
    this.#publicKey = publicKey;
    this.id = `s_${name}`;
  }

  async enrol(store: IdentityStore, nowMs: number): Promise<void> {
    const token_hash = sha256Hex(`token of ${this.name}`);
    const used = {
      uses_max: 1,
      uses: 0,
      needs_approval: false,
      used_ms: null,
      used_by: null,
      revoked_ms: null,
    };
    await store.addJoinToken({
      token_hash,
      site: "bench",
      tags: [],
      created_ms: nowMs,
      expires_ms: nowMs + 900_000,
      ...used,
    });
    const public_key = Buffer.from(this.#publicKey).toString("base64");
    const identity = { sensor_id: this.id, name: this.name, key_id: keyId(this.#publicKey), public_key };
    await store.redeemJoinToken(token_hash, identity, nowMs);
  }

  seal({ bucket, flows, value }: RecordedBatch, sealed: number): SealedBatch {
    const seq = (this.#seq.get(bucket) ?? 0) + 1;
    this.#seq.set(bucket, seq);
    const identity = { sensor: this.id, key: keyId(this.#publicKey), privateKey: this.#privateKey };
    const batch = sealBatch(value, identity, { epoch: 1, bucket, seq, flows, sealed });
    return { headers: writeHeader(batch.header), value, flows };
  }
}
