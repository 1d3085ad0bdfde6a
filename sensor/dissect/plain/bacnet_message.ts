/** Reads which service a BACnet/IP message asks for or answers.
 *
 * In: a payload on port 47808 (ASHRAE 135, annex J, clauses 6 and 20).
 * Out: an entry of `facts.ics`, "bacnet", or null: "ask tshark".
 * Invariant: messages of the network layer and of broadcast management name the protocol and add nothing. @module */

import type { Facts } from "../../../shared/facts.ts";
import { countEntry } from "../facts/bounds.ts";
import { bacnetConfirmed, bacnetUnconfirmed, icsName } from "../facts/ics_names.ts";

/** Functions of the virtual link layer that carry a message, and how long their header is. */
const headers = new Map([[0x04, 10], [0x09, 4], [0x0a, 4], [0x0b, 4]]);
const hasDestination = 0x20, hasSource = 0x08, isNetworkMessage = 0x80, isSegmented = 0x08;
const type = { confirmed: 0, unconfirmed: 1, simpleAck: 2, complexAck: 3, error: 5 } as const;

/** Adds the message in `buffer[at, limit)`. */
export function readBacnet(buffer: Uint8Array, at: number, limit: number, facts: Facts): string | null {
  if (at + 4 > limit || buffer[at] !== 0x81) return null;
  const header = headers.get(buffer[at + 1]);
  if (header === undefined) return "bacnet";
  const start = findApplication(buffer, at + header, limit);
  if (start >= 0) readApplication(buffer, start, limit, facts);
  return "bacnet";
}

/** Where the application's part begins; -1 = there is none. */
function findApplication(buffer: Uint8Array, at: number, limit: number): number {
  if (at + 2 > limit || buffer[at] !== 1) return -1;
  const control = buffer[at + 1];
  if ((control & isNetworkMessage) !== 0) return -1;
  let next = at + 2;
  // Network, length and address; behind both a count of hops.
  if ((control & hasDestination) !== 0) next += 3 + buffer[next + 2];
  if ((control & hasSource) !== 0) next += 3 + buffer[next + 2];
  if ((control & hasDestination) !== 0) next++;
  return next + 2 <= limit ? next : -1;
}

function readApplication(buffer: Uint8Array, at: number, limit: number, facts: Facts): void {
  const kind = buffer[at] >> 4;
  const extra = (buffer[at] & isSegmented) !== 0 ? 2 : 0;
  let place = at + 1;
  if (kind === type.confirmed) place = at + 3 + extra;
  else if (kind === type.complexAck) place = at + 2 + extra;
  else if (kind === type.simpleAck || kind === type.error) place = at + 2;
  else if (kind !== type.unconfirmed) return;
  if (place >= limit) return;
  const names = kind === type.unconfirmed ? bacnetUnconfirmed : bacnetConfirmed;
  // An error begins with its class, an enumeration of one octet.
  const error = kind === type.error && buffer[place + 1] === 0x91 && place + 2 < limit
    ? buffer[place + 2]
    : -1;
  countEntry(facts, facts.ics ??= [], {
    protocol: "bacnet",
    operation: icsName(buffer[place], names),
    ...kind >= type.simpleAck && { response: true },
    ...error >= 0 && { exception: error },
  });
}
