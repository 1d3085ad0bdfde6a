/** Decoder: one frame to its network headers, outermost first.
 *
 * In: a frame in a buffer, its link type.
 * Out: 0 and `layers[0 .. layerCount)`, or the reason why there is not even one layer.
 * Invariant: reads only `[offset, offset + capturedLength)`; a fault inside a tunnel leaves the outer layers standing,
 * see `innerFault`.
 * Hot path: everything is reused; the caller must be done with the layers before the next frame. @module */

import { Cursor, etherTypes } from "./cursor.ts";
import { arp, ipv4, ipv6, isLaterFragment } from "./ip.ts";
import { link } from "./link.ts";
import { Packet } from "./packet.ts";
import { innerFault, reason } from "./reasons.ts";
import { transport } from "./transport.ts";
import { enterTunnel, notIp, noTunnel } from "./tunnel.ts";

/** Network headers in one frame; deeper ones are counted as `inner_too_deep`. */
export const layersMax = 6;

export class Decoder {
  readonly layers: readonly Packet[] = Array.from({ length: layersMax }, () => new Packet());
  layerCount = 0;
  /** One of {@link innerFault}: what stopped the walk into a tunnel. */
  innerFault: number = innerFault.none;
  #cursor = new Cursor();

  /** Octets that headers claimed beyond what was on the wire, of all frames so far. */
  get claimedBytes(): number {
    return this.#cursor.claimedBytes;
  }

  /** Decodes one frame. */
  decode(
    b: Uint8Array,
    offset: number,
    capturedLength: number,
    wireLength: number,
    linkType: number,
  ): number {
    const cursor = this.#cursor;
    cursor.begin(offset, capturedLength, wireLength);
    this.layerCount = 0;
    this.innerFault = innerFault.none;
    const stopped = link(cursor, b, linkType);
    if (stopped !== 0) return stopped;
    const first = this.layers[0];
    const failed = network(first, cursor, b, 0);
    if (failed !== 0) return failed;
    this.layerCount = 1;
    if (first.protocol !== 6) this.#enter(b);
    return 0;
  }

  #enter(b: Uint8Array): void {
    const cursor = this.#cursor;
    let outer = this.layers[0];
    while (!isLaterFragment(outer) && outer.family !== 1) {
      const entered = enterTunnel(outer, cursor, b);
      if (entered === noTunnel || entered === notIp) return;
      if (entered < 0) return this.#fault(-entered);
      if (this.layerCount >= layersMax) {
        this.innerFault = innerFault.tooDeep;
        return;
      }
      const inner = this.layers[this.layerCount];
      inner.depth = this.layerCount + 1;
      const failed = network(inner, cursor, b, entered);
      if (failed !== 0) return this.#fault(failed);
      this.layerCount++;
      outer = inner;
    }
  }

  #fault(stopped: number): void {
    this.innerFault = stopped === reason.cut_packet ? innerFault.cut : innerFault.malformed;
  }
}

/** Fills `p` from the network header at the cursor. */
function network(p: Packet, cursor: Cursor, b: Uint8Array, tunnel: number): number {
  p.tunnel = tunnel;
  p.vlan = cursor.vlan;
  p.vlanInner = cursor.vlanInner;
  p.srcMacOffset = cursor.srcMac;
  p.dstMacOffset = cursor.dstMac;
  const type = cursor.etherType;
  if (type === etherTypes.arp) return arp(p, cursor, b);
  // The version is believed over the type in front of it, as Wireshark does.
  const isIpv6 = type === etherTypes.ipv6 || (cursor.offset < cursor.limit && b[cursor.offset] >> 4 === 6);
  const failed = isIpv6 ? ipv6(p, cursor, b) : ipv4(p, cursor, b);
  if (failed !== 0) return failed;
  transport(p, cursor, b);
  return 0;
}
