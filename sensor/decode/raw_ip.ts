/** IP without anything that tells its version. @module */

import type { Cursor } from "./cursor.ts";
import { afterEtherType } from "./ether.ts";
import { reason } from "./reasons.ts";

/** Version in the first half-octet. */
export function rawIp(cursor: Cursor, b: Uint8Array): number {
  const o = cursor.offset;
  if (o + 1 > cursor.limit) return cursor.short(o + 1);
  const version = b[o] >> 4;
  if (version === 4) return afterEtherType(cursor, b, 0x0800);
  return version === 6 ? afterEtherType(cursor, b, 0x86dd) : reason.ip_malformed;
}
