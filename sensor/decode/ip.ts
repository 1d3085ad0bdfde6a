/** IPv4, IPv6 and ARP headers into a {@link Packet}.
 *
 * In: cursor at a network header. Out: 0 and the packet's network fields, or a reason.
 * Invariant: lengths come from headers, so that padding never counts, but are never more than was on the wire: what a
 * header claims beyond that is added to `claimedBytes` of the cursor. What was captured of a frame changes no count.
 * A packet in the first fragment of a tunnel may reach into the next one, see tunnel.ts.
 * Hot path. @module */

import { arpProtocol } from "../../shared/protocols.ts";
import { arpKinds } from "../../shared/segment.ts";
import type { Cursor } from "./cursor.ts";
import { family, type Packet } from "./packet.ts";
import { reason } from "./reasons.ts";

const extensionsMax = 16;

/** IPv4 header. */
export function ipv4(p: Packet, cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 20 > cursor.limit) return o + 20 > cursor.wireLimit ? reason.ip_malformed : reason.cut_packet;
  const headerBytes = (b[o] & 15) << 2;
  if (b[o] >> 4 !== 4 || headerBytes < 20) return reason.ip_malformed;
  let total = b[o + 2] << 8 | b[o + 3];
  if (total < headerBytes) {
    // Segmentation offload hands packets over 64 KiB, or not yet cut, with a length of 0.
    if (total !== 0) return reason.ip_malformed;
    total = cursor.wireLimit - o;
    if (total < headerBytes) return reason.ip_malformed;
  }
  if (total > cursor.wireLimit - o) total = cursor.onWire(total, o);
  p.family = family.ipv4;
  p.ipOffset = o;
  p.ipBytes = total;
  p.ttl = b[o + 8];
  p.protocol = b[o + 9];
  p.src0 = b[o + 12] << 24 | b[o + 13] << 16 | b[o + 14] << 8 | b[o + 15];
  p.dst0 = b[o + 16] << 24 | b[o + 17] << 16 | b[o + 18] << 8 | b[o + 19];
  p.src1 =
    p.src2 =
    p.src3 =
    p.dst1 =
    p.dst2 =
    p.dst3 =
      0;
  const fragment = b[o + 6] << 8 | b[o + 7];
  if ((fragment & 0x3fff) === 0) p.isFragment = false;
  else {
    p.isFragment = true;
    p.fragmentOffset = (fragment & 0x1fff) << 3;
    p.fragmentId = b[o + 4] << 8 | b[o + 5];
  }
  p.payloadOffset = o + headerBytes;
  p.payloadLength = total < headerBytes ? 0 : total - headerBytes;
  if (p.protocol === 51) authentication(p, cursor, b);
  return 0;
}

/** Steps over authentication headers in IPv4, as IPv6 does over all its extensions. */
function authentication(p: Packet, cursor: Cursor, b: Uint8Array): void {
  const o = p.payloadOffset;
  if (isLaterFragment(p) || o + 8 > cursor.limit) return;
  const bytes = (b[o + 1] + 2) << 2;
  if (bytes > p.payloadLength) return;
  p.protocol = b[o];
  p.payloadOffset += bytes;
  p.payloadLength -= bytes;
}

/** IPv6 header and its extension headers. */
export function ipv6(p: Packet, cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 40 > cursor.limit) return o + 40 > cursor.wireLimit ? reason.ip_malformed : reason.cut_packet;
  if (b[o] >> 4 !== 6) return reason.ip_malformed;
  let length = b[o + 4] << 8 | b[o + 5];
  if (length > cursor.wireLimit - o - 40) length = cursor.onWire(length, o + 40);
  p.family = family.ipv6;
  p.ipOffset = o;
  p.ttl = b[o + 7];
  p.protocol = b[o + 6];
  p.src0 = b[o + 8] << 24 | b[o + 9] << 16 | b[o + 10] << 8 | b[o + 11];
  p.src1 = b[o + 12] << 24 | b[o + 13] << 16 | b[o + 14] << 8 | b[o + 15];
  p.src2 = b[o + 16] << 24 | b[o + 17] << 16 | b[o + 18] << 8 | b[o + 19];
  p.src3 = b[o + 20] << 24 | b[o + 21] << 16 | b[o + 22] << 8 | b[o + 23];
  p.dst0 = b[o + 24] << 24 | b[o + 25] << 16 | b[o + 26] << 8 | b[o + 27];
  p.dst1 = b[o + 28] << 24 | b[o + 29] << 16 | b[o + 30] << 8 | b[o + 31];
  p.dst2 = b[o + 32] << 24 | b[o + 33] << 16 | b[o + 34] << 8 | b[o + 35];
  p.dst3 = b[o + 36] << 24 | b[o + 37] << 16 | b[o + 38] << 8 | b[o + 39];
  p.isFragment = false;
  p.payloadOffset = o + 40;
  p.payloadLength = length;
  // Segmentation offload again; a packet with nothing in it says so by its protocol (59) or has only options.
  if (length === 0 && p.protocol !== 59 && p.protocol !== 0) p.payloadLength = cursor.wireLimit - o - 40;
  p.ipBytes = p.payloadLength + 40;
  if (isExtension(p.protocol)) extensions(p, cursor, b);
  return 0;
}

function isExtension(protocol: number): boolean {
  return protocol === 0 || protocol === 43 || protocol === 44 || protocol === 60 || protocol === 51 ||
    protocol === 135 || protocol === 139 || protocol === 140;
}

/** Walks the extension headers; where it cannot go on, the packet keeps that header's number as its protocol. */
function extensions(p: Packet, cursor: Cursor, b: Uint8Array): void {
  for (let count = 0; count < extensionsMax && isExtension(p.protocol); count++) {
    const o = p.payloadOffset;
    if (o + 8 > cursor.limit) return;
    if (p.protocol === 0 && p.payloadLength === 0) jumbo(p, cursor, b, o);
    let bytes = (b[o + 1] + 1) << 3;
    if (p.protocol === 51) bytes = (b[o + 1] + 2) << 2;
    else if (p.protocol === 44) bytes = 8;
    if (bytes > p.payloadLength) return;
    if (p.protocol === 135 && b[o] === 59) return; // a mobility message: nothing behind it
    const isFragmentHeader = p.protocol === 44;
    p.protocol = b[o];
    p.payloadOffset = o + bytes;
    p.payloadLength -= bytes;
    if (isFragmentHeader) {
      const fragment = b[o + 2] << 8 | b[o + 3];
      // An "atomic" fragment (offset 0, nothing follows) is a whole datagram.
      if ((fragment & 0xfff9) === 0) continue;
      p.isFragment = true;
      p.fragmentOffset = fragment & 0xfff8;
      p.fragmentId = b[o + 4] << 24 | b[o + 5] << 16 | b[o + 6] << 8 | b[o + 7];
      if (p.fragmentOffset > 0) return;
    }
  }
}

/** Jumbo payload option: the length of a packet whose length field is 0. */
function jumbo(p: Packet, cursor: Cursor, b: Uint8Array, o: number): void {
  const end = Math.min(cursor.limit, o + ((b[o + 1] + 1) << 3));
  for (let at = o + 2; at + 1 < end;) {
    if (b[at] === 0) at++;
    else if (b[at] === 0xc2 && b[at + 1] === 4 && at + 6 <= end) {
      const length = (b[at + 2] << 24 | b[at + 3] << 16 | b[at + 4] << 8 | b[at + 5]) >>> 0;
      const first = p.ipOffset + 40;
      p.payloadLength = length > cursor.wireLimit - first ? cursor.onWire(length, first) : length;
      p.ipBytes = p.payloadLength + 40;
      return;
    } else at += 2 + b[at + 1];
  }
}

/** ARP for IPv4 over Ethernet: sender, and target address; the operation and its kind in place of ports. */
export function arp(p: Packet, cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 28 > cursor.limit) return o + 28 > cursor.wireLimit ? reason.arp_malformed : reason.cut_packet;
  if ((b[o + 2] << 8 | b[o + 3]) !== 0x0800 || b[o + 4] !== 6 || b[o + 5] !== 4) return reason.arp_malformed;
  p.family = family.arp;
  p.protocol = arpProtocol;
  p.ipOffset = o;
  p.ipBytes = 28;
  p.ttl = 0;
  p.src0 = b[o + 14] << 24 | b[o + 15] << 16 | b[o + 16] << 8 | b[o + 17];
  p.dst0 = b[o + 24] << 24 | b[o + 25] << 16 | b[o + 26] << 8 | b[o + 27];
  // The sender's MAC is part of the flow's key: two senders that claim one address are two flows.
  p.src1 = b[o + 8] << 8 | b[o + 9];
  p.src2 = b[o + 10] << 24 | b[o + 11] << 16 | b[o + 12] << 8 | b[o + 13];
  p.src3 =
    p.dst1 =
    p.dst2 =
    p.dst3 =
      0;
  p.srcPort = b[o + 6] << 8 | b[o + 7];
  p.dstPort = p.src0 === 0 ? arpKinds.probe : p.src0 === p.dst0 ? arpKinds.announcement : arpKinds.ordinary;
  p.srcMacOffset = o + 8;
  p.isFragment = false;
  p.tcpFlags = 0;
  p.payloadOffset = o + 28;
  p.payloadLength = p.payloadCaptured = 0;
  return 0;
}

/** Whether the packet is a fragment without a transport header. */
export function isLaterFragment(p: Packet): boolean {
  return p.isFragment && p.fragmentOffset > 0;
}
