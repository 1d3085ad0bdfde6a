/** Cursor: where the decoder stands in a frame.
 *
 * Invariant: bytes may be read at offsets below `limit`; `wireLimit` >= `limit` is where the frame ended on the wire.
 * Hot path: one reused object. @module */

import { reason } from "./reasons.ts";

/** Frames inside a frame and inside each of its tunnels, all together. */
const nestedMax = 16;

export class Cursor {
  offset = 0;
  /** End of what was captured. */
  limit = 0;
  /** End of what was sent. */
  wireLimit = 0;
  /** EtherType of what begins at `offset`: 0x0800, 0x86dd or 0x0806. */
  etherType = 0;
  srcMac = -1;
  dstMac = -1;
  vlan = 0;
  vlanInner = 0;
  /** Octets that headers claimed and the wire did not carry, of all frames. */
  claimedBytes = 0;
  /** Frames inside frames so far. */
  #nested = 0;

  /** At the beginning of a frame of `captured` octets, `wire` of them on the wire. */
  begin(offset: number, captured: number, wire: number): void {
    this.offset = offset;
    this.limit = offset + captured;
    this.wireLimit = offset + wire;
    this.srcMac = -1;
    this.dstMac = -1;
    this.vlan = 0;
    this.vlanInner = 0;
    this.#nested = 0;
  }

  /** Whether one more frame may begin inside this one.
   * Without a bound a single packet of nothing but headers would exhaust the stack. */
  nests(): boolean {
    return ++this.#nested <= nestedMax;
  }

  /** What there was on the wire of the `claimed` octets from `offset` on; the rest is only claimed. */
  onWire(claimed: number, offset: number): number {
    const there = Math.max(0, this.wireLimit - offset);
    this.claimedBytes += claimed - there;
    return there;
  }

  /** The reason for stopping when bytes up to `end` are needed and not there. */
  short(end: number): number {
    return end > this.wireLimit ? reason.link_malformed : reason.cut_packet;
  }
}

export const etherTypes = { ipv4: 0x0800, ipv6: 0x86dd, arp: 0x0806 } as const;
