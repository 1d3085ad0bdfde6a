/** Direction: who began a flow, as far as its first packet tells.
 *
 * In: a packet that begins a flow here. Out: one of {@link side}, "unknown" when nothing in it tells.
 * Order: SYN or ICMP type; what the protocol says (DNS, TLS, HTTP, QUIC, DHCP, NTP, STUN); for the table to ask in
 * between, the direction an ended flow had; last the ports, a service's against an ephemeral one.
 * Invariant: reads only captured payload; nobody behind a multicast or broadcast address begins anything.
 * Why: after a silence, a restart or an eviction the packet seen first is as often the server's as the client's.
 * Not on the hot path: asked once a flow, and for the first payloads of a flow whose direction is a guess. @module */

import { family, type Packet } from "../decode/packet.ts";
import { isLaterFragment } from "../decode/ip.ts";

/** Whose packet this is. */
export const side = { unknown: 0, initiator: 1, responder: 2 } as const;
const { unknown, initiator, responder } = side;

const tcp = 6, udp = 17, icmp = 1, icmp6 = 58;

/** ICMP types that ask, and those that answer; for ICMPv6 from 256 on. Others are one-way. */
const icmpSides = new Uint8Array(512);
for (const type of [8, 13, 15, 10, 17]) icmpSides[type] = initiator;
for (const type of [0, 14, 16, 9, 18]) icmpSides[type] = responder;
for (const type of [128, 133, 135, 130, 139, 144]) icmpSides[256 + type] = initiator;
for (const type of [129, 134, 136, 131, 140, 145]) icmpSides[256 + type] = responder;

/** What a port stands for: a client (0), a registered service or a client of old, a well-known service. */
const client = 0, registered = 1, wellKnown = 2;
/** Where Linux begins with ports for clients. */
const ephemeralMin = 32_768;
const services =
  `1080 1194 1352 1433 1434 1521 1645 1646 1701 1723 1812 1813 1883 1900 1935 2049 2082 2083 2181 2222
  2375 2376 2379 2380 2404 3000 3128 3268 3269 3306 3389 3478 4369 4433 4444 4500 4789 4840 5000 5044 5060 5061 5201 5222 5269 5353
  5355 5432 5555 5601 5671 5672 5683 5684 5900 5901 5938 5984 5985 5986 6081 6379 6443 6514 6667 6697 7000 7001 7687 8000 8008 8009
  8080 8081 8086 8088 8123 8140 8200 8291 8333 8443 8500 8554 8728 8834 8883 8888 9000 9042 9090 9091 9092 9093 9100 9200 9300 9418
  9443 9999 10000 10050 10051 10250 11211 15672 19132 20000 25565 25575 27015 27017 32400 44818 47808 51820`
    .split(/\s+/).map(Number);
/** One bit a port, as a table of all classes would not stay in the cache nearest to the core. */
const isService = new Int32Array(65_536 / 32);
for (const port of services) isService[port >> 5] |= 1 << (port & 31);

function portClass(port: number): number {
  if (port < 1_024) return port > 0 ? wellKnown : client;
  const isListed = (isService[port >> 5] >>> (port & 31) & 1) !== 0;
  if (port < ephemeralMin) return isListed ? wellKnown : registered;
  // Those above 32,768 are services often enough, but clients far more often.
  return isListed ? registered : client;
}

/** Whose packet this is, by its own octets. */
export function senderOf(p: Packet, bytes: Uint8Array): number {
  if (p.protocol === tcp) {
    const syn = p.tcpFlags & 0x12;
    if (syn === 0x02) return initiator;
    if (syn === 0x12) return responder;
    return p.payloadCaptured >= 6 && !isLaterFragment(p) ? senderByStream(p, bytes) : unknown;
  }
  if (isToMany(p)) return initiator;
  if (p.protocol === udp) {
    return p.payloadCaptured >= 4 && !isLaterFragment(p) ? senderByDatagram(p, bytes) : unknown;
  }
  if (p.protocol === icmp || p.protocol === icmp6) {
    return icmpSides[(p.protocol === icmp6 ? 256 : 0) + (p.srcPort & 255)];
  }
  return unknown;
}

/** To a multicast address, or to 255.255.255.255. */
function isToMany(p: Packet): boolean {
  if (p.family === family.ipv4) return p.dst0 >>> 28 >= 14;
  return p.family === family.ipv6 && p.dst0 >>> 24 === 255;
}

/** By the ports alone; of one service against another, or of two clients, nothing can be said. A datagram from a
 * service's port is an answer only to a port that is a client's:
 * whoever scans from port 53 is not to hide behind those scanned. */
export function senderByPorts(protocol: number, srcPort: number, dstPort: number): number {
  if (protocol !== tcp && protocol !== udp) return unknown;
  const src = portClass(srcPort), dst = portClass(dstPort);
  if (src === dst || (src !== wellKnown && dst !== wellKnown)) return unknown;
  if (src < dst) return initiator;
  return protocol === udp && dst === registered ? unknown : responder;
}

/** Windows gives the first of its dynamic ports, 49152 and up, to services,
 * which start before any client does (RPC). */
const windowsServicesMin = 49_152, windowsServicesMax = 49_919;

/** A registered port against an ephemeral one: better than nothing where a connection is joined in its middle. */
export function guessByPorts(protocol: number, srcPort: number, dstPort: number): number {
  if (protocol !== tcp) return unknown;
  const src = portClass(srcPort), dst = portClass(dstPort);
  if (src === dst) {
    const isSrc = isWindowsService(srcPort);
    if (isSrc === isWindowsService(dstPort) || Math.min(srcPort, dstPort) < windowsServicesMin) {
      return unknown;
    }
    return isSrc ? responder : initiator;
  }
  return src > dst ? responder : initiator;
}

function isWindowsService(port: number): boolean {
  return port >= windowsServicesMin && port <= windowsServicesMax;
}

/** TCP payload of six octets or more. */
function senderByStream(p: Packet, b: Uint8Array): number {
  const at = p.payloadOffset, first = b[at];
  if (first === 22 && b[at + 1] === 3 && b[at + 2] <= 4) {
    return p.payloadCaptured >= 9 ? senderOfTls(b, at + 5) : unknown;
  }
  if (first >= 65) return senderOfHttp(b, at, p.payloadCaptured);
  if (first === 0 && p.payloadCaptured >= 15) return senderOfHttp2(b, at, p.payloadCaptured);
  if (isDns(p) && p.payloadCaptured >= 14) return senderOfDns(b, at + 2);
  return unknown;
}

/** TLS handshake messages that one side alone sends (RFC 8446, 4; RFC 5246, 7.4). */
const tlsSides = new Uint8Array(32);
for (const type of [1, 16]) tlsSides[type] = initiator;
for (const type of [2, 4, 12, 13, 14]) tlsSides[type] = responder;

/** A handshake message: its type, and a length below 64 KiB, which tells it from an encrypted one. */
function senderOfTls(b: Uint8Array, at: number): number {
  return b[at] < 32 && b[at + 1] === 0 ? tlsSides[b[at]] : unknown;
}

/** UDP payload of four octets or more. */
function senderByDatagram(p: Packet, b: Uint8Array): number {
  const at = p.payloadOffset, length = p.payloadCaptured, first = b[at];
  if (isDns(p) || isPort(p, 137)) return length >= 12 ? senderOfDns(b, at) : unknown;
  // Between relay and server both ports are 67.
  if (isPort(p, 67)) return first === 1 ? initiator : first === 2 ? responder : unknown;
  if (isPort(p, 123) && length >= 48) {
    const mode = first & 7;
    return mode === 3 || mode === 1 ? initiator : mode === 4 || mode === 2 ? responder : unknown;
  }
  if (first >= 0xc0 && length >= 7) return senderOfQuic(b, at, length);
  // A datagram of TLS: the handshake type stands behind the longer record header.
  if (first === 22 && b[at + 1] === 0xfe && length >= 15) return senderOfTls(b, at + 13);
  if (length >= 20 && isStun(b, at, length)) return first === 0 ? initiator : responder;
  return first >= 65 && length >= 6 ? senderOfHttp(b, at, length) : unknown;
}

function isPort(p: Packet, port: number): boolean {
  return p.srcPort === port || p.dstPort === port;
}

/** DNS, mDNS, LLMNR. */
function isDns(p: Packet): boolean {
  return isPort(p, 53) || isPort(p, 5353) || isPort(p, 5355);
}

/** The QR bit of a header that can be one: an opcode in use, few questions. */
function senderOfDns(b: Uint8Array, at: number): number {
  const opcode = b[at + 2] >> 3 & 15, questions = b[at + 4] << 8 | b[at + 5];
  if (opcode > 6 || opcode === 3 || questions > 16) return unknown;
  return (b[at + 2] & 0x80) === 0 ? initiator : responder;
}

/** "HTTP/" answers; a method of capitals, a space and a target, asks. */
function senderOfHttp(b: Uint8Array, at: number, length: number): number {
  if (
    b[at] === 0x48 && b[at + 1] === 0x54 && b[at + 2] === 0x54 && b[at + 3] === 0x50 && b[at + 4] === 0x2f
  ) {
    return responder;
  }
  let end = at;
  const last = at + (length < 12 ? length - 1 : 11);
  while (end < last && ((b[end] >= 65 && b[end] <= 90) || b[end] === 0x2d)) end++;
  if (end - at < 3 || b[end] !== 0x20) return unknown;
  // "/path", "*", "http:", or "host:port" behind CONNECT; "MAIL FROM" and "OK " have none of these.
  const target = b[end + 1];
  const isTarget = target === 0x2f || target === 0x2a || target === 0x68;
  return isTarget || (end - at === 7 && b[at] === 0x43 && b[at + 3] === 0x4e) ? initiator : unknown;
}

/** A HEADERS frame of HTTP/2 without TLS, whole, whose first field is a method, a scheme or a path of the static table,
 * or a status (RFC 9113, 4.1; RFC 7541, appendix A). */
function senderOfHttp2(b: Uint8Array, at: number, length: number): number {
  const octets = b[at + 1] << 8 | b[at + 2], flags = b[at + 4];
  const isPadded = (flags & 0x08) !== 0, hasPriority = (flags & 0x20) !== 0;
  const field = at + 9 + (isPadded ? 1 : 0) + (hasPriority ? 5 : 0);
  if (b[at + 3] !== 1 || (flags & ~0x2d) !== 0 || 9 + octets > length || field >= at + 9 + octets) {
    return unknown;
  }
  // A stream that a client began has an odd number, and only those have answers.
  if (b[at + 5] >= 0x80 || (b[at + 8] & 1) === 0) return unknown;
  return b[field] >= 0x82 && b[field] <= 0x87
    ? initiator
    : b[field] >= 0x88 && b[field] <= 0x8e
    ? responder
    : unknown;
}

/** A long header (RFC 9000, 17.2). Only a server negotiates a version or asks for a retry, only a client sends 0-RTT or
 * a token; it addresses the server by at least eight octets until it knows better. */
function senderOfQuic(b: Uint8Array, at: number, length: number): number {
  const version = (b[at + 1] << 24 | b[at + 2] << 16 | b[at + 3] << 8 | b[at + 4]) >>> 0;
  const toBytes = b[at + 5];
  if (toBytes > 20) return unknown;
  if (version === 0) return responder;
  const isSecond = version === 0x6b3343cf;
  if (version !== 1 && !isSecond && version >>> 8 !== 0xff0000) return unknown;
  const type = (b[at] >> 4) - (isSecond ? 1 : 0) & 3;
  if (type === 3) return responder;
  if (type === 1) return initiator;
  if (type !== 0 || 6 + toBytes >= length) return unknown;
  if (toBytes < 8) return responder;
  const fromBytes = b[at + 6 + toBytes], token = at + 7 + toBytes + fromBytes;
  if (fromBytes > 20 || token >= at + length) return unknown;
  return b[token] !== 0 || fromBytes === 0 ? initiator : unknown;
}

/** A request, or an answer of either kind, with the cookie (RFC 8489, 5). */
function isStun(b: Uint8Array, at: number, length: number): boolean {
  return (b[at] === 1 || (b[at] === 0 && (b[at + 1] & 0x10) === 0)) &&
    b[at + 4] === 0x21 && b[at + 5] === 0x12 && b[at + 6] === 0xa4 && b[at + 7] === 0x42 &&
    (b[at + 2] << 8 | b[at + 3]) + 20 === length;
}
