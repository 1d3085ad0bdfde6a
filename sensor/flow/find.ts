/** Looks a packet's flow up in the hash chains, whichever of its ends sent the packet.
 *
 * In: the table's memory, the chains, a key and its packet.
 * Out: a place, the flow and the packet's direction in one number.
 * Invariant: no place is negative; {@link none} = no such flow.
 * Hot path: a place costs no allocation and leaves nothing behind. @module */

import type { Packet } from "../decode/packet.ts";
import type { FlowKey } from "./flow_key.ts";
import { strideWords, word } from "./layout.ts";

const { hash, chain, src, dst, ports, meta, vlan } = word;
/** No flow: in a chain, and as a place. */
export const none = -1;

/** A flow and the direction of one of its packets: 0 = from the initiator, 1 = from the responder. */
export function placeOf(flow: number, direction: number): number {
  return flow << 1 | direction;
}

export function flowOf(place: number): number {
  return place >> 1;
}

export function directionOf(place: number): number {
  return place & 1;
}

/** The place of `p`, whose key is `key`. */
export function findPlace(words: Int32Array, heads: Int32Array, key: FlowKey, p: Packet): number {
  const wanted = key.hash;
  const isIpv4 = p.family === 4;
  for (let flow = heads[wanted & heads.length - 1]; flow !== none;) {
    const base = flow * strideWords;
    if (words[base + hash] === wanted && words[base + meta] === key.meta && words[base + vlan] === key.vlan) {
      if (
        words[base + ports] === key.ports && words[base + src] === p.src0 && words[base + dst] === p.dst0 &&
        (isIpv4 || restEquals(words, p, base + src, base + dst))
      ) return placeOf(flow, 0);
      if (
        !key.isOneWay && words[base + ports] === key.reverse && words[base + src] === p.dst0 &&
        words[base + dst] === p.src0 && (isIpv4 || restEquals(words, p, base + dst, base + src))
      ) return placeOf(flow, 1);
    }
    flow = words[base + chain];
  }
  return none;
}

function restEquals(words: Int32Array, p: Packet, from: number, to: number): boolean {
  return words[from + 1] === p.src1 && words[from + 2] === p.src2 && words[from + 3] === p.src3 &&
    words[to + 1] === p.dst1 && words[to + 2] === p.dst2 && words[to + 3] === p.dst3;
}
