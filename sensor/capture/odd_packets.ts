/** Odd packets: those whose stamp is no time, or whose length is none that a frame can have.
 *
 * In: packets as the capture has them.
 * Out: the same with a stamp and a length that can be counted, to the handler, in their order.
 * Rule: a packet without a time takes that of the packet before it;
 * before the first time it is kept, and takes that one.
 * Invariant: each is handed on once, at the latest by `finish`, with stamp 0 where no time ever comes.
 * Bound: {@link keptBytesMax} octets kept;
 * when they are full, what is kept gets stamp 0, and so does what follows without a time. @module */

import { isTimeUs, type PacketHandler, timeUsMax, wireBytesMax } from "./capture_error.ts";

const keptBytesMax = 8 * 1024 * 1024;
/** Octets that a packet costs beside its own. */
const entryBytes = 64;

interface Kept {
  frame: Uint8Array;
  wireLength: number;
  linkType: number;
}

export class OddPackets {
  /** Packets whose stamp was no time. */
  stampsRefused = 0;
  /** Octets that frames claimed beyond what any may have. */
  claimedBytes = 0;
  /** Largest stamp that is not odd; -1 until the first time is known. */
  #stampUsMax = -1;
  #kept: Kept[] = [];
  #keptBytes = 0;
  #handler: PacketHandler;

  constructor(handler: PacketHandler) {
    this.#handler = handler;
  }

  /** Hot path: one packet of a capture is odd, its first. */
  isOdd(timeUs: number, wireLength: number): boolean {
    return !(timeUs >= 0 && timeUs <= this.#stampUsMax) || wireLength > wireBytesMax;
  }

  /** Takes an odd packet; the one before it had the stamp `lastUs`. */
  take(
    buffer: Uint8Array,
    offset: number,
    capturedLength: number,
    wireLength: number,
    timeUs: number,
    linkType: number,
    lastUs: number,
  ): void {
    const wire = Math.min(wireLength, wireBytesMax);
    this.claimedBytes += wireLength - wire;
    const isTime = isTimeUs(timeUs);
    if (isTime && this.#stampUsMax < 0) this.#release(timeUs);
    if (!isTime && !Number.isNaN(timeUs)) this.stampsRefused++;
    if (isTime || this.#stampUsMax >= 0) {
      return this.#handler.packet(buffer, offset, capturedLength, wire, isTime ? timeUs : lastUs, linkType);
    }
    const frame = buffer.slice(offset, offset + capturedLength);
    this.#kept.push({ frame, wireLength: wire, linkType });
    this.#keptBytes += capturedLength + entryBytes;
    if (this.#keptBytes > keptBytesMax) this.#release(0);
  }

  /** No more packets. */
  finish(): void {
    if (this.#stampUsMax < 0) this.#release(0);
  }

  #release(timeUs: number): void {
    this.#stampUsMax = timeUsMax;
    const kept = this.#kept;
    this.#kept = [];
    for (const { frame, wireLength, linkType } of kept) {
      this.#handler.packet(frame, 0, frame.length, wireLength, timeUs, linkType);
    }
  }
}
