/** The sealing thread: rows in, files of signed batches out. Started by seal_thread.ts.
 *
 * In: `open` once, then `add` and `seal`. Out: one answer to each, in order.
 * Invariant: it knows no clock, no disk and no network; what it cannot do ends it, and seal_thread.ts says so.
 * @module */

import { type Batch, keysFromSeed } from "../../shared/batch.ts";
import { type BatchFile, packBatch } from "./packed_batch.ts";
import { Sealer, type SealOptions } from "./seal.ts";
import { type Parcel, unpack } from "./parcel.ts";

export type SealRequest =
  | { kind: "open"; options: SealOptions; sensor: string; key: string; seed: Uint8Array }
  | { kind: "add"; parcel: Parcel; nowMs: number }
  | { kind: "seal"; nowMs: number; everything: boolean };

export interface SealAnswer {
  files: BatchFile[];
  /** Rows whose facts were cut, since the start. */
  factsCut: number;
  /** In all batches of the epoch so far. */
  packets: number;
  /** Memory of the parcel, to be filled again. */
  words: Int32Array<ArrayBuffer> | null;
}

/** What a thread has of `self` beside a page. */
interface ThreadScope {
  onmessage: ((event: MessageEvent<SealRequest>) => void) | null;
  postMessage(message: SealAnswer, transfer: Transferable[]): void;
}

const scope = self as unknown as ThreadScope;
let sealer: Sealer | null = null;

scope.onmessage = ({ data: request }) => {
  const files = batchesOf(request).map(packBatch);
  const words = request.kind === "add" ? request.parcel.words : null;
  const transfer = files.map(({ bytes }) => bytes.buffer);
  if (words !== null) transfer.push(words.buffer);
  scope.postMessage({ files, factsCut: sealer!.factsCut, packets: sealer!.packets, words }, transfer);
};

function batchesOf(request: SealRequest): Batch[] {
  switch (request.kind) {
    case "open": {
      const { options, sensor, key, seed } = request;
      sealer = new Sealer(options, { sensor, key, privateKey: keysFromSeed(seed).privateKey });
      return [];
    }
    case "add":
      return sealer!.add(unpack(request.parcel), request.nowMs);
    case "seal":
      return sealer!.seal(request.nowMs, request.everything);
  }
}
