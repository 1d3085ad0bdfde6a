/** Reads version and community of SNMP, which are a log-in of their own.
 *
 * In: a datagram to or from port 161 (RFC 1157, RFC 3416). Out: an entry of `facts.logins`: what is asked with which
 * community; an agent that rejects it stays silent, so an answer means consent.
 * Invariant: version 3 names no community. @module */

import type { Facts } from "../../../shared/facts.ts";
import { boundText } from "../facts/bounds.ts";
import { noteLogin, settleLogin } from "../facts/logins.ts";
import { readText } from "./read_octets.ts";

const sequence = 0x30, integer = 2, octets = 4;
const methods: Readonly<Record<number, string>> = { 0: "v1", 1: "v2c", 3: "v3" };

/** Where the version stands, behind the sequence and its length; -1 = this is no SNMP. */
function findVersion(buffer: Uint8Array, at: number, length: number): number {
  if (length < 12 || buffer[at] !== sequence) return -1;
  const size = buffer[at + 1];
  const start = at + (size < 0x80 ? 2 : 2 + (size & 0x7f));
  const isKnown = buffer[start] === integer && buffer[start + 1] === 1 &&
    methods[buffer[start + 2]] !== undefined;
  return isKnown && start + 5 < at + length ? start : -1;
}

export function isSnmp(buffer: Uint8Array, at: number, length: number): boolean {
  return findVersion(buffer, at, length) >= 0;
}

/** Adds the message in `buffer[at, at + length)`, for which {@link isSnmp}. */
export function readSnmp(
  buffer: Uint8Array,
  at: number,
  length: number,
  isFromServer: boolean,
  facts: Facts,
): void {
  const start = findVersion(buffer, at, length);
  const method = methods[buffer[start + 2]];
  const end = start + 5 + buffer[start + 4];
  const hasCommunity = buffer[start + 3] === octets && buffer[start + 4] < 0x80 && end <= at + length;
  const user = hasCommunity ? readText(buffer, start + 5, end) : null;
  const named = user === null ? {} : { user: boundText(facts, user) };
  if (isFromServer) settleLogin(facts, { service: "snmp", ...named, method, outcome: "accepted" }, true);
  else noteLogin(facts, { service: "snmp", ...named, method, outcome: "asked" });
}
