/** Link types that are seldom met: old networks, and what other systems write in front of a frame.
 *
 * In: cursor at the frame. Out: 0 and the cursor at a network header, or a reason.
 * A link type that stands nowhere is searched.
 * Why it matters that they are known: a search finds IP, but neither MAC addresses nor tags. @module */

import type { Cursor } from "./cursor.ts";
import { afterEtherType, ethernet, llc, mpls } from "./ether.ts";
import { ppp } from "./ppp.ts";
import { rawIp } from "./raw_ip.ts";
import { reason } from "./reasons.ts";
import { searchNetwork } from "./search.ts";

/** Steps from the frame's start to its network header. */
export function rareLink(cursor: Cursor, b: Uint8Array, linkType: number): number {
  switch (linkType) {
    case 6:
      return tokenRing(cursor, b);
    case 10:
      return fddi(cursor, b);
    case 11: // ATM, RFC 1483 with LLC
    case 100:
      return llc(cursor, b);
    case 107:
      return frameRelay(cursor, b);
    case 206: // behind an octet that tells the direction
      cursor.offset++;
      return frameRelay(cursor, b);
    case 109: // enc: what a BSD's IPsec sees inside
      cursor.offset += 12;
      return rawIp(cursor, b);
    case 13: // OpenBSD's number for it; SLIP of a BSD/OS else
      return encOrElse(cursor, b);
    case 17: // OpenBSD's number, before the log had one for all
    case 117:
      return packetFilterLog(cursor, b);
    case 123:
      return sunAtm(cursor, b);
    case 138: // IP over FireWire
      return typeAt(cursor, b, 16, 18);
    case 197:
      return erf(cursor, b);
    case 219:
      return mpls(cursor, b);
    case 242: // IP over InfiniBand
      return typeAt(cursor, b, 40, 44);
    default:
      return searchNetwork(cursor, b);
  }
}

/** An EtherType `type` octets from here, and the network header `header` octets from here. */
function typeAt(cursor: Cursor, b: Uint8Array, type: number, header: number): number {
  const o = cursor.offset;
  if (o + header > cursor.limit) return cursor.short(o + header);
  cursor.offset = o + header;
  return afterEtherType(cursor, b, b[o + type] << 8 | b[o + type + 1]);
}

function tokenRing(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 15 > cursor.limit) return cursor.short(o + 15);
  if ((b[o + 1] & 0xc0) !== 0x40) return reason.other_ethertype; // the ring's own
  cursor.dstMac = o + 2;
  cursor.srcMac = o + 8;
  // The first bit of the sender's address announces the bridges on the way.
  cursor.offset = o + 14 + ((b[o + 8] & 0x80) !== 0 ? b[o + 14] & 0x1f : 0);
  return llc(cursor, b);
}

function fddi(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 13 > cursor.limit) return cursor.short(o + 13);
  if ((b[o] & 0x70) !== 0x50) return reason.other_ethertype; // station management, tokens
  cursor.dstMac = o + 1;
  cursor.srcMac = o + 7;
  cursor.offset = o + 13;
  return llc(cursor, b);
}

/** Q.922 address, then a network layer identifier (RFC 2427), or an EtherType as Cisco does. */
function frameRelay(cursor: Cursor, b: Uint8Array): number {
  let o = cursor.offset;
  if (o + 8 > cursor.limit) return cursor.short(o + 8);
  // The lowest bit marks the last octet of the address.
  for (const last = o + 3; o < last && (b[o] & 1) === 0;) o++;
  o++;
  if (b[o] !== 0x03) {
    cursor.offset = o + 2;
    return afterEtherType(cursor, b, b[o] << 8 | b[o + 1]);
  }
  o += b[o + 1] === 0 ? 2 : 1; // filled up to an even length
  if (o + 6 > cursor.limit) return cursor.short(o + 6);
  cursor.offset = o + 1;
  switch (b[o]) {
    case 0xcc:
    case 0x8e:
      return rawIp(cursor, b);
    case 0xcf:
      return ppp(cursor, b);
    case 0x80: // SNAP
      cursor.offset = o + 6;
      return afterEtherType(cursor, b, b[o + 4] << 8 | b[o + 5]);
    default:
      return reason.other_ethertype;
  }
}

/** A BSD's packet filter: the first octet is the header's length before it is filled up to whole words. */
function packetFilterLog(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 1 > cursor.limit) return cursor.short(o + 1);
  if (b[o] < 45) return reason.link_malformed;
  cursor.offset = o + ((b[o] + 3) & ~3);
  return rawIp(cursor, b);
}

/** What OpenBSD's IPsec sees inside: a protocol family, then an index and flags, twelve octets in all. */
function encOrElse(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  const hasFamily = o + 13 <= cursor.limit && (b[o] | b[o + 1] | b[o + 2] | b[o + 3]) <= 30;
  const version = hasFamily ? b[o + 12] >> 4 : 0;
  if (version !== 4 && version !== 6) return searchNetwork(cursor, b);
  cursor.offset = o + 12;
  return rawIp(cursor, b);
}

/** Two octets tell the traffic and the path, two the circuit. */
function sunAtm(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 4 > cursor.limit) return cursor.short(o + 4);
  const traffic = b[o] & 15;
  cursor.offset = o + (traffic === 1 ? 6 : 4);
  if (traffic === 1) return ethernet(cursor, b); // LAN emulation, with the client's number in front
  return traffic === 2 ? llc(cursor, b) : reason.other_ethertype;
}

/** Extensible record format of capture cards: 16 octets,
 * then extensions of 8 as long as their highest bit announces one more. */
function erf(cursor: Cursor, b: Uint8Array): number {
  let o = cursor.offset + 16;
  if (o + 2 > cursor.limit) return cursor.short(o + 2);
  const type = b[cursor.offset + 8] & 0x7f;
  for (let hasMore = (b[cursor.offset + 8] & 0x80) !== 0; hasMore; o += 8) {
    if (o + 8 > cursor.limit) return cursor.short(o + 8);
    hasMore = (b[o] & 0x80) !== 0;
  }
  // Ethernet, alone or with a colour, stands behind two octets of its own; others are few.
  const isEthernet = type === 2 || type === 11 || type === 16;
  cursor.offset = o + (isEthernet ? 2 : 0);
  return isEthernet ? ethernet(cursor, b) : searchNetwork(cursor, b);
}
