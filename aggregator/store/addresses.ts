/** Addresses as stored: 4 or 16 octets, so that one address has one form. INET6 would merge IPv4 and mapped IPv6.
 * @module */

import { Buffer } from "node:buffer";
import { formatIp, parseIp } from "../../shared/ip.ts";
import { type Network, readNetwork } from "../model/network.ts";
import type { Condition, Value } from "./database.ts";

/** What is no address matches nothing: no stored value is empty. */
export function ipIn(text: string): Uint8Array {
  const bytes = parseIp(text);
  return bytes === null ? Buffer.alloc(0) : Buffer.from(bytes);
}

export function ipOut(value: Value): string {
  return formatIp(value as Uint8Array);
}

/** Whether `column` holds an address of the range.
 * Octets compare from the left, so a longer address can lie between two shorter. */
export function isAddressOf(column: string, { low, high, isOne }: Network): Condition {
  if (isOne) return { sql: `${column} = ?`, values: [Buffer.from(low)] };
  return {
    sql: `(${column} >= ? AND ${column} <= ? AND LENGTH(${column}) = ${low.length})`,
    values: [Buffer.from(low), Buffer.from(high)],
  };
}

/** The same of an address or CIDR as text; what is neither matches nothing. */
export function isAddressIn(column: string, text: string): Condition {
  const network = readNetwork(text);
  return network === null ? { sql: "1 = 0", values: [] } : isAddressOf(column, network);
}
