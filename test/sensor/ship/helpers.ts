/** What the shipping tests share: a signer, small batches, a seeded random source, a clock that tests own. @module */

import { type Batch, keyId, keysFromSeed, sealBatch } from "../../../shared/batch.ts";
import type { Clock } from "../../../shared/clock.ts";
import { createReporter, type Reporter } from "../../../shared/reporter.ts";
import { type BatchFile, packBatch } from "../../../sensor/ship/packed_batch.ts";
import { Packer, type SealableRows, unpack } from "../../../sensor/ship/parcel.ts";
import type { SegmentPage } from "../../../sensor/flow/segment_page.ts";
import type { Signer } from "../../../sensor/ship/seal.ts";

const keys = keysFromSeed(new Uint8Array(32).fill(7));
export const signer: Signer = {
  sensor: "s_test",
  key: keyId(keys.publicKey),
  privateKey: keys.privateKey,
};
export const publicKey = keys.publicKey;

/** A batch of one flow; `filler` makes it larger without being compressible. */
export function batchOf(epoch: number, bucket: number, seq: number, filler = 0): Batch {
  const random = prng(epoch * 1_000_003 + bucket * 1_009 + seq);
  const text = Array.from({ length: filler }, () => String.fromCharCode(97 + Math.floor(random() * 26))).join(
    "",
  );
  const value = new TextEncoder().encode(`{"start_us":[${seq}],"app_protocol":["${text}"]}`);
  return sealBatch(value, signer, { epoch, bucket, seq, flows: 1, sealed: 1_000 + seq });
}

/** The same as a file. */
export function fileOf(epoch: number, bucket: number, seq: number, filler = 0): BatchFile {
  return packBatch(batchOf(epoch, bucket, seq, filler));
}

/** A page as it comes out on the other side of the thread. */
export function sealableOf(page: SegmentPage): SealableRows {
  const packer = new Packer();
  for (let row = 0; row < page.length; row++) packer.add(page, row);
  return unpack(packer.take());
}

/** Mulberry32: 0 <= value < 1, the same for the same seed. */
export function prng(seed: number): () => number {
  return () => {
    seed = seed + 0x6d2b79f5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 4294967296;
  };
}

/** A reporter that writes nothing, with its lines kept. */
export function silentReporter(): { reporter: Reporter; lines: string[] } {
  const lines: string[] = [];
  return { reporter: createReporter({ component: "test", write: (line) => lines.push(line) }), lines };
}

/** Sum of a counter over its labels. */
export function counted(reporter: Reporter, name: string, label = ""): number {
  let sum = 0;
  for (const [key, value] of reporter.snapshot()) {
    if ((key === name || key.startsWith(`${name}{`)) && key.includes(label)) sum += value;
  }
  return sum;
}

/** A clock that moves only when told; sleepers wake in due order, with a turn of the event loop after each. */
export class FakeClock implements Clock {
  #nowMs: number;
  #monotonicMs = 0;
  #sleepers: { dueMs: number; wake: () => void }[] = [];

  constructor(nowMs = 1_700_000_000_000) {
    this.#nowMs = nowMs;
  }
  nowMs(): number {
    return this.#nowMs;
  }
  monotonicMs(): number {
    return this.#monotonicMs;
  }
  /** Steps the wall clock; nobody wakes. */
  step(ms: number): void {
    this.#nowMs += ms;
  }
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const end = () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        sleeper.wake();
      };
      const wake = () => {
        signal?.removeEventListener("abort", end);
        resolve();
      };
      const sleeper = { dueMs: this.#monotonicMs + ms, wake };
      this.#sleepers.push(sleeper);
      signal?.addEventListener("abort", end, { once: true });
    });
  }
  async advance(ms: number): Promise<void> {
    const endMs = this.#monotonicMs + ms;
    for (;;) {
      await turn();
      this.#sleepers.sort((a, b) => a.dueMs - b.dueMs);
      const next = this.#sleepers[0];
      if (!next || next.dueMs > endMs) break;
      this.#sleepers.shift();
      this.#move(Math.max(0, next.dueMs - this.#monotonicMs));
      next.wake();
    }
    this.#move(endMs - this.#monotonicMs);
    await turn();
  }
  #move(ms: number): void {
    this.#monotonicMs += ms;
    this.#nowMs += ms;
  }
}

/** Lets everything run that waits for nothing but the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
