/** Password spray: one host tries a few passwords on many accounts, or on many hosts, so that no account is locked.
 *
 * In: log-ins that were read: Kerberos, LDAP, SMB, FTP, mail, databases, SIP. Out: one finding for each source.
 * Invariant: a source whose log-ins mostly succeed, such as a mail or terminal server that serves many people, is none;
 * many tries on one account of one host are password guessing.
 * Source: ATT&CK T1110.003. @module */

import { detector } from "../detector.ts";
import { field, growingPoints, hostile, percentOf, reason } from "../finding.ts";
import type { PreparedUpdate } from "../prepared.ts";
import { findOut } from "../signs/advice.ts";
import { Distinct } from "../signs/distinct.ts";
import { readLoginAttempts } from "../signs/login_attempts.ts";

const usersMax = 1_024, hostsMax = 1_024;
/** The second is how accounts are tried whose names are guesses. */
const kerberosRefusals = new Set(["KDC_ERR_PREAUTH_FAILED", "KDC_ERR_C_PRINCIPAL_UNKNOWN"]);
const invalidCredentials = 49;

interface Logins {
  service: string;
  users: string[];
  refused: number;
  accepted: number;
}

export const passwordSpray = detector({
  name: "password_spray",
  technique: "T1110.003",
  title: "Password spray",
  about: "One host tries a few passwords on many accounts or many hosts.",
  limits: {
    usersMin: { value: 10, unit: "accounts", why: "of one source; people have one or two, a household five" },
    hostsMin: {
      value: 10,
      unit: "hosts",
      why: "that refused one source; a wrong saved password meets a few",
    },
    refusedShareMin: {
      value: 0.8,
      unit: "share",
      why: "of all log-ins: servers that serve many people succeed",
    },
    triesMax: { value: 5, unit: "tries an account", why: "domains lock an account after 5 to 10 tries" },
  },
  window: {
    quietS: { value: 3_600, unit: "s", why: "sprays wait until lock counters are reset: 30 minutes" },
    ageS: {
      value: 86_400,
      unit: "s",
      why: "typos of many people behind one address do not add up over days",
    },
  },
  items: readLogins,
  key: ({ src, dst, segment }) => segment.src_port === 88 ? dst.ip : src.ip,
  opens: (_update, _limits, logins) => logins.refused > 0 || logins.users.length > 0,
  open: ({ src, dst, segment }) => ({
    source: segment.src_port === 88 ? dst : src,
    users: new Distinct<string>(usersMax),
    hosts: new Distinct<string>(hostsMax),
    services: new Distinct<string>(16),
    refused: 0,
    accepted: 0,
  }),
  step(spray, { src, dst, segment }, _limits, { service, users, refused, accepted }) {
    for (const user of users) spray.users.add(user.toLowerCase());
    spray.refused += refused;
    spray.accepted += accepted;
    if (refused === 0) return;
    spray.hosts.add(segment.src_port === 88 ? src.ip : dst.ip);
    spray.services.add(service);
  },
  isThreat({ users, hosts, refused, accepted }, limits) {
    if (refused < limits.refusedShareMin * (refused + accepted)) return false;
    const isManyUsers = users.size >= limits.usersMin && refused >= limits.usersMin;
    const isManyHosts = hosts.size >= limits.hostsMin;
    return (isManyUsers || isManyHosts) && refused <= limits.triesMax * Math.max(users.size, hosts.size);
  },
  finding(spray, { usersMin, hostsMin }) {
    const { users, hosts, refused, accepted } = spray;
    const evidence = {
      users: field("accounts tried", users.count),
      some: hostile("some of them", [...users].slice(0, 10).join(", ") || "not readable"),
      hosts: field("hosts that refused", hosts.count),
      refused: field("log-ins refused", refused),
      accepted: field("log-ins accepted", accepted),
      services: field("services", [...spray.services].join(", ")),
      duration: field("duration in seconds", Math.round(spray.lastS - spray.firstS)),
    };
    const reasons = [];
    const points = { base: 45, perTenfold: 15, max: 65 };
    if (users.size >= usersMin) {
      const text = `${evidence.users} accounts were tried; ${usersMin} are the threshold`;
      reasons.push(reason("many_accounts", growingPoints(users.size, usersMin, points), text));
    }
    if (hosts.size >= hostsMin) {
      const text = `${evidence.hosts} hosts refused it; ${hostsMin} are the threshold`;
      reasons.push(reason("many_hosts", growingPoints(hosts.size, hostsMin, points), text));
    }
    if (refused + accepted > 0) {
      const share = percentOf(refused, refused + accepted);
      reasons.push(reason("refused", 10, `${share} of the log-ins whose outcome was read were refused`));
    }
    return {
      src_ips: [spray.source.ip],
      dst_ips: hosts,
      dst_port: null,
      count: refused,
      summary:
        `${spray.source.ip} was refused ${evidence.refused} log-ins (${evidence.services}) for ${evidence.users} accounts on ${evidence.hosts} host(s).`,
      reasons,
      evidence,
    };
  },
  meaning:
    "A common password tried once on every account finds the one person who uses it, and locks nobody out.",
  action: ({ accepted }, _finding, { source }) =>
    `${findOut(source, "logs in")} ${
      accepted.value > 0
        ? `${accepted} log-in(s) of ${source.ip} were accepted: reset those accounts' passwords first.`
        : "No log-in was seen to succeed; make sure in the log of the server."
    } Ask for a second factor, and forbid common passwords.`,
  falseAlarm:
    "A gateway behind which many people log in shows many accounts too, but is mostly let in; so is a server whose directory is down, for a while.",
});

function readLogins(update: PreparedUpdate): Logins[] {
  const { facts } = update.segment;
  if (facts === null) return [];
  const all: Logins[] = [];
  const { kerberos, ldap, logins } = facts;
  if (kerberos) {
    const asked = kerberos.filter(({ message, preauth }) => message === "AS-REQ" && preauth);
    const unknown = kerberos.some(({ error }) => error === "KDC_ERR_C_PRINCIPAL_UNKNOWN");
    const named = unknown ? kerberos.filter(({ message }) => message === "AS-REQ") : asked;
    all.push({
      service: "Kerberos",
      users: named.flatMap(({ client }) => client ? [client] : []),
      refused: total(kerberos.filter(({ error = "" }) => kerberosRefusals.has(error))),
      accepted: total(kerberos.filter(({ message }) => message === "AS-REP")),
    });
  }
  if (ldap) {
    const answers = ldap.filter(({ operation }) => operation === "bind_response");
    all.push({
      service: "LDAP",
      users: ldap.flatMap(({ operation, name }) => operation === "bind" && name ? [name] : []),
      refused: total(answers.filter(({ result }) => result === invalidCredentials)),
      accepted: total(answers.filter(({ result }) => result === 0)),
    });
  }
  for (const login of logins ?? []) {
    const { service, user, outcome, count = 1 } = login;
    const refused = outcome === "refused" ? count : 0, accepted = outcome === "accepted" ? count : 0;
    if (refused + accepted > 0) {
      all.push({ service: service.toUpperCase(), users: user ? [user] : [], refused, accepted });
    }
  }
  if (facts.smb || facts.ftp) {
    const read = readLoginAttempts(update.segment, update.begins);
    if (read?.isRead) all.push(read);
  }
  return all.filter(({ users, refused, accepted }) => users.length + refused + accepted > 0);
}

function total(entries: readonly { count?: number }[]): number {
  return entries.reduce((sum, { count = 1 }) => sum + count, 0);
}
