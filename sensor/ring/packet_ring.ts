/** The most recent packets, kept in memory so that an analyst can still ask for those of a threat.
 *
 * In: every packet the decoder understood, with where its innermost payload begins. Out: the packets of one time span.
 * Invariant: memory is one block of `bytesMax` octets, whatever comes; the oldest packets give way. A packet is there
 * whole, as far as the payload policy keeps it, or not at all. Packets added = packets held + packets overwritten.
 * Layout: pages of 128 KiB, filled one after another and then again from the first; whoever begins a page overwrites
 * all of it, so that nothing is done for a packet that gives way. In a page records one after another, 8-aligned: stamp
 * f64, wire length u32, captured length and link type u16 each, then the packet.
 * Why no index: writing costs one copy a packet and nothing else. A search looks at the stamps and decodes what lies in
 * the span again, in portions, so that capture goes on; it is asked for a few times an hour.
 * Hot path: no allocation per packet. @module */

import type { PayloadPolicy } from "../../shared/policy.ts";

export interface PacketRingOptions {
  /** @default 33554432 */
  bytesMax: number;
  /** @default "start" */
  payload: PayloadPolicy;
  /** Octets of payload kept by "start". @default 64 */
  payloadBytesMax: number;
  /** Octets of one packet kept at most. @default 65535 */
  snapBytes: number;
}

export const packetRingDefaults: Readonly<PacketRingOptions> = {
  bytesMax: 32 * 1024 * 1024,
  payload: "start",
  payloadBytesMax: 64,
  snapBytes: 65_535,
};

/** One stored packet; `bytes` is a view into the ring and valid until the next packet is added. */
export interface StoredPacket {
  timeUs: number;
  wireLength: number;
  linkType: number;
  bytes: Uint8Array;
}

const headerBytes = 16;
const pageBytes = 128 * 1024;
const bytesMin = 8 * pageBytes;
const snapBytesMax = 65_535;
/** A view for `set` costs an allocation: below this, copying eight octets at a time costs less. */
const longCopyBytes = 1_024;

export class PacketRing {
  /** Packets ever added. */
  added = 0;
  #options: PacketRingOptions;
  /** Octets of payload kept. */
  #payloadKept: number;
  readonly #snapBytes: number;
  readonly #bytes: Uint8Array;
  readonly #stamps: Float64Array;
  readonly #words: Int32Array;
  readonly #longs: BigInt64Array;
  readonly #pages: number;
  /** Number of the first packet in each page. */
  readonly #firsts: Float64Array;
  /** Pages begun before the one in use. */
  #serial = 0;
  /** Where the next record begins, and where the page in use ends. */
  #at = 0;
  #pageEnd = pageBytes;
  /** Where packets were copied from last; readers use one buffer for many packets. */
  #from: Uint8Array = new Uint8Array();
  #view: DataView = new DataView(new ArrayBuffer(0));

  /** @throws {RangeError} when an option is out of range. */
  constructor(options: Partial<PacketRingOptions> = {}) {
    const checked = { ...packetRingDefaults, ...options };
    const check = (name: keyof PacketRingOptions, min: number, max: number) => {
      const value = checked[name] as number;
      if (value >= min && value <= max) return;
      throw new RangeError(
        `Cannot keep packets as "${name}" must be ${min} to ${max}: current value is ${value}`,
      );
    };
    check("bytesMax", bytesMin, 2 ** 31);
    check("snapBytes", 64, snapBytesMax);
    check("payloadBytesMax", 0, snapBytesMax);
    this.#options = checked;
    this.#payloadKept = payloadKept(checked);
    this.#snapBytes = checked.snapBytes;
    this.#pages = Math.floor(checked.bytesMax / pageBytes);
    this.#firsts = new Float64Array(this.#pages);
    const memory = new ArrayBuffer(this.#pages * pageBytes);
    this.#bytes = new Uint8Array(memory);
    this.#stamps = new Float64Array(memory);
    this.#words = new Int32Array(memory);
    this.#longs = new BigInt64Array(memory);
  }

  get bytesMax(): number {
    return this.#options.bytesMax;
  }
  get payload(): PayloadPolicy {
    return this.#options.payload;
  }
  /** Packets held now. */
  get count(): number {
    return this.added - this.overwritten;
  }
  /** Packets that gave way to newer ones. */
  get overwritten(): number {
    return this.#firsts[this.#oldestSerial % this.#pages];
  }
  /** Stamp of the oldest packet held, NaN = none. */
  get oldestUs(): number {
    return this.added === 0 ? NaN : this.#stamps[(this.#oldestSerial % this.#pages) * pageBytes >> 3];
  }

  get #oldestSerial(): number {
    return Math.max(0, this.#serial - this.#pages + 1);
  }

  /** Keeps another part of the packets that come from here on. */
  keep(payload: PayloadPolicy): void {
    this.#options = { ...this.#options, payload };
    this.#payloadKept = payloadKept(this.#options);
  }

  /** Adds a packet. `payloadAt` is the offset of the innermost payload in `buffer`, <= `offset` = there is none. */
  add(
    buffer: Uint8Array,
    offset: number,
    capturedLength: number,
    wireLength: number,
    timeUs: number,
    linkType: number,
    payloadAt: number,
  ): void {
    let length = capturedLength;
    // What has no payload that the decoder knows of, like ARP, is kept whole.
    const kept = payloadAt - offset + this.#payloadKept;
    if (kept < length && payloadAt > offset) length = kept;
    if (length > this.#snapBytes) length = this.#snapBytes;
    const size = headerBytes + length + 7 & ~7;
    if (this.#at + size > this.#pageEnd) this.#turnPage();
    const at = this.#at, word = at >> 2;
    this.#stamps[at >> 3] = timeUs;
    this.#words[word + 2] = wireLength;
    this.#words[word + 3] = length | linkType << 16;
    this.#copy(buffer, offset, at + headerBytes, length);
    this.#at = at + size;
    this.added++;
  }

  /** Stored packets stamped within the span, in the order they came; those added meanwhile are left out. `visit`
   * returns false to end. Yields to its caller after each `portion` packets looked at. */
  *walk(
    fromUs: number,
    toUs: number,
    portion: number,
    visit: (packet: StoredPacket) => boolean,
  ): Generator<void> {
    const packet: StoredPacket = { timeUs: 0, wireLength: 0, linkType: 0, bytes: this.#bytes };
    const last = this.added;
    let looked = 0;
    for (let serial = this.#oldestSerial; serial <= this.#serial; serial++) {
      const page = serial % this.#pages;
      let at = page * pageBytes;
      const next = (serial + 1) % this.#pages;
      const end = Math.min(last, serial === this.#serial ? last : this.#firsts[next]);
      for (let number = this.#firsts[page]; number < end; number++) {
        const word = at >> 2, length = this.#words[word + 3] & 0xffff;
        const timeUs = this.#stamps[at >> 3];
        if (timeUs >= fromUs && timeUs <= toUs) {
          packet.timeUs = timeUs;
          packet.wireLength = this.#words[word + 2] >>> 0;
          packet.linkType = this.#words[word + 3] >>> 16;
          packet.bytes = this.#bytes.subarray(at + headerBytes, at + headerBytes + length);
          if (!visit(packet)) return;
        }
        at += headerBytes + length + 7 & ~7;
        if (++looked % portion !== 0) continue;
        yield;
        // Packets added meanwhile may have taken this page.
        if (serial < this.#oldestSerial) break;
      }
      serial = Math.max(serial, this.#oldestSerial - 1);
    }
  }

  #turnPage(): void {
    const page = ++this.#serial % this.#pages;
    this.#firsts[page] = this.added;
    this.#at = page * pageBytes;
    this.#pageEnd = this.#at + pageBytes;
  }

  #copy(from: Uint8Array, offset: number, at: number, length: number): void {
    const end = length + 7 & ~7;
    if (length > longCopyBytes || offset + end > from.length) {
      this.#bytes.set(from.subarray(offset, offset + length), at);
      return;
    }
    if (from !== this.#from) {
      this.#from = from;
      this.#view = new DataView(from.buffer, from.byteOffset, from.length);
    }
    const view = this.#view, longs = this.#longs;
    let to = at >> 3;
    // No number is made of the eight octets once V8 has optimised this.
    for (let i = offset; i < offset + end; i += 8) longs[to++] = view.getBigInt64(i, true);
  }
}

function payloadKept({ payload, payloadBytesMax }: PacketRingOptions): number {
  return payload === "full" ? snapBytesMax : payload === "start" ? payloadBytesMax : 0;
}
