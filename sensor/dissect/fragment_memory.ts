/** Remembers of datagrams in fragments whether their first one was chosen.
 *
 * In: first fragments, and others that follow. Out: what was decided of the first, null = not known.
 * Invariant: one answer for each of {@link fragmentsMax} places; a datagram that shares a place takes it over.
 * @module */

import type { Packet } from "../decode/packet.ts";

/** A power of two. */
const fragmentsMax = 4_096;

export class FragmentMemory {
  /** By place a hash, an even number, and in its lowest bit the answer. */
  readonly #known = new Int32Array(fragmentsMax);

  keep(packet: Packet, chosen: boolean): void {
    const hash = hashOf(packet);
    this.#known[placeOf(hash)] = chosen ? hash | 1 : hash;
  }

  find(packet: Packet): boolean | null {
    const hash = hashOf(packet);
    const known = this.#known[placeOf(hash)];
    return (known & ~1) === hash ? (known & 1) === 1 : null;
  }
}

function placeOf(hash: number): number {
  return hash >>> 1 & (fragmentsMax - 1);
}

/** An even number for the datagram a fragment belongs to. */
function hashOf(packet: Packet): number {
  let hash = Math.imul(packet.fragmentId ^ packet.protocol << 16, 0x9e3779b1);
  hash = Math.imul(hash ^ packet.src0 ^ packet.src3, 0x85ebca6b);
  hash = Math.imul(hash ^ hash >>> 15 ^ packet.dst0 ^ packet.dst3, 0xc2b2ae35);
  return (hash ^ hash >>> 13) & ~1;
}
