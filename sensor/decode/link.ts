/** Link types: from the first octet of a frame to its network header.
 *
 * In: cursor at a frame, its LINKTYPE number (tcpdump.org/linktypes.html). Out: 0 and the cursor at an IPv4, IPv6 or
 * ARP header, or a reason. Hot path for Ethernet; the other types are rare enough for a call more. @module */

import type { Cursor } from "./cursor.ts";
import { afterEtherType, ethernet, llc, pppoe } from "./ether.ts";
import { ppp } from "./ppp.ts";
import { rareLink } from "./rare_link.ts";
import { rawIp } from "./raw_ip.ts";
import { avs, ppi, prism, radiotap, wlan } from "./wlan.ts";
import { reason } from "./reasons.ts";

/** Steps from the frame's start to its network header. */
export function link(cursor: Cursor, b: Uint8Array, linkType: number): number {
  return linkType === 1 ? ethernet(cursor, b) : otherLink(cursor, b, linkType);
}

function otherLink(cursor: Cursor, b: Uint8Array, linkType: number): number {
  switch (linkType) {
    case 113:
      return linuxCooked(cursor, b);
    case 276:
      return linuxCooked2(cursor, b);
    case 12:
    case 14:
    case 101:
      return rawOrLoopback(cursor, b);
    case 228:
      return afterEtherType(cursor, b, 0x0800);
    case 229:
      return afterEtherType(cursor, b, 0x86dd);
    case 0:
    case 108:
      return loopback(cursor, b);
    case 9:
      return ppp(cursor, b);
    case 50:
      return pppHdlc(cursor, b);
    case 51:
      return pppoe(cursor, b);
    case 104:
      return ciscoHdlc(cursor, b);
    case 205: // behind an octet that tells the direction
      cursor.offset++;
      return ciscoHdlc(cursor, b);
    case 166: // the first octet is the direction in place of 0xff
    case 204:
      return directedPpp(cursor, b, linkType);
    case 105:
      return wlan(cursor, b);
    case 127:
      return radiotap(cursor, b);
    case 119:
      return prism(cursor, b);
    case 163:
      return avs(cursor, b);
    case 192:
      return ppi(cursor, b);
    case 239:
      return nflog(cursor, b);
    case 149: // macOS writes a number that is anybody's
      return isPktap(cursor, b) ? pktap(cursor, b) : rareLink(cursor, b, linkType);
    case 258:
      return pktap(cursor, b);
    default:
      return rareLink(cursor, b, linkType);
  }
}

function linuxCooked(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 16 > cursor.limit) return cursor.short(o + 16);
  if ((b[o + 4] << 8 | b[o + 5]) === 6) cursor.srcMac = o + 6;
  cursor.offset = o + 16;
  return cookedProtocol(cursor, b, b[o + 2] << 8 | b[o + 3], b[o + 14] << 8 | b[o + 15]);
}

function linuxCooked2(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 20 > cursor.limit) return cursor.short(o + 20);
  if (b[o + 11] === 6) cursor.srcMac = o + 12;
  cursor.offset = o + 20;
  return cookedProtocol(cursor, b, b[o + 8] << 8 | b[o + 9], b[o] << 8 | b[o + 1]);
}

/** Below 0x0600 the field holds Linux' own numbers;
 * netlink and radiotap devices put something else there altogether. */
function cookedProtocol(cursor: Cursor, b: Uint8Array, device: number, protocol: number): number {
  if (device === 824) return reason.other_ethertype; // netlink
  if (device === 803) return radiotap(cursor, b);
  if (protocol === 0x0004) return llc(cursor, b);
  if (protocol === 0x0001) return reason.other_ethertype; // Novell raw 802.3
  return protocol < 0x0600 ? reason.other_ethertype : afterEtherType(cursor, b, protocol);
}

/** Files of a BSD may hold its own number for a link type: 12 is raw IP to most, and loopback to OpenBSD.
 * IP begins with its version. */
function rawOrLoopback(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  return o < cursor.limit && b[o] === 0 ? loopback(cursor, b) : rawIp(cursor, b);
}

/** BSD loopback: an address family in the byte order of whichever machine captured, or of the network. */
function loopback(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 4 > cursor.limit) return cursor.short(o + 4);
  const family = b[o] === 0 && b[o + 1] === 0 ? b[o + 2] << 8 | b[o + 3] : b[o + 1] << 8 | b[o];
  cursor.offset = o + 4;
  if (family === 2) return afterEtherType(cursor, b, 0x0800);
  const isIpv6 = family === 24 || family === 28 || family === 30 || family === 10 || family === 23;
  return isIpv6 ? afterEtherType(cursor, b, 0x86dd) : reason.other_ethertype;
}

/** PPP in HDLC-like framing, or Cisco's framing, told apart by the address octet. */
function pppHdlc(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 1 > cursor.limit) return cursor.short(o + 1);
  return b[o] === 0x0f || b[o] === 0x8f ? ciscoHdlc(cursor, b) : ppp(cursor, b);
}

function ciscoHdlc(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 4 > cursor.limit) return cursor.short(o + 4);
  if (b[o] === 0xff && b[o + 1] === 0x03) return ppp(cursor, b);
  const type = b[o + 2] << 8 | b[o + 3];
  cursor.offset = o + 4;
  return type < 0x0600 ? reason.other_ethertype : afterEtherType(cursor, b, type);
}

function directedPpp(cursor: Cursor, b: Uint8Array, linkType: number): number {
  const o = cursor.offset;
  if (o + 2 > cursor.limit) return cursor.short(o + 2);
  cursor.offset = linkType === 166 && b[o + 1] === 0x03 ? o + 2 : o + 1;
  return ppp(cursor, b);
}

/** What macOS writes in front: the header's length, and the link type of what follows, little-endian. */
function pktap(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 12 > cursor.limit) return cursor.short(o + 12);
  const length = b[o] | b[o + 1] << 8 | b[o + 2] << 16;
  const linkType = b[o + 8] | b[o + 9] << 8;
  if (length < 12 || !cursor.nests()) return reason.link_malformed;
  cursor.offset = o + length;
  return link(cursor, b, linkType);
}

/** Whether the header's length, its first kind of record and the link type it names are those of {@link pktap}. */
function isPktap(cursor: Cursor, b: Uint8Array): boolean {
  const o = cursor.offset;
  if (o + 12 > cursor.limit) return false;
  const length = b[o] | b[o + 1] << 8 | b[o + 2] << 16 | b[o + 3] << 24;
  const isPacket = b[o + 4] === 1 && (b[o + 5] | b[o + 6] | b[o + 7]) === 0;
  return length >= 108 && o + length <= cursor.limit && isPacket && (b[o + 10] | b[o + 11]) === 0;
}

const nflogPayload = 9;
const nflogAttributesMax = 64;

/** Netfilter's log: attributes in the byte order of the machine that captured; one of them is the packet. */
function nflog(cursor: Cursor, b: Uint8Array): number {
  const start = cursor.offset;
  if (start + 8 > cursor.limit) return cursor.short(start + 8);
  const isIpv6 = b[start] === 10 || b[start] === 30;
  let o = start + 4;
  for (let count = 0; count < nflogAttributesMax && o + 4 <= cursor.limit; count++) {
    // No attribute is longer than 64 KiB minus its header, and most are short: the smaller reading is the right one.
    const isLittle = (b[o + 2] | b[o + 3] << 8) <= (b[o + 3] | b[o + 2] << 8);
    const length = isLittle ? b[o] | b[o + 1] << 8 : b[o] << 8 | b[o + 1];
    const type = (isLittle ? b[o + 2] : b[o + 3]) & 0x7f;
    if (length < 4) return reason.link_malformed;
    if (type === nflogPayload) {
      cursor.offset = o + 4;
      if (o + length < cursor.wireLimit) cursor.wireLimit = o + length;
      if (cursor.limit > cursor.wireLimit) cursor.limit = cursor.wireLimit;
      return isIpv6 ? afterEtherType(cursor, b, 0x86dd) : rawIp(cursor, b);
    }
    o += (length + 3) & ~3;
  }
  return reason.link_malformed;
}
