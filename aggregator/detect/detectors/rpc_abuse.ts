/** RPC abuse: a host uses remote calls of Windows to steal secrets, wipe traces, or give itself accounts and rights.
 *
 * In: DCE/RPC calls of flows. Out: one finding for each pair of hosts.
 * Invariant: calls that administrators' programs make too stay low alone; two different kinds together are more.
 * Sources: MS-LSAD 3.1.4.6.4 (private data, where the domain's backup key lies), MS-RRP 3.1.5.20 (saved keys: SAM and
 * SECURITY), MS-EVEN and MS-EVEN6 (cleared logs), MS-SAMR (accounts, passwords, groups), MS-DRSR 4.1.19 (DCShadow: a
 * domain controller is added); ATT&CK T1003.004, T1003.002, T1070.001, T1098, T1136.002, T1207. @module */

import { detector } from "../detector.ts";
import { field, reason } from "../finding.ts";
import { by } from "../keys.ts";

interface Abuse {
  /** What was done, after "it": "cleared an event log". */
  what: string;
  technique: string;
  points: number;
  /** What belongs together: whoever joins a domain creates an account and changes it. @default `what` */
  story?: string;
  /** Whether administrators' programs do the same. */
  isOrdinary?: true;
}

const abuses: Readonly<Record<string, Abuse>> = {
  "lsarpc LsarRetrievePrivateData": {
    what: "read a secret of the system",
    technique: "T1003.004",
    points: 55,
  },
  "lsarpc LsarQuerySecret": { what: "read a secret of the system", technique: "T1003.004", points: 50 },
  "lsarpc LsarSetSecret": { what: "replaced a secret of the system", technique: "T1098", points: 45 },
  "winreg BaseRegSaveKey": { what: "saved a part of the registry", technique: "T1003.002", points: 50 },
  "winreg BaseRegSaveKeyEx": { what: "saved a part of the registry", technique: "T1003.002", points: 50 },
  "eventlog ElfrClearELFW": { what: "cleared an event log", technique: "T1070.001", points: 50 },
  "eventlog ElfrClearELFA": { what: "cleared an event log", technique: "T1070.001", points: 50 },
  "eventlog6 EvtRpcClearLog": { what: "cleared an event log", technique: "T1070.001", points: 50 },
  "samr SamrSetInformationUser": {
    what: "changed an account",
    story: "accounts",
    technique: "T1098",
    points: 25,
    isOrdinary: true,
  },
  "samr SamrSetInformationUser2": {
    what: "changed an account",
    story: "accounts",
    technique: "T1098",
    points: 25,
    isOrdinary: true,
  },
  "samr SamrCreateUser2InDomain": {
    what: "created an account",
    story: "accounts",
    technique: "T1136.002",
    points: 25,
    isOrdinary: true,
  },
  "samr SamrCreateUserInDomain": {
    what: "created an account",
    story: "accounts",
    technique: "T1136.002",
    points: 25,
    isOrdinary: true,
  },
  "samr SamrAddMemberToGroup": {
    what: "put an account into a group",
    technique: "T1098",
    points: 30,
    isOrdinary: true,
  },
  "samr SamrAddMemberToAlias": {
    what: "put an account into a group",
    technique: "T1098",
    points: 30,
    isOrdinary: true,
  },
  "drsuapi DRSReplicaAdd": {
    what: "made a domain controller copy from another one (DCShadow)",
    technique: "T1207",
    points: 50,
  },
  "drsuapi DRSAddEntry": {
    what: "added a domain controller to the directory (DCShadow)",
    technique: "T1207",
    points: 50,
  },
};

export const rpcAbuse = detector({
  name: "rpc_abuse",
  technique: "T1003.004",
  title: "Abuse of Windows calls",
  about: "A host reads secrets, clears logs, or changes accounts of another one by remote calls.",
  needs: ["rpc"],
  limits: {
    callsMin: { value: 1, unit: "calls", why: "one call gives a secret away, or wipes a log" },
    kindsMin: {
      value: 2,
      unit: "kinds",
      why: "of what administrators do too: a computer that joins a domain does one of them",
    },
  },
  window: {
    quietS: { value: 3_600, unit: "s", why: "tools do all of it within minutes" },
    ageS: { value: 86_400, unit: "s", why: "what administrators do over days does not add up" },
  },
  items: ({ segment }) =>
    (segment.facts?.rpc ?? []).filter(({ interface: name, operation }) => `${name} ${operation}` in abuses),
  key: () => by.pair,
  open: ({ segment: { src_ip, dst_ip, dst_port } }) => ({
    srcIp: src_ip,
    dstIp: dst_ip,
    port: dst_port,
    calls: 0,
    operations: new Set<string>(),
    done: new Map<string, { abuse: Abuse; operations: Set<string> }>(),
  }),
  step(pair, _update, _limits, { interface: name, operation, count = 1 }) {
    const abuse = abuses[`${name} ${operation}`];
    pair.calls += count;
    pair.operations.add(operation!);
    const before = pair.done.get(abuse.what);
    const gravest = before !== undefined && before.abuse.points > abuse.points ? before.abuse : abuse;
    const by = before?.operations ?? new Set<string>();
    pair.done.set(abuse.what, { abuse: gravest, operations: by.add(operation!) });
  },
  isThreat: ({ calls }, { callsMin }) => calls >= callsMin,
  finding({ srcIp, dstIp, port, calls, operations, done }, { kindsMin }) {
    const sorted = [...done.values()].sort((a, b) => b.abuse.points - a.abuse.points);
    const all = sorted.map(({ abuse }) => abuse);
    const [worst] = all, by = [...sorted[0].operations].join(", ");
    const evidence = {
      calls: field("calls", calls),
      operations: field("operations", [...operations].join(", ")),
      done: field("what was done", all.map(({ what }) => what).join(", ")),
    };
    const reasons = [reason(
      "calls",
      worst.points,
      `it ${worst.what}, by ${by}${
        worst.isOrdinary ? ", as administrators' programs do too" : "; hardly any program does so from afar"
      }`,
    )];
    const stories = new Set(all.map(({ story, what }) => story ?? what));
    if (stories.size >= kindsMin) {
      reasons.push(
        reason("several_kinds", 15, `${stories.size} kinds in one go; a program of administrators does one`),
      );
    }
    return {
      technique: worst.technique,
      src_ips: [srcIp],
      dst_ips: [dstIp],
      dst_port: port,
      count: calls,
      summary: `${srcIp} used remote calls on ${dstIp} ${evidence.calls} time(s): it ${evidence.done}.`,
      reasons,
      evidence,
    };
  },
  meaning:
    "With an administrator's rights, Windows does all this from afar: attackers take secrets with them, make accounts to come back by, and clear the logs that would show it.",
  action: (_evidence, { src_ips, dst_ips }) =>
    `Ask whoever administers ${dst_ips[0]} whether they did this from ${
      src_ips[0]
    }. If not: isolate the calling machine, find the account that was used, and take back what it changed; a secret that was read must be replaced.`,
  falseAlarm:
    "Computers that join a domain, identity management and administrators' consoles create and change accounts; backup programs save the registry.",
});
