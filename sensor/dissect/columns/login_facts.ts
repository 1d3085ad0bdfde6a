/** Reads SSH banners, FTP commands, SMB sessions and DHCP messages out of the columns of one packet.
 *
 * In: the columns of one line. Out: `facts.ssh`, `facts.ftp`, `facts.smb`, `facts.dhcp`.
 * Invariant: an FTP reply stands with the oldest command that has none yet. What people log in with and what names they
 * carry: the detectors of password guessing and lateral movement read these. @module */

import { type DhcpFact, factLimits, type Facts, type SmbFact } from "../../../shared/facts.ts";
import { boundText, countEntry, pushEntry, wireFlag, wireNumber } from "../facts/bounds.ts";
import { slot } from "./slots.ts";
import { dhcpMessageName, ntStatusName, smbCommandName } from "./login_names.ts";
import { splitCounted, splitPlain } from "./split.ts";

const noAddress = "0.0.0.0";
const dialects: Readonly<Record<number, string>> = {
  0x0202: "2.0.2",
  0x0210: "2.1",
  0x0300: "3.0",
  0x0302: "3.0.2",
  0x0311: "3.1.1",
  0x02ff: "2.?",
};

export function readSsh(columns: readonly string[], facts: Facts): void {
  const banner = columns[slot.kind];
  const hassh = columns[slot.name];
  if (banner === "" && hassh === "") return;
  const fact = facts.ssh ??= {};
  // tshark prints the direction as 0 = client to server; a banner holds no comma that matters here.
  const fromServer = wireFlag(splitPlain(columns[slot.status])[0]);
  if (banner !== "" && fromServer) fact.server ??= boundText(facts, banner);
  if (banner !== "" && !fromServer) fact.client ??= boundText(facts, banner);
  if (hassh !== "") fact.hassh ??= boundText(facts, hassh);
}

export function readFtp(columns: readonly string[], facts: Facts): void {
  const commands = splitPlain(columns[slot.kind]);
  const texts = splitCounted(columns[slot.name], commands.length);
  const list = facts.ftp ??= [];
  commands.forEach((command, index) =>
    pushEntry(facts, list, {
      command: boundText(facts, command),
      argument: boundText(facts, texts[index] ?? ""),
    })
  );
  for (const code of splitPlain(columns[slot.status]).map(wireNumber)) {
    const open = list.find((entry) => entry.reply === undefined);
    if (open) open.reply = code;
    else pushEntry(facts, list, { command: "", argument: "", reply: code });
  }
  if (list.length === 0) delete facts.ftp;
}

export function readDhcp(columns: readonly string[], facts: Facts): void {
  const entry: DhcpFact = {};
  const type = splitPlain(columns[slot.kind])[0];
  if (type !== undefined) entry.message_type = dhcpMessageName(wireNumber(type));
  const first = (text: string) => splitPlain(text)[0] ?? "";
  const named = [
    ["mac", first(columns[slot.mx])],
    ["hostname", columns[slot.name]],
    ["requested_ip", first(columns[slot.a])],
    ["vendor_class", columns[slot.text]],
    ["fingerprint", columns[slot.type]],
    ["server", first(columns[slot.ns])],
    ["offered_ip", first(columns[slot.srv])],
  ] as const;
  for (const [name, value] of named) {
    if (value !== "" && value !== noAddress) entry[name] = boundText(facts, value);
  }
  const routers = splitPlain(columns[slot.cname]).slice(0, factLimits.answersMax);
  if (routers.length > 0) entry.routers = routers.map((one) => boundText(facts, one));
  const servers = splitPlain(columns[slot.aaaa]).slice(0, factLimits.answersMax);
  if (servers.length > 0) entry.dns_servers = servers.map((one) => boundText(facts, one));
  countEntry(facts, facts.dhcp ??= [], entry);
}

export function readSmb(columns: readonly string[], facts: Facts, second: boolean): void {
  const commands = splitPlain(columns[slot.kind]).map(wireNumber);
  const statuses = splitPlain(columns[slot.status]).map(wireNumber);
  const tree = columns[slot.name];
  const file = columns[slot.cname];
  const account = columns[slot.aaaa];
  const host = columns[slot.a];
  const bad = statuses.find((status) => status !== 0);
  // 255 = no further command in the same message.
  const code = commands.find((one) => second || one !== 0xff);
  const command = code === undefined ? undefined : smbCommandName(code, second);
  const dialect = command === "negotiate" ? dialectOf(columns, second, statuses.length > 0) : "";
  const isLoggedIn = command === "session_setup" && second && statuses[0] === 0;
  // An answer to a create repeats the tree.
  const isNew = tree !== "" && command !== "create";
  const isEmpty = !isNew && file === "" && account === "" && host === "" && dialect === "";
  if (isEmpty && bad === undefined && !isLoggedIn) return;
  const entry: SmbFact = {};
  if (command !== undefined) entry.command = command;
  if (dialect !== "") entry.dialect = dialect;
  if (tree !== "") entry.tree = boundText(facts, tree);
  if (file !== "") entry.file = boundText(facts, file);
  if (account !== "") entry.account = boundText(facts, account);
  if (host !== "") entry.host = boundText(facts, host);
  if (bad !== undefined) entry.status = ntStatusName(bad);
  else if (isLoggedIn) entry.status = "STATUS_SUCCESS";
  pushEntry(facts, facts.smb ??= [], entry);
}

/** What a server chose; "" in a request. SMB 1 gives the place in the client's list, where 65535 = none of it. */
function dialectOf(columns: readonly string[], second: boolean, isAnswer: boolean): string {
  const chosen = splitPlain(columns[slot.type]);
  if (!isAnswer || chosen.length !== 1) return "";
  const value = wireNumber(chosen[0]);
  if (second) return dialects[value] ?? "";
  return value === 0xffff ? "" : "1";
}
