/** Reads a request's body, whole or not at all.
 *
 * In: a request, the most octets, a clock. Out: the octets, or an error from the closed list.
 * Invariant: nothing is kept beyond `bytesMax`; a body that stands still for {@link pauseMsMax}, or is not whole after
 * {@link bodyMsMax}, is given up, so that whoever sends half a body holds nothing for longer. @module */

import type { Clock } from "../../shared/clock.ts";
import { ApiError } from "./errors.ts";

const pauseMsMax = 10_000;
const bodyMsMax = 60_000;
const passed = "it came in time";

/** @throws {ApiError} */
export async function readBody(request: Request, bytesMax: number, clock: Clock): Promise<Uint8Array> {
  const tooLarge = () => new ApiError("too_large", `Body must have <= ${bytesMax} octets`);
  if (Number(request.headers.get("content-length") ?? 0) > bytesMax) throw tooLarge();
  if (request.body === null) return new Uint8Array();
  const reader = request.body.getReader();
  const startMs = clock.monotonicMs();
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for (;;) {
      const leftMs = startMs + bodyMsMax - clock.monotonicMs();
      const chunk = await readChunk(reader, Math.min(pauseMsMax, leftMs), clock);
      if (chunk === null) return joined(chunks, length);
      length += chunk.length;
      if (length > bytesMax) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (error) {
    // Not awaited: a connection that stands still would hold the answer up.
    reader.cancel().catch(() => undefined);
    throw error;
  }
}

/** Null = the body is whole. */
async function readChunk(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  waitMs: number,
  clock: Clock,
): Promise<Uint8Array | null> {
  const done = new AbortController();
  const late = clock.sleep(Math.max(0, waitMs), done.signal).then(() => "late" as const);
  try {
    const read = reader.read().catch((cause) => {
      // Whoever hangs up in the middle is no fault of ours; how the runtime words it differs.
      throw new ApiError("body_cut", (cause as Error).message);
    });
    const result = await Promise.race([read, late]);
    if (result === "late") {
      read.catch(() => undefined);
      throw new ApiError(
        "body_timeout",
        `Limits are ${pauseMsMax / 1_000} s between two parts, ${bodyMsMax / 1_000} s in all`,
      );
    }
    return result.done ? null : result.value;
  } finally {
    // With a reason, as the runtime would make an error of it, a costly thing for each part of a body.
    done.abort(passed);
  }
}

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  if (chunks.length === 1) return chunks[0];
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** How long the body is by its header; `bytesMax` = it does not say, so it may have as many. */
export function declaredOctets(header: (name: string) => string | undefined, bytesMax: number): number {
  const text = header("content-length");
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : bytesMax;
}
