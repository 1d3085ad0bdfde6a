/** Directory reconnaissance: a client lists the users, groups, sessions and weak accounts of a Windows domain.
 *
 * In: LDAP searches, SAMR and LSA calls, Kerberos errors, zone transfers of flows.
 * Out: one finding for each asking host.
 * Invariant: a host that looks up itself, its user and its groups, as every Windows client does, is none; what counts
 * is asking for all of a kind, or for the properties that only attackers sort by.
 * Sources: ATT&CK T1087.002, T1069.002, T1482; the collection methods of SharpHound (session, local admin, ACL) and of
 * Impacket's lookupsid, samrdump, rpcdump and GetUserSPNs; PsLoggedOn (the users' keys of the registry, and the names
 * of their owners); KDC errors when user names are tried (kerbrute); RFC 5936 (whole zones, which secondary name
 * servers fetch: a host that answers DNS may). @module */

import { detector } from "../detector.ts";
import { field, growingPoints, hostile, reason } from "../finding.ts";
import type { Address } from "../signs/address.ts";
import { Distinct } from "../signs/distinct.ts";
import type { PreparedUpdate } from "../prepared.ts";

const namesMax = 1_024;

interface Question {
  /** What was asked for: "all users", "sessions", ... */
  kind: string;
  /** 1: programs ask this too. 2: administrators' tools do. 3: hardly anybody but attackers.
   * 4: a whole directory at once. */
  weight: number;
  /** A user name that was tried and does not exist. */
  unknownUser?: string;
}

const calls: Readonly<Record<string, readonly [kind: string, weight: number]>> = {
  "samr SamrEnumerateUsersInDomain": ["all users", 2],
  "samr SamrEnumerateGroupsInDomain": ["all groups", 1],
  "samr SamrEnumerateAliasesInDomain": ["all local groups", 1],
  "samr SamrQueryDisplayInformation": ["all users", 2],
  "samr SamrQueryDisplayInformation2": ["all users", 2],
  "samr SamrQueryDisplayInformation3": ["all users", 2],
  "samr SamrGetMembersInAlias": ["members of local groups", 2],
  "samr SamrGetMembersInGroup": ["members of groups", 3],
  "epmapper ept_lookup": ["all RPC services", 4],
  "lsarpc LsarEnumerateAccounts": ["all accounts with rights", 2],
  "lsarpc LsarEnumerateAccountsWithUserRight": ["accounts with a right", 2],
  "srvsvc NetrSessionEnum": ["sessions", 2],
  "wkssvc NetrWkstaUserEnum": ["logged-in users", 2],
  "netlogon DsrEnumerateDomainTrusts": ["trusts", 1],
  "winreg OpenUsers": ["logged-in users by registry", 3],
  "lsarpc LsarLookupSids2": ["names of accounts", 1],
  "lsarpc LsarLookupSids3": ["names of accounts", 1],
  "srvsvc NetrShareEnum": ["shares", 1],
};

const filters: readonly (readonly [RegExp, kind: string, weight: number])[] = [
  [/\(serviceprincipalname=\*\)/i, "accounts with services (to roast)", 3],
  [/useraccountcontrol:1\.2\.840\.113556\.1\.4\.803:=4194304/i, "accounts without pre-authentication", 3],
  [
    /useraccountcontrol:1\.2\.840\.113556\.1\.4\.803:=(?:524288|16777216)|msds-allowedtodelegateto=\*/i,
    "delegation",
    3,
  ],
  [/\(admincount=1\)/i, "administrators", 2],
  [/ms-mcs-admpwd|mslaps/i, "local administrators' passwords", 3],
  [/\(samaccounttype=80530636[89]\)/i, "all users or computers", 2],
  [/\(objectclass=trusteddomain\)/i, "trusts", 1],
  [/\(objectc(?:lass|ategory)=(?:user|person)\)\)?$/i, "all users", 1],
  [/\(objectc(?:lass|ategory)=group\)\)?$/i, "all groups", 1],
  [/\(objectc(?:lass|ategory)=computer\)\)?$/i, "all computers", 1],
  [/\(objectclass=grouppolicycontainer\)/i, "all group policies", 1],
];

/** Answers to "everything of the domain" below this came from a search that stopped at once. */
const wholeOctets = 50_000;
/** Some 30 entries of an endpoint mapper, of which Windows has hundreds; and questions of one dump. */
const servicesOctets = 4_000, lookUpsMin = 10;
const wholeZone = "a whole DNS zone";
const everything = /^\(objectclass=\*\)$/i, wholeDomain = /^dc=[^,]+(?:,dc=[^,]+)*,?$/i;
/** A console shows one user at a time. */
const detailsMin = 5;
const userDetails = /^samr SamrQueryInformationUser2?$/;

export const directoryReconnaissance = detector({
  name: "directory_reconnaissance",
  technique: "T1087.002",
  title: "Directory reconnaissance",
  about: "A client lists users, groups, sessions and weak accounts of a Windows domain.",
  limits: {
    weightMin: {
      value: 4,
      unit: "points",
      why: "an administrator's console lists one or two kinds at a time",
    },
    hostsMin: {
      value: 5,
      unit: "hosts",
      why: "asking several machines who is logged in is how attackers find administrators",
    },
    lowWeightMin: {
      value: 3,
      unit: "points",
      why: "one list that hardly any program asks for is worth a note, and no more",
    },
    unknownUsersMin: { value: 10, unit: "names", why: "nobody mistypes so many different user names" },
    fastUsersMin: {
      value: 5,
      unit: "names",
      why: "that do not exist, within `fastS`: people type one name in several seconds",
    },
    fastS: { value: 10, unit: "s", why: "a list of names is tried in one go" },
  },
  window: {
    quietS: { value: 1_800, unit: "s", why: "collectors run through within minutes" },
    ageS: { value: 3_600, unit: "s", why: "the lists of a working day do not add up" },
  },
  items: questionsOf,
  key: ({ segment: { src_ip, dst_ip, src_port } }) => src_port === 88 ? dst_ip : src_ip,
  open: ({ src, dst, segment: { src_port } }) => ({
    asker: src_port === 88 ? dst : src,
    kinds: new Map<string, number>(),
    targets: new Distinct<string>(namesMax),
    sessionTargets: new Distinct<string>(namesMax),
    unknownUsers: new Distinct<string>(namesMax),
    /** Unknown names since `fastFromS`, and the most within one such span. */
    fastUsers: new Distinct<string>(namesMax),
    fastFromS: -Infinity,
    fastMost: 0,
    questions: 0,
  }),
  step(host, { segment: { src_ip, dst_ip, src_port, start } }, { fastS }, { kind, weight, unknownUser }) {
    const target = src_port === 88 ? src_ip : dst_ip;
    host.questions++;
    host.targets.add(target);
    if (unknownUser !== undefined) {
      host.unknownUsers.add(unknownUser);
      if (Math.abs(start - host.fastFromS) > fastS) {
        host.fastFromS = start;
        host.fastUsers = new Distinct(namesMax);
      }
      host.fastUsers.add(unknownUser);
      host.fastMost = Math.max(host.fastMost, host.fastUsers.size);
    } else host.kinds.set(kind, weight);
    if (kind === "sessions" || kind === "logged-in users") host.sessionTargets.add(target);
  },
  isThreat: (host, limits) =>
    weightOf(kindsOf(host)) >= limits.weightMin || host.sessionTargets.size >= limits.hostsMin ||
    areNamesTried(host, limits) || Math.max(0, ...kindsOf(host).values()) >= limits.lowWeightMin,
  finding(host, limits) {
    const { weightMin, hostsMin, unknownUsersMin, fastS } = limits;
    const evidence = {
      kinds: field("asked for", [...kindsOf(host).keys()].join(", ") || "nothing listed"),
      targets: field("hosts asked", host.targets.count),
      unknownUsers: field("user names tried that do not exist", host.unknownUsers.count),
      fastUsers: field("of them the most at once", host.fastMost),
      examples: hostile("such names", [...host.unknownUsers].slice(0, 5).join(", ") || "none"),
      questions: field("questions", host.questions),
    };
    const reasons = [];
    const weight = weightOf(kindsOf(host));
    if (weight >= weightMin) {
      reasons.push(reason(
        "lists",
        Math.min(65, 30 + 5 * (weight - weightMin) + (Math.max(0, ...kindsOf(host).values()) >= 3 ? 15 : 0)),
        `${kindsOf(host).size} kind(s) of lists were asked for: ${evidence.kinds}`,
      ));
    } else if (Math.max(0, ...kindsOf(host).values()) >= limits.lowWeightMin) {
      reasons.push(
        reason("a_list", 25, `asked for: ${evidence.kinds}; administrators' tools ask for one such list too`),
      );
    }
    if (host.sessionTargets.size >= hostsMin) {
      reasons.push(reason(
        "sessions_everywhere",
        growingPoints(host.sessionTargets.size, hostsMin, { base: 45, perTenfold: 15, max: 65 }),
        `${host.sessionTargets.count} machines were asked who is logged in; ${hostsMin} are the threshold`,
      ));
    }
    if (areNamesTried(host, limits)) {
      const isFast = host.unknownUsers.size < unknownUsersMin;
      reasons.push(reason(
        "user_names",
        growingPoints(host.unknownUsers.size, unknownUsersMin, { base: 45, perTenfold: 15, max: 65 }),
        `${evidence.unknownUsers} user names were tried that do not exist, ${evidence.fastUsers} of them within ${fastS} s; ${
          isFast ? `nobody types ${limits.fastUsersMin} so fast` : `${unknownUsersMin} are the threshold`
        }`,
      ));
    }
    return {
      src_ips: [host.asker.ip],
      dst_ips: host.targets,
      dst_port: null,
      count: host.questions,
      summary: `${host.asker.ip} ${
        [
          ...kindsOf(host).size > 0 ? [`asked ${evidence.targets} host(s) for: ${evidence.kinds}`] : [],
          ...host.unknownUsers.size > 0
            ? [`tried ${evidence.unknownUsers} user name(s) that do not exist at ${evidence.targets} host(s)`]
            : [],
        ].join("; it ")
      }.`,
      reasons,
      evidence,
    };
  },
  meaning:
    "After the first machine is taken over, attackers map the domain this way: who may do what, who is logged in where, and which account is weak.",
  action:
    "Find out who uses the asking machine and which program asks. If nobody can explain it, isolate the machine and change the password of the account that asked.",
  falseAlarm: (_evidence, _finding, host) =>
    kindsOf(host).has(wholeZone)
      ? "Secondary name servers fetch whole zones from the first one; then the host is one of them."
      : "Inventory, identity management and administrators' consoles list directories too, from a few known machines.",
});

/** What it asked for. A name server may fetch whole zones, though it may show only later that it is one. */
function kindsOf(
  { asker, kinds }: { asker: Address; kinds: ReadonlyMap<string, number> },
): ReadonlyMap<string, number> {
  if (!asker.isResolver || !kinds.has(wholeZone)) return kinds;
  return new Map([...kinds].filter(([kind]) => kind !== wholeZone));
}

function weightOf(kinds: ReadonlyMap<string, number>): number {
  return [...kinds.values()].reduce((sum, weight) => sum + weight, 0);
}

function areNamesTried(
  { unknownUsers, fastMost }: { unknownUsers: Distinct<string>; fastMost: number },
  { unknownUsersMin, fastUsersMin }: { unknownUsersMin: number; fastUsersMin: number },
): boolean {
  return unknownUsers.size >= unknownUsersMin || fastMost >= fastUsersMin;
}

function questionsOf({ segment: { facts, bwd_payload_bytes } }: PreparedUpdate): Question[] {
  const questions: Question[] = [];
  for (const { interface: name, operation, count = 1 } of facts?.rpc ?? []) {
    const call = calls[`${name} ${operation}`];
    // A program looks for one service; a dump brings all, in one long answer or in many.
    const isOne = operation === "ept_lookup" && count < lookUpsMin && bwd_payload_bytes < servicesOctets;
    if (call && !isOne) questions.push({ kind: call[0], weight: call[1] });
    if (userDetails.test(`${name} ${operation}`) && count >= detailsMin) {
      questions.push({ kind: "details of one user after another", weight: 3 });
    }
  }
  if (facts?.dns?.some(({ type, rcode }) => type === "AXFR" && rcode === "NOERROR")) {
    questions.push({ kind: wholeZone, weight: 4 });
  }
  for (const { operation, name = "", scope, filter = "", attributes = [] } of facts?.ldap ?? []) {
    if (operation !== "search") continue;
    if (
      scope === "subtree" && everything.test(filter) && wholeDomain.test(name) &&
      bwd_payload_bytes >= wholeOctets
    ) {
      questions.push({ kind: "the whole directory", weight: 4 });
    }
    const text = `${filter} ${attributes.join(" ")}`;
    const found = filters.find(([pattern]) =>
      pattern.test(pattern.source.includes("admpwd") ? text : filter)
    );
    if (found) questions.push({ kind: found[1], weight: found[2] });
  }
  // The error names nobody: it stands for the request before it.
  let asker = "";
  for (const { message, error, client = asker } of facts?.kerberos ?? []) {
    if (message === "AS-REQ") asker = client;
    if (error === "KDC_ERR_C_PRINCIPAL_UNKNOWN") questions.push({ kind: "", weight: 0, unknownUser: client });
  }
  return questions;
}
