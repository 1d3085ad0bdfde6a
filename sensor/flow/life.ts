/** When the wire last showed life, as packets go by.
 *
 * In: packets that are no canaries, each with its headers where they could be read. Out: the latest stamps.
 * Why unicast by itself: a port of a switch that mirrors nothing carries what goes to everybody, and nothing else; a
 * capture on it looks alive. Where the link gives no addresses, as a tunnel's, every packet counts as unicast.
 * Hot path: two comparisons a packet. @module */

import type { Packet } from "../decode/packet.ts";

export class Life {
  /** 0 = none yet. */
  trafficUs = 0;
  unicastUs = 0;

  /** `packet` null = nothing is known of its headers. */
  note(packet: Packet | null, bytes: Uint8Array, timeUs: number): void {
    if (timeUs > this.trafficUs) this.trafficUs = timeUs;
    if (packet === null || timeUs <= this.unicastUs) return;
    const at = packet.dstMacOffset;
    if (at < 0 || (bytes[at] & 1) === 0) this.unicastUs = timeUs;
  }
}
