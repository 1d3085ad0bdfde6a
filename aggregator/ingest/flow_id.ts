/** How sightings of a flow meet, and the slot of its id.
 *
 * In: network, digest. Out: 64 bits of fingerprint; from these and the initial sequence number 11 bits, so that the
 * same batches give the same ids again. @module */

import { createHash } from "node:crypto";
import { slots } from "../model/flow_id.ts";

export interface Salt {
  low: number;
  high: number;
}

/** The Community ID's first 64 bits are salted by the network. */
export class Salts {
  /** As many as there are sites. */
  #salts = new Map<string, Salt>();

  of(network: string): Salt {
    let salt = this.#salts.get(network);
    if (!salt) {
      const digest = createHash("sha256").update(network).digest();
      this.#salts.set(network, salt = { low: digest.readUInt32LE(0), high: digest.readUInt32LE(4) });
    }
    return salt;
  }
}

export function lowOf(key: Uint8Array, at: number, salt: Salt): number {
  return ((key[at] | key[at + 1] << 8 | key[at + 2] << 16 | key[at + 3] << 24) ^ salt.low) >>> 0;
}

export function highOf(key: Uint8Array, at: number, salt: Salt): number {
  return ((key[at + 4] | key[at + 5] << 8 | key[at + 6] << 16 | key[at + 7] << 24) ^ salt.high) >>> 0;
}

/** A fingerprint as one number, for a map that may confuse a few: its first 53 bits. */
export function shortKey(low: number, high: number): number {
  return low * 0x20_0000 + (high >>> 11);
}

/** `isn` tells connections of one port pair apart that began in the same microsecond; -1 = unknown. */
export function slotOf(low: number, high: number, isn: number): number {
  const mixed = isn < 0 ? 0 : Math.imul(isn | 1, 0x9e3779b1);
  return (high >>> 21 ^ low >>> 10 ^ mixed >>> 19) & (slots - 1);
}
