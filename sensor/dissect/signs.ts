/** Signs by which the first bytes of a payload, or a port, tell what it is.
 *
 * In: bytes at an offset. Out: yes or no.
 * Invariant: reads only bytes the caller says are there (at least 4, see each function).
 * Hot path: integer comparisons, no allocation. @module */

import type { Packet } from "../decode/packet.ts";
import { plainKind } from "./plain/plain_kind.ts";

const icmp = 1;
const udp = 17;

const word = (text: string) =>
  text.charCodeAt(0) << 24 | text.charCodeAt(1) << 16 | text.charCodeAt(2) << 8 | text.charCodeAt(3);

function starts(texts: readonly string[]): { low: number; high: number; words: Int32Array } {
  const words = Int32Array.from(texts.map(word)).sort();
  return { low: words[0], high: words[words.length - 1], words };
}

const httpStarts = starts([
  "HTTP",
  "GET ",
  "POST",
  "HEAD",
  "PUT ",
  "DELE",
  "OPTI",
  "CONN",
  "TRAC",
  "PATC",
  "NOTI",
  "M-SE",
  "SUBS",
  "UNSU",
  "PROP",
  "REPO",
  "MKCO",
  "COPY",
  "MOVE",
  "LOCK",
  "UNLO",
  "SEAR",
  "BCOP",
  "BMOV",
  "BDEL",
  "BPRO",
  "POLL",
  "ICY ",
  "RPC_",
  "CCM_",
  "LINK",
  "MERG",
  "CHEC",
  "BASE",
  "PURG",
]);
const sipStarts = starts([
  "SIP/",
  "INVI",
  "REGI",
  "ACK ",
  "BYE ",
  "CANC",
  "INFO",
  "REFE",
  "MESS",
  "PRAC",
  "UPDA",
]);

const gnutellaStart = word("GNUT");

function matches(set: { low: number; high: number; words: Int32Array }, value: number): boolean {
  if (value < set.low || value > set.high) return false;
  const { words } = set;
  for (let i = 0; i < words.length; i++) if (words[i] === value) return true;
  return false;
}

/** Octets by which TLS and HTTP are told. */
export const signOctets = 6;

/** Fewer than {@link signOctets}: whether they may be the first of TLS or HTTP. Some clients cut their first message
 * there, as who looks at packets one by one then sees nothing. */
export function mayBegin(buffer: Uint8Array, at: number, length: number): boolean {
  if (length < 1) return false;
  if (buffer[at] === 22) return (length < 2 || buffer[at + 1] === 3) && (length < 3 || buffer[at + 2] <= 4);
  return httpStarts.words.some((word) => {
    for (let i = 0; i < length && i < 4; i++) {
      if ((word >>> 24 - 8 * i & 255) !== buffer[at + i]) return false;
    }
    return true;
  });
}

/** Four bytes or more: begins an HTTP (or SSDP) request or response. */
export function isHttpStart(buffer: Uint8Array, at: number): boolean {
  return matches(httpStarts, buffer[at] << 24 | buffer[at + 1] << 16 | buffer[at + 2] << 8 | buffer[at + 3]);
}

/** Four bytes or more: begins a SIP request or response. */
export function isSipStart(buffer: Uint8Array, at: number): boolean {
  return matches(sipStarts, buffer[at] << 24 | buffer[at + 1] << 16 | buffer[at + 2] << 8 | buffer[at + 3]);
}

/** Sixteen bytes or more: a QUIC long header of type Initial or Retry, or a version negotiation. */
export function isQuicInitial(buffer: Uint8Array, at: number, length: number): boolean {
  const first = buffer[at];
  if (first < 0x80 || length < 16) return false;
  const version = quicVersion(buffer, at);
  const type = first >> 4 & 3;
  if (version === 0x6b3343cf) return type === 1 || type === 0;
  if (version === 0) return (first & 0x40) !== 0;
  return isQuicVersion(buffer, at) && (type === 0 || type === 3);
}

/** Five bytes or more, a long header: whether anybody speaks this version, or it is one that greases. */
export function isQuicVersion(buffer: Uint8Array, at: number): boolean {
  const version = quicVersion(buffer, at);
  return version <= 1 || version === 0x6b3343cf || version >>> 8 === 0xff0000 || version >>> 16 === 0xface ||
    buffer[at + 1] === 0x51 || buffer[at + 1] === 0x54 || (version & 0x0f0f0f0f) === 0x0a0a0a0a;
}

function quicVersion(buffer: Uint8Array, at: number): number {
  return (buffer[at + 1] << 24 | buffer[at + 2] << 16 | buffer[at + 3] << 8 | buffer[at + 4]) >>> 0;
}

/** Up to six zeros: what fills an Ethernet frame of 60 octets behind an empty segment,
 * and some senders count as data. */
export function isPadding(buffer: Uint8Array, at: number, length: number): boolean {
  if (length > 6) return false;
  for (let i = at; i < at + length; i++) if (buffer[i] !== 0) return false;
  return true;
}

/** Four bytes or more: begins a Gnutella handshake, "GNUTELLA CONNECT/0.6" or "GNUTELLA/0.6 200 OK". */
export function isGnutella(buffer: Uint8Array, at: number): boolean {
  return (buffer[at] << 24 | buffer[at + 1] << 16 | buffer[at + 2] << 8 | buffer[at + 3]) === gnutellaStart;
}

/** Twenty bytes or more, after a zero byte:
 * an SMB message that names something (negotiation, login, share, file), not a read or write. */
export function smbMatters(buffer: Uint8Array, at: number): boolean {
  if (buffer[at + 5] !== 0x53 || buffer[at + 6] !== 0x4d || buffer[at + 7] !== 0x42) return false;
  if (buffer[at + 4] === 0xfe) {
    const command = buffer[at + 16] | buffer[at + 17] << 8;
    return command === 0 || command === 1 || command === 3 || command === 5;
  }
  if (buffer[at + 4] !== 0xff) return false;
  const command = buffer[at + 8];
  return command === 0x72 || command === 0x73 || command === 0x75 || command === 0xa2 || command === 0x2d;
}

/** A message of a KDC's port: an ASN.1 application tag from 10 (AS-REQ) to 30 (KRB-ERROR),
 * in TCP behind its length. Five octets or more in TCP. */
export function isKerberos(packet: Packet, buffer: Uint8Array): boolean {
  if (lowerPort(packet) !== 88) return false;
  const tag = buffer[packet.payloadOffset + (packet.protocol === udp ? 0 : 4)];
  return tag >= 0x6a && tag <= 0x7e;
}

/** DNS, mDNS, LLMNR. */
export function isDnsPort(port: number): boolean {
  return port === 53 || port === 5353 || port === 5355;
}

/** DHCP and DHCPv6. */
export function isDhcpPort(port: number): boolean {
  return port === 67 || port === 68 || port === 546 || port === 547;
}

/** SMTP, submission, POP, IMAP, IRC: lines, of which the first ones tell who talks and when TLS begins. */
export function isTextPort(port: number): boolean {
  return port === 25 || port === 587 || port === 110 || port === 143 || port === 6667;
}

/** Ports on which TCP begins with TLS. */
export function isTlsPort(port: number): boolean {
  return port === 443 || port === 993 || port === 995 || port === 465 || port === 853 || port === 8443;
}

/** The port that mostly says what a packet carries. */
export function lowerPort(packet: Packet): number {
  return packet.srcPort < packet.dstPort ? packet.srcPort : packet.dstPort;
}

/** Whether an empty line ends a header in these bytes. */
export function hasHeaderEnd(buffer: Uint8Array, at: number, length: number): boolean {
  const last = at + length - 1;
  for (let i = at + 1; i <= last; i++) {
    if (buffer[i] !== 10) continue;
    if (buffer[i - 1] === 10 || (i - at >= 3 && buffer[i - 1] === 13 && buffer[i - 2] === 10)) return true;
  }
  return false;
}

/** What the next segment goes on with when these bytes end with the header they hold: a body of `plainKind`; `none` =
 * they do not, or it is a request that has none. */
export function bodyExpected(buffer: Uint8Array, at: number, length: number): number {
  const last = at + length - 1;
  if (length < 16 || buffer[last] !== 10 || buffer[last - 1] !== 13 || buffer[last - 2] !== 10) {
    return plainKind.none;
  }
  if (buffer[at] === 0x48 && buffer[at + 1] === 0x54) return plainKind.responseBody; // "HTTP"
  return buffer[at] === 0x50 ? plainKind.requestBody : plainKind.none; // "POST", "PUT", "PATCH"
}

/** ICMP errors that quote a DNS message: tshark reads it there too. */
export function quotesDns(packet: Packet, buffer: Uint8Array): boolean {
  const type = packet.srcPort;
  const v4 = packet.protocol === icmp;
  if (v4 ? type !== 3 && type !== 5 && type !== 11 && type !== 12 : type < 1 || type > 4) return false;
  const start = packet.ipOffset + (packet.family === 4 ? (buffer[packet.ipOffset] & 15) * 4 : 40);
  const quoted = start + 8;
  if (quoted + 48 > buffer.length) return false;
  const ports = v4 ? quoted + (buffer[quoted] & 15) * 4 : quoted + 40;
  if ((v4 ? buffer[quoted + 9] : buffer[quoted + 6]) !== udp || ports + 4 > buffer.length) return false;
  const from = buffer[ports] << 8 | buffer[ports + 1];
  const to = buffer[ports + 2] << 8 | buffer[ports + 3];
  return isDnsPort(from) || isDnsPort(to);
}
