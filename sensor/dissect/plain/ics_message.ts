/** Reads what industrial protocols ask for where it arrives, without the dissector.
 *
 * In: a payload on the port of one of them.
 * Out: entries of `facts.ics`, and the name of the protocol, or null: "not plain, ask tshark".
 * Invariant: functions, units and exception codes are those tshark prints of the same packet. Bounds:
 * {@link messagesMax} messages a packet.
 * Why here: polls go on for years on one connection, and a command among them may come at any time, so every packet is
 * read; the dissector would take 20 us for each. ENIP and BACnet have files of their own. @module */

import type { Facts, IcsFact } from "../../../shared/facts.ts";
import { countEntry } from "../facts/bounds.ts";
import {
  dnp3Functions,
  icsName,
  iecTypes,
  modbusFunctions,
  s7Functions,
  s7Groups,
} from "../facts/ics_names.ts";
import { readBacnet } from "./bacnet_message.ts";
import { isEnip, readEnip } from "./enip_message.ts";
import { littleShort, wordAt } from "./read_octets.ts";

const messagesMax = 16;
export const icsPort = {
  s7: 102,
  modbus: 502,
  iec104: 2404,
  dnp3: 20000,
  enip: 44818,
  bacnet: 47808,
} as const;

/** Adds the messages in `buffer[at, at + length)`; `port` is of {@link icsPort}. */
export function readIcs(
  buffer: Uint8Array,
  at: number,
  length: number,
  port: number,
  isFromServer: boolean,
  facts: Facts,
): string | null {
  const limit = at + length;
  switch (port) {
    case icsPort.modbus:
      return readModbus(buffer, at, limit, isFromServer, facts);
    case icsPort.dnp3:
      return readDnp3(buffer, at, limit, facts);
    case icsPort.s7:
      return readS7(buffer, at, limit, facts);
    case icsPort.iec104:
      return readIec104(buffer, at, limit, isFromServer, facts);
    case icsPort.enip:
      return readEnip(buffer, at, limit, facts);
    default:
      return readBacnet(buffer, at, limit, facts);
  }
}

/** Whether a message of the protocol with this port begins here: what {@link readIcs} does not call null.
 * Four octets or more. */
export function isIcs(buffer: Uint8Array, at: number, length: number, port: number): boolean {
  switch (port) {
    case icsPort.modbus:
      return length >= 8 && wordAt(buffer, at + 2) === 0 && wordAt(buffer, at + 4) >= 2 &&
        buffer[at + 4] === 0;
    case icsPort.dnp3:
      return length >= 10 && buffer[at] === 0x05 && buffer[at + 1] === 0x64 && buffer[at + 2] >= 5;
    case icsPort.s7:
      return length >= 19 && wordAt(buffer, at) === 0x0300 && wordAt(buffer, at + 4) === 0x02f0 &&
        buffer[at + 7] === 0x32 && wordAt(buffer, at + 2) >= 19;
    case icsPort.iec104:
      return length >= 6 && buffer[at] === 0x68 && buffer[at + 1] >= 4 && buffer[at + 1] <= 253;
    case icsPort.enip:
      return length >= 24 && isEnip(buffer, at);
    default:
      return buffer[at] === 0x81;
  }
}

function keep(facts: Facts, entry: IcsFact): void {
  countEntry(facts, facts.ics ??= [], entry);
}

/** Transaction, protocol 0, length, unit, function. */
function readModbus(
  buffer: Uint8Array,
  at: number,
  limit: number,
  isFromServer: boolean,
  facts: Facts,
): string | null {
  let start = at;
  for (let messages = 0; messages < messagesMax && start + 8 <= limit; messages++) {
    const length = wordAt(buffer, start + 4);
    if (wordAt(buffer, start + 2) !== 0 || length < 2 || length > 255) break;
    const code = buffer[start + 7];
    const isRefused = isFromServer && code >= 0x80 && start + 9 <= limit;
    keep(facts, {
      protocol: "modbus",
      operation: icsName(isRefused ? code & 0x7f : code, modbusFunctions),
      unit: buffer[start + 6],
      ...isFromServer && { response: true },
      ...isRefused && { exception: buffer[start + 8] },
    });
    start += 6 + length;
  }
  return start === at ? null : "modbus";
}

/** A link frame: start, length, control, destination, source, checksum;
 * then the transport's octet, the application's control and function. */
function readDnp3(buffer: Uint8Array, at: number, limit: number, facts: Facts): string | null {
  let start = at;
  for (let messages = 0; messages < messagesMax && start + 10 <= limit; messages++) {
    if (buffer[start] !== 0x05 || buffer[start + 1] !== 0x64 || buffer[start + 2] < 5) break;
    const octets = buffer[start + 2] - 5;
    const isFirst = (buffer[start + 10] & 0x40) !== 0;
    if (octets >= 3 && isFirst && start + 13 <= limit) {
      const code = buffer[start + 12];
      const isResponse = code >= 129;
      keep(facts, {
        protocol: "dnp3",
        operation: icsName(code, dnp3Functions),
        unit: littleShort(buffer, start + (isResponse ? 6 : 4)),
        ...isResponse && { response: true },
      });
    }
    // Two octets of checksum behind each sixteen.
    start += 10 + octets + 2 * Math.ceil(octets / 16);
  }
  return start === at ? null : "dnp3";
}

/** TPKT, COTP data, then a header of 10 octets or, in an answer, 12. */
function readS7(buffer: Uint8Array, at: number, limit: number, facts: Facts): string | null {
  let start = at;
  for (let messages = 0; messages < messagesMax && start + 19 <= limit; messages++) {
    const length = wordAt(buffer, start + 2);
    if (buffer[start] !== 3 || length < 19 || buffer[start + 4] !== 2 || buffer[start + 5] !== 0xf0) break;
    const header = start + 7;
    if (buffer[header] !== 0x32) break;
    const type = buffer[header + 1];
    if (type === 7) keepS7Group(buffer, header + 10, limit, facts);
    else if (type >= 1 && type <= 3) keepS7Function(buffer, header, limit, type > 1, facts);
    start += length;
  }
  return start === at ? null : "s7comm";
}

function keepS7Function(
  buffer: Uint8Array,
  header: number,
  limit: number,
  isResponse: boolean,
  facts: Facts,
): void {
  const code = header + (isResponse ? 12 : 10);
  if (wordAt(buffer, header + 6) === 0 || code >= limit) return;
  const error = isResponse ? buffer[header + 10] : 0;
  keep(facts, {
    protocol: "s7comm",
    operation: icsName(buffer[code], s7Functions),
    ...isResponse && { response: true },
    ...error !== 0 && { exception: error },
  });
}

/** Parameters: 00 01 12, length, method, type and group, subfunction. */
function keepS7Group(buffer: Uint8Array, at: number, limit: number, facts: Facts): void {
  if (at + 7 > limit || buffer[at + 1] !== 1 || buffer[at + 2] !== 0x12) return;
  const group = buffer[at + 5] & 15;
  const isRead = group === 4 && buffer[at + 6] === 1;
  keep(facts, {
    protocol: "s7comm",
    operation: isRead ? "read_szl" : icsName(group, s7Groups),
    ...buffer[at + 5] >> 4 === 8 && { response: true },
  });
}

/** Start, length, four octets of control; of frames with information: type, count, cause, originator, address. */
function readIec104(
  buffer: Uint8Array,
  at: number,
  limit: number,
  isFromServer: boolean,
  facts: Facts,
): string | null {
  let start = at;
  for (let messages = 0; messages < messagesMax && start + 6 <= limit; messages++) {
    const length = buffer[start + 1];
    if (buffer[start] !== 0x68 || length < 4 || length > 253) break;
    if ((buffer[start + 2] & 1) === 0 && length >= 10 && start + 12 <= limit) {
      keep(facts, {
        protocol: "iec104",
        operation: icsName(buffer[start + 6], iecTypes),
        unit: littleShort(buffer, start + 10),
        ...isFromServer && { response: true },
      });
    }
    start += 2 + length;
  }
  return start === at ? null : "iec104";
}
