/** From an EtherType to a network header: VLAN tags, MPLS labels, PPPoE, LLC and SNAP.
 *
 * In: cursor behind the EtherType. Out: 0 and the cursor at an IPv4, IPv6 or ARP header, or a reason.
 * Invariant: at most {@link tagsMax} tags and labels are stepped over. Hot path. @module */

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
      default:
        return type < 0x0600 ? llc(cursor, b) : reason.other_ethertype;
    }
  }
  return reason.tags_too_many;
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
      cursor.offset = o + 4;
    }
    return ethernet(cursor, b);
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

/** 802.2 header, and SNAP behind it. */
export function llc(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
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
