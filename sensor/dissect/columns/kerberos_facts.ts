/** Reads Kerberos messages out of the columns of one packet, whatever carries them:
 * a KDC's port, HTTP, SMB, LDAP or DCE/RPC.
 *
 * In: the columns of one line. Out: one entry of `facts.kerberos`, of the outermost message.
 * Invariant: names stand in parts between commas; where the counts of parts do not add up the text stays whole.
 * Why the outermost alone: an AP-REQ inside a TGS-REQ repeats what every TGS-REQ says. Its columns are shared with no
 * protocol that may carry Kerberos, see slots.ts.
 * Names of errors, messages and types: RFC 4120, RFC 4556, RFC 8009, RFC 8429 and IANA. @module */

import type { Facts, KerberosFact } from "../../../shared/facts.ts";
import { boundText, countEntry, wireNumber } from "../facts/bounds.ts";
import { slot } from "./slots.ts";
import { splitPlain } from "./split.ts";

const asReq = 10, asRep = 11, tgsReq = 12, tgsRep = 13, apReq = 14;
const messages: Readonly<Record<number, string>> = {
  [asReq]: "AS-REQ",
  [asRep]: "AS-REP",
  [tgsReq]: "TGS-REQ",
  [tgsRep]: "TGS-REP",
  [apReq]: "AP-REQ",
  15: "AP-REP",
  20: "KRB-SAFE",
  21: "KRB-PRIV",
  22: "KRB-CRED",
  30: "KRB-ERROR",
};
const errors: Readonly<Record<number, string>> = {
  6: "KDC_ERR_C_PRINCIPAL_UNKNOWN",
  7: "KDC_ERR_S_PRINCIPAL_UNKNOWN",
  12: "KDC_ERR_POLICY",
  13: "KDC_ERR_BADOPTION",
  14: "KDC_ERR_ETYPE_NOSUPP",
  18: "KDC_ERR_CLIENT_REVOKED",
  23: "KDC_ERR_KEY_EXPIRED",
  24: "KDC_ERR_PREAUTH_FAILED",
  25: "KDC_ERR_PREAUTH_REQUIRED",
  31: "KRB_AP_ERR_BAD_INTEGRITY",
  32: "KRB_AP_ERR_TKT_EXPIRED",
  33: "KRB_AP_ERR_TKT_NYV",
  34: "KRB_AP_ERR_REPEAT",
  37: "KRB_AP_ERR_SKEW",
  41: "KRB_AP_ERR_MODIFIED",
  52: "KRB_ERR_RESPONSE_TOO_BIG",
  60: "KRB_ERR_GENERIC",
  68: "KDC_ERR_WRONG_REALM",
};
const encryptions: Readonly<Record<number, string>> = {
  1: "des-cbc-crc",
  2: "des-cbc-md4",
  3: "des-cbc-md5",
  16: "des3-cbc-sha1",
  17: "aes128-cts-hmac-sha1-96",
  18: "aes256-cts-hmac-sha1-96",
  19: "aes128-cts-hmac-sha256-128",
  20: "aes256-cts-hmac-sha384-192",
  23: "rc4-hmac",
  24: "rc4-hmac-exp",
};
/** Encrypted time, PKINIT, encrypted challenge. */
const proofs = [2, 16, 138];
const askedMax = 16;

/** Adds what the packet's Kerberos says, if it holds any. */
export function readKerberos(columns: readonly string[], facts: Facts): void {
  const types = splitPlain(columns[slot.ptr]);
  if (types.length === 0) return;
  const type = wireNumber(types[0]);
  const entry: KerberosFact = { message: messages[type] ?? String(type) };
  const error = splitPlain(columns[slot.mx])[0];
  if (error !== undefined) entry.error = errors[wireNumber(error)] ?? boundText(facts, error);
  const client = columns[slot.ns];
  if (client !== "" && type !== tgsReq) entry.client = boundText(facts, client.replaceAll(",", "/"));
  const service = serviceOf(columns, type);
  if (service !== "") entry.service = boundText(facts, service);
  const realm = splitPlain(columns[slot.responseType]).at(-1);
  if (realm !== undefined) entry.realm = boundText(facts, realm);
  const asked = splitPlain(columns[slot.questions]).slice(0, askedMax).map(encryptionName);
  if (asked.length > 0) entry.asked = asked.map((name) => boundText(facts, name));
  const ticket = ticketOf(splitPlain(columns[slot.answers]), type);
  if (ticket !== undefined) entry.ticket = boundText(facts, encryptionName(ticket));
  const proof = splitPlain(columns[slot.rcode]).map(wireNumber);
  if (type === asReq && proof.some((one) => proofs.includes(one))) entry.preauth = true;
  countEntry(facts, facts.kerberos ??= [], entry);
}

/** Of a TGS-REQ that of its body, which stands behind the ticket's own. */
function serviceOf(columns: readonly string[], type: number): string {
  const text = columns[slot.bytes];
  const parts = text.split(",");
  const counts = splitPlain(columns[slot.type]).map(wireNumber);
  const last = counts.at(-1) ?? 0;
  const isWhole = counts.reduce((sum, count) => sum + count, 0) === parts.length && last > 0;
  if (!isWhole) return text.replaceAll(",", "/");
  return (type === tgsReq ? parts.slice(-last) : parts.slice(0, counts[0])).join("/");
}

/** Replies end with the ticket's and their own; an AP-REQ begins with the ticket's. */
function ticketOf(types: readonly string[], type: number): string | undefined {
  if (type === asRep || type === tgsRep) return types.at(-2);
  return type === apReq ? types[0] : undefined;
}

function encryptionName(type: string): string {
  return encryptions[wireNumber(type)] ?? type;
}
