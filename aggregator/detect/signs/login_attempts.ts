/** Reads one segment as attempts to log in.
 *
 * In: a segment of a flow to a service that asks for a password.
 * Out: attempts, refusals and acceptances, and on what that rests.
 * Invariant: where the sensor read the answers they decide; only where it could not does the shape of the flow: short,
 * both sides spoke, little came back.
 * Why little: a session that was let in moves more. Bro 2 took an SSH server's answer below 5,500 octets for a refusal.
 * @module */

import type { Facts, HttpFact, LoginFact } from "../../../shared/facts.ts";
import type { Segment } from "../../../shared/segment.ts";

export interface LoginAttempts {
  service: string;
  attempts: number;
  /** Answers that say no; 0 also when answers cannot be read. */
  refused: number;
  accepted: number;
  /** The answers were read, not guessed from the flow's shape. */
  isRead: boolean;
  users: string[];
  /** Payload octets from the service, for a flow whose shape counts; -1 otherwise. */
  answerBytes: number;
}

/** Name of a service that could not be recognised; what looks like guessing there is judged more strictly. */
export const unnamedService = "an unrecognised service";

/** Services whose refusals have a shape. Payload octets of one whole flow each way. */
interface Shape {
  service: string;
  ports: readonly number[];
  apps: readonly string[];
  requestBytes: readonly [min: number, max: number];
  answerBytes: readonly [min: number, max: number];
}
const shapes: readonly Shape[] = [
  // Key exchange and up to six tries (OpenSSH's MaxAuthTries); a banner grab stays below, a session goes above.
  { service: "SSH", ports: [22], apps: ["ssh"], requestBytes: [400, 8_000], answerBytes: [400, 5_500] },
  { service: "FTP", ports: [21], apps: ["ftp"], requestBytes: [15, 1_500], answerBytes: [40, 3_000] },
  {
    service: "Telnet",
    ports: [23, 2323],
    apps: ["telnet"],
    requestBytes: [10, 2_000],
    answerBytes: [20, 4_000],
  },
  { service: "RDP", ports: [3389], apps: ["rdp"], requestBytes: [100, 8_000], answerBytes: [100, 8_000] },
  { service: "SMB", ports: [445, 139], apps: ["smb"], requestBytes: [200, 6_000], answerBytes: [200, 6_000] },
  { service: "VNC", ports: [5900, 5901], apps: ["vnc"], requestBytes: [12, 500], answerBytes: [12, 1_000] },
  {
    service: "POP3",
    ports: [110, 995],
    apps: ["pop", "pop3"],
    requestBytes: [15, 2_000],
    answerBytes: [30, 8_000],
  },
  { service: "IMAP", ports: [143, 993], apps: ["imap"], requestBytes: [15, 2_000], answerBytes: [30, 8_000] },
];

/** A service that nothing names, on a port of no other: a dialogue of several rounds that moves as little as a refused
 * SSH login. tshark finds SSH by its port only, and moving it to another port is what people do against guessing. */
const unnamed: Shape = {
  service: unnamedService,
  ports: [],
  apps: [],
  requestBytes: [400, 8_000],
  answerBytes: [400, 5_500],
};
const unnamedRoundsMin = 6;

/** Attempts in `segment`; null when it is not about logging in. `begins`: it is the first of its flow. */
export function readLoginAttempts(segment: Segment, begins: boolean): LoginAttempts | null {
  if (segment.protocol === "udp") return readCommunities(segment.facts?.logins);
  if (segment.protocol !== "tcp" || segment.fwd_packets + segment.bwd_packets === 0) return null;
  if (segment.facts?.smb !== undefined && isByComputer(segment.facts.smb)) return null;
  return readFacts(segment.facts) ?? readShape(segment, begins);
}

/** A computer whose own account is refused, or that names none, is no guesser: its domain does not know it any more, or
 * it was made to log in. */
function isByComputer(smb: NonNullable<Facts["smb"]>): boolean {
  let isNamed = false;
  for (const { account } of smb) {
    if (account === undefined) continue;
    if (!account.endsWith("$") && account !== "NULL") return false;
    isNamed = true;
  }
  return isNamed;
}

function readFacts(facts: Facts | null): LoginAttempts | null {
  if (!facts) return null;
  const read = readFtp(facts) ?? readSmb(facts) ?? readLogins(facts.logins) ?? readHttp(facts);
  return read && read.attempts + read.accepted > 0 ? read : null;
}

function readFtp(facts: Facts): LoginAttempts | null {
  if (!facts.ftp) return null;
  const passwords = facts.ftp.filter((entry) => entry.command.toUpperCase() === "PASS");
  const replies = (code: number) => facts.ftp!.filter((entry) => entry.reply === code).length;
  const refused = replies(530), accepted = replies(230);
  const users = facts.ftp.filter((entry) => entry.command.toUpperCase() === "USER").map((entry) =>
    entry.argument
  );
  // A session without a password yet (the banner, USER) is judged by what later segments bring, or by its shape.
  if (passwords.length + refused + accepted === 0) return null;
  const attempts = Math.max(passwords.length - accepted, refused);
  return { service: "FTP", attempts, refused, accepted, isRead: true, users, answerBytes: -1 };
}

/** Of which every answer says whether somebody may log in, and what they are called. SIP asks for a proof of every
 * call, and of SNMP only the right community is answered. */
const loginNames: Readonly<Partial<Record<LoginFact["service"], string>>> = {
  ssh: "SSH",
  pop3: "POP3",
  imap: "IMAP",
  smtp: "SMTP",
  rdp: "RDP",
  vnc: "VNC",
  telnet: "Telnet",
  mysql: "MySQL",
  postgresql: "PostgreSQL",
  mssql: "SQL Server",
  redis: "Redis",
};

/** Name of SNMP, whose agents are silent when the community is wrong: an attempt is a community without an answer. */
export const snmpService = "SNMP";

/** Communities tried, each once. Switches have one for each VLAN, "public@12", which is the same to whoever guesses. */
function readCommunities(logins: Facts["logins"]): LoginAttempts | null {
  if (logins === undefined) return null;
  const users = new Set<string>();
  let accepted = 0;
  for (const { service, user, outcome } of logins) {
    if (service !== "snmp") continue;
    if (outcome === "accepted") accepted++;
    else if (user !== undefined) users.add(user.split("@")[0]);
  }
  if (users.size + accepted === 0) return null;
  const attempts = users.size;
  return {
    service: snmpService,
    attempts,
    refused: 0,
    accepted,
    isRead: true,
    users: [...users],
    answerBytes: -1,
  };
}

function readLogins(logins: Facts["logins"]): LoginAttempts | null {
  const service = logins === undefined ? undefined : loginNames[logins[0].service];
  if (logins === undefined || service === undefined) return null;
  let refused = 0, accepted = 0, users: string[] | undefined;
  for (const { user, outcome, count = 1 } of logins) {
    if (outcome === "accepted") accepted += count;
    else if (outcome === "refused") refused += count;
    // An SSH server that says no once, and never yes.
    else if (outcome === "challenged" && service === "SSH") refused += count;
    if (user !== undefined) (users ??= []).push(user);
  }
  if (refused + accepted === 0) return null;
  return { service, attempts: refused, refused, accepted, isRead: true, users: users ?? [], answerBytes: -1 };
}

/** NTSTATUS names that mean "this account or password is not right". */
const smbRefusals = [
  "STATUS_LOGON_FAILURE",
  "STATUS_WRONG_PASSWORD",
  "STATUS_NO_SUCH_USER",
  "STATUS_ACCOUNT_LOCKED_OUT",
  "STATUS_ACCOUNT_DISABLED",
  "STATUS_PASSWORD_EXPIRED",
];

function readSmb(facts: Facts): LoginAttempts | null {
  if (!facts.smb) return null;
  const refused = facts.smb.filter((entry) => smbRefusals.includes(entry.status ?? "")).length;
  const accepted = facts.smb.some((entry) => entry.tree !== undefined || entry.file !== undefined) ? 1 : 0;
  const users = facts.smb.flatMap((entry) => entry.account === undefined ? [] : [entry.account]);
  if (refused + accepted === 0) return null;
  return { service: "SMB", attempts: refused, refused, accepted, isRead: true, users, answerBytes: -1 };
}

/** Paths where web applications take passwords. */
const loginPath = /(log-?in|sign-?in|logon|\/auth|session|xmlrpc\.php|\/admin)/i;
/** A password in the query: bad practice, and what training targets do. */
const passwordQuery = /[?&](pass|passwd|password|pwd)=/i;

function readHttp(facts: Facts): LoginAttempts | null {
  if (!facts.http) return null;
  let attempts = 0, refused = 0, accepted = 0;
  for (const entry of facts.http) {
    if (isLoginRequest(entry)) attempts++;
    if (entry.status === 401) refused++;
    else if (entry.status !== undefined && entry.status < 300) accepted++;
  }
  attempts = Math.max(attempts, refused);
  if (attempts === 0) return null;
  // A page that says "wrong password" comes with 200: after a form such answers prove nothing.
  if (attempts > refused) accepted = 0;
  return { service: "HTTP", attempts, refused, accepted, isRead: true, users: [], answerBytes: -1 };
}

function isLoginRequest({ method, uri = "" }: HttpFact): boolean {
  return method !== undefined &&
    (passwordQuery.test(uri) || (method === "POST" && loginPath.test(uri.split("?")[0])));
}

function readShape(segment: Segment, begins: boolean): LoginAttempts | null {
  const shape = shapeOf(segment);
  if (!shape || !begins || segment.end_reason === "active") return null;
  const request = segment.fwd_payload_bytes, answer = segment.bwd_payload_bytes;
  const attempt = { service: shape.service, refused: 0, isRead: false, users: [] };
  if (request < shape.requestBytes[0] || answer < shape.answerBytes[0]) return null;
  if (request > shape.requestBytes[1] || answer > shape.answerBytes[1]) {
    return { ...attempt, attempts: 0, accepted: 1, answerBytes: -1 };
  }
  return { ...attempt, attempts: 1, accepted: 0, answerBytes: answer };
}

function shapeOf(segment: Segment): Shape | undefined {
  const { app_protocol: app, dst_port: port } = segment;
  if (segment.facts?.ssh) return shapes[0];
  // What tshark recognised wins over the port: SSH on port 902 is SSH, TLS on port 22 is not.
  const named = app === "" ? undefined : shapes.find((shape) => shape.apps.includes(app));
  if (named || (app !== "" && app !== "tls")) return named;
  const byPort = shapes.find((shape) => shape.ports.includes(port));
  if (byPort || app !== "" || segment.facts !== null) return byPort;
  return Math.min(segment.fwd_packets, segment.bwd_packets) >= unnamedRoundsMin ? unnamed : undefined;
}
