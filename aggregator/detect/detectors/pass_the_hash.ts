/** Pass the hash: a client proves who it is to Kerberos by a stolen key instead of a password,
 * and can use only the old kind of key.
 *
 * In: Kerberos requests of flows. Out: one finding for each asking client.
 * Invariant: only requests that carry a proof count; a client that would also take AES, or that asks for DES as Windows
 * XP did, has the password. Encryption type 0 does not exist: mimikatz leaves it in place of the keys it was not given.
 * Sources: RFC 3961, section 8 (type 0 is reserved); MS-KILE 3.1.5.2 (clients list what they support);
 * ATT&CK T1550.002. @module */

import type { KerberosFact } from "../../../shared/facts.ts";
import { detector } from "../detector.ts";
import { field, hostile, reason } from "../finding.ts";
import { Distinct } from "../signs/distinct.ts";

const usersMax = 256;

export const passTheHash = detector({
  name: "pass_the_hash",
  technique: "T1550.002",
  title: "Log-in by a stolen key",
  about: "A client logs in to Kerberos by a key as attackers' tools do, not by a password.",
  needs: ["kerberos"],
  limits: {
    requestsMin: { value: 1, unit: "requests", why: "one log-in is enough" },
  },
  window: {
    quietS: { value: 3_600, unit: "s", why: "tickets last for hours" },
    ageS: { value: 86_400, unit: "s", why: "log-ins of a day belong together" },
  },
  items: ({ segment }) => (segment.facts?.kerberos ?? []).filter((fact) => isByKey(fact)),
  key: ({ segment: { src_ip } }) => src_ip,
  open: ({ segment: { src_ip, dst_ip } }) => ({
    client: src_ip,
    controller: dst_ip,
    users: new Distinct<string>(usersMax),
    requests: 0,
    hasNone: false,
  }),
  step(host, _update, _limits, { client = "", asked = [], count = 1 }) {
    host.requests += count;
    if (client !== "") host.users.add(client);
    host.hasNone ||= asked.includes("0");
  },
  isThreat: ({ requests }, { requestsMin }) => requests >= requestsMin,
  finding({ client, controller, users, requests, hasNone }) {
    const evidence = {
      requests: field("such requests", requests),
      users: hostile("accounts", [...users].slice(0, 5).join(", ") || "an account that was not read"),
    };
    return {
      src_ips: [client],
      dst_ips: [controller],
      dst_port: 88,
      count: requests,
      summary:
        `${client} logged in at ${controller} as ${evidence.users} ${evidence.requests} time(s) by the account's RC4 key, as whoever lacks the password must.`,
      reasons: [
        hasNone
          ? reason(
            "no_such_type",
            60,
            "it asks for encryption type 0, which does not exist; mimikatz does so",
          )
          : reason(
            "only_rc4",
            35,
            "it proves itself, and takes only RC4, which it can use without the password",
          ),
      ],
      evidence,
    };
  },
  meaning:
    "The RC4 key of an account is the hash of its password. Whoever took it from a machine's memory can log in with it, and never learns the password.",
  action: ({ users }, { src_ips }) =>
    `Isolate ${
      src_ips[0]
    } unless somebody tests there on purpose. Change the password of ${users}, which makes the stolen key worthless, and look for other log-ins of it today.`,
  falseAlarm:
    "Old programs and appliances that know RC4 only log in alike, again and again from one known machine.",
});

function isByKey({ message, preauth, asked = [] }: KerberosFact): boolean {
  if (message !== "AS-REQ" || !preauth || asked.length === 0) return false;
  return asked.includes("0") || asked.length === 1 && asked[0] === "rc4-hmac";
}
