/** Facts: what tshark read in the payload of one flow.
 *
 * In: the deep lane of a sensor. Out: `Segment.facts`, the store, detectors, the dashboard.
 * Invariant: every list and every string is bounded by {@link factLimits}; what was cut off is counted in `cut`.
 * Hostile: every string here was chosen by whoever sent the packet. Escape it wherever it is shown. @module */

/** Upper bounds of the facts of one flow. */
export const factLimits = {
  /** Entries of a list (DNS questions with their answers, HTTP messages, ...) per segment. */
  entriesMax: 1_024,
  /** Characters of one string. */
  charactersMax: 255,
  /** Addresses or names of one DNS answer. */
  answersMax: 16,
  /** Different entries of a list whose entries are counted (`dhcp`, `rpc`, `ics`, `kerberos`, `ldap`, `logins`). */
  countedMax: 64,
} as const;

/** One question of DNS, mDNS, LLMNR or NetBIOS (types "NB" and "NBSTAT") and its answer, as a line of Zeek's dns.log: a
 * response stands with the query of the same flow and segment, DNS id, name and type. */
export interface DnsFact {
  /** Of the question; "" in a response that does not repeat it (mDNS). */
  name: string;
  type: string;
  /** "NOERROR", "NXDOMAIN", ... Absent: no answer was seen in this segment. */
  rcode?: string;
  /** Addresses, names and text of the answer section, in order. Absent: none.
   * Without `rcode` those that the asker knows already (mDNS). */
  answers?: string[];
  /** The question was not seen in this segment: lost, in an earlier one, or never asked (mDNS announcements). */
  unasked?: true;
}

export interface TlsFact {
  sni?: string;
  /** Version negotiated, else offered: "TLS 1.3", ... */
  version?: string;
  ja3?: string;
  ja3s?: string;
  ja4?: string;
  alpn?: string;
  cipher?: string;
  /** Subject common name and issuer of the first certificate, and its validity as ISO dates. */
  certificate_subject?: string;
  certificate_issuer?: string;
  certificate_not_before?: string;
  certificate_not_after?: string;
  /** Its issuer and its subject are one name, so nobody else vouches for it. */
  certificate_self_issued?: true;
}

/** One HTTP request or response. A request has `method`, a response has `status`; an entry with neither holds what is
 * said of a body whose header is in another segment. `body` and `magic` are told where the body's first octets come
 * with the header or in the next packet. */
export interface HttpFact {
  method?: string;
  host?: string;
  uri?: string;
  user_agent?: string;
  referrer?: string;
  /** The first other header of a request that holds what honest ones do not ("${", "%{", "() {", a quote and a gap, a
   * serialised object): "X-Api-Version: ${jndi:..."; of its value only what stands around it. */
  header?: string;
  status?: number;
  content_type?: string;
  /** Octets of the body, as the header says. */
  length?: number;
  /** First 128 octets of a request's body; a dot for each that is not printable ASCII. */
  body?: string;
  /** What a body begins with, whatever its type is said to be:
   * a name of dissect/plain/http_body.ts ("exe", "elf", "script", ...). */
  magic?: string;
}

/** Entries that say the same stand once, with how often it was said. Absent: once. */
interface Counted {
  count?: number;
}

/** A DHCP message; many clients may share one flow, from 0.0.0.0 to 255.255.255.255. */
export interface DhcpFact extends Counted {
  /** "DISCOVER", "OFFER", "REQUEST", "DECLINE", "ACK", "NAK", "RELEASE", "INFORM". */
  message_type?: string;
  /** Of the client. */
  mac?: string;
  hostname?: string;
  requested_ip?: string;
  vendor_class?: string;
  /** Numbers of the options a client asks for, in its order: "1,3,6,15". */
  fingerprint?: string;
  /** Who answers, or is chosen. */
  server?: string;
  offered_ip?: string;
  routers?: string[];
  dns_servers?: string[];
}

/** A message of SMB that names something, refuses something, or ends a log-in. */
export interface SmbFact {
  /** "negotiate", "session_setup", "tree_connect", "create", ...; of SMB 1 also what exploits send:
   * "oversized_nt_transact" (more than 64 KiB), "transaction2_secondary", "transaction2_session_setup". */
  command?: string;
  /** What a server chose: "1", "2.0.2", "2.1", "3.0", "3.0.2", "3.1.1", or "2.?" = SMB 2, to be said. */
  dialect?: string;
  /** "\\\\host\\share". */
  tree?: string;
  /** File or pipe: "svcctl". */
  file?: string;
  account?: string;
  /** Name of the client's machine, as it says itself with NTLM. */
  host?: string;
  /** "STATUS_LOGON_FAILURE", ...; of a session_setup also "STATUS_SUCCESS". */
  status?: string;
}

/** DCE/RPC, over TCP or in an SMB pipe: an interface that a client bound, or a call of it. */
export interface RpcFact extends Counted {
  /** "drsuapi", "svcctl", ... (dissect/facts/rpc_names.ts); the UUID of one without a name there;
   * "" when no bind was seen. */
  interface: string;
  /** Number of the operation. Absent: this is the bind. */
  opnum?: number;
  /** "DRSGetNCChanges", "CreateServiceW", ... Absent: it has no name there. */
  operation?: string;
}

/** A message of an industrial protocol. */
export interface IcsFact extends Counted {
  protocol: "modbus" | "dnp3" | "s7comm" | "enip" | "cip" | "iec104" | "bacnet";
  /** "write_single_coil", "plc_stop", "C_SC_NA_1", ...
   * (dissect/facts/ics_names.ts); "function_99" where there is no name. */
  operation: string;
  /** Modbus unit, DNP3 destination, IEC 104 common address. */
  unit?: number;
  /** The device answered; without it, somebody asked. */
  response?: true;
  /** Why it refused: Modbus exception code, CIP general status, S7 error class, BACnet error class. */
  exception?: number;
}

/** A Kerberos message, wherever it travels. */
export interface KerberosFact extends Counted {
  /** "AS-REQ", "AS-REP", "TGS-REQ", "TGS-REP", "AP-REQ", "AP-REP", "KRB-ERROR", ... */
  message: string;
  /** "KDC_ERR_PREAUTH_FAILED", ...; "25" for a number without a name in dissect/columns/kerberos_facts.ts. */
  error?: string;
  /** Who asks: "user", "host/name". TGS-REQ hides it. */
  client?: string;
  /** For what: "krbtgt/REALM", "MSSQLSvc/db.example.org". */
  service?: string;
  realm?: string;
  /** Encryption types that a request would take, in its order: "rc4-hmac", "aes256-cts-hmac-sha1-96", ... */
  asked?: string[];
  /** Encryption type of the ticket in a reply or AP-REQ. */
  ticket?: string;
  /** An AS-REQ proves the password (encrypted time, encrypted challenge, PKINIT). */
  preauth?: true;
}

/** An LDAP request, or the answer to a log-in. Entries found are not listed. */
export interface LdapFact extends Counted {
  /** "bind", "search", "modify", "add", "delete", "rename", "compare", "extended", "bind_response". */
  operation: string;
  /** Of a bind the user, else the entry asked for or changed; of an extended request its number. */
  name?: string;
  /** How a bind proves who it is: "simple", "anonymous", "GSS-SPNEGO", "NTLM", ... */
  method?: string;
  scope?: "base" | "one" | "subtree";
  /** RFC 4515: "(&(objectClass=user)(servicePrincipalName=*))". */
  filter?: string;
  /** Attributes asked for, at most 16. */
  attributes?: string[];
  /** Result code of a bind's answer: 0 = success, 49 = invalid credentials. */
  result?: number;
}

/** One try to log in, as far as it went, or what a server said of one whose beginning was not seen. FTP, SMB, LDAP and
 * Kerberos have facts of their own. */
export interface LoginFact extends Counted {
  service:
    | "pop3"
    | "imap"
    | "smtp"
    | "sip"
    | "ssh"
    | "rdp"
    | "vnc"
    | "telnet"
    | "mysql"
    | "postgresql"
    | "mssql"
    | "redis"
    | "snmp";
  /** Absent: hidden, or not said yet. Of RDP the cookie `mstshash`, nine letters at most; of SNMP the community. */
  user?: string;
  /** How: "login", "plain", ...; of SIP the method of the request; of RDP the security chosen:
   * "rdp", "tls", "credssp", "rdstls". */
  method?: string;
  /** "named": a user was named; "asked": a proof was sent, and no answer seen; "challenged": the server wants one. Of
   * an INVITE "accepted" means that somebody took the call. Of SSH it is told from the lengths of the answers:
   * "refused" once for each proof, "accepted" for a session, "challenged" for one that ended with a single no. */
  outcome: "named" | "asked" | "challenged" | "accepted" | "refused";
  /** The server's number for it: SIP status, SMTP reply, MySQL or SQL Server error. */
  code?: number;
}

/** Facts of one flow in one segment. Absent = nothing read. */
export interface Facts {
  dns?: DnsFact[];
  rpc?: RpcFact[];
  ics?: IcsFact[];
  kerberos?: KerberosFact[];
  ldap?: LdapFact[];
  logins?: LoginFact[];
  tls?: TlsFact;
  http?: HttpFact[];
  quic?: { sni?: string; version?: string; ja4?: string };
  ssh?: { client?: string; server?: string; hassh?: string };
  dhcp?: DhcpFact[];
  ftp?: { command: string; argument: string; reply?: number }[];
  smb?: SmbFact[];
  /** First 16 octets of payload each way, in hexadecimal, of a flow whose protocol has no name. Of TCP seen from its
   * middle they are the first that were seen. */
  first?: { fwd?: string; bwd?: string };
  /** Anything else worth a word: NTLM user, Kerberos name, SIP method, ... keyed by tshark field name;
   * "rdp.channel" is MS_T120 where a client asks for it; "redis.command" names what makes an open Redis dangerous. */
  other?: Record<string, string>;
  /** Entries and characters left out because of {@link factLimits}. */
  cut?: number;
}

/** Facts that are lists of entries, and those that are one object. */
export const factLists = [
  "dns",
  "http",
  "ftp",
  "smb",
  "dhcp",
  "rpc",
  "ics",
  "kerberos",
  "ldap",
  "logins",
] as const;
export const factParts = ["tls", "quic", "ssh", "first", "other"] as const;

/** The queries and responses that `entries` stand for, each as an entry of its own; a query comes before its response.
 *
 * @example A question with its answer is two messages.
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { dnsMessages } from "./facts.ts";
 *
 * const entry = { name: "example.org", type: "A", rcode: "NOERROR", answers: ["192.0.2.7"] };
 * assertEquals(dnsMessages([entry]), [{ name: "example.org", type: "A" }, { ...entry, unasked: true }]);
 * ``` */
export function dnsMessages(entries: readonly DnsFact[]): DnsFact[] {
  const messages: DnsFact[] = [];
  for (const entry of entries) {
    const { name, type, rcode, answers, unasked } = entry;
    if (rcode === undefined || unasked) messages.push(entry);
    else messages.push({ name, type }, { name, type, rcode, ...answers && { answers }, unasked: true });
  }
  return messages;
}

/** Whether `value`, from another machine, has the shape and the bounds above. Strings are bounded, not trusted. */
export function areFacts(value: unknown): value is Facts {
  if (!isRecord(value) || !isBounded(value, 0)) return false;
  return Object.entries(value).every(([name, part]) => {
    if (name === "cut") return typeof part === "number";
    if (name === "dns") return Array.isArray(part) && part.every(isDnsFact);
    if (factLists.some((list) => list === name)) return Array.isArray(part) && part.every(isRecord);
    return factParts.some((one) => one === name) && isRecord(part);
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isDnsFact(value: unknown): value is DnsFact {
  if (!isRecord(value)) return false;
  const { name, type, rcode, answers, unasked } = value;
  if (typeof name !== "string" || typeof type !== "string") return false;
  if (rcode !== undefined && typeof rcode !== "string") return false;
  if (unasked !== undefined && (unasked !== true || rcode === undefined)) return false;
  return answers === undefined || Array.isArray(answers) && answers.every((one) => typeof one === "string");
}

function isBounded(value: unknown, depth: number): boolean {
  if (value === null) return true;
  if (typeof value === "string") return value.length <= factLimits.charactersMax;
  if (typeof value === "boolean") return true;
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object" || depth > 4) return false;
  const parts = Array.isArray(value) ? value : Object.values(value);
  return parts.length <= factLimits.entriesMax && parts.every((part) => isBounded(part, depth + 1));
}
