/** Writes packets as pcapng into a list of reused blocks, for the standard input of a dissector.
 *
 * In: packets, any link type. Out: blocks of bytes in order, each starting and ending anywhere.
 * Invariant: the bytes of all blocks, one after the other, are one valid pcapng section; a packet is written whole or not at all.
 * Hot path: no allocation but a view per packet. Why pcapng: every packet names its interface, so one child serves all link types.
 *
 * | block | bytes |
 * | --- | --- |
 * | section header | 28 |
 * | interface description, one a link type, before its first packet | 20 |
 * | enhanced packet | 32 + captured, padded to 4 |
 * @module */

const blockBytes = 128 * 1024;
/** Bytes of one packet handed on; longer ones (offload giants) are cut here, the wire length kept. */
export const packetBytesMax = 65_535;
const packetHeaderBytes = 32;
const linkTypesMax = 32;

export class PcapngWriter {
  #full: { bytes: Uint8Array; length: number }[] = [];
  #free: Uint8Array[] = [];
  #block: Uint8Array = new Uint8Array(blockBytes);
  #view = new DataView(this.#block.buffer);
  #length = 0;
  #buffered = 0;
  readonly #linkTypes: number[] = [];

  constructor() {
    this.#writeSectionHeader();
  }

  /** Bytes not yet taken. */
  get bufferedBytes(): number {
    return this.#buffered;
  }

  /** Appends one packet; false when its link type is one too many. */
  append(
    buffer: Uint8Array,
    offset: number,
    capturedLength: number,
    wireLength: number,
    timeUs: number,
    linkType: number,
  ): boolean {
    let index = this.#linkTypes.indexOf(linkType);
    if (index < 0) {
      if (this.#linkTypes.length >= linkTypesMax) return false;
      index = this.#writeInterface(linkType);
    }
    const captured = capturedLength > packetBytesMax ? packetBytesMax : capturedLength;
    const padded = (captured + 3) & ~3;
    const total = packetHeaderBytes + padded;
    const start = this.#reserve(total);
    const view = this.#view;
    const stamp = timeUs > 0 ? timeUs : 0;
    view.setUint32(start, 6, true);
    view.setUint32(start + 4, total, true);
    view.setUint32(start + 8, index, true);
    view.setUint32(start + 12, Math.floor(stamp / 0x1_0000_0000), true);
    view.setUint32(start + 16, stamp >>> 0, true);
    view.setUint32(start + 20, captured, true);
    view.setUint32(start + 24, Math.max(wireLength, captured), true);
    this.#block.set(buffer.subarray(offset, offset + captured), start + 28);
    this.#block.fill(0, start + 28 + captured, start + 28 + padded);
    view.setUint32(start + 28 + padded, total, true);
    return true;
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

  #writeSectionHeader(): void {
    const start = this.#reserve(28);
    const words = [0x0a0d0d0a, 28, 0x1a2b3c4d, 0x0000_0001, 0xffffffff, 0xffffffff, 28];
    words.forEach((word, index) => this.#view.setUint32(start + 4 * index, word, true));
  }

  #writeInterface(linkType: number): number {
    const start = this.#reserve(20);
    [1, 20, linkType & 0xffff, 0, 20].forEach((word, index) =>
      this.#view.setUint32(start + 4 * index, word, true)
    );
    this.#linkTypes.push(linkType);
    return this.#linkTypes.length - 1;
  }
}
