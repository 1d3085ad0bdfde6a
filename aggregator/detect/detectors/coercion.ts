/** Coercion: a host makes a Windows server log in to a machine of the attacker's choice, whose login is then relayed.
 *
 * In: DCE/RPC calls of flows, SMB sessions, log-ins of machine accounts by NTLM.
 * Out: one finding for each pair of hosts.
 * Invariant: print clients ask their print server to be told of changes; that one call alone stays low, unless the
 * server then logs in to the caller with its machine account, which is what an attacker wants.
 * Where SMB is encrypted the calls are not seen; such a log-in in the seconds after a session began tells of them.
 * Sources: MS-EFSR (PetitPotam), MS-RPRN (PrinterBug), MS-DFSNM (DFSCoerce), MS-FSRVP (ShadowCoerce),
 * MS-EVEN (CheeseOunce); CVE-2022-30216 (calls 74 to 77 of MS-SRVS, which no document names); ATT&CK T1187. @module */

import { detector } from "../detector.ts";
import { field, hostile, reason } from "../finding.ts";
import type { PreparedUpdate } from "../prepared.ts";

/** Calls that take the name of another machine, and how surely they are meant so. */
const calls: Readonly<Record<string, { way: string; points: number }>> = {
  "efsrpc EfsRpcOpenFileRaw": { way: "PetitPotam", points: 60 },
  "efsrpc EfsRpcEncryptFileSrv": { way: "PetitPotam", points: 60 },
  "efsrpc EfsRpcDecryptFileSrv": { way: "PetitPotam", points: 60 },
  "efsrpc EfsRpcQueryUsersOnFile": { way: "PetitPotam", points: 60 },
  "efsrpc EfsRpcQueryRecoveryAgents": { way: "PetitPotam", points: 60 },
  "efsrpc EfsRpcRemoveUsersFromFile": { way: "PetitPotam", points: 60 },
  "efsrpc EfsRpcAddUsersToFile": { way: "PetitPotam", points: 60 },
  "efsrpc EfsRpcFileKeyInfo": { way: "PetitPotam", points: 60 },
  "efsrpc EfsRpcDuplicateEncryptionInfoFile": { way: "PetitPotam", points: 60 },
  "efsrpc EfsRpcAddUsersToFileEx": { way: "PetitPotam", points: 60 },
  "efsrpc EfsRpcFileKeyInfoEx": { way: "PetitPotam", points: 60 },
  "netdfs NetrDfsAddStdRoot": { way: "DFSCoerce", points: 60 },
  "netdfs NetrDfsRemoveStdRoot": { way: "DFSCoerce", points: 60 },
  "FileServerVssAgent IsPathSupported": { way: "ShadowCoerce", points: 50 },
  "FileServerVssAgent IsPathShadowCopied": { way: "ShadowCoerce", points: 50 },
  "eventlog ElfrOpenBELW": { way: "CheeseOunce", points: 50 },
  ...Object.fromEntries(
    [74, 75, 76, 77].map((opnum) => [`srvsvc ${opnum}`, { way: "CVE-2022-30216", points: 60 }]),
  ),
  "spoolss RpcRemoteFindFirstPrinterChangeNotification": { way: "PrinterBug", points: 25 },
  "spoolss RpcRemoteFindFirstPrinterChangeNotificationEx": { way: "PrinterBug", points: 25 },
};

export const coercion = detector({
  name: "coercion",
  technique: "T1187",
  title: "Forced authentication",
  about:
    "A host makes a Windows server log in elsewhere by remote calls (PetitPotam, PrinterBug, DFSCoerce, ...).",
  needs: ["rpc", "smb"],
  limits: {
    callsMin: {
      value: 1,
      unit: "calls",
      why: "one call makes the server log in once, which is all a relay needs",
    },
    backS: {
      value: 10,
      unit: "s",
      why: "a coerced server logs in at once; scheduled work meets a session within seconds by chance only",
    },
    waysMin: { value: 2, unit: "ways", why: "tools try one call after another; programs need just one" },
  },
  window: {
    quietS: { value: 3_600, unit: "s", why: "tools try all ways within a minute" },
    ageS: { value: 86_400, unit: "s", why: "a print server is asked all day" },
  },
  items: signsOf,
  // A log-in comes from the server that was called.
  key: ({ segment: { src_ip, dst_ip } }, _limits, sign) =>
    sign.kind === "login" ? `${dst_ip}|${src_ip}` : `${src_ip}|${dst_ip}`,
  open: ({ segment: { src_ip, dst_ip, dst_port } }, { kind }) => ({
    srcIp: kind === "login" ? dst_ip : src_ip,
    dstIp: kind === "login" ? src_ip : dst_ip,
    port: dst_port,
    calls: 0,
    logins: 0,
    loginS: NaN,
    sessionS: NaN,
    /** Log-ins right after the caller's session began. */
    loginsBack: 0,
    account: "",
    ways: new Map<string, number>(),
    operations: new Set<string>(),
  }),
  step(pair, { segment: { dst_port, start } }, { backS }, sign) {
    if (sign.kind === "call") {
      const { way, points } = calls[sign.name];
      pair.port = dst_port;
      pair.calls += sign.count;
      pair.ways.set(way, points);
      const [of, operation] = sign.name.split(" ");
      pair.operations.add(/^[0-9]+$/.test(operation) ? `call ${operation} of ${of}` : operation);
      return;
    }
    if (sign.kind === "login") {
      pair.logins++;
      pair.account = sign.name;
      pair.loginS = start;
    } else pair.sessionS = start;
    // Whichever of the two flows ends first comes first.
    const afterS = pair.loginS - pair.sessionS;
    if (afterS >= 0 && afterS <= backS) pair.loginsBack++;
  },
  isThreat: (pair, { callsMin }) => pair.calls >= callsMin || pair.loginsBack > 0,
  finding(pair, { waysMin, backS }) {
    const evidence = {
      calls: field("calls", pair.calls),
      operations: field("operations", [...pair.operations].join(", ") || "none seen"),
      ways: field("known as", [...pair.ways.keys()].join(", ") || "none seen"),
      logins: field("log-ins of the server to the caller", pair.logins),
      account: hostile("account of those", pair.account || "none seen"),
    };
    const worst = Math.max(0, ...pair.ways.values());
    const reasons = [
      pair.calls === 0
        ? reason(
          "logged_in_back",
          20,
          `${pair.dstIp} logged in to ${pair.srcIp} within ${backS} s after that had opened a session with it`,
        )
        : reason(
          "coercing_calls",
          worst,
          worst >= 50
            ? `${evidence.calls} call(s) of ${evidence.operations}, which hardly any program makes over the network`
            : `${evidence.calls} call(s) of ${evidence.operations}, which print clients make too`,
        ),
    ];
    if (pair.ways.size >= waysMin) {
      reasons.push(
        reason("several_ways", 20, `${pair.ways.size} different ways were tried; a program needs one`),
      );
    }
    if (pair.logins > 0) {
      reasons.push(
        reason(
          "logged_in",
          25,
          `${evidence.logins} log-in(s) of ${pair.dstIp} to ${pair.srcIp} as ${evidence.account}`,
        ),
      );
    }
    return {
      src_ips: [pair.srcIp],
      dst_ips: [pair.dstIp],
      dst_port: pair.port,
      count: pair.calls || pair.loginsBack,
      summary: pair.calls === 0
        ? `${pair.srcIp} opened a session with ${pair.dstIp}, and right then ${pair.dstIp} logged in to it with its own machine account, as a server does that is made to.`
        : `${pair.srcIp} called ${evidence.operations} on ${pair.dstIp} ${evidence.calls} time(s), which can make that server log in to another machine.`,
      reasons,
      evidence,
    };
  },
  meaning:
    "By such a call a server is made to prove its identity to a machine that the attacker chose; the proof is passed on to a domain controller or certificate service to become that server.",
  action: (_evidence, { src_ips, dst_ips }) =>
    `Find out who uses ${src_ips[0]} and what ${
      dst_ips[0]
    } connected to right after. Switch off the print spooler where it is not needed, require signing for SMB and LDAP, and extended protection for certificate enrolment over the web.`,
  falseAlarm:
    "Print clients ask their print server to be told of changes; backup programs use shadow copies; servers that manage others log in to whoever just called them.",
});

interface Sign {
  /** A log-in: the called server logs in to somebody. A session: of somebody with a server. */
  kind: "call" | "login" | "session";
  /** Interface and operation, or the account. */
  name: string;
  count: number;
}

function signsOf({ segment: { facts, dst_port } }: PreparedUpdate): Sign[] {
  const signs: Sign[] = [];
  for (const { interface: of, operation, opnum, count = 1 } of facts?.rpc ?? []) {
    const name = `${of} ${operation ?? opnum}`;
    if (name in calls) signs.push({ kind: "call", name, count });
  }
  if (dst_port !== 445 || facts?.smb === undefined) return signs;
  // Domain computers log in by Kerberos, which names no account here.
  const setups = facts.smb.filter(({ command }) => command === "session_setup");
  const machine = setups.find(({ account = "" }) => account.endsWith("$"));
  if (machine !== undefined) signs.push({ kind: "login", name: machine.account!, count: 1 });
  else if (setups.length > 0) signs.push({ kind: "session", name: "", count: 1 });
  return signs;
}
