/** Sealing on a thread of its own, as the outbox sees it.
 *
 * In: pages of segments, ticks. Out: files of batches, in the order they were asked for.
 * Invariant: rows added = rows in files returned + rows in the thread; requests are answered in order. A thread that
 * fails rejects every request from then on: nothing is lost in silence.
 * Why a thread: writing, hashing, signing and compressing a batch takes tens of milliseconds,
 * in which packets would wait. @module */

import type { KeyObject } from "node:crypto";
import type { Reporter } from "../../shared/reporter.ts";
import type { SegmentPage } from "../flow/segment_page.ts";
import type { BatchFile } from "./packed_batch.ts";
import type { SealAnswer, SealRequest } from "./seal_worker.ts";
import { checkSealOptions, type SealOptions } from "./seal.ts";
import { Packer } from "./parcel.ts";

interface Asked {
  resolve(files: BatchFile[]): void;
  reject(error: Error): void;
}

const seedBytes = 32;

export class SealThread {
  /** Requests without an answer. */
  get pending(): number {
    return this.#asked.length;
  }
  #worker: Worker | null = null;
  #opening: Extract<SealRequest, { kind: "open" }>;
  readonly #asked: Asked[] = [];
  readonly #sealed = new Map<number, number>();
  #totals = { batches: 0, flows: 0, packets: 0 };
  readonly #reporter: Reporter;
  readonly #packer = new Packer();
  #factsCut = 0;
  #failure: Error | null = null;

  /** @throws {RangeError} when a limit is out of range. */
  constructor(
    options: SealOptions,
    deps: { signer: { sensor: string; key: string; privateKey: KeyObject }; reporter: Reporter },
  ) {
    checkSealOptions(options);
    this.#reporter = deps.reporter;
    const { sensor, key, privateKey } = deps.signer;
    const seed = new Uint8Array(privateKey.export({ format: "der", type: "pkcs8" })).slice(-seedBytes);
    this.#opening = { kind: "open", options, sensor, key, seed };
  }

  start(): void {
    this.#worker = new Worker(new URL("./seal_worker.ts", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<SealAnswer>) => this.#answered(data);
    this.#worker.onerror = (event) => {
      // Else the program ends without a chance to say what is left on disk.
      event.preventDefault();
      this.#fail(event.message);
      this.#reporter.error("the sealing thread ended, nothing more can be shipped", {
        reason: event.message,
      });
    };
    this.#ask(this.#opening).catch(() => {}); // The next request tells.
  }

  /** Highest seq sealed in each bucket that has one, by bucket number. */
  get sealed(): Record<string, number> {
    return Object.fromEntries(this.#sealed);
  }

  /** Of the batches of this epoch. */
  get totals(): { batches: number; flows: number; packets: number } {
    return { ...this.#totals };
  }

  /** Copies the page. Null: there is room for more before the thread is asked;
   * else resolves with the batches that became full. */
  add(page: SegmentPage, nowMs: number): Promise<BatchFile[]> | null {
    let answer: Promise<BatchFile[]> | null = null;
    for (let row = 0; row < page.length; row++) {
      this.#packer.add(page, row);
      if (this.#packer.isFull) answer = this.#send(nowMs);
    }
    this.#reporter.count("segments_sealed_total", undefined, page.length);
    return answer;
  }

  /** Resolves with what is old enough, or became full; with `everything` also what is not. */
  async seal(nowMs: number, everything = false): Promise<BatchFile[]> {
    if (this.#packer.length === 0) return await this.#ask({ kind: "seal", nowMs, everything });
    const both = [this.#send(nowMs), this.#ask({ kind: "seal", nowMs, everything })];
    return (await Promise.all(both)).flat();
  }

  /** Seals everything in the epoch there was, and what comes from now on in this one. */
  async renew(epoch: number, nowMs: number): Promise<BatchFile[]> {
    const { options } = this.#opening;
    const sealed = this.seal(nowMs, true);
    // Asked for at once: whatever is added from here on stands behind it.
    const opened = this.#ask(this.#opening = { ...this.#opening, options: { ...options, epoch } });
    const files = await sealed;
    this.#sealed.clear();
    this.#totals = { batches: 0, flows: 0, packets: 0 };
    await opened;
    return files;
  }

  #send(nowMs: number): Promise<BatchFile[]> {
    const parcel = this.#packer.take();
    return this.#ask({ kind: "add", parcel, nowMs }, [
      parcel.words.buffer,
      parcel.facts.buffer,
    ]);
  }

  stop(): void {
    this.#worker?.terminate();
    this.#fail("it was stopped");
  }

  #ask(request: SealRequest, transfer: Transferable[] = []): Promise<BatchFile[]> {
    const worker = this.#worker;
    if (this.#failure || worker === null) {
      return Promise.reject(
        this.#failure ?? new Error("Cannot seal segments as the sealing thread was not started"),
      );
    }
    return new Promise((resolve, reject) => {
      this.#asked.push({ resolve, reject });
      worker.postMessage(request, transfer);
    });
  }

  #answered({ files, factsCut, packets, words }: SealAnswer): void {
    if (words !== null) this.#packer.giveBack(words);
    for (const { header } of files) {
      this.#sealed.set(header.bucket, header.seq);
      this.#totals.batches++;
      this.#totals.flows += header.flows;
    }
    this.#totals.packets = packets;
    if (files.length > 0) this.#reporter.count("batches_sealed_total", undefined, files.length);
    const cut = factsCut - this.#factsCut;
    if (cut > 0) this.#reporter.count("facts_cut_total", { reason: "batch_bytes" }, cut);
    this.#factsCut = factsCut;
    this.#asked.shift()!.resolve(files);
  }

  #fail(why: string): void {
    this.#failure ??= new Error(`Cannot seal segments as the sealing thread ended: ${why}`);
    for (const { reject } of this.#asked.splice(0)) reject(this.#failure);
  }
}
