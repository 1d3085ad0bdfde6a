/** DCSync: a host that is no domain controller asks one for the directory's changes,
 * and with them for every password hash.
 *
 * In: DCE/RPC calls of flows; flows that show who serves a directory. Out: one finding for each asking host.
 * Invariant: a host that itself serves Kerberos or LDAP, or is asked to replicate, is a domain controller, and
 * controllers do this all day. A connection seen from its middle names no interface; the calls of mimikatz' DCSync,
 * DRSDomainControllerInfo (16), DRSCrackNames (12) and DRSGetNCChanges (3) on one connection,
 * are told by their numbers, and are less sure.
 * Source: MS-DRSR 4.1.10, IDL_DRSGetNCChanges; ATT&CK T1003.006. @module */

import type { RpcFact } from "../../../shared/facts.ts";
import { detector } from "../detector.ts";
import { field, reason } from "../finding.ts";
import { Distinct } from "../signs/distinct.ts";

const directoryPorts = new Set([88, 389, 636, 3268, 3269]);
const targetsMax = 64;
const tells = new Set(["DRSReplicaSync", "DRSUpdateRefs"]);
const nothing: Part[] = [];
const changesOpnum = 3, dcsyncOpnums = [16, 12, changesOpnum];

type Part =
  & { host: string }
  & ({ serves: true } | { serves: false; target: string; calls: number; isNamed: boolean });

export const dcsync = detector({
  name: "dcsync",
  technique: "T1003.006",
  title: "DCSync",
  about: "A host that is no domain controller replicates the directory, password hashes included.",
  needs: ["rpc"],
  // Who serves a directory shows in flows without a remote call.
  seesAll: true,
  limits: {
    callsMin: {
      value: 1,
      unit: "calls",
      why: "one call can bring one account's hash, and krbtgt's is enough",
    },
    manyCallsMin: { value: 10, unit: "calls", why: "a copy of the whole directory takes many calls" },
  },
  window: {
    quietS: { value: 86_400, unit: "s", why: "who serves a directory is learned over a day" },
    ageS: { value: 30 * 86_400, unit: "s", why: "a domain controller stays one" },
  },
  items({ segment, src, dst }): Part[] {
    const { dst_port, bwd_payload_bytes, facts } = segment;
    const isDirectory = directoryPorts.has(dst_port) || segment.app_protocol === "kerberos" ||
      segment.app_protocol === "ldap";
    // A refusal serves nobody: else a scan would make every host a controller.
    const isServed = isDirectory && bwd_payload_bytes > 0 && dst.isOwn;
    const rpc = facts?.rpc;
    // Nearly all updates are neither.
    if (rpc === undefined && !isServed) return nothing;
    const parts: Part[] = isServed ? [{ host: dst.ip, serves: true }] : [];
    if (rpc === undefined) return parts;
    // Controllers tell each other of changes, and whom to tell; nobody else has a copy to tell of.
    if (rpc.some(({ interface: name, operation }) => name === "drsuapi" && tells.has(operation ?? ""))) {
      parts.push({ host: src.ip, serves: true }, { host: dst.ip, serves: true });
    }
    const named = callsIn(rpc, "drsuapi");
    const calls = named > 0 || !isByNumbers(rpc) ? named : callsIn(rpc, "");
    if (calls > 0) {
      parts.push({ host: src.ip, serves: false, target: dst.ip, calls, isNamed: named > 0 });
      // Whoever is asked for changes is a controller, and may ask another one in turn.
      parts.push({ host: dst.ip, serves: true });
    }
    return parts;
  },
  key: (_update, _limits, { host }) => host,
  open: (_update, { host }) => ({
    host,
    serves: false,
    isNamed: false,
    calls: 0,
    targets: new Distinct<string>(targetsMax),
  }),
  step(asker, _update, _limits, part) {
    if (part.serves) asker.serves = true;
    else {
      asker.calls += part.calls;
      asker.isNamed ||= part.isNamed;
      asker.targets.add(part.target);
    }
  },
  isThreat: ({ calls, serves }, { callsMin }) => calls >= callsMin && !serves,
  finding(asker, { manyCallsMin }) {
    const evidence = {
      calls: field("requests for changes", asker.calls),
      targets: field("domain controllers asked", [...asker.targets].slice(0, 5).join(", ")),
    };
    const reasons = [reason(
      "not_a_controller",
      asker.isNamed ? 70 : 50,
      asker.isNamed
        ? `${evidence.calls} request(s) for the directory's changes by a host that was never seen to serve Kerberos or LDAP`
        : `${evidence.calls} request(s) of a host that was never seen to serve Kerberos or LDAP have the numbers of DCSync's; the interface was not seen`,
    )];
    if (asker.calls >= manyCallsMin) {
      reasons.push(
        reason(
          "whole_directory",
          10,
          `${evidence.calls} requests; ${manyCallsMin} bring more than a few accounts`,
        ),
      );
    }
    return {
      src_ips: [asker.host],
      dst_ips: asker.targets,
      dst_port: null,
      count: asker.calls,
      summary: `${asker.host}, which is no domain controller as far as it was seen, ${
        asker.isNamed ? "asked" : "seems to have asked"
      } ${evidence.targets} ${evidence.calls} time(s) for the directory's changes.`,
      reasons,
      evidence,
    };
  },
  meaning:
    "Domain controllers copy the directory, with all password hashes, from one another by this call. Attack tools such as mimikatz and secretsdump use it to steal them.",
  action: (_evidence, { src_ips }) =>
    `Isolate ${
      src_ips[0]
    } now and find out which account asked. Treat every password of the domain as known to the attacker: reset that account, then krbtgt twice, then the administrators.`,
  falseAlarm:
    "A new domain controller, or a directory synchronisation such as Microsoft Entra Connect, asks for changes too; then you know the host.",
});

function callsIn(rpc: readonly RpcFact[], name: string): number {
  let calls = 0;
  for (const { interface: of, operation, opnum, count = 1 } of rpc) {
    const isIt = of === name && (name === "" ? opnum === changesOpnum : operation === "DRSGetNCChanges");
    if (isIt) calls += count;
  }
  return calls;
}

function isByNumbers(rpc: readonly RpcFact[]): boolean {
  return dcsyncOpnums.every((opnum) => rpc.some((call) => call.interface === "" && call.opnum === opnum));
}
