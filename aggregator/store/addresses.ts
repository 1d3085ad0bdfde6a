/** Addresses as the store keeps them: 4 or 16 octets, so that one address has one form. INET6 would fold IPv4 and mapped IPv6 into one.
 * @module */

import { Buffer } from "node:buffer";
import { formatIp, parseIp } from "../../shared/ip.ts";
import type { Value } from "./database.ts";

/** What is no address matches nothing: no stored value is empty. */
export function ipIn(text: string): Uint8Array {
  const bytes = parseIp(text);
  return bytes === null ? Buffer.alloc(0) : Buffer.from(bytes);
}

export function ipOut(value: Value): string {
  return formatIp(value as Uint8Array);
}
