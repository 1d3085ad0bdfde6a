/** Kerberoasting: a client collects tickets of many services to guess the passwords behind them at leisure.
 *
 * In: Kerberos messages of flows. Out: one finding for each asking client.
 * Invariant: tickets of computer accounts (host/, cifs/, names that end in "$") are worth nothing to a guesser and do
 * not count; a client that asks for a few services over a day is at work.
 * Sources: ATT&CK T1558.003 (tickets with RC4, which is fast to guess) and T1558.004 (accounts without
 * pre-authentication). @module */

import { detector } from "../detector.ts";
import { field, growingPoints, hostile, reason } from "../finding.ts";
import { Distinct } from "../signs/distinct.ts";

const servicesMax = 1_024;
const computerService =
  /^(?:krbtgt|host|cifs|ldap|dns|gc|restrictedkrbhost|wsman|termsrv|rpcss|kadmin|afpserver|nfs)(?:\/|$)|\$$/i;

export const kerberoasting = detector({
  name: "kerberoasting",
  technique: "T1558.003",
  title: "Kerberoasting",
  about: "A client collects Kerberos tickets that can be guessed offline.",
  needs: ["kerberos"],
  limits: {
    weakServicesMin: {
      value: 2,
      unit: "services",
      why: "today's clients ask for AES; two services with RC4 in a minute are a choice",
    },
    servicesMin: {
      value: 10,
      unit: "services",
      why: "people use a handful of services in ten minutes; a tool asks for all",
    },
    roastedUsersMin: {
      value: 1,
      unit: "users",
      why: "an answer without proof of the password is there to be guessed at",
    },
  },
  window: {
    quietS: { value: 600, unit: "s", why: "tools ask for all within a minute" },
    ageS: { value: 1_800, unit: "s", why: "the services of a day do not add up" },
  },
  items: ({ segment }) => segment.facts?.kerberos ?? [],
  key: ({ segment: { src_ip, dst_ip, src_port } }) => src_port === 88 ? dst_ip : src_ip,
  open: ({ segment: { src_ip, dst_ip, src_port } }) => ({
    client: src_port === 88 ? dst_ip : src_ip,
    controller: src_port === 88 ? src_ip : dst_ip,
    services: new Distinct<string>(servicesMax),
    weak: new Distinct<string>(servicesMax),
    /** Users that proved their password, and those that were answered without having asked with a proof. */
    proven: new Distinct<string>(servicesMax),
    roasted: new Distinct<string>(servicesMax),
    requests: 0,
  }),
  step(host, _update, _limits, { message, service = "", client = "", ticket, preauth, error, asked = [] }) {
    if (message === "TGS-REQ" && !computerService.test(service) && service !== "") {
      host.requests++;
      host.services.add(service);
      if (asked[0] === "rc4-hmac") host.weak.add(service);
    }
    if (message === "TGS-REP" && ticket === "rc4-hmac" && service !== "" && !computerService.test(service)) {
      host.weak.add(service);
    }
    if (message === "AS-REQ" && preauth) host.proven.add(client);
    if (message === "AS-REP" && error === undefined && ticket === "rc4-hmac" && client !== "") {
      if (!host.proven.has(client)) host.roasted.add(client);
    }
  },
  isThreat: (host, { weakServicesMin, servicesMin, roastedUsersMin }) =>
    host.weak.size >= weakServicesMin || host.services.size >= servicesMin ||
    host.roasted.size >= roastedUsersMin,
  finding(host, { weakServicesMin, servicesMin }) {
    const evidence = {
      services: field("services asked for", host.services.count),
      weak: field("of them with RC4", host.weak.count),
      roasted: field("accounts answered without proof of the password", host.roasted.count),
      names: hostile(
        "names",
        [...host.weak, ...host.services, ...host.roasted].slice(0, 5).join(", ") || "none",
      ),
    };
    const reasons = [];
    if (host.weak.size >= weakServicesMin) {
      reasons.push(reason(
        "weak_tickets",
        growingPoints(host.weak.size, weakServicesMin, { base: 45, perTenfold: 25, max: 75 }),
        `${evidence.weak} tickets of services with RC4, which is fast to guess; ${weakServicesMin} are the threshold`,
      ));
    } else if (host.services.size >= servicesMin) {
      reasons.push(reason(
        "many_services",
        growingPoints(host.services.size, servicesMin, { base: 40, perTenfold: 20, max: 60 }),
        `${evidence.services} different services were asked for; people use fewer than ${servicesMin} in that time`,
      ));
    }
    if (host.roasted.size > 0) {
      reasons.push(reason(
        "unproven",
        45,
        `${evidence.roasted} account(s) got an answer with RC4 without proving a password`,
      ));
    }
    return {
      title: host.weak.size + host.services.size > 0 ? "Kerberoasting" : "AS-REP roasting",
      technique: host.weak.size + host.services.size > 0 ? "T1558.003" : "T1558.004",
      src_ips: [host.client],
      dst_ips: [host.controller],
      dst_port: 88,
      count: Math.max(host.requests, host.weak.size, host.roasted.size),
      summary:
        `${host.client} asked ${host.controller} for tickets of ${evidence.services} services, ${evidence.weak} of them with RC4, and got answers for ${evidence.roasted} account(s) without proof of a password.`,
      reasons,
      evidence,
    };
  },
  meaning:
    "A ticket is sealed with the password of its service account. Whoever collects tickets can try passwords on them at home, without a single failed login.",
  action:
    "Find out who uses the asking machine. Give the named service accounts long random passwords (or managed accounts), switch off RC4 for them, and require pre-authentication for all accounts.",
  falseAlarm:
    "Old programs that know only RC4, and inventory tools that visit many services, look the same; then you know the machine.",
});
