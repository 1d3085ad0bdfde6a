/** Reads EtherNet/IP commands and the CIP services in them.
 *
 * In: a payload on port 44818 (ODVA, "The CIP Networks Library", volumes 1 and 2).
 * Out: entries of `facts.ics`, "enip", or null: "ask tshark".
 * Invariant: services in an envelope (Unconnected Send, Multiple Service Packet) stand beside the envelope.
 * Bounds: {@link messagesMax} messages a packet, {@link itemsMax} items a message,
 * {@link servicesMax} services an envelope. @module */

import type { Facts } from "../../../shared/facts.ts";
import { countEntry } from "../facts/bounds.ts";
import {
  cipConnectionServices,
  cipServices,
  cipTagServices,
  enipCommands,
  icsName,
} from "../facts/ics_names.ts";
import { littleShort } from "./read_octets.ts";

const messagesMax = 8;
const itemsMax = 4;
const servicesMax = 32;
const headerBytes = 24;
const command = { sendRrData: 0x6f, sendUnitData: 0x70 } as const;
const item = { connected: 0xb1, unconnected: 0xb2 } as const;
const connectionManager = 6;
const unconnectedSend = 0x52, multipleServices = 0x0a;

/** Whether a command stands here. */
export function isEnip(buffer: Uint8Array, at: number): boolean {
  return enipCommands[littleShort(buffer, at)] !== undefined;
}

/** Adds the messages in `buffer[at, limit)`. */
export function readEnip(buffer: Uint8Array, at: number, limit: number, facts: Facts): string | null {
  let start = at;
  for (let messages = 0; messages < messagesMax && start + headerBytes <= limit; messages++) {
    const code = littleShort(buffer, start);
    const name = enipCommands[code];
    if (name === undefined) break;
    const data = start + headerBytes;
    const end = Math.min(limit, data + littleShort(buffer, start + 2));
    if (code !== command.sendRrData && code !== command.sendUnitData) {
      countEntry(facts, facts.ics ??= [], { protocol: "enip", operation: name });
    } else {
      readItems(buffer, data, end, facts);
    }
    start = data + littleShort(buffer, start + 2);
  }
  return start === at ? null : "enip";
}

/** Interface, timeout and count of items; each item with its type and length. */
function readItems(buffer: Uint8Array, at: number, limit: number, facts: Facts): void {
  const count = at + 8 <= limit ? Math.min(littleShort(buffer, at + 6), itemsMax) : 0;
  let start = at + 8;
  for (let i = 0; i < count && start + 4 <= limit; i++) {
    const type = littleShort(buffer, start);
    const data = start + 4;
    const end = Math.min(limit, data + littleShort(buffer, start + 2));
    // A connected message begins with its number.
    if (type === item.connected) readService(buffer, data + 2, end, facts);
    else if (type === item.unconnected) readService(buffer, data, end, facts);
    start = data + littleShort(buffer, start + 2);
  }
}

function readService(buffer: Uint8Array, at: number, limit: number, facts: Facts): void {
  if (at + 4 > limit) return;
  const code = buffer[at] & 0x7f;
  if (buffer[at] >= 0x80) {
    // An answer does not say of which class it is; its general status stands behind a reserved octet.
    const status = buffer[at + 2];
    const operation = icsName(code, cipServices);
    const refusal = status === 0 ? {} : { exception: status };
    return countEntry(facts, facts.ics ??= [], { protocol: "cip", operation, response: true, ...refusal });
  }
  const isConnection = keepRequest(buffer, at, facts);
  const data = at + 2 + 2 * buffer[at + 1];
  if (isConnection && code === unconnectedSend && data + 4 < limit) {
    // Two octets of time, the size of the message, the message.
    keepInner(buffer, data + 4, Math.min(limit, data + 4 + littleShort(buffer, data + 2)), facts);
  } else if (code === multipleServices && data + 2 <= limit) {
    const count = Math.min(littleShort(buffer, data), servicesMax);
    for (let i = 1; i <= count && data + 2 * i + 2 <= limit; i++) {
      keepInner(buffer, data + littleShort(buffer, data + 2 * i), limit, facts);
    }
  }
}

/** What is in an envelope in an envelope is not listed. */
function keepInner(buffer: Uint8Array, at: number, limit: number, facts: Facts): void {
  if (at + 4 <= limit) keepRequest(buffer, at, facts);
}

/** Whether it is one to the connection manager, class 6: its path begins with 20 06. */
function keepRequest(buffer: Uint8Array, at: number, facts: Facts): boolean {
  const isConnection = buffer[at + 1] >= 1 && buffer[at + 2] === 0x20 && buffer[at + 3] === connectionManager;
  const special = isConnection ? cipConnectionServices : cipTagServices;
  const operation = icsName(buffer[at] & 0x7f, cipServices, special);
  countEntry(facts, facts.ics ??= [], { protocol: "cip", operation });
  return isConnection;
}
