/** The most recent packets, kept in memory so that an analyst can still ask for those of a threat.
 *
 * In: every packet the decoder understood, with where its innermost payload begins. Out: the packets of one flow and time span.
 * Invariant: memory is one block of `bytesMax` octets, whatever comes; the oldest packets give way. A packet is there whole, as far as
 * the payload policy keeps it, or not at all.
 * Layout: records one after another, 8-aligned, 24 octets of header (stamp f64, captured u32, wire u32, link type u32, reserved u32),
 * then the packet; `wrapMark` as captured length says that the rest of the block is unused.
 * Why no index: writing costs one copy a packet and nothing else. A search looks at the stamps and decodes what lies in the span again, in
 * portions, so that capture goes on; it is asked for a few times an hour.
 * Hot path: no allocation per packet. @module */

export const payloadPolicies = ["off", "headers", "start", "full"] as const;
/** What is kept of a packet: nothing, its headers, its headers and the first octets of its payload, or all of it. */
export type PayloadPolicy = typeof payloadPolicies[number];

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

const headerBytes = 24;
const wrapMark = 0xffffffff;
const bytesMin = 1024 * 1024;

export class PacketRing {
  /** Packets ever taken in, and those that gave way to newer ones. */
  added = 0;
  overwritten = 0;
  readonly #options: PacketRingOptions;
  readonly #bytes: Uint8Array;
  readonly #stamps: Float64Array;
  readonly #words: Uint32Array;
  /** Where the next record begins. */
  #head = 0;
  /** Where the oldest record begins; equal to `#head` when empty or full: `#count` tells which. */
  #tail = 0;
  #count = 0;

  /** @throws {RangeError} when an option is out of range. */
  constructor(options: Partial<PacketRingOptions> = {}) {
    const checked = { ...packetRingDefaults, ...options };
    if (!(checked.bytesMax >= bytesMin && checked.bytesMax <= 2 ** 31)) {
      throw new RangeError(
        `Cannot keep packets as "bytesMax" must be ${bytesMin} to ${
          2 ** 31
        }: current value is ${checked.bytesMax}`,
      );
    }
    if (!(checked.payloadBytesMax >= 0 && checked.snapBytes >= 64 && checked.snapBytes <= bytesMin >> 1)) {
      throw new RangeError(
        `Cannot keep packets as "snapBytes" must be 64 to ${
          bytesMin >> 1
        }: current value is ${checked.snapBytes}`,
      );
    }
    this.#options = checked;
    const memory = new ArrayBuffer(checked.bytesMax & ~7);
    this.#bytes = new Uint8Array(memory);
    this.#stamps = new Float64Array(memory);
    this.#words = new Uint32Array(memory);
  }

  /** Packets held now. */
  get count(): number {
    return this.#count;
  }

  /** Stamp of the oldest packet held, NaN = none. */
  get oldestUs(): number {
    return this.#count === 0 ? NaN : this.#stamps[this.#tail >> 3];
  }

  /** Takes a packet in. `payloadAt` is the offset of the innermost payload in `buffer`, <= `offset` = there is none. */
  add(
    buffer: Uint8Array,
    offset: number,
    capturedLength: number,
    wireLength: number,
    timeUs: number,
    linkType: number,
    payloadAt: number,
  ): void {
    const { payload, payloadBytesMax, snapBytes } = this.#options;
    let length = capturedLength;
    if (payload !== "full") {
      const headers = payloadAt - offset;
      const kept = payload === "start" ? headers + payloadBytesMax : headers;
      // What has no payload that the decoder knows of, like ARP, is kept whole.
      if (headers > 0 && kept < length) length = kept;
    }
    if (length > snapBytes) length = snapBytes;
    const size = headerBytes + length + 7 & ~7;
    this.#makeRoom(size);
    const at = this.#head;
    this.#stamps[at >> 3] = timeUs;
    const word = at >> 2;
    this.#words[word + 2] = length;
    this.#words[word + 3] = wireLength;
    this.#words[word + 4] = linkType;
    copy(buffer, offset, this.#bytes, at + headerBytes, length);
    this.#head = at + size;
    this.#count++;
    this.added++;
  }

  /** Stored packets stamped within the span, oldest first as they came. `visit` returns false to end; adding ends the walk too.
   * Yields to its caller after each `portion` packets looked at. */
  *walk(
    fromUs: number,
    toUs: number,
    portion: number,
    visit: (packet: StoredPacket) => boolean,
  ): Generator<void> {
    const packet: StoredPacket = { timeUs: 0, wireLength: 0, linkType: 0, bytes: this.#bytes };
    // Numbers, not offsets, tell where the walk is: packets added in between may have overwritten its place.
    let number = this.added - this.#count, at = this.#tail, looked = 0;
    const last = this.added;
    while (number < last) {
      if (number < this.added - this.#count) {
        number = this.added - this.#count;
        at = this.#tail;
        if (number >= last) return;
      }
      if (this.#isUnusedFrom(at)) at = 0;
      const word = at >> 2, length = this.#words[word + 2];
      const timeUs = this.#stamps[at >> 3];
      if (timeUs >= fromUs && timeUs <= toUs) {
        packet.timeUs = timeUs;
        packet.wireLength = this.#words[word + 3];
        packet.linkType = this.#words[word + 4];
        packet.bytes = this.#bytes.subarray(at + headerBytes, at + headerBytes + length);
        if (!visit(packet)) return;
      }
      at += headerBytes + length + 7 & ~7;
      number++;
      if (++looked % portion === 0) yield;
    }
  }

  #makeRoom(size: number): void {
    const end = this.#bytes.length;
    if (this.#head + size > end) {
      // The rest of the block stays unused; what lies there goes first, so that the tail never points into it.
      while (this.#count > 0 && this.#tail >= this.#head) this.#drop();
      if (this.#head + headerBytes <= end) this.#words[(this.#head >> 2) + 2] = wrapMark;
      this.#head = 0;
      if (this.#count === 0) this.#tail = 0;
    }
    while (this.#count > 0 && this.#tail >= this.#head && this.#tail < this.#head + size) this.#drop();
    if (this.#count === 0) this.#tail = this.#head;
  }

  #drop(): void {
    const at = this.#tail;
    this.#tail = at + headerBytes + this.#words[(at >> 2) + 2] + 7 & ~7;
    this.#count--;
    this.overwritten++;
    if (this.#count > 0 && this.#isUnusedFrom(this.#tail)) this.#tail = 0;
  }

  #isUnusedFrom(at: number): boolean {
    return at + headerBytes > this.#bytes.length || this.#words[(at >> 2) + 2] === wrapMark;
  }
}

/** Short copies are faster octet by octet: a view costs an allocation, and that costs more than 100 octets. */
function copy(from: Uint8Array, at: number, to: Uint8Array, target: number, length: number): void {
  if (length > 256) {
    to.set(from.subarray(at, at + length), target);
    return;
  }
  for (let i = 0; i < length; i++) to[target + i] = from[at + i];
}
