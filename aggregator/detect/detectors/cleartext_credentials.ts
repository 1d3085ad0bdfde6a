/** Cleartext credentials: a password travels where anybody in between can read it.
 *
 * In: FTP and login facts of flows. Out: one finding for each server and port.
 * Invariant: an anonymous login has no password, and a login whose proof is a hash is none.
 * Never more than low: a weakness, no attack.
 * Source: ATT&CK T1552, T1040; RFC 2577 (FTP), RFC 2595 and 8314 (mail). @module */

import type { LoginFact } from "../../../shared/facts.ts";
import { detector } from "../detector.ts";
import { field, hostile, reason } from "../finding.ts";
import type { PreparedUpdate } from "../prepared.ts";
import { Distinct } from "../signs/distinct.ts";

const plainMethods: Partial<Record<LoginFact["service"], readonly (string | undefined)[]>> = {
  pop3: ["user", "login", "plain", undefined],
  imap: ["login", "plain", undefined],
  smtp: ["login", "plain"],
  telnet: [undefined, "login"],
  redis: [undefined, "auth"],
};
const anonymous = /^(?:anonymous|ftp|guest)$/i;
const usersMax = 64;

export const cleartextCredentials = detector({
  name: "cleartext_credentials",
  technique: "T1040",
  title: "Password in the clear",
  about: "A password travels unencrypted: FTP, POP3, IMAP, SMTP, Telnet, Redis.",
  limits: {
    loginsMin: { value: 1, unit: "logins", why: "one password read is one password lost" },
  },
  window: {
    quietS: { value: 86_400, unit: "s", why: "people log in once a day" },
    ageS: { value: 7 * 86_400, unit: "s", why: "a service stays as it is" },
  },
  items: loginsOf,
  key: ({ segment: { dst_ip, dst_port } }) => `${dst_ip}|${dst_port}`,
  open: ({ segment: { dst_ip, dst_port } }, { service }) => ({
    server: dst_ip,
    port: dst_port,
    service,
    clients: new Distinct<string>(usersMax),
    users: new Distinct<string>(usersMax),
    logins: 0,
  }),
  step(use, { src }, _limits, { user, times }) {
    use.logins += times;
    use.clients.add(src.ip);
    if (user !== "") use.users.add(user);
  },
  isThreat: ({ logins }, { loginsMin }) => logins >= loginsMin,
  finding(use) {
    const evidence = {
      logins: field("logins", use.logins),
      service: field("service", use.service),
      clients: field("clients", use.clients.count),
      users: hostile("user names", [...use.users].slice(0, 5).join(", ") || "not read"),
    };
    return {
      src_ips: use.clients,
      dst_ips: [use.server],
      dst_port: use.port,
      count: use.logins,
      summary:
        `${evidence.clients} client(s) sent passwords for ${evidence.service} to ${use.server} (port ${use.port}) without encryption, ${evidence.logins} time(s).`,
      reasons: [
        reason(
          "readable_password",
          25,
          `${evidence.logins} login(s) by ${evidence.service} whose password anybody in between can read`,
        ),
      ],
      evidence,
    };
  },
  meaning:
    "Anybody who sees this traffic, on the network or at a provider, can log in as this user from now on.",
  action: (_evidence, { dst_ips }) =>
    `Switch on encryption for this service on ${
      dst_ips[0]
    } (SFTP or FTPS, IMAPS, SMTP with STARTTLS, SSH instead of Telnet), switch off the plain one, then change these passwords.`,
  falseAlarm:
    "The fact is certain; on a closed network you may accept it, and suppress this threat for the server.",
});

interface Login {
  service: string;
  user: string;
  times: number;
}

function loginsOf({ segment: { facts } }: PreparedUpdate): Login[] {
  const logins: Login[] = [];
  const ftp = facts?.ftp ?? [];
  const user = ftp.findLast(({ command }) => command === "USER")?.argument ?? "";
  if (ftp.some(({ command }) => command === "PASS") && !anonymous.test(user)) {
    logins.push({ service: "FTP", user, times: 1 });
  }
  for (const { service, method, user = "", outcome, count = 1 } of facts?.logins ?? []) {
    // Only named or challenged: no proof has left the client yet.
    if (outcome === "named" || outcome === "challenged" || anonymous.test(user)) continue;
    if (plainMethods[service]?.includes(method)) {
      logins.push({ service: service.toUpperCase(), user, times: count });
    }
  }
  return logins;
}
