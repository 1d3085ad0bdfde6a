/** Unpacks compressed captures: gzip of any number of members, zstd and LZ4 frames one after the other.
 *
 * In: the octets of a file, from its first.
 * Out: what they hold, chunk by chunk; each is good until the next is asked for.
 * Invariant: everything before a cut or damage is handed on; then a {@link CutError}, or another error for damage.
 * Bound: a few chunks, whatever the octets unpack to; of zstd a window of 128 MiB, of LZ4 a block of 8 MiB.
 * Why frames are walked here: the decompressor stops at the end of a zstd frame and loses what follows it. @module */

import { Buffer } from "node:buffer";
import { createGunzip, createZstdDecompress, type Gunzip, type ZstdDecompress } from "node:zlib";
import { readLz4Frame, readOldLz4Frame } from "./lz4.ts";
import { CutError, Pieces } from "./pieces.ts";

/** How a file is packed, by its first octets. "unknown": in a way that is not read here. */
export type Packing = "none" | "gzip" | "frames" | "unknown";

/** Octets that tell the packing. */
export const magicBytes = 6;
const zstdMagic = 0xfd2fb528, lz4Magic = 0x184d2204, oldLz4Magic = 0x184c2102;
/** Of both formats: frames to be stepped over, sixteen numbers. */
const skippedMagic = 0x184d2a5;
/** bzip2, xz, compress, ZIP, 7z, Snappy's framing. */
const unknownStarts = ["425a68", "fd377a585a00", "1f9d", "504b0304", "377abcaf271c", "ff060000734e"];
/** Handed to the decompressor at once: what one such piece unpacks to before damage in it is found is lost. */
const pieceBytes = 16_384;
const windowBytesMax = 134_217_728;

export function packingOf(head: Uint8Array): Packing {
  const hex = Buffer.from(head).toString("hex");
  if (hex.startsWith("1f8b")) return "gzip";
  if (unknownStarts.some((start) => hex.startsWith(start))) return "unknown";
  if (head.length < 4) return "none";
  const magic = (head[0] | head[1] << 8 | head[2] << 16 | head[3] << 24) >>> 0;
  const isFrame = magic === zstdMagic || magic === lz4Magic || magic === oldLz4Magic ||
    magic >>> 4 === skippedMagic;
  return isFrame ? "frames" : "none";
}

/** What `chunks` hold. */
export function unpack(
  packing: "gzip" | "frames",
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  return packing === "gzip" ? inflate(createGunzip(), inPieces(chunks)) : readFrames(new Pieces(chunks));
}

async function* inPieces(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += pieceBytes) yield chunk.subarray(at, at + pieceBytes);
  }
}

async function* readFrames(pieces: Pieces): AsyncGenerator<Uint8Array> {
  let next = 0;
  while (next !== 0 || !await pieces.isOver()) {
    const magic = next !== 0 ? next : await pieces.number();
    next = 0;
    if (magic >>> 4 === skippedMagic) await pieces.skip(await pieces.number());
    else if (magic === lz4Magic) yield* readLz4Frame(pieces);
    else if (magic === oldLz4Magic) next = yield* readOldLz4Frame(pieces);
    else if (magic === zstdMagic) yield* inflate(createZstdDecompress(), zstdFrame(pieces));
    else throw new SyntaxError("Cannot unpack as no frame begins where the last one ended");
  }
}

/** The octets of a zstd frame (RFC 8878, 3.1.1), whose magic number has been read. */
async function* zstdFrame(pieces: Pieces): AsyncGenerator<Uint8Array> {
  const [descriptor] = await pieces.take(1);
  const isSingle = (descriptor & 0x20) !== 0;
  const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6];
  const header = await pieces.take((isSingle ? 0 : 1) + [0, 1, 2, 4][descriptor & 3] + sizeBytes);
  if (!isSingle && windowOf(header[0]) > windowBytesMax) {
    throw new RangeError(`Cannot unpack as the zstd window must be <= ${windowBytesMax} octets`);
  }
  yield Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, descriptor, ...header);
  for (let isLast = false; !isLast;) {
    const block = await pieces.take(3);
    yield block;
    isLast = (block[0] & 1) !== 0;
    const isRepeated = (block[0] >> 1 & 3) === 1;
    const size = (block[0] | block[1] << 8 | block[2] << 16) >> 3;
    for (let left = isRepeated ? 1 : size; left > 0;) {
      const some = await pieces.some(Math.min(left, pieceBytes));
      yield some;
      left -= some.length;
    }
  }
  if ((descriptor & 4) !== 0) yield await pieces.take(4);
}

function windowOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + base / 8 * (descriptor & 7);
}

/** Runs the decompressor in step with its consumer: a piece is written when all of the one before has been handed
 * on. */
async function* inflate(
  stream: Gunzip | ZstdDecompress,
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let error: Error | null = null, isEnded = false, wake = () => {};
  stream.on("error", (cause: Error) => (error = cause, wake()));
  stream.on("readable", () => wake());
  // It ends by itself before zeros that fill up the last block of a tape.
  stream.on("end", () => (isEnded = true, wake()));
  async function* written(write: (done: () => void) => void): AsyncGenerator<Uint8Array> {
    let isDone = false;
    write(() => (isDone = true, wake()));
    for (;;) {
      const chunk: Uint8Array | null = stream.read();
      if (chunk !== null) yield chunk;
      else if (error !== null || isDone || isEnded) break;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
    if (error !== null) throw isCut(error) ? new CutError() : error;
  }
  try {
    for await (const piece of pieces) {
      if (isEnded) return;
      yield* written((done) => void stream.write(Buffer.from(piece), done));
    }
    yield* written(() => void stream.end());
  } finally {
    stream.destroy();
  }
}

function isCut(error: Error): boolean {
  return (error as { code?: string }).code === "Z_BUF_ERROR";
}
