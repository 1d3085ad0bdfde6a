/** Coercion: a host makes a Windows server log in to a machine of the attacker's choice, whose login is then relayed.
 *
 * In: DCE/RPC calls of flows, log-ins of machine accounts by NTLM. Out: one finding for each pair of hosts.
 * Invariant: print clients ask their print server to be told of changes; that one call alone stays low, unless the
 * server then logs in to the caller with its machine account, which is what an attacker wants.
 * Sources: MS-EFSR (PetitPotam), MS-RPRN (PrinterBug), MS-DFSNM (DFSCoerce), MS-FSRVP (ShadowCoerce),
 * MS-EVEN (CheeseOunce); ATT&CK T1187. @module */

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
    waysMin: { value: 2, unit: "ways", why: "tools try one call after another; programs need just one" },
  },
  window: {
    quietS: { value: 3_600, unit: "s", why: "tools try all ways within a minute" },
    ageS: { value: 86_400, unit: "s", why: "a print server is asked all day" },
  },
  items: signsOf,
  // A log-in comes from the server that was called.
  key: ({ segment: { src_ip, dst_ip } }, _limits, sign) =>
    sign.isLogin ? `${dst_ip}|${src_ip}` : `${src_ip}|${dst_ip}`,
  open: ({ segment: { src_ip, dst_ip, dst_port } }, { isLogin }) => ({
    srcIp: isLogin ? dst_ip : src_ip,
    dstIp: isLogin ? src_ip : dst_ip,
    port: dst_port,
    calls: 0,
    logins: 0,
    account: "",
    ways: new Map<string, number>(),
    operations: new Set<string>(),
  }),
  step(pair, { segment: { dst_port } }, _limits, sign) {
    if (sign.isLogin) {
      pair.logins++;
      pair.account = sign.name;
      return;
    }
    const { way, points } = calls[sign.name];
    pair.port = dst_port;
    pair.calls += sign.count;
    pair.ways.set(way, points);
    pair.operations.add(sign.name.slice(sign.name.indexOf(" ") + 1));
  },
  isThreat: (pair, { callsMin }) => pair.calls >= callsMin,
  finding(pair, { waysMin }) {
    const evidence = {
      calls: field("calls", pair.calls),
      operations: field("operations", [...pair.operations].join(", ")),
      ways: field("known as", [...pair.ways.keys()].join(", ")),
      logins: field("log-ins of the server to the caller", pair.logins),
      account: hostile("account of those", pair.account || "none seen"),
    };
    const worst = Math.max(...pair.ways.values());
    const reasons = [reason(
      "coercing_calls",
      worst,
      worst >= 50
        ? `${evidence.calls} call(s) of ${evidence.operations}, which hardly any program makes over the network`
        : `${evidence.calls} call(s) of ${evidence.operations}, which print clients make too`,
    )];
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
      count: pair.calls,
      summary:
        `${pair.srcIp} called ${evidence.operations} on ${pair.dstIp} ${evidence.calls} time(s), which can make that server log in to another machine.`,
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
    "Print clients ask their print server to be told of changes; backup programs use shadow copies.",
});

interface Sign {
  /** Interface and operation, or the account. */
  name: string;
  count: number;
  /** The called server logs in to somebody. */
  isLogin: boolean;
}

function signsOf({ segment: { facts, dst_port } }: PreparedUpdate): Sign[] {
  const signs: Sign[] = [];
  for (const { interface: of, operation, count = 1 } of facts?.rpc ?? []) {
    const name = `${of} ${operation}`;
    if (name in calls) signs.push({ name, count, isLogin: false });
  }
  if (dst_port !== 445) return signs;
  // Domain computers log in by Kerberos, which names no account here.
  const machine = facts?.smb?.find(({ command, account = "" }) =>
    command === "session_setup" && account.endsWith("$")
  );
  if (machine !== undefined) signs.push({ name: machine.account!, count: 1, isLogin: true });
  return signs;
}
