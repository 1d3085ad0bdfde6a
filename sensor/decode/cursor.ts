/** Cursor: where the decoder stands in a frame.
 *
 * Invariant: bytes may be read at offsets below `limit`; `wireLimit` >= `limit` is where the frame ended on the wire.
 * Hot path: one reused object. @module */

import { reason } from "./reasons.ts";

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

  /** The reason for stopping when bytes up to `end` are needed and not there. */
  short(end: number): number {
    return end > this.wireLimit ? reason.link_malformed : reason.cut_packet;
  }
}

export const etherTypes = { ipv4: 0x0800, ipv6: 0x86dd, arp: 0x0806 } as const;
