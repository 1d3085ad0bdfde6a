/** Tunnels: from a transport header to the network header inside it.
 *
 * In: the outer packet, and the cursor that is to be moved. Out: {@link noTunnel}, {@link notIp}, the tunnel's number
 * (see packet.ts) with the cursor at the inner network header,
 * or minus a reason when the inner headers are damaged or cut.
 * Invariant: a port alone makes no tunnel; the header behind it must fit too, or the payload is just payload.
 * @module */

import type { Cursor } from "./cursor.ts";
import { afterEtherType, ethernet, mpls, serviceHeader } from "./ether.ts";
import { type Packet, type TunnelName, tunnelNames } from "./packet.ts";
import { ppp } from "./ppp.ts";
import { rawIp } from "./raw_ip.ts";
import { reason } from "./reasons.ts";
import { avs, prism, wlan } from "./wlan.ts";

/** The payload is not a tunnel. */
export const noTunnel = 0;
/** A tunnel that carries something without flows: a keep-alive, a control message, LLDP. */
export const notIp = -1000;

const tunnel = Object.fromEntries(tunnelNames.map((name, index) => [name, index])) as {
  readonly [name in TunnelName]: number;
};

/** Looks into an IP packet that is no fragment but the first. */
export function enterTunnel(p: Packet, cursor: Cursor, b: Uint8Array): number {
  if (p.protocol === 17) return enterUdp(p, cursor, b);
  switch (p.protocol) {
    case 4:
      begin(p, cursor);
      return inside(afterEtherType(cursor, b, 0x0800), p.family === 6 ? tunnel["4in6"] : tunnel.ipip);
    case 41:
      begin(p, cursor);
      return inside(afterEtherType(cursor, b, 0x86dd), p.family === 6 ? tunnel["6in6"] : tunnel["6in4"]);
    case 47:
      begin(p, cursor);
      return gre(p, cursor, b);
    case 97: // EtherIP: two octets, version 3
      begin(p, cursor);
      if (p.payloadCaptured < 2 || b[cursor.offset] >> 4 !== 3) return noTunnel;
      cursor.offset += 2;
      return innerEthernet(cursor, b, tunnel.etherip);
    case 137:
      begin(p, cursor);
      return inside(mpls(cursor, b), tunnel.mpls);
    default:
      return noTunnel;
  }
}

/** Addresses and tags of the outer frame stay: nothing inside has others, unless there is an Ethernet header. What a
 * tunnel made too long goes on in a second fragment: behind a first one as many octets again may have been sent. */
function begin(p: Packet, cursor: Cursor): void {
  cursor.offset = p.payloadOffset;
  const end = p.payloadOffset + p.payloadLength;
  if (p.isFragment) cursor.wireLimit = end + p.payloadLength;
  else if (end < cursor.wireLimit) cursor.wireLimit = end;
  if (cursor.limit > end) cursor.limit = end;
}

function innerEthernet(cursor: Cursor, b: Uint8Array, name: number): number {
  cursor.vlan = 0;
  cursor.vlanInner = 0;
  return inside(ethernet(cursor, b), name);
}

function inside(stopped: number, name: number): number {
  if (stopped === 0) return name;
  const isDamage = stopped === reason.cut_packet || stopped === reason.link_malformed ||
    stopped === reason.ip_malformed || stopped === reason.tags_too_many;
  return isDamage ? -stopped : notIp;
}

/** Generic Routing Encapsulation, version 0 and the PPTP variant. */
function gre(p: Packet, cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (p.payloadCaptured < 4) return -cursor.short(o + 4);
  const flags = b[o] << 8 | b[o + 1];
  const type = b[o + 2] << 8 | b[o + 3];
  const hasSequence = (flags & 0x1000) !== 0;
  let header = 4 + ((flags & 0x2000) !== 0 ? 4 : 0) + (hasSequence ? 4 : 0);
  if ((flags & 7) === 1) {
    header += (flags & 0x0080) !== 0 ? 4 : 0;
    if (type === 0x6400) { // MikroTik: the length and the tunnel's number in place of the key
      cursor.offset = o + 8;
      return innerEthernet(cursor, b, tunnel.gre);
    }
    // Without a sequence number there is no payload, only an acknowledgement.
    if (type !== 0x880b || !hasSequence) return notIp;
    cursor.offset = o + header;
    return inside(ppp(cursor, b), tunnel.pptp);
  }
  if ((flags & 7) !== 0) return noTunnel;
  if ((flags & 0xc000) !== 0) header += 4;
  if ((flags & 0x4000) !== 0) {
    // Source routes: address family, offset, length; a length of 0 ends the list.
    for (let routes = 0; routes < 16; routes++) {
      if (o + header + 4 > cursor.limit) return -cursor.short(o + header + 4);
      const length = b[o + header + 3];
      header += 4 + length;
      if (length === 0) break;
    }
  }
  cursor.offset = o + header;
  return grePayload(cursor, b, type, hasSequence);
}

function grePayload(cursor: Cursor, b: Uint8Array, type: number, hasSequence: boolean): number {
  const o = cursor.offset;
  switch (type) {
    case 0x6558: // transparent Ethernet bridging
      return innerEthernet(cursor, b, tunnel.gre);
    case 0x88be: // ERSPAN I without, II with a header of its own
      if (hasSequence) cursor.offset = o + 8;
      return innerEthernet(cursor, b, tunnel.erspan);
    case 0x22eb: { // ERSPAN III
      if (o + 12 > cursor.limit) return -cursor.short(o + 12);
      cursor.offset = o + ((b[o + 11] & 1) !== 0 ? 20 : 12);
      return innerEthernet(cursor, b, tunnel.erspan);
    }
    case 0x880b:
      return inside(ppp(cursor, b), tunnel.gre);
    case 0x883e: // WCCP; version 2 puts four octets before the packet
      if (o < cursor.limit && b[o] >> 4 !== 4) cursor.offset = o + 4;
      return inside(rawIp(cursor, b), tunnel.gre);
    default:
      return type < 0x0600 ? notIp : inside(afterEtherType(cursor, b, type), tunnel.gre);
  }
}

/** Tunnels over UDP, by port; a few octets must fit as well. */
function enterUdp(p: Packet, cursor: Cursor, b: Uint8Array): number {
  if (p.payloadCaptured < 8) return noTunnel;
  const { srcPort, dstPort } = p;
  if (dstPort === 4789 || dstPort === 8472 || dstPort === 4790 || srcPort === 4789 || srcPort === 8472) {
    return vxlan(p, cursor, b, dstPort === 4790);
  }
  if (dstPort === 6081 || srcPort === 6081) return geneve(p, cursor, b);
  if (dstPort === 2152 || srcPort === 2152) return gtpu(p, cursor, b);
  if (dstPort === 1701 || srcPort === 1701) return l2tp(p, cursor, b);
  if (dstPort === 5247 || srcPort === 5247) return capwap(p, cursor, b);
  if (dstPort === 4341) return lisp(p, cursor, b);
  if (dstPort === 37_008) return tzsp(p, cursor, b);
  if (dstPort === 6635) {
    begin(p, cursor);
    return inside(mpls(cursor, b), tunnel.mpls);
  }
  return teredo(p, cursor, b, dstPort === 3544 || srcPort === 3544);
}

function vxlan(p: Packet, cursor: Cursor, b: Uint8Array, isGpe: boolean): number {
  const o = p.payloadOffset;
  if ((b[o] & 0x08) === 0 || b[o + 7] !== 0) return noTunnel;
  begin(p, cursor);
  cursor.offset = o + 8;
  if (!isGpe || (b[o] & 0x04) === 0 || b[o + 3] === 3) return innerEthernet(cursor, b, tunnel.vxlan);
  if (b[o + 3] === 4) return inside(serviceHeader(cursor, b), tunnel.vxlan);
  return b[o + 3] === 1 || b[o + 3] === 2 ? inside(rawIp(cursor, b), tunnel.vxlan) : notIp;
}

function geneve(p: Packet, cursor: Cursor, b: Uint8Array): number {
  const o = p.payloadOffset;
  if (b[o] >> 6 !== 0 || b[o + 7] !== 0) return noTunnel;
  const type = b[o + 2] << 8 | b[o + 3];
  begin(p, cursor);
  cursor.offset = o + 8 + ((b[o] & 0x3f) << 2);
  if (type === 0x6558) return innerEthernet(cursor, b, tunnel.geneve);
  return type < 0x0600 ? notIp : inside(afterEtherType(cursor, b, type), tunnel.geneve);
}

function gtpu(p: Packet, cursor: Cursor, b: Uint8Array): number {
  const o = p.payloadOffset;
  if (b[o] >> 4 !== 3) return noTunnel; // version 1, not GTP'
  if (b[o + 1] !== 0xff) return notIp; // signalling
  let header = 8;
  if ((b[o] & 7) !== 0) {
    header = 12;
    let next = (b[o] & 4) !== 0 && o + 12 <= cursor.limit ? b[o + 11] : 0;
    for (let count = 0; next !== 0 && count < 16; count++) {
      if (o + header + 4 > cursor.limit) return -cursor.short(o + header + 4);
      const bytes = b[o + header] << 2;
      if (bytes === 0) return -reason.link_malformed;
      header += bytes;
      if (o + header > cursor.limit) return -cursor.short(o + header);
      next = b[o + header - 1];
    }
  }
  begin(p, cursor);
  cursor.offset = o + header;
  // Ethernet and unstructured payloads have no mark; what is no IP version is one of them.
  const nibble = cursor.offset < cursor.limit ? b[cursor.offset] >> 4 : 0;
  return nibble === 4 || nibble === 6 ? inside(rawIp(cursor, b), tunnel.gtpu) : notIp;
}

/** L2TP version 2 data messages. */
function l2tp(p: Packet, cursor: Cursor, b: Uint8Array): number {
  const o = p.payloadOffset;
  const flags = b[o] << 8 | b[o + 1];
  if ((flags & 0x000f) !== 2) return noTunnel;
  if ((flags & 0x8000) !== 0) return notIp; // control
  let header = 6 + ((flags & 0x4000) !== 0 ? 2 : 0) + ((flags & 0x0800) !== 0 ? 4 : 0);
  if ((flags & 0x0200) !== 0) {
    if (o + header + 2 > cursor.limit) return -cursor.short(o + header + 2);
    header += 2 + (b[o + header] << 8 | b[o + header + 1]);
  }
  begin(p, cursor);
  cursor.offset = o + header;
  return inside(ppp(cursor, b), tunnel.l2tp);
}

/** Data between wireless access point and controller (RFC 5415), unless it is encrypted: Ethernet, or 802.11. */
function capwap(p: Packet, cursor: Cursor, b: Uint8Array): number {
  const o = p.payloadOffset;
  if (b[o] !== 0) return noTunnel; // version 0, in the clear
  const header = b[o + 1] >> 3 << 2;
  if (header < 8) return noTunnel;
  const isKeepAlive = (b[o + 3] & 0x08) !== 0;
  const isLaterPart = (b[o + 3] & 0x80) !== 0 && (b[o + 6] << 8 | b[o + 7]) >> 3 !== 0;
  if (isKeepAlive || isLaterPart) return notIp;
  begin(p, cursor);
  cursor.offset = o + header;
  if ((b[o + 2] & 1) === 0) return innerEthernet(cursor, b, tunnel.capwap);
  cursor.vlan = 0;
  cursor.vlanInner = 0;
  // Some access points swap the first two octets; then the version, which is 0, seems not to be.
  const isSwapped = cursor.offset < cursor.limit && (b[cursor.offset] & 3) !== 0;
  return inside(wlan(cursor, b, false, isSwapped), tunnel.capwap);
}

/** Tagged fields of one TZSP header. */
const tzspFieldsMax = 64;

/** TaZmen Sniffer Protocol, in which routers and access points send what they see:
 * version, type, encapsulation, tagged fields. */
function tzsp(p: Packet, cursor: Cursor, b: Uint8Array): number {
  let o = p.payloadOffset;
  if (b[o] !== 1) return noTunnel;
  if (b[o + 1] > 1) return b[o + 1] <= 5 ? notIp : noTunnel; // configuration, keep-alives
  const encapsulation = b[o + 2] << 8 | b[o + 3];
  begin(p, cursor);
  o += 4;
  for (let fields = 0;; fields++) {
    if (o >= cursor.limit) return -cursor.short(o + 1);
    if (fields === tzspFieldsMax) return -reason.tags_too_many;
    const tag = b[o++];
    if (tag === 1) break;
    if (tag === 0) continue; // padding
    if (o >= cursor.limit) return -cursor.short(o + 1);
    o += 1 + b[o];
  }
  cursor.offset = o;
  cursor.vlan = 0;
  cursor.vlanInner = 0;
  switch (encapsulation) {
    case 1:
      return inside(ethernet(cursor, b), tunnel.tzsp);
    case 18:
      return inside(wlan(cursor, b), tunnel.tzsp);
    case 119:
      return inside(prism(cursor, b), tunnel.tzsp);
    case 127:
      return inside(avs(cursor, b), tunnel.tzsp);
    default:
      return notIp;
  }
}

/** Locator/identifier separation (RFC 9300):
 * eight octets of which any may stand for anything, so the packet behind them must fill the rest. */
function lisp(p: Packet, cursor: Cursor, b: Uint8Array): number {
  const o = p.payloadOffset + 8;
  if (o + 6 > cursor.limit) return noTunnel;
  const version = b[o] >> 4;
  const length = version === 4
    ? b[o + 2] << 8 | b[o + 3]
    : version === 6
    ? 40 + (b[o + 4] << 8 | b[o + 5])
    : -1;
  if (length !== p.payloadLength - 8) return noTunnel;
  begin(p, cursor);
  cursor.offset = o;
  return inside(rawIp(cursor, b), tunnel.lisp);
}

/** Teredo: IPv6 behind optional headers at a server's port;
 * between clients any port, so the address prefix must fit. */
function teredo(p: Packet, cursor: Cursor, b: Uint8Array, isServer: boolean): number {
  let o = p.payloadOffset;
  if (!isServer && b[o] >> 4 !== 6) return noTunnel;
  const end = o + p.payloadLength;
  if (isServer) {
    if (o + 4 <= cursor.limit && b[o] === 0 && b[o + 1] === 1) o += 13 + b[o + 2] + b[o + 3]; // authentication
    if (o + 2 <= cursor.limit && b[o] === 0 && b[o + 1] === 0) o += 8; // origin
  }
  if (o + 40 > end || o + 40 > cursor.limit || b[o] >> 4 !== 6) return noTunnel;
  const length = b[o + 4] << 8 | b[o + 5];
  if (o + 40 + length > end) return noTunnel;
  if (!isServer && (o + 40 + length !== end || !(isTeredoPrefix(b, o + 8) || isTeredoPrefix(b, o + 24)))) {
    return noTunnel;
  }
  begin(p, cursor);
  cursor.offset = o;
  return inside(afterEtherType(cursor, b, 0x86dd), tunnel.teredo);
}

function isTeredoPrefix(b: Uint8Array, o: number): boolean {
  return b[o] === 0x20 && b[o + 1] === 0x01 && b[o + 2] === 0 && b[o + 3] === 0;
}
