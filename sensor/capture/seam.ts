/** Where two captures of the same interfaces meet: hands on each packet once, although both have it.
 *
 * In: the packets of the first capture, from before the second begins; then those of the second.
 * Out: packets to the handler.
 * Rule: a packet of the second capture is left out when it was stamped well before the last one the first handed on of
 * its interface (the first had its turn with it: it was handed on, or dropped and counted),
 * or when it is one of the last of the first.
 * Why not by stamp alone: two captures give a packet one stamp, as both ask the kernel for it (0 of 600,000 differed at
 * 200,000/s), but what this machine sends over TCP they stamp each for itself (up to 50 us apart), and two CPUs may
 * reach them in different order.
 * Why octets: a hash of the first {@link hashedBytesMax} tells packets apart that are within {@link skewUs};
 * equal ones by their number.
 * Bounds: the last {@link rememberedMax} packets of each of `interfacesMax` interfaces;
 * of more interfaces all packets are handed on.
 * Hot path: between two meetings one comparison and a call more a packet. @module */

import type { PacketHandler } from "./capture_error.ts";

/** How far before or after the end of the first capture a packet may be on either side of it. */
const windowUs = 20_000;
/** How far apart the two stamps of one packet may be. */
const skewUs = 1_000;
/** Packets of one interface that are remembered: those of `windowUs` at 800,000/s. A power of two. */
const rememberedMax = 16_384;
const mask = rememberedMax - 1;
const interfacesMax = 64;
const hashedBytesMax = 128;

type Phase = "one" | "first" | "second";

/** The end of what the first capture handed on of one interface. */
interface End {
  lastUs: number;
  /** The earliest that is remembered of more packets than can be; -Infinity = all are. */
  oldestUs: number;
  count: number;
  /** Entries before this one came again, or are too old for the packet that came last. */
  from: number;
  /** Rings of the last packets; a stamp is NaN once its packet came again. */
  stamps: Float64Array;
  hashes: Int32Array;
}

export class Seam implements PacketHandler {
  /** Latest stamp since `begin`, 0 = no packet yet. */
  stampUs = 0;
  /** Packets left out as they were handed on before. */
  known = 0;
  #phase: Phase = "one";
  #ends: End[] = [];
  #handler: PacketHandler;
  #interfaceOf: () => number;

  /** `interfaceOf` says which interface the packet being handed on is of. */
  constructor(handler: PacketHandler, interfaceOf: () => number) {
    this.#handler = handler;
    this.#interfaceOf = interfaceOf;
  }

  /** A second capture is about to begin. */
  begin(): void {
    this.#phase = "first";
    this.#ends = [];
    this.stampUs = 0;
  }

  /** Whether what comes now is of the second capture, and may have come before. */
  get isCrossed(): boolean {
    return this.#phase === "second";
  }

  /** What comes now is of the second capture. */
  cross(): void {
    this.#phase = "second";
    for (const end of this.#ends) {
      if (!end || end.count <= rememberedMax) continue;
      end.from = end.count - rememberedMax;
      end.oldestUs = end.stamps[end.from & mask];
    }
  }

  /** There is one capture only. */
  end(): void {
    this.#phase = "one";
    this.#ends = [];
  }

  packet(
    buffer: Uint8Array,
    offset: number,
    capturedLength: number,
    wireLength: number,
    timeUs: number,
    linkType: number,
  ): void {
    if (this.#phase !== "one") {
      const index = this.#interfaceOf();
      const hash = hashOf(buffer, offset, capturedLength, wireLength);
      if (this.#phase === "first") this.#remember(index, timeUs, hash);
      else if (this.#isKnown(index, timeUs, hash)) {
        this.known++;
        return;
      }
    }
    this.#handler.packet(buffer, offset, capturedLength, wireLength, timeUs, linkType);
  }

  #remember(index: number, timeUs: number, hash: number): void {
    if (timeUs > this.stampUs) this.stampUs = timeUs;
    if (index >= interfacesMax) return;
    const end = this.#ends[index] ??= {
      lastUs: 0,
      oldestUs: -Infinity,
      count: 0,
      from: 0,
      stamps: new Float64Array(rememberedMax),
      hashes: new Int32Array(rememberedMax),
    };
    const at = end.count++ & mask;
    end.stamps[at] = timeUs;
    end.hashes[at] = hash;
    if (timeUs > end.lastUs) end.lastUs = timeUs;
  }

  #isKnown(index: number, timeUs: number, hash: number): boolean {
    const end = this.#ends[index];
    if (!end || timeUs > end.lastUs + windowUs) return false;
    if (timeUs < end.lastUs - windowUs || timeUs < end.oldestUs) return true;
    const { stamps, hashes, count } = end;
    while (end.from < count && !(stamps[end.from & mask] >= timeUs - 2 * skewUs)) end.from++;
    // The nearest, since in a flood of equal packets any would do, and the wrong one would be missed later.
    let nearest = -1, nearestUs = skewUs + 1;
    for (let i = end.from; i < count && nearestUs > 0; i++) {
      const apartUs = Math.abs(stamps[i & mask] - timeUs);
      if (apartUs > 2 * skewUs && stamps[i & mask] > timeUs) break;
      if (hashes[i & mask] === hash && apartUs < nearestUs) nearest = i, nearestUs = apartUs;
    }
    if (nearest >= 0) stamps[nearest & mask] = NaN;
    return nearest >= 0;
  }
}

/** FNV-1a over the length on the wire and the first octets. */
function hashOf(buffer: Uint8Array, offset: number, capturedLength: number, wireLength: number): number {
  let hash = 0x811c9dc5 ^ wireLength;
  const end = offset + Math.min(capturedLength, hashedBytesMax);
  for (let i = offset; i < end; i++) hash = Math.imul(hash ^ buffer[i], 0x01000193);
  return hash | 0;
}
