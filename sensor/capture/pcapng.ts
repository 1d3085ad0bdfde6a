/** pcapng blocks.
 *
 * In: bytes from the first section header on. Out: packets to the handler, drop counts of interface statistics.
 * Invariant: a block is used whole or not at all; blocks of unknown type are skipped, however long;
 * a contradiction ends the reading.
 * A length that is no multiple of four is rounded up, as other readers do: the next block begins at a whole word.
 * Hot path: no allocation per packet; sections and interfaces allocate.
 *
 * | block | use |
 * | --- | --- |
 * | 0a0d0d0a section header | byte order; forgets the interfaces |
 * | 1 interface description | link type, snapshot length, if_tsresol, if_tsoffset |
 * | 6 enhanced packet, 3 simple packet, 2 packet (obsolete) | packets |
 * | 5 interface statistics | isb_ifdrop |
 * @module */

import {
  type CaptureError,
  noStamp,
  packetBytesMax,
  type PacketHandler,
  type RecordParser,
} from "./capture_error.ts";
import { readInterface, readInterfaceDrops } from "./pcapng_options.ts";
import type { PcapngInterface } from "./pcapng_interface.ts";

/** A description block longer than this is damaged;
 * packets may be as long as {@link packetBytesMax} and some options. */
const blockBytesMax = packetBytesMax + 65_536;
const interfacesMax = 65_536;

/** Whether these octets begin a section header block. */
export function isPcapng(b: Uint8Array, o: number): boolean {
  if (b[o] !== 0x0a || b[o + 1] !== 0x0d || b[o + 2] !== 0x0d || b[o + 3] !== 0x0a) return false;
  return byteOrder(b, o) !== null;
}

function byteOrder(b: Uint8Array, o: number): "little" | "big" | null {
  if (b[o + 8] === 0x4d && b[o + 9] === 0x3c && b[o + 10] === 0x2b && b[o + 11] === 0x1a) return "little";
  if (b[o + 8] === 0x1a && b[o + 9] === 0x2b && b[o + 10] === 0x3c && b[o + 11] === 0x4d) return "big";
  return null;
}

export class PcapngBlocks implements RecordParser {
  error: CaptureError | null = null;
  interfaceIndex = 0;
  #isLittle = true;
  #interfaces: PcapngInterface[] = [];
  #droppedBefore = 0;
  #handler: PacketHandler;

  constructor(handler: PacketHandler) {
    this.#handler = handler;
  }

  get drops(): number {
    return this.#interfaces.reduce((sum, { drops }) => sum + drops, this.#droppedBefore);
  }

  parse(b: Uint8Array, from: number, to: number): number {
    let o = from;
    while (o + 12 <= to) {
      const type = this.#word(b, o);
      if (type === 0x0a0d0d0a && !this.#startSection(b, o)) return this.#fail(o);
      const length = this.#word(b, o + 4);
      if (length < 12) return this.#fail(o);
      const next = o + length + (-length & 3);
      const isWanted = type === 6 || type === 3 || type === 2 || type === 1 || type === 5;
      // Nothing in the other blocks is needed, so a long one is stepped over without ever being held.
      if (!isWanted) {
        o = next;
        continue;
      }
      if (length > blockBytesMax) return this.#fail(o);
      if (next > to) break;
      if (this.#word(b, next - 4) !== length || !this.#block(b, o, length, type)) return this.#fail(o);
      o = next;
    }
    return o;
  }

  #fail(o: number): number {
    this.error = "bad_block";
    return o;
  }

  #word(b: Uint8Array, o: number): number {
    return this.#isLittle
      ? (b[o] | b[o + 1] << 8 | b[o + 2] << 16 | b[o + 3] << 24) >>> 0
      : (b[o + 3] | b[o + 2] << 8 | b[o + 1] << 16 | b[o] << 24) >>> 0;
  }

  #half(b: Uint8Array, o: number): number {
    return this.#isLittle ? b[o] | b[o + 1] << 8 : b[o] << 8 | b[o + 1];
  }

  #startSection(b: Uint8Array, o: number): boolean {
    const order = byteOrder(b, o);
    if (order === null) return false;
    this.#isLittle = order === "little";
    this.#droppedBefore = this.drops;
    this.#interfaces = [];
    return this.#word(b, o + 4) >= 28;
  }

  #block(b: Uint8Array, o: number, length: number, type: number): boolean {
    switch (type) {
      case 6:
        return this.#packet(b, o, length, this.#word(b, o + 8), 28);
      case 2:
        return this.#packet(b, o, length, this.#half(b, o + 8), 28);
      case 3:
        return this.#simplePacket(b, o, length);
      case 1:
        if (length < 20 || this.#interfaces.length >= interfacesMax) return false;
        this.#interfaces.push(readInterface(b, o, length, this.#isLittle));
        return true;
      default: {
        const about = length < 24 ? undefined : this.#interfaces[this.#word(b, o + 8)];
        // Statistics are totals since the start of the capture: the last block of an interface says it all.
        if (about) about.drops = readInterfaceDrops(b, o, length, this.#isLittle) ?? about.drops;
        return true;
      }
    }
  }

  /** Enhanced and obsolete packet blocks differ only in where the interface number is. */
  #packet(b: Uint8Array, o: number, length: number, index: number, headerBytes: number): boolean {
    if (length < headerBytes + 4 || index >= this.#interfaces.length) return false;
    const captured = this.#word(b, o + 20);
    if (captured > packetBytesMax || headerBytes + captured + 4 > length) return false;
    const wire = this.#word(b, o + 24);
    const about = this.#interfaces[index];
    const timeUs = about.timeUs(this.#word(b, o + 12), this.#word(b, o + 16));
    this.interfaceIndex = index;
    this.#handler.packet(
      b,
      o + headerBytes,
      captured,
      wire < captured ? captured : wire,
      timeUs,
      about.linkType,
    );
    return true;
  }

  /** A simple packet has no stamp. */
  #simplePacket(b: Uint8Array, o: number, length: number): boolean {
    if (length < 16 || this.#interfaces.length === 0) return false;
    const { snapLength, linkType } = this.#interfaces[0];
    const wire = this.#word(b, o + 8);
    let captured = length - 16;
    if (wire < captured) captured = wire;
    if (snapLength > 0 && snapLength < captured) captured = snapLength;
    this.interfaceIndex = 0;
    this.#handler.packet(b, o + 12, captured, wire, noStamp, linkType);
    return true;
  }
}
