/** Names of flows: the fingerprint by which sightings meet, and the id under which a flow is stored.
 *
 * In: network, key, start. Out: 64 bits of fingerprint; 32 hex digits of id: 7 octets of start in microseconds, 8 of fingerprint, 1 of the
 * initial sequence number. Invariant: ids sort by start, and the same batches give the same ids again. @module */

import { createHash } from "node:crypto";

/** The Community ID's first 64 bits, salted by the network. */
export class Fingerprints {
  /** As many as there are sites. */
  #salts = new Map<string, [number, number]>();

  of(network: string, key: Uint8Array): [number, number] {
    let salt = this.#salts.get(network);
    if (!salt) {
      const digest = createHash("sha256").update(network).digest();
      this.#salts.set(network, salt = [digest.readUInt32LE(0), digest.readUInt32LE(4)]);
    }
    const low = key[0] | key[1] << 8 | key[2] << 16 | key[3] << 24;
    const high = key[4] | key[5] << 8 | key[6] << 16 | key[7] << 24;
    return [(low ^ salt[0]) >>> 0, (high ^ salt[1]) >>> 0];
  }
}

/** A fingerprint as one number, for a map that may confuse a few: its first 53 bits. */
export function shortKey(low: number, high: number): number {
  return low * 0x20_0000 + (high >>> 11);
}

/** Tells connections of one port pair apart that began in the same microsecond; 0 = sequence number unknown. */
export function isnOctet(isn: number | null): number {
  return isn === null ? 0 : (isn ^ isn >>> 8 ^ isn >>> 16 ^ isn >>> 24) & 255 | 1;
}

export function flowId(startUs: number, low: number, high: number, octet: number): string {
  return hex(startUs, 14) + hex(high, 8) + hex(low, 8) + hex(octet, 2);
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}
