/** LZ4 blocks and frames (github.com/lz4/lz4, doc/lz4_Block_format.md and lz4_Frame_format.md).
 *
 * In: the octets of a frame behind its magic number. Out: chunks, each good until the next is asked for.
 * Invariant: writes only into its own buffer; a block that says more than that holds is damage.
 * Bound: one block of 4 MiB (old format: 8 MiB) and the 64 KiB before it.
 * Not checked: checksums; the capture format finds damage. @module */

import type { Pieces } from "./pieces.ts";

const historyBytes = 65_536;
const oldBlockBytes = 8 * 1024 * 1024;
const smallestMatch = 4;

/** What a frame holds. @throws {CutError} when it is cut, {SyntaxError} when it is damaged. */
export async function* readLz4Frame(pieces: Pieces): AsyncGenerator<Uint8Array> {
  const [flags, sizes] = await pieces.take(2);
  const hasDictionary = (flags & 1) !== 0;
  const sizeCode = sizes >> 4 & 7;
  if (flags >> 6 !== 1 || hasDictionary || sizeCode < 4) {
    throw new SyntaxError("Cannot read LZ4 frame header");
  }
  await pieces.skip(((flags & 8) !== 0 ? 8 : 0) + 1);
  const blockBytesMax = 1 << (8 + 2 * sizeCode);
  const block = new BlockReader(blockBytesMax);
  for (;;) {
    const word = await pieces.number();
    if (word === 0) break;
    const size = word & 0x7fff_ffff;
    if (size > blockBytesMax) {
      throw new SyntaxError("Cannot read LZ4 block as it is longer than its frame allows");
    }
    const packed = await pieces.take(size);
    yield word >>> 31 === 1 ? block.copy(packed) : block.read(packed);
    if ((flags & 0x10) !== 0) await pieces.skip(4);
  }
  if ((flags & 4) !== 0) await pieces.skip(4);
}

/** What a frame of the old format holds: blocks up to the end, or up to the next magic number, which is returned;
 * 0 = the end. */
export async function* readOldLz4Frame(pieces: Pieces): AsyncGenerator<Uint8Array, number> {
  const block = new BlockReader(oldBlockBytes);
  while (!await pieces.isOver()) {
    const size = await pieces.number();
    // No block is longer than what it could grow to.
    if (size > oldBlockBytes + oldBlockBytes / 255 + 16) return size;
    yield block.read(await pieces.take(size));
  }
  return 0;
}

/** Unpacks block after block; a block may go on with what the one before it held. */
class BlockReader {
  #out: Uint8Array;
  /** End of what is kept of the blocks before. */
  #kept = 0;

  constructor(blockBytesMax: number) {
    this.#out = new Uint8Array(historyBytes + blockBytesMax);
  }

  copy(block: Uint8Array): Uint8Array {
    this.#makeRoom();
    this.#out.set(block, this.#kept);
    return this.#end(this.#kept + block.length);
  }

  read(packed: Uint8Array): Uint8Array {
    this.#makeRoom();
    const end = readBlock(packed, this.#out, this.#kept);
    if (end < 0) throw new SyntaxError("Cannot read LZ4 block as it is damaged");
    return this.#end(end);
  }

  #makeRoom(): void {
    const from = Math.max(0, this.#kept - historyBytes);
    this.#out.copyWithin(0, from, this.#kept);
    this.#kept -= from;
  }

  #end(end: number): Uint8Array {
    const chunk = this.#out.subarray(this.#kept, end);
    this.#kept = end;
    return chunk;
  }
}

/** Unpacks a block to `out[at]` and behind; returns its end, -1 when the block is damaged. */
export function readBlock(packed: Uint8Array, out: Uint8Array, at: number): number {
  let from = 0, to = at;
  while (from < packed.length) {
    const token = packed[from++];
    let literals = token >> 4;
    if (literals === 15) {
      for (let octet = 255; octet === 255; literals += octet) {
        if (from >= packed.length) return -1;
        octet = packed[from++];
      }
    }
    if (from + literals > packed.length || to + literals > out.length) return -1;
    for (let i = 0; i < literals; i++) out[to++] = packed[from++];
    // The last sequence has literals alone.
    if (from === packed.length) return to;
    if (from + 2 > packed.length) return -1;
    const back = packed[from] | packed[from + 1] << 8;
    from += 2;
    let length = (token & 15) + smallestMatch;
    if ((token & 15) === 15) {
      for (let octet = 255; octet === 255; length += octet) {
        if (from >= packed.length) return -1;
        octet = packed[from++];
      }
    }
    if (back === 0 || back > to || to + length > out.length) return -1;
    for (let i = 0; i < length; i++, to++) out[to] = out[to - back];
  }
  return packed.length === 0 ? to : -1;
}
