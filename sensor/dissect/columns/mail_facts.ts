/** Reads log-ins to mailboxes and telephones out of the columns of one packet: POP, IMAP, SMTP and SIP.
 *
 * In: the columns of one line. Out: `facts.logins`, and of SIP two entries of `facts.other`. Invariant: no password is
 * kept: of a line that holds one only the user's name is. @module */

import type { Facts } from "../../../shared/facts.ts";
import { boundText, countEntry, wireNumber } from "../facts/bounds.ts";
import { noteLogin, settleLogin } from "../facts/logins.ts";
import { slot } from "./slots.ts";
import { splitPlain } from "./split.ts";

export function readPop(columns: readonly string[], facts: Facts): void {
  const command = columns[slot.kind].toUpperCase();
  if (command === "USER") {
    noteLogin(facts, { service: "pop3", user: boundText(facts, columns[slot.name]), outcome: "named" });
  } else if (command === "PASS" || (command === "AUTH" && columns[slot.name] !== "")) {
    noteLogin(facts, { service: "pop3", outcome: "asked" });
  } else if (command === "APOP") {
    noteLogin(facts, { service: "pop3", user: firstWord(facts, columns[slot.name]), outcome: "asked" });
  }
  const reply = columns[slot.status];
  if (reply === "" || !isAsked(facts)) return;
  settleLogin(facts, { service: "pop3", outcome: reply.startsWith("+OK") ? "accepted" : "refused" }, false);
}

/** "a1 LOGIN user password"; the user may be quoted. */
export function readImap(columns: readonly string[], facts: Facts): void {
  const [command, line] = [columns[slot.kind].toUpperCase(), columns[slot.name]];
  if (command === "LOGIN") {
    const user = /^\S+ +LOGIN +(?:\\?"([^"\\]*)\\?"|(\S+))/i.exec(line);
    const name = user?.[1] ?? user?.[2];
    noteLogin(facts, {
      service: "imap",
      ...name && { user: boundText(facts, name) },
      outcome: "asked",
    });
  } else if (command === "AUTHENTICATE") {
    const method = line.split(/ +/, 3)[2]?.toLowerCase() ?? "";
    noteLogin(facts, { service: "imap", method: boundText(facts, method), outcome: "asked" });
  }
  const status = splitPlain(columns[slot.status]).at(-1)?.toUpperCase();
  if (status === undefined || !isAsked(facts)) return;
  settleLogin(facts, { service: "imap", outcome: status === "OK" ? "accepted" : "refused" }, false);
}

export function readSmtp(columns: readonly string[], facts: Facts): void {
  if (columns[slot.kind].toUpperCase() === "AUTH") {
    const method = firstWord(facts, columns[slot.name]).toLowerCase();
    noteLogin(facts, { service: "smtp", method, outcome: "asked" });
  }
  const code = wireNumber(splitPlain(columns[slot.status])[0]);
  // 334: go on.
  if (code < 200 || code === 334) return;
  if (code !== 235 && code !== 535 && !isAsked(facts)) return;
  settleLogin(facts, { service: "smtp", outcome: code < 300 ? "accepted" : "refused", code }, code === 535);
}

/** Requests name a user; of answers only those to REGISTER and INVITE are about logging in. */
export function readSip(columns: readonly string[], facts: Facts): void {
  const method = columns[slot.srv].toUpperCase();
  addOther(facts, "sip.Method", columns[slot.kind]);
  addOther(facts, "sip.r-uri", columns[slot.type]);
  addOther(facts, "sip.User-Agent", columns[slot.text]);
  if (method !== "REGISTER" && method !== "INVITE") return;
  const named = columns[slot.name].replaceAll(/\\?"/g, "") || columns[slot.cname];
  const user = named === "" ? {} : { user: boundText(facts, named) };
  const code = wireNumber(splitPlain(columns[slot.status])[0]);
  const isProven = columns[slot.name] !== "";
  // Answers come out of order, and name the user again: each stands alone.
  if (code === 0) {
    addSip(facts, { ...user, method, outcome: isProven ? "asked" : "named" });
  } else if (code >= 200) {
    const outcome = code < 300 ? "accepted" : code === 401 || code === 407 ? "challenged" : "refused";
    addSip(facts, { ...user, method, outcome, code });
  }
}

function addSip(facts: Facts, entry: Omit<NonNullable<Facts["logins"]>[number], "service">): void {
  countEntry(facts, facts.logins ??= [], { service: "sip", ...entry });
}

function isAsked(facts: Facts): boolean {
  return facts.logins?.some(({ outcome }) => outcome === "asked") ?? false;
}

function firstWord(facts: Facts, text: string): string {
  return boundText(facts, text.split(" ", 1)[0]);
}

export function addOther(facts: Facts, name: string, value: string): void {
  if (value !== "") (facts.other ??= {})[name] ??= boundText(facts, value);
}
