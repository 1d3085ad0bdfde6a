/** Writes IP packets as pcap into a list of reused blocks, for the standard input of a dissector.
 *
 * In: packets that begin at their IP header. Out: blocks of bytes in order, each starting and ending anywhere.
 * Invariant: the bytes of all blocks, one after the other, are one valid capture;
 * a packet is written whole or not at all.
 * Hot path: no allocation but a view per packet.
 * Why IP alone: what was around it the decoder has read already, and the child needs no dissector of links and tunnels.
 *
 * | part | bytes |
 * | --- | --- |
 * | file header, link type 101 (raw IP), microseconds | 24 |
 * | packet | 16 + captured |
 * @module */

const blockBytes = 128 * 1024;
/** Bytes of one packet handed on; longer ones (offload giants) are cut here, the wire length kept. */
export const packetBytesMax = 65_535;
const packetHeaderBytes = 16;
const rawIpLinkType = 101;
/** The stamp is of 32 bits, and no fact depends on it. */
const stampUsMax = 0xffffffff * 1e6;

export class PcapWriter {
  #full: { bytes: Uint8Array; length: number }[] = [];
  #free: Uint8Array[] = [];
  #block: Uint8Array = new Uint8Array(blockBytes);
  #view = new DataView(this.#block.buffer);
  #length = 0;
  #buffered = 0;

  constructor() {
    const start = this.#reserve(24);
    const words = [0xa1b2c3d4, 0x0004_0002, 0, 0, packetBytesMax, rawIpLinkType];
    words.forEach((word, index) => this.#view.setUint32(start + 4 * index, word, true));
  }

  /** Bytes not yet taken. */
  get bufferedBytes(): number {
    return this.#buffered;
  }

  /** Appends the packet whose IP header is at `offset`. */
  append(
    buffer: Uint8Array,
    offset: number,
    capturedLength: number,
    wireLength: number,
    timeUs: number,
  ): void {
    const captured = capturedLength > packetBytesMax ? packetBytesMax : capturedLength;
    const start = this.#reserve(packetHeaderBytes + captured);
    const view = this.#view;
    const stamp = Math.min(Math.max(timeUs, 0), stampUsMax);
    const seconds = Math.floor(stamp / 1e6);
    view.setUint32(start, seconds, true);
    view.setUint32(start + 4, stamp - seconds * 1e6, true);
    view.setUint32(start + 8, captured, true);
    view.setUint32(start + 12, Math.max(wireLength, captured), true);
    this.#block.set(buffer.subarray(offset, offset + captured), start + packetHeaderBytes);
  }

  /** Next bytes to write, or null. The caller gives the block back with {@link release} once it has left. */
  take(): { bytes: Uint8Array; length: number } | null {
    const first = this.#full.shift();
    if (first) {
      this.#buffered -= first.length;
      return first;
    }
    if (this.#length === 0) return null;
    const block = { bytes: this.#block, length: this.#length };
    this.#open();
    this.#buffered -= block.length;
    return block;
  }

  release(block: { bytes: Uint8Array }): void {
    if (this.#free.length < 4) this.#free.push(block.bytes);
  }

  #reserve(bytes: number): number {
    if (this.#length + bytes > blockBytes) {
      this.#full.push({ bytes: this.#block, length: this.#length });
      this.#open();
    }
    const start = this.#length;
    this.#length += bytes;
    this.#buffered += bytes;
    return start;
  }

  #open(): void {
    this.#block = this.#free.pop() ?? new Uint8Array(blockBytes);
    this.#view = new DataView(this.#block.buffer);
    this.#length = 0;
  }
}
