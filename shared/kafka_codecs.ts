/** Unpacks what a Kafka producer packed: gzip, Snappy (raw, or in snappy-java's frame), LZ4 frames, zstd.
 *
 * In: packed octets, a limit. Out: the octets, or why there are none: "too_large" beyond the limit, "compression" when
 * they are no such stream. Invariant: never more than the limit is allocated for the output,
 * and no input makes it throw.
 * Why own decoders for Snappy and LZ4: two short formats, and only reading them is needed. The packages in question
 * allocate what the stream itself claims (snappyjs), have had no release for years (lz4js), or bring native code.
 * Sources: google/snappy format_description.txt, xerial/snappy-java SnappyOutputStream, lz4 doc/lz4_Frame_format.md and
 * lz4_Block_format.md. Checksums of frames are skipped: what is used of a record is covered by its own hash and
 * signature. @module */

import { gunzipSync, zstdDecompressSync } from "node:zlib";

export type CodecFault = "compression" | "too_large";
/** By the number in a record set's attributes; 0 is none. */
export const codecNames = ["none", "gzip", "snappy", "lz4", "zstd"] as const;

/** Unpacks `packed`; a codec number that is none of Kafka's is "compression". */
export function unpackWith(codec: number, packed: Uint8Array, bytesMax: number): Uint8Array | CodecFault {
  try {
    switch (codecNames[codec]) {
      case "none":
        return packed.length <= bytesMax ? packed : "too_large";
      case "gzip":
        return gunzipSync(packed, { maxOutputLength: bytesMax });
      case "zstd":
        return zstdDecompressSync(packed, { maxOutputLength: bytesMax });
      case "snappy":
        return unpackSnappy(packed, bytesMax);
      case "lz4":
        return unpackLz4(packed, bytesMax);
      default:
        return "compression";
    }
  } catch (error) {
    if (error instanceof TooLarge) return "too_large";
    return (error as { code?: string }).code === "ERR_BUFFER_TOO_LARGE" ? "too_large" : "compression";
  }
}

class TooLarge extends Error {}
class Malformed extends Error {}

/** Grows by doubling up to the limit. */
class Output {
  #bytes: Uint8Array;
  #length = 0;
  #max: number;

  constructor(first: number, max: number) {
    if (first > max) throw new TooLarge();
    this.#bytes = new Uint8Array(first);
    this.#max = max;
  }

  get length(): number {
    return this.#length;
  }

  append(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Copies `count` octets from `distance` back; they may overlap. `floor` is where the stream began. */
  repeat(distance: number, count: number, floor: number): void {
    if (distance < 1 || distance > this.#length - floor) throw new Malformed();
    this.#reserve(count);
    let at = this.#length;
    if (distance >= count) {
      this.#bytes.copyWithin(at, at - distance, at - distance + count);
    } else {
      for (const end = at + count; at < end; at++) this.#bytes[at] = this.#bytes[at - distance];
    }
    this.#length += count;
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed > this.#max) throw new TooLarge();
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.min(this.#max, Math.max(needed, this.#bytes.length * 2)));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/** Octets in order; reading past the end is a fault. */
class Input {
  at = 0;
  #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.at;
  }

  octet(): number {
    if (this.left < 1) throw new Malformed();
    return this.#bytes[this.at++];
  }

  take(count: number): Uint8Array {
    if (count < 0 || this.left < count) throw new Malformed();
    return this.#bytes.subarray(this.at, this.at += count);
  }

  little(octets: number): number {
    let value = 0;
    for (let i = 0; i < octets; i++) value += this.octet() * 2 ** (8 * i);
    return value;
  }

  big32(): number {
    const [a, b, c, d] = this.take(4);
    return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
  }
}

const xerialMagic = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]; // "\x82SNAPPY\0"
const firstBytes = 64 * 1024;

function unpackSnappy(packed: Uint8Array, max: number): Uint8Array {
  const input = new Input(packed);
  const isFramed = xerialMagic.every((octet, i) => packed[i] === octet);
  const output = new Output(isFramed ? Math.min(firstBytes, max) : 0, max);
  if (!isFramed) {
    snappyBlock(input, output);
    return output.finish();
  }
  input.take(16); // Magic, version, compatible version.
  while (input.left > 0) snappyBlock(new Input(input.take(input.big32())), output);
  return output.finish();
}

function snappyBlock(input: Input, output: Output): void {
  const floor = output.length;
  const end = floor + varint(input);
  while (input.left > 0) {
    const tag = input.octet();
    const high = tag >> 2;
    switch (tag & 3) {
      case 0:
        output.append(input.take(1 + (high < 60 ? high : input.little(high - 59))));
        break;
      case 1:
        output.repeat(((tag >> 5) << 8) | input.octet(), 4 + (high & 7), floor);
        break;
      default:
        output.repeat(input.little((tag & 3) === 2 ? 2 : 4), 1 + high, floor);
    }
  }
  if (output.length !== end) throw new Malformed();
}

function varint(input: Input): number {
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const octet = input.octet();
    value += (octet & 127) * 2 ** shift;
    if (octet < 128) return value;
  }
  throw new Malformed();
}

const lz4Magic = 0x184d2204;
/** 16 magic numbers of frames that a reader skips. */
const lz4SkippableMagic = 0x184d2a50;

function unpackLz4(packed: Uint8Array, max: number): Uint8Array {
  const input = new Input(packed);
  const output = new Output(Math.min(firstBytes, max), max);
  let frames = 0;
  while (input.left > 0) {
    const magic = input.little(4);
    if (magic === lz4Magic) lz4Frame(input, output);
    else if (magic >= lz4SkippableMagic && magic < lz4SkippableMagic + 16) input.take(input.little(4));
    else throw new Malformed();
    frames++;
  }
  if (frames === 0) throw new Malformed();
  return output.finish();
}

function lz4Frame(input: Input, output: Output): void {
  const flags = input.octet();
  input.octet(); // The largest block: the output's own limit holds anyway.
  if (flags >> 6 !== 1) throw new Malformed();
  const areIndependent = (flags & 32) !== 0, hasBlockChecksum = (flags & 16) !== 0;
  if ((flags & 8) !== 0) input.take(8); // Content size, which only claims.
  if ((flags & 1) !== 0) input.take(4); // Dictionary id.
  input.octet(); // Header checksum.
  const frameFloor = output.length;
  for (let size = input.little(4); size !== 0; size = input.little(4)) {
    const block = input.take(size % 2 ** 31);
    if (size >= 2 ** 31) output.append(block);
    else lz4Block(new Input(block), output, areIndependent ? output.length : frameFloor);
    if (hasBlockChecksum) input.take(4);
  }
  if ((flags & 4) !== 0) input.take(4); // Content checksum.
}

function lz4Block(input: Input, output: Output, floor: number): void {
  while (input.left > 0) {
    const token = input.octet();
    output.append(input.take(lz4Length(token >> 4, input)));
    if (input.left === 0) return; // The last sequence has literals only.
    const distance = input.little(2);
    output.repeat(distance, 4 + lz4Length(token & 15, input), floor);
  }
}

function lz4Length(nibble: number, input: Input): number {
  let length = nibble;
  if (nibble < 15) return length;
  for (;;) {
    const octet = input.octet();
    length += octet;
    if (octet < 255) return length;
  }
}
