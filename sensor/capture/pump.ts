/** Moves a capture through: bytes from a source to the reader, packets to their handler, a turn between chunks.
 *
 * In: a started source. Out: what was wrong with the capture, null = nothing.
 * Returns when the source ends or `signal` aborts.
 * Why turns: all I/O of the sensor happens between chunks, so the packet path itself never waits. @module */

import type { CaptureError, PacketHandler } from "./capture_error.ts";
import { CaptureReader } from "./capture_reader.ts";
import type { ByteSource } from "./file_source.ts";

export interface PumpResult {
  error: CaptureError | null;
  /** Packets the capture itself says were lost. */
  drops: number;
}

/** Reads `source` to its end. `onTurn` is awaited after each chunk. */
export async function pump(
  source: ByteSource,
  handler: PacketHandler,
  onTurn: () => Promise<void>,
  signal?: AbortSignal,
): Promise<PumpResult> {
  const reader = new CaptureReader(handler);
  while (reader.error === null && !signal?.aborted) {
    const count = await source.read(reader.space());
    if (count === null) break;
    reader.commit(count);
    await onTurn();
  }
  const stoppedEarly = signal?.aborted === true && reader.error === null;
  // A capture that was told to stop may end anywhere; that is no damage.
  const ended = stoppedEarly ? null : reader.end();
  // Where the source broke, what is missing is no news.
  const error = source.error ?? ended;
  return { error, drops: reader.drops };
}
