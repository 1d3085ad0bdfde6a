/** Classic pcap records.
 *
 * In: the 24-octet file header, then bytes. Out: packets to the handler.
 * Invariant: a record is handed on whole or not at all; a record of impossible length ends the reading.
 * Hot path: no allocation per packet.
 *
 * | magic (file order) | stamps | record header |
 * | --- | --- | --- |
 * | a1b2c3d4 | microseconds | 16 octets |
 * | a1b23c4d | nanoseconds | 16 octets |
 * | a1b2cd34 | microseconds | 24 octets (Kuznetzov's) |
 * @module */

import { type CaptureError, packetBytesMax, type PacketHandler, type RecordParser } from "./capture_error.ts";

export const pcapHeaderBytes = 24;

/** Whether these four octets begin a classic capture. */
export function isPcap(bytes: Uint8Array, offset: number): boolean {
  return formatOf(bytes, offset) !== null;
}

function formatOf(bytes: Uint8Array, o: number) {
  const big = ((bytes[o] << 24) | (bytes[o + 1] << 16) | (bytes[o + 2] << 8) | bytes[o + 3]) >>> 0;
  const little = ((bytes[o + 3] << 24) | (bytes[o + 2] << 16) | (bytes[o + 1] << 8) | bytes[o]) >>> 0;
  for (const [magic, isLittle] of [[big, false], [little, true]] as const) {
    if (magic === 0xa1b2c3d4) return { isLittle, isNano: false, recordBytes: 16 };
    if (magic === 0xa1b23c4d) return { isLittle, isNano: true, recordBytes: 16 };
    if (magic === 0xa1b2cd34) return { isLittle, isNano: false, recordBytes: 24 };
  }
  return null;
}

export class PcapRecords implements RecordParser {
  error: CaptureError | null = null;
  readonly drops = 0;
  readonly linkType: number;
  #isLittle: boolean;
  #isNano: boolean;
  #recordBytes: number;
  #handler: PacketHandler;

  /** `header` holds the file header at `offset`; {@link isPcap} must have said yes. */
  constructor(header: Uint8Array, offset: number, handler: PacketHandler) {
    const format = formatOf(header, offset);
    if (format === null) throw new TypeError("Cannot read pcap records as the header has no known magic");
    this.#isLittle = format.isLittle;
    this.#isNano = format.isNano;
    this.#recordBytes = format.recordBytes;
    this.#handler = handler;
    const o = offset + 20;
    // The upper half of the field says whether a checksum follows each frame; IP lengths make that irrelevant.
    this.linkType = this.#isLittle ? header[o] | header[o + 1] << 8 : header[o + 2] << 8 | header[o + 3];
  }

  parse(b: Uint8Array, from: number, to: number): number {
    const handler = this.#handler, linkType = this.linkType, recordBytes = this.#recordBytes;
    const isNano = this.#isNano, isLittle = this.#isLittle;
    let o = from;
    while (o + recordBytes <= to) {
      let seconds: number, fraction: number, captured: number, wire: number;
      if (isLittle) {
        seconds = (b[o] | b[o + 1] << 8 | b[o + 2] << 16 | b[o + 3] << 24) >>> 0;
        fraction = (b[o + 4] | b[o + 5] << 8 | b[o + 6] << 16 | b[o + 7] << 24) >>> 0;
        captured = (b[o + 8] | b[o + 9] << 8 | b[o + 10] << 16 | b[o + 11] << 24) >>> 0;
        wire = (b[o + 12] | b[o + 13] << 8 | b[o + 14] << 16 | b[o + 15] << 24) >>> 0;
      } else {
        seconds = (b[o + 3] | b[o + 2] << 8 | b[o + 1] << 16 | b[o] << 24) >>> 0;
        fraction = (b[o + 7] | b[o + 6] << 8 | b[o + 5] << 16 | b[o + 4] << 24) >>> 0;
        captured = (b[o + 11] | b[o + 10] << 8 | b[o + 9] << 16 | b[o + 8] << 24) >>> 0;
        wire = (b[o + 15] | b[o + 14] << 8 | b[o + 13] << 16 | b[o + 12] << 24) >>> 0;
      }
      if (captured > packetBytesMax) {
        this.error = "bad_record";
        return o;
      }
      const data = o + recordBytes;
      const next = data + captured;
      if (next > to) break;
      const timeUs = seconds * 1e6 + (isNano ? Math.floor(fraction / 1000) : fraction);
      handler.packet(b, data, captured, wire < captured ? captured : wire, timeUs, linkType);
      o = next;
    }
    return o;
  }
}
