/** Tells a cloned sensor from one that was started again.
 *
 * In: the epochs of a sensor and the header of a batch. Out: whether two copies of it are alive.
 * Rule: a sensor raises its epoch at each start, so an older epoch seals nothing any more once a newer one is at work.
 * What an older epoch had spooled may come at any time and is fine: it was sealed before. A batch is proof of a clone
 * when it was sealed more than {@link slackMs} after the newer epoch sealed its first batch by the sensor's clock, and
 * also after that first batch reached us by our clock. Both, because a sensor without a battery clock may wake up in
 * the past. A stamp in our future proves nothing.
 * Two copies with the same epoch are found by the ledger: one number, two contents. @module */

import type { EpochRow } from "../model/ledger.ts";

const slackMs = 60_000;

export function isSecondLiveEpoch(
  epochs: readonly EpochRow[],
  batch: { epoch: number; sealed: number },
  clockOffsetMs: number,
  nowMs: number,
): boolean {
  const sealedMs = batch.sealed - clockOffsetMs;
  if (sealedMs > nowMs + slackMs) return false;
  return epochs.some((newer) =>
    newer.epoch > batch.epoch && batch.sealed > newer.first_sealed_ms + slackMs &&
    sealedMs > newer.first_received_ms + slackMs
  );
}

/** `epochs` with a batch noted; the oldest give way to keep {@link epochsMax}. */
export function noteEpoch(
  epochs: readonly EpochRow[],
  batch: { epoch: number; sealed: number },
  receivedMs: number,
): EpochRow[] {
  const known = epochs.find(({ epoch }) => epoch === batch.epoch);
  if (known) {
    const last = Math.max(known.last_sealed_ms, batch.sealed);
    return epochs.map((row) => row === known ? { ...known, last_sealed_ms: last } : row);
  }
  const { epoch, sealed } = batch;
  const row = { epoch, first_sealed_ms: sealed, first_received_ms: receivedMs, last_sealed_ms: sealed };
  return [...epochs, row].sort((a, b) => a.epoch - b.epoch).slice(-epochsMax);
}
const epochsMax = 16;
