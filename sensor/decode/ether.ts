/** From an EtherType to a network header: VLAN tags, MPLS labels, PPPoE, LLC and SNAP,
 * and what switches put around a frame.
 *
 * In: cursor behind the EtherType. Out: 0 and the cursor at an IPv4, IPv6 or ARP header, or a reason.
 * Invariant: at most {@link tagsMax} tags and labels are stepped over,
 * and as many frames inside frames as the cursor allows. Hot path.
 * @module */

import { type Cursor, etherTypes } from "./cursor.ts";
import { pppProtocol } from "./ppp.ts";
import { reason } from "./reasons.ts";

const tagsMax = 16;

/** Ethernet frame at the cursor. */
export function ethernet(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 14 > cursor.limit) return cursor.short(o + 14);
  cursor.dstMac = o;
  cursor.srcMac = o + 6;
  cursor.offset = o + 14;
  return afterEtherType(cursor, b, b[o + 12] << 8 | b[o + 13]);
}

/** What follows an EtherType field (or an 802.3 length). */
export function afterEtherType(cursor: Cursor, b: Uint8Array, type: number): number {
  if (type === 0x0800 || type === 0x86dd) {
    cursor.etherType = type;
    return 0;
  }
  return lessCommon(cursor, b, type);
}

function lessCommon(cursor: Cursor, b: Uint8Array, first: number): number {
  let type = first;
  for (let tags = 0; tags < tagsMax; tags++) {
    switch (type) {
      case etherTypes.ipv4:
      case etherTypes.ipv6:
      case etherTypes.arp:
        cursor.etherType = type;
        return 0;
      case 0x8100: // 802.1Q
      case 0x88a8: // 802.1ad
      case 0x9100: // QinQ before it was standardised
      case 0x9200: {
        const o = cursor.offset;
        if (o + 4 > cursor.limit) return cursor.short(o + 4);
        addVlan(cursor, (b[o] << 8 | b[o + 1]) & 0x0fff);
        type = b[o + 2] << 8 | b[o + 3];
        cursor.offset = o + 4;
        break;
      }
      case 0x8847: // MPLS unicast
      case 0x8848:
        return mpls(cursor, b);
      case 0x8863:
        return reason.ppp_control;
      case 0x8864:
        return pppoe(cursor, b);
      case 0x88cc:
        return reason.lldp;
      default: {
        if (type < 0x0600) return llc(cursor, b);
        const mark = markBytes(type);
        if (mark === 0) return framed(cursor, b, type);
        const o = cursor.offset + mark;
        if (o + 2 > cursor.limit) return cursor.short(o + 2);
        type = b[o] << 8 | b[o + 1];
        cursor.offset = o + 2;
      }
    }
  }
  return reason.tags_too_many;
}

/** Octets of a mark that stands between an EtherType and the one of what is marked; 0 = the type is no such mark. */
function markBytes(type: number): number {
  switch (type) {
    case 0x8926: // VN-Tag
    case 0x892f: // HSR (IEC 62439-3)
      return 4;
    case 0x8909: // Cisco metadata: a security group
    case 0x893f: // E-Tag (802.1BR)
      return 6;
    default:
      return 0;
  }
}

/** What a switch or a carrier put around a whole frame. */
function framed(cursor: Cursor, b: Uint8Array, type: number): number {
  const o = cursor.offset;
  switch (type) {
    case 0x88e7: // provider backbone bridge (802.1ah): service tag, then the customer's addresses
      return nestedEthernet(cursor, b, o + 4);
    case 0x8903: // FabricPath
      return nestedEthernet(cursor, b, o + 2);
    case 0x22f3: { // TRILL (RFC 6325): as many words of options as five bits say
      if (o + 2 > cursor.limit) return cursor.short(o + 2);
      return nestedEthernet(cursor, b, o + 6 + (((b[o] & 7) << 2 | b[o + 1] >> 6) << 2));
    }
    case 0x4305: // B.A.T.M.A.N., a mesh of access points: whole frames to one station
      if (o + 10 > cursor.limit) return cursor.short(o + 10);
      return b[o] === 0x40 ? nestedEthernet(cursor, b, o + 10) : reason.other_ethertype;
    case 0x88e5:
      return macsec(cursor, b);
    case 0x894f:
      return serviceHeader(cursor, b);
    case 0x8870: // LLC in a frame too long for a length
      return cursor.nests() ? llc(cursor, b) : reason.tags_too_many;
    default:
      return reason.other_ethertype;
  }
}

/** A whole frame at `offset`. */
export function nestedEthernet(cursor: Cursor, b: Uint8Array, offset: number): number {
  if (!cursor.nests()) return reason.tags_too_many;
  cursor.offset = offset;
  return ethernet(cursor, b);
}

/** MACsec (802.1AE) that only authenticates: behind its tag the frame goes on as it was. */
function macsec(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 6 > cursor.limit) return cursor.short(o + 6);
  if ((b[o] & 0x0c) !== 0) return reason.other_ethertype; // encrypted
  const at = o + ((b[o] & 0x20) !== 0 ? 14 : 6);
  if (at + 2 > cursor.limit) return cursor.short(at + 2);
  if (!cursor.nests()) return reason.tags_too_many;
  cursor.offset = at + 2;
  return lessCommon(cursor, b, b[at] << 8 | b[at + 1]);
}

/** Network service header (RFC 8300). */
export function serviceHeader(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 4 > cursor.limit) return cursor.short(o + 4);
  const bytes = (b[o + 1] & 0x3f) << 2;
  if (b[o] >> 6 !== 0 || bytes < 8) return reason.link_malformed;
  cursor.offset = o + bytes;
  switch (b[o + 3]) {
    case 1:
      return afterEtherType(cursor, b, etherTypes.ipv4);
    case 2:
      return afterEtherType(cursor, b, etherTypes.ipv6);
    case 3:
      return nestedEthernet(cursor, b, cursor.offset);
    case 5:
      return mpls(cursor, b);
    default:
      return reason.other_ethertype;
  }
}

function addVlan(cursor: Cursor, id: number): void {
  if (cursor.vlan === 0) cursor.vlan = id;
  else if (cursor.vlanInner === 0) cursor.vlanInner = id;
}

/** Label stack; the payload has no type field, so its first half-octet decides. */
export function mpls(cursor: Cursor, b: Uint8Array): number {
  let o = cursor.offset;
  for (let labels = 0; labels < tagsMax; labels++) {
    if (o + 4 > cursor.limit) return cursor.short(o + 4);
    const isBottom = (b[o + 2] & 1) !== 0;
    o += 4;
    if (!isBottom) continue;
    cursor.offset = o;
    if (o >= cursor.limit) return cursor.short(o + 1);
    const nibble = b[o] >> 4;
    if (nibble === 4 && (b[o] & 15) >= 5) return afterEtherType(cursor, b, 0x0800);
    if (nibble === 6) return afterEtherType(cursor, b, 0x86dd);
    if (nibble === 1) return reason.other_ethertype; // pseudowire control channel
    // A pseudowire: with a control word the type field is four octets later.
    if (nibble === 0 && (isKnownType(b, o + 16, cursor.limit) || !isKnownType(b, o + 12, cursor.limit))) {
      o += 4;
    }
    return nestedEthernet(cursor, b, o);
  }
  return reason.tags_too_many;
}

function isKnownType(b: Uint8Array, o: number, limit: number): boolean {
  if (o + 2 > limit) return false;
  const type = b[o] << 8 | b[o + 1];
  return type === 0x0800 || type === 0x86dd || type === 0x0806 || type === 0x8100 || type === 0x88a8 ||
    type === 0x8847 || type === 0x8864 || type === 0x88cc;
}

/** PPPoE session packet. */
export function pppoe(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 7 > cursor.limit) return cursor.short(o + 7);
  if (b[o + 1] !== 0) return reason.ppp_control;
  cursor.offset = o + 6;
  return pppProtocol(cursor, b);
}

/** Cisco's trunk format before 802.1Q: a frame to 01:00:0c:00:00 or 03:00:0c:00:00, and in its SNAP header the VLAN. */
function isIsl(cursor: Cursor, b: Uint8Array): boolean {
  const o = cursor.dstMac;
  return o >= 0 && cursor.offset === o + 14 && (b[o] === 1 || b[o] === 3) && b[o + 1] === 0 &&
    b[o + 2] === 0x0c &&
    b[o + 3] === 0 && b[o + 4] === 0;
}

function isl(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.dstMac;
  if (o + 26 > cursor.limit) return cursor.short(o + 26);
  addVlan(cursor, (b[o + 20] << 8 | b[o + 21]) >> 1 & 0x0fff);
  return nestedEthernet(cursor, b, o + 26);
}

/** 802.2 header, and SNAP behind it. */
export function llc(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (isIsl(cursor, b)) return isl(cursor, b);
  if (o + 3 > cursor.limit) return cursor.short(o + 3);
  const dsap = b[o], ssap = b[o + 1];
  if (dsap === 0x42 && ssap === 0x42) return reason.stp;
  if (dsap === 0x06 && ssap === 0x06) {
    cursor.offset = o + 3;
    return afterEtherType(cursor, b, 0x0800);
  }
  if (dsap !== 0xaa || ssap !== 0xaa) return reason.other_ethertype;
  if (o + 8 > cursor.limit) return cursor.short(o + 8);
  const organisation = b[o + 3] << 16 | b[o + 4] << 8 | b[o + 5];
  const type = b[o + 6] << 8 | b[o + 7];
  cursor.offset = o + 8;
  if (organisation === 0x00000c) {
    if (type === 0x2000) return reason.cdp;
    return type === 0x010b ? reason.stp : reason.other_ethertype; // PVST+
  }
  if (organisation !== 0 && organisation !== 0x0000f8) return reason.other_ethertype;
  return type < 0x0600 ? reason.other_ethertype : lessCommon(cursor, b, type);
}
