/** PPP framing: address and control octets, the protocol number, and what it carries.
 *
 * In: cursor at a PPP header. Out: 0 and the cursor at an IP header, or a reason. @module */

import type { Cursor } from "./cursor.ts";
import { afterEtherType, mpls, nestedEthernet } from "./ether.ts";
import { reason } from "./reasons.ts";

/** PPP with or without the HDLC-like address and control octets. */
export function ppp(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 2 > cursor.limit) return cursor.short(o + 2);
  if (b[o] === 0xff && b[o + 1] === 0x03) cursor.offset = o + 2;
  return pppProtocol(cursor, b);
}

/** PPP protocol field: one octet when it is odd (compressed), else two. */
export function pppProtocol(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 1 > cursor.limit) return cursor.short(o + 1);
  let protocol = b[o];
  if ((protocol & 1) === 0) {
    if (o + 2 > cursor.limit) return cursor.short(o + 2);
    protocol = protocol << 8 | b[o + 1];
    cursor.offset = o + 2;
  } else cursor.offset = o + 1;
  switch (protocol) {
    case 0x0021:
      return afterEtherType(cursor, b, 0x0800);
    case 0x0057:
      return afterEtherType(cursor, b, 0x86dd);
    case 0x0281:
    case 0x0283:
      return mpls(cursor, b);
    case 0x0031:
      return bridged(cursor, b);
    case 0x003d:
      return multilink(cursor, b);
    default:
      return reason.ppp_control;
  }
}

/** Multilink (RFC 1990): a packet that went over one link whole; of one in parts nobody here has the others. */
function multilink(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 4 > cursor.limit) return cursor.short(o + 4);
  const isWhole = (b[o] & 0xc0) === 0xc0;
  if (!isWhole || !cursor.nests()) return reason.ppp_control;
  cursor.offset = o + 4;
  return pppProtocol(cursor, b);
}

/** Bridged LAN traffic (RFC 3518): flags, one of which announces the LAN's number, and the kind of LAN. */
function bridged(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 2 > cursor.limit) return cursor.short(o + 2);
  if (b[o + 1] !== 1) return reason.other_ethertype;
  return nestedEthernet(cursor, b, o + ((b[o] & 0x40) !== 0 ? 6 : 2));
}
