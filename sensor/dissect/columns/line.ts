/** Turns one line of the dissector into facts.
 *
 * In: a line of tab-separated columns in the order of `slots.ts`, and the facts of its flow so far. Out: the facts
 * grown, and the name of the application protocol.
 * Invariant: a line with another number of columns changes nothing and is told so by its reason.
 * Hostile: the values come from the wire; every list and string is bounded by `bounds.ts`. @module */

import type { Facts } from "../../../shared/facts.ts";
import { type PacketProtocols, readProtocols } from "./app_protocol.ts";
import { boundText } from "../facts/bounds.ts";
import { readDns } from "./dns_facts.ts";
import { readHttp } from "./http_facts.ts";
import { readKerberos } from "./kerberos_facts.ts";
import { readDhcp, readFtp, readSmb, readSsh } from "./login_facts.ts";
import { addOther, readImap, readPop, readSip, readSmtp } from "./mail_facts.ts";
import type { SegmentFacts } from "../facts/segment_facts.ts";
import { slot, slotCount } from "./slots.ts";
import { readTls } from "./tls_facts.ts";

/** Why a line could not be used. */
export const lineReasons = ["columns", "frame_number"] as const;
export type LineReason = typeof lineReasons[number];

/** The columns of one line, or why it is none. `frame` is the frame number it must carry. */
export function splitLine(line: string, frame: number): { columns: string[] } | { reason: LineReason } {
  const columns = line.split("\t");
  if (columns.length === slotCount + 1 && columns[slotCount] === "") columns.pop();
  if (columns.length !== slotCount) return { reason: "columns" };
  if (columns[slot.frame] !== String(frame)) return { reason: "frame_number" };
  return { columns };
}

/** Grows `facts` by what one packet says; returns its application protocol. */
export function readFacts(columns: readonly string[], facts: SegmentFacts): string {
  const protocols = readProtocols(columns[slot.protocols]);
  if (protocols.family === "dns") {
    readDns(columns, facts);
  } else {
    if (protocols.family === "http") readHttp(columns, facts, protocols.hasKerberos);
    facts.addOthers((others) => readOthers(columns, others, protocols));
  }
  return protocols.app;
}

/** What is kept as an object. */
function readOthers(columns: readonly string[], facts: Facts, protocols: PacketProtocols): void {
  if (protocols.hasKerberos) readKerberos(columns, facts);
  switch (protocols.family) {
    case "tls":
      return readTls(columns, facts, protocols.quic);
    case "gquic":
      return readGquic(columns, facts);
    case "ssh":
      return readSsh(columns, facts);
    case "dhcp":
      return readDhcp(columns, facts);
    case "ftp":
      return readFtp(columns, facts);
    case "smb":
      return readSmb(columns, facts, columns[slot.protocols].includes("smb2"));
    case "sip":
      return readSip(columns, facts);
    case "pop":
      return readPop(columns, facts);
    case "imap":
      return readImap(columns, facts);
    case "smtp":
      return readSmtp(columns, facts);
    case "http":
    case "other":
      return readOther(columns, facts);
  }
}

function readGquic(columns: readonly string[], facts: Facts): void {
  const fact = facts.quic ??= {};
  if (columns[slot.kind] !== "") fact.sni ??= boundText(facts, columns[slot.kind]);
  if (columns[slot.responseType] !== "") fact.version ??= boundText(facts, columns[slot.responseType]);
}

/** Certificates, as OCSP answers hold them, use the same columns. */
function readOther(columns: readonly string[], facts: Facts): void {
  const protocols = columns[slot.protocols];
  if (protocols.includes("ntlmssp")) addOther(facts, "ntlmssp.auth.username", columns[slot.aaaa]);
  if (protocols.includes("rdp")) addOther(facts, "rdp.rt_cookie", columns[slot.service]);
}
