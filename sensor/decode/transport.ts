/** Ports, TCP fields and payload bounds of an IP packet.
 *
 * In: a packet with its network fields. Out: its transport fields.
 * Never fails: what was not captured stays 0, the packet counts.
 * Hot path. @module */

import type { Cursor } from "./cursor.ts";
import { isLaterFragment } from "./ip.ts";
import { family, type Packet } from "./packet.ts";

/** Reads the transport header. */
export function transport(p: Packet, cursor: Cursor, b: Uint8Array): void {
  const { limit } = cursor;
  p.srcPort = 0;
  p.dstPort = 0;
  p.tcpFlags = 0;
  // Ethernet padding is captured too, but is no payload.
  const ipEnd = p.ipOffset + p.ipBytes;
  const end = ipEnd < limit ? ipEnd : limit;
  const protocol = p.protocol;
  const o = p.payloadOffset;
  if (!isLaterFragment(p)) {
    if (protocol === 6) tcp(p, b, o, end);
    else if (protocol === 17) udp(p, cursor, b, o, end);
    else if (protocol === 1 || protocol === 58) icmp(p, b, o, end);
    else if (protocol === 132) sctp(p, b, o, end);
  }
  const captured = end - p.payloadOffset;
  p.payloadCaptured = captured < 0 ? 0 : captured < p.payloadLength ? captured : p.payloadLength;
}

function tcp(p: Packet, b: Uint8Array, o: number, end: number): void {
  if (o + 4 > end) return skip(p, p.payloadLength);
  p.srcPort = b[o] << 8 | b[o + 1];
  p.dstPort = b[o + 2] << 8 | b[o + 3];
  if (o + 14 > end) return skip(p, 20);
  p.tcpSeq = b[o + 4] << 24 | b[o + 5] << 16 | b[o + 6] << 8 | b[o + 7];
  p.tcpAck = b[o + 8] << 24 | b[o + 9] << 16 | b[o + 10] << 8 | b[o + 11];
  p.tcpFlags = b[o + 13];
  const header = (b[o + 12] >> 4) << 2;
  // A header length below 20 is nonsense: no octet behind it can be called payload.
  skip(p, header < 20 ? p.payloadLength : header);
}

function udp(p: Packet, cursor: Cursor, b: Uint8Array, o: number, end: number): void {
  if (o + 4 > end) return skip(p, p.payloadLength);
  p.srcPort = b[o] << 8 | b[o + 1];
  p.dstPort = b[o + 2] << 8 | b[o + 3];
  const inIp = p.payloadLength;
  skip(p, 8);
  if (o + 6 > end || p.isFragment) return;
  const length = b[o + 4] << 8 | b[o + 5];
  // Octets of the IP packet behind the datagram are not its payload.
  if (length > inIp) cursor.claimedBytes += Math.max(0, length - inIp - claimedByIp(p, b));
  else if (length >= 8 && length < inIp) p.payloadLength = length - 8;
}

/** Octets that the IP header claimed beyond the wire, which are counted already. */
function claimedByIp(p: Packet, b: Uint8Array): number {
  const o = p.ipOffset;
  const length = p.family === family.ipv4 ? b[o + 2] << 8 | b[o + 3] : 40 + (b[o + 4] << 8 | b[o + 5]);
  return Math.max(0, length - p.ipBytes);
}

function icmp(p: Packet, b: Uint8Array, o: number, end: number): void {
  if (o + 2 <= end) {
    p.srcPort = b[o];
    p.dstPort = b[o + 1];
  }
  skip(p, 8);
}

function sctp(p: Packet, b: Uint8Array, o: number, end: number): void {
  if (o + 4 <= end) {
    p.srcPort = b[o] << 8 | b[o + 1];
    p.dstPort = b[o + 2] << 8 | b[o + 3];
  }
  skip(p, 12);
}

function skip(p: Packet, bytes: number): void {
  const skipped = bytes < p.payloadLength ? bytes : p.payloadLength;
  p.payloadOffset += skipped;
  p.payloadLength -= skipped;
}
