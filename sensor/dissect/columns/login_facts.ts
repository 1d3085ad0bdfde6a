/** Reads SSH banners, FTP commands, SMB sessions and DHCP messages out of the columns of one packet.
 *
 * In: the columns of one line. Out: `facts.ssh`, `facts.ftp`, `facts.smb`, `facts.dhcp`.
 * Invariant: an FTP reply stands with the oldest command that has none yet. What people log in with and what names they carry:
 * the detectors of password guessing and lateral movement read these. @module */

import type { Facts } from "../../../shared/facts.ts";
import { boundText, pushEntry, wireFlag, wireNumber } from "../facts/bounds.ts";
import { slot } from "./slots.ts";
import { dhcpMessageName, ntStatusName, smbCommandName } from "./login_names.ts";
import { splitCounted, splitPlain } from "./split.ts";

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
  const fact = facts.dhcp ??= {};
  const type = splitPlain(columns[slot.kind])[0];
  if (type !== undefined) fact.message_type = dhcpMessageName(wireNumber(type));
  if (columns[slot.name] !== "") fact.hostname = boundText(facts, columns[slot.name]);
  const requested = splitPlain(columns[slot.a])[0];
  if (requested !== undefined) fact.requested_ip = boundText(facts, requested);
  if (columns[slot.text] !== "") fact.vendor_class = boundText(facts, columns[slot.text]);
}

export function readSmb(columns: readonly string[], facts: Facts, second: boolean): void {
  const commands = splitPlain(columns[slot.kind]).map(wireNumber);
  const statuses = splitPlain(columns[slot.status]).map(wireNumber);
  const tree = columns[slot.name];
  const file = columns[slot.cname];
  const account = columns[slot.aaaa];
  const bad = statuses.find((status) => status !== 0);
  if (tree === "" && file === "" && account === "" && bad === undefined) return;
  const command = commands[0] === undefined ? undefined : smbCommandName(commands[0], second);
  const entry: NonNullable<Facts["smb"]>[number] = {};
  if (command !== undefined) entry.command = command;
  if (tree !== "") entry.tree = boundText(facts, tree);
  if (file !== "") entry.file = boundText(facts, file);
  if (account !== "") entry.account = boundText(facts, account);
  if (bad !== undefined) entry.status = ntStatusName(bad);
  pushEntry(facts, facts.smb ??= [], entry);
}
