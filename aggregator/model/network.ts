/** A range of addresses: a single one, or those with a common prefix.
 *
 * In: an address in any spelling, or CIDR. Out: its first and last address as octets.
 * Invariant: both ends have the same length, 4 or 16: IPv4 and IPv6 never mix. Octets behind the prefix are ignored.
 * @module */

import { formatIp, parseIp } from "../../shared/ip.ts";

export interface Network {
  low: Uint8Array;
  high: Uint8Array;
  isOne: boolean;
}

/** Null when `text` is neither an address nor CIDR. */
export function readNetwork(text: string): Network | null {
  const [, bracketed, bare, prefix] = /^(?:\[([^\]/]+)\]|([^\][/]+))(?:\/([0-9]{1,3}))?$/.exec(text.trim()) ??
    [];
  const octets = parseIp(bracketed ?? bare ?? "");
  if (octets === null || (bracketed !== undefined && octets.length !== 16)) return null;
  const bits = prefix === undefined ? octets.length * 8 : Number(prefix);
  if (bits > octets.length * 8) return null;
  const low = octets.slice(), high = octets.slice();
  for (let i = 0; i < octets.length; i++) {
    const hostBits = Math.min(8, Math.max(0, (i + 1) * 8 - bits));
    const mask = (1 << hostBits) - 1;
    low[i] &= ~mask;
    high[i] |= mask;
  }
  return { low, high, isOne: bits === octets.length * 8 };
}

/** Whether `octets` lie in it. */
export function isWithin({ low, high }: Network, octets: Uint8Array): boolean {
  return octets.length === low.length && compare(low, octets) <= 0 && compare(octets, high) <= 0;
}

/** The address as the store and every answer write it, when it is exactly one. */
export function onlyAddress(text: string): string | null {
  const network = readNetwork(text);
  return network?.isOne ? formatIp(network.low) : null;
}

function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return 0;
}
