/** Search: the network header in a frame of a link type that nobody taught us.
 *
 * In: cursor at a frame. Out: 0 and the cursor at an IPv4 or IPv6 header, or `link_type_unknown`.
 * Invariant: taken is only what proves itself: an IPv4 header by its checksum, an IPv6 header by its next header and
 * addresses in use, and both by a length that ends where the frame does, give or take a trailer; one in a million
 * frames of noise passes. Of Ethernet, radio and tunnel headers before it nothing is read: no MAC, no VLAN.
 * Why not leave the frames to the dissector alone, slow as it is: its facts need a flow to belong to. Most of the two
 * hundred link types carry plain IP behind a header of their own (PKTAP, pflog, IP over InfiniBand, token ring, router
 * vendors'). @module */

import type { Cursor } from "./cursor.ts";
import { afterEtherType } from "./ether.ts";
import { reason } from "./reasons.ts";

/** Octets before the network header: the longest known, pktap's with a process name and Ethernet behind it, has 186. */
const headerBytesMax = 192;
/** Octets behind the packet: padding, a checksum of the link. An IPv6 packet is long enough not to be padded. */
const trailerBytesMax = { ipv4: 32, ipv6: 4 } as const;
/** What may stand behind an IPv6 header: extensions, and the transports and tunnels in use. */
const nextHeaders = new Set([0, 4, 6, 17, 41, 43, 44, 47, 50, 51, 58, 59, 60, 103, 132, 135]);

export function searchNetwork(cursor: Cursor, b: Uint8Array): number {
  const last = Math.min(cursor.offset + headerBytesMax, cursor.limit - 20);
  for (let o = cursor.offset; o <= last; o++) {
    const version = b[o] >> 4;
    const isFound = version === 4 ? isIpv4(cursor, b, o) : version === 6 && isIpv6(cursor, b, o);
    if (!isFound) continue;
    cursor.offset = o;
    return afterEtherType(cursor, b, version === 4 ? 0x0800 : 0x86dd);
  }
  return reason.link_type_unknown;
}

function isIpv4(cursor: Cursor, b: Uint8Array, o: number): boolean {
  const headerBytes = (b[o] & 15) << 2;
  if (headerBytes < 20 || o + headerBytes > cursor.limit) return false;
  const total = b[o + 2] << 8 | b[o + 3];
  if (total < headerBytes || !endsWithFrame(cursor, o + total, trailerBytesMax.ipv4)) return false;
  let sum = 0;
  for (let at = o; at < o + headerBytes; at += 2) sum += b[at] << 8 | b[at + 1];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum === 0xffff;
}

function isIpv6(cursor: Cursor, b: Uint8Array, o: number): boolean {
  return o + 40 <= cursor.limit && nextHeaders.has(b[o + 6]) && isInUse(b, o + 8) &&
    (isInUse(b, o + 24) || b[o + 24] === 0xff) &&
    endsWithFrame(cursor, o + 40 + (b[o + 4] << 8 | b[o + 5]), trailerBytesMax.ipv6);
}

/** Global, unique local or link-local unicast (RFC 4291, RFC 4193),
 * or an address of zeros as far as is worth a look. */
function isInUse(b: Uint8Array, o: number): boolean {
  const first = b[o];
  return first >> 5 === 1 || (first & 0xfe) === 0xfc || (first === 0xfe && b[o + 1] >> 6 === 2) ||
    (first | b[o + 1] | b[o + 2] | b[o + 3]) === 0;
}

function endsWithFrame(cursor: Cursor, end: number, trailerBytes: number): boolean {
  return end <= cursor.wireLimit && end + trailerBytes >= cursor.wireLimit;
}
