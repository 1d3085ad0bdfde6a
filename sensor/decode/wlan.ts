/** 802.11 frames and the radio headers in front of them.
 *
 * In: cursor at the frame. Out: 0 and the cursor at a network header, or a reason.
 * What is not read: aggregated MSDUs after the first of a frame, and anything encrypted. @module */

import type { Cursor } from "./cursor.ts";
import { ethernet, llc } from "./ether.ts";
import { reason } from "./reasons.ts";

/** 802.11 without a radio header. `isPadded`: the header is filled up to four octets, as some drivers do. `isSwapped`:
 * its first two octets stand the other way round. */
export function wlan(cursor: Cursor, b: Uint8Array, isPadded = false, isSwapped = false): number {
  const o = cursor.offset;
  if (o + 2 > cursor.limit) return cursor.short(o + 2);
  const control = isSwapped ? b[o + 1] : b[o], flags = isSwapped ? b[o] : b[o + 1];
  if ((control & 0x0c) !== 0x08) return reason.wlan_control;
  const subtype = control >> 4;
  if ((subtype & 4) !== 0) return reason.wlan_control; // no data in it
  if ((flags & 0x40) !== 0) return reason.wlan_encrypted;
  const toDs = (flags & 1) !== 0, fromDs = (flags & 2) !== 0;
  let header = toDs && fromDs ? 30 : 24;
  let isAggregate = false;
  if ((subtype & 8) !== 0) {
    if (o + header + 2 > cursor.limit) return cursor.short(o + header + 2);
    isAggregate = (b[o + header] & 0x80) !== 0;
    const mayBeMesh = fromDs && (b[o + header + 1] & 1) !== 0;
    header += (flags & 0x80) !== 0 ? 6 : 2;
    if (mayBeMesh && o + header < cursor.limit) header += meshBytes(b[o + header]);
  }
  if (isPadded) header = (header + 3) & ~3;
  if (o + header > cursor.limit) return cursor.short(o + header);
  cursor.dstMac = o + (toDs ? 16 : 4);
  cursor.srcMac = o + (toDs && fromDs ? 24 : fromDs ? 16 : 10);
  cursor.offset = o + header;
  // Each part of an aggregate begins like an Ethernet frame with a length for a type.
  return isAggregate ? ethernet(cursor, b) : llc(cursor, b);
}

/** Octets of a mesh control field that begins with `flags`, 0 = it is none. */
function meshBytes(flags: number): number {
  return flags < 3 ? 6 + 6 * flags : 0;
}

/** Radiotap header: only the flag octet matters, for the padding it announces. */
export function radiotap(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 8 > cursor.limit) return cursor.short(o + 8);
  const length = b[o + 2] | b[o + 3] << 8;
  if (b[o] !== 0 || length < 8) return reason.link_malformed;
  if (o + length > cursor.limit) return cursor.short(o + length);
  const present = b[o + 4] | b[o + 5] << 8 | b[o + 6] << 16 | b[o + 7] << 24;
  let at = o + 8;
  let words = present;
  while (words < 0 && at + 4 <= o + length) {
    words = b[at] | b[at + 1] << 8 | b[at + 2] << 16 | b[at + 3] << 24;
    at += 4;
  }
  if ((present & 1) !== 0) at = o + (((at - o) + 7) & ~7) + 8; // time stamp, aligned to its size
  const flags = (present & 2) !== 0 && at < o + length ? b[at] : 0;
  cursor.offset = o + length;
  return wlan(cursor, b, (flags & 0x20) !== 0);
}

/** Prism header (a fixed 144 octets, or the AVS header under the same link type). */
export function prism(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 8 > cursor.limit) return cursor.short(o + 8);
  if (b[o] === 0x80 && b[o + 1] === 0x21 && b[o + 2] === 0x10) return avs(cursor, b);
  const little = b[o + 4] | b[o + 5] << 8 | b[o + 6] << 16 | b[o + 7] << 24;
  const big = b[o + 7] | b[o + 6] << 8 | b[o + 5] << 16 | b[o + 4] << 24;
  const length = little > 0 && little < 4096 ? little : big;
  return skipRadio(cursor, b, length);
}

/** AVS header: magic, then its length, big-endian. */
export function avs(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 8 > cursor.limit) return cursor.short(o + 8);
  return skipRadio(cursor, b, b[o + 7] | b[o + 6] << 8 | b[o + 5] << 16 | b[o + 4] << 24);
}

/** Per-Packet Information header around 802.11. */
export function ppi(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 8 > cursor.limit) return cursor.short(o + 8);
  const linkType = b[o + 4] | b[o + 5] << 8;
  const length = b[o + 2] | b[o + 3] << 8;
  if (linkType === 105) return skipRadio(cursor, b, length);
  if (linkType !== 1) return reason.link_type_unknown;
  cursor.offset = o + length;
  return length < 8 ? reason.link_malformed : ethernet(cursor, b);
}

function skipRadio(cursor: Cursor, b: Uint8Array, length: number): number {
  if (length < 8 || length >= 4096) return reason.link_malformed;
  cursor.offset += length;
  return wlan(cursor, b);
}
