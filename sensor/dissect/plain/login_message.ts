/** Reads log-ins of services whose first packets tell how they ended, without the dissector.
 *
 * In: a payload on the port of one of them, by whichever side.
 * Out: one {@link LoginFact}, or null: nothing about logging in.
 * Invariant: only what the protocol itself says is an outcome; of Telnet, which has no such message, the words that
 * login(1) and the common consoles print. No password is kept.
 * Sources: MySQL's client/server protocol, PostgreSQL's frontend/backend protocol 3, MS-TDS, MS-RDPBCGR,
 * RFC 6143 (VNC), RESP (Redis).
 * Why here: tshark would have to see every packet of such flows to tell one; an error message tells by itself.
 * @module */

import type { LoginFact } from "../../../shared/facts.ts";
import { littleShort, textAt, wordAt } from "./read_octets.ts";

export const loginPorts: readonly number[] = [23, 1433, 2323, 3306, 3389, 5432, 5900, 5901, 5902, 6379];
const wordsMax = 512;
const nameOctetsMax = 255;
type Said = Omit<LoginFact, "service"> | null;

/** What `buffer[at, limit)` says, to or from `port`. */
export function readLogin(
  buffer: Uint8Array,
  at: number,
  limit: number,
  port: number,
  isFromServer: boolean,
): LoginFact | null {
  const [service, said] = saidOn(buffer, at, limit, port, isFromServer);
  return said === null ? null : { service, ...said };
}

function saidOn(
  buffer: Uint8Array,
  at: number,
  limit: number,
  port: number,
  isFromServer: boolean,
): [LoginFact["service"], Said] {
  switch (port) {
    case 23:
    case 2323:
      return ["telnet", isFromServer ? fromTelnet(textAt(buffer, at, Math.min(limit, at + wordsMax))) : null];
    case 1433:
      return ["mssql", isFromServer ? fromSqlServer(buffer, at, limit) : null];
    case 3306:
      return ["mysql", isFromServer ? fromMysql(buffer, at, limit) : toMysql(buffer, at, limit)];
    case 3389:
      return ["rdp", isFromServer ? fromRdp(buffer, at, limit) : toRdp(buffer, at, limit)];
    case 5432:
      return ["postgresql", isFromServer ? fromPostgres(buffer, at, limit) : toPostgres(buffer, at, limit)];
    case 6379:
      return ["redis", redis(textAt(buffer, at, Math.min(limit, at + wordsMax)), isFromServer)];
    default:
      return ["vnc", isFromServer ? fromVnc(buffer, at, limit) : null];
  }
}

const telnetRefusals =
  /login incorrect|incorrect (?:login|password|username)|login failed|authentication fail|access denied|bad password|login invalid|invalid (?:login|password|username|user ?name)/i;
const telnetEntries = /last login|busybox v\d|built-in shell|[\w~\])] ?[#$] $/i;

function fromTelnet(words: string): Said {
  if (telnetRefusals.test(words)) return { outcome: "refused" };
  if (/password ?: ?$/i.test(words)) return { outcome: "asked" };
  if (/(?:login|user ?name) ?: ?$/i.test(words)) return { outcome: "challenged" };
  return telnetEntries.test(words) ? { outcome: "accepted" } : null;
}

const refusedBySqlServer = 18_456;

/** A table of results: tokens, each with its length. */
function fromSqlServer(buffer: Uint8Array, at: number, limit: number): Said {
  if (at + 16 > limit || buffer[at] !== 4) return null;
  let token = at + 8;
  for (let count = 0; count < 16 && token + 7 <= limit; count++) {
    const kind = buffer[token];
    if (kind === 0xad) return { outcome: "accepted" };
    if (kind === 0xaa) {
      const code = littleShort(buffer, token + 3) | littleShort(buffer, token + 5) << 16;
      return code === refusedBySqlServer ? { outcome: "refused", code } : null;
    }
    // Change of environment, information.
    if (kind !== 0xe3 && kind !== 0xab) return null;
    token += 3 + littleShort(buffer, token + 1);
  }
  return null;
}

/** Access denied, host blocked or not allowed, wrong kind of proof, password expired. */
const mysqlRefusals: ReadonlySet<number> = new Set([1044, 1045, 1129, 1130, 1251, 1698, 1820, 1862]);

/** Length of three octets, number, then the answer: 0 = OK, 255 = error. */
function fromMysql(buffer: Uint8Array, at: number, limit: number): Said {
  if (at + 7 > limit || (buffer[at] | littleShort(buffer, at + 1) << 8) > limit - at - 4) return null;
  // The greeting is number 0, and so is the error of a server that greets nobody.
  if (buffer[at + 3] === 0 && buffer[at + 4] !== 255) return null;
  const code = littleShort(buffer, at + 5);
  if (buffer[at + 4] === 255 && mysqlRefusals.has(code)) return { outcome: "refused", code };
  return buffer[at + 4] === 0 && buffer[at + 3] >= 2 ? { outcome: "accepted" } : null;
}

/** Capabilities, size, character set, 23 octets of nothing, the user. */
function toMysql(buffer: Uint8Array, at: number, limit: number): Said {
  const place = at + 36;
  if (place + 1 > limit || (buffer[at + 3] !== 1 && buffer[at + 3] !== 2)) return null;
  if ((buffer[at] | littleShort(buffer, at + 1) << 8) !== limit - at - 4) return null;
  for (let i = at + 13; i < place - 4; i++) if (buffer[i] !== 0) return null;
  return { user: nameAt(buffer, place, limit), outcome: "asked" };
}

const rdpSecurity: Readonly<Record<number, string>> = {
  0: "rdp",
  1: "tls",
  2: "credssp",
  4: "rdstls",
  8: "credssp",
};

/** TPKT, COTP's confirmation; eight octets with the security chosen, or why none was. */
function fromRdp(buffer: Uint8Array, at: number, limit: number): Said {
  if (at + 11 > limit || buffer[at] !== 3 || buffer[at + 5] !== 0xd0) return null;
  if (at + 19 > limit) return { outcome: "challenged", method: "rdp" };
  if (buffer[at + 11] === 3) return { outcome: "refused", code: buffer[at + 15] };
  return { outcome: "challenged", method: rdpSecurity[buffer[at + 15]] ?? String(buffer[at + 15]) };
}

function toRdp(buffer: Uint8Array, at: number, limit: number): Said {
  if (at + 11 > limit || buffer[at] !== 3 || buffer[at + 5] !== 0xe0) return null;
  const user = /Cookie: mstshash=([^\r\n]*)/.exec(textAt(buffer, at + 11, Math.min(limit, at + wordsMax)))
    ?.[1];
  return { ...user !== undefined && { user }, outcome: "asked" };
}

const postgresMethods: Readonly<Record<number, string>> = {
  3: "password",
  5: "md5",
  7: "gss",
  9: "sspi",
  10: "sasl",
};

/** "R": what is asked for, 0 = nothing more, 12 = the last word of SASL.
 * "E": an error, of which the code follows "C". */
function fromPostgres(buffer: Uint8Array, at: number, limit: number): Said {
  let said: Said = null;
  let start = at;
  for (let messages = 0; messages < 4 && start + 9 <= limit; messages++) {
    if (buffer[start] === 0x45) {
      const isRefusal = /\0C(?:28P01|28000)\0/.test(
        textAt(buffer, start + 4, Math.min(limit, start + wordsMax)),
      );
      return isRefusal ? { outcome: "refused" } : said;
    }
    if (buffer[start] !== 0x52 || wordAt(buffer, start + 1) !== 0) return said;
    const kind = wordAt(buffer, start + 7);
    const method = postgresMethods[kind];
    if (kind === 0) said = { outcome: "accepted" };
    else if (method !== undefined) said = { outcome: "challenged", method };
    start += 1 + wordAt(buffer, start + 3);
  }
  return said;
}

/** Length, version 3.0, names and values. */
function toPostgres(buffer: Uint8Array, at: number, limit: number): Said {
  if (at + 9 > limit || wordAt(buffer, at + 4) !== 3 || wordAt(buffer, at + 6) !== 0) return null;
  const words = textAt(buffer, at + 8, Math.min(limit, at + wordsMax)).split("\0");
  const place = words.indexOf("user");
  return place < 0 ? null : { user: words[place + 1] ?? "", outcome: "asked" };
}

function redis(words: string, isFromServer: boolean): Said {
  if (!isFromServer) {
    const command = /^(?:\*(\d)\r\n\$4\r\nAUTH\r\n(?:\$\d+\r\n([^\r]*))?|AUTH )/i.exec(words);
    if (command === null) return null;
    // With one word it is the password.
    return { ...command[1] === "3" && { user: command[2] }, outcome: "asked" };
  }
  if (/^-(?:WRONGPASS|ERR invalid password)/.test(words)) return { outcome: "refused" };
  if (/^-NOAUTH/.test(words)) return { outcome: "challenged" };
  return words.startsWith("+OK\r\n") ? { outcome: "accepted" } : null;
}

/** A challenge of sixteen octets; a result of four, with or without its reason.
 * What is offered before is of other lengths. */
function fromVnc(buffer: Uint8Array, at: number, limit: number): Said {
  const length = limit - at;
  if (length === 16) return { outcome: "asked" };
  if (length < 4 || wordAt(buffer, at) !== 0 || buffer[at + 2] !== 0) return null;
  if (length === 4 && buffer[at + 3] === 0) return { outcome: "accepted" };
  if (buffer[at + 3] !== 1 && buffer[at + 3] !== 2) return null;
  const hasReason = length >= 8 && wordAt(buffer, at + 4) === 0 && wordAt(buffer, at + 6) === length - 8;
  return length === 4 || hasReason ? { outcome: "refused" } : null;
}

function nameAt(buffer: Uint8Array, at: number, limit: number): string {
  const end = buffer.subarray(at, Math.min(limit, at + nameOctetsMax)).indexOf(0);
  return end < 0 ? "" : textAt(buffer, at, at + end);
}
