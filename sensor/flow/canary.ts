/** Tells canaries from traffic.
 *
 * In: the headers of a packet. Out: whether it is a canary, of this sensor or of another on the same link.
 * Why by its group alone: who forges one gains a flow that ends early and a packet that does not count as life on the
 * wire, of a datagram that no router passes on. @module */

import { canaryGroup4, canaryGroup6, canaryPort } from "../../shared/canary.ts";
import { parseIp } from "../../shared/ip.ts";
import type { Packet } from "../decode/packet.ts";

const udp = 17;
const group4 = wordsOf(canaryGroup4)[0];
const group6 = wordsOf(canaryGroup6);

/** Hot path: nearly every packet is told by its port. */
export function isCanary(packet: Packet): boolean {
  if (packet.dstPort !== canaryPort || packet.protocol !== udp) return false;
  if (packet.family === 4) return packet.dst0 === group4;
  return packet.dst0 === group6[0] && packet.dst1 === group6[1] && packet.dst2 === group6[2] &&
    packet.dst3 === group6[3];
}

function wordsOf(address: string): number[] {
  const view = new DataView(parseIp(address)!.buffer);
  return Array.from({ length: view.byteLength / 4 }, (_, i) => view.getInt32(4 * i));
}
