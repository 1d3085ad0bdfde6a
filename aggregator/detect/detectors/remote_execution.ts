/** Remote execution: a host makes another one run a program, by a service, a task, WMI or the registry.
 *
 * In: DCE/RPC calls, SMB files and web requests of flows. Out: one finding for each pair of hosts.
 * Invariant: looking at services, tasks or keys is none; only what creates, changes or starts is.
 * WinRM carries commands encrypted: requests for its shell service count,
 * those of event forwarding do not (MS-WSMV; they name "WEC").
 * Sources: ATT&CK T1569.002 (service), T1053.002/005 (task), T1047 (WMI), T1021.003 (DCOM: MMC, Excel, ShellWindows),
 * T1021.006 (WinRM), T1112 (registry); file names of PsExec (Sysinternals) and Impacket's smbexec, wmiexec, atexec.
 * @module */

import { detector } from "../detector.ts";
import { field, hostile, reason } from "../finding.ts";
import { by } from "../keys.ts";
import type { PreparedUpdate } from "../prepared.ts";

interface Sign {
  way: string;
  technique: string;
  points: number;
  times: number;
  /** What shows it: an operation's or a file's name. */
  shown: string;
}

/** Calls that make something run, or stay. */
const calls: Readonly<Record<string, readonly [way: string, technique: string, points: number]>> = {
  "svcctl CreateServiceW": ["a service was created", "T1569.002", 45],
  "svcctl CreateServiceA": ["a service was created", "T1569.002", 45],
  "svcctl CreateServiceWOW64W": ["a service was created", "T1569.002", 45],
  "svcctl CreateServiceWOW64A": ["a service was created", "T1569.002", 45],
  "svcctl CreateWowService": ["a service was created", "T1569.002", 45],
  "svcctl ChangeServiceConfigW": ["a service was changed", "T1543.003", 40],
  "svcctl ChangeServiceConfigA": ["a service was changed", "T1543.003", 40],
  "atsvc NetrJobAdd": ["a job was scheduled", "T1053.002", 50],
  "ITaskSchedulerService SchRpcRegisterTask": ["a task was registered", "T1053.005", 45],
  "IWbemServices ExecMethod": ["a WMI method was run", "T1047", 40],
  "IWbemServices PutInstance": ["a WMI object was made or changed", "T1047", 40],
  "IDispatch Invoke": ["a program's object was called (DCOM)", "T1021.003", 40],
  "winreg BaseRegSetValue": ["a registry value was set", "T1112", 30],
  "MimiCom MimiCommand": ["mimikatz was commanded", "T1569.002", 90],
};

/** WinRM 1 shared the web's port; since then 5985 and, encrypted, 5986. */
const winRmPorts = new Set([5985, 5986]);
const executable = /\.(?:exe|dll|com|scr|sys|bat|cmd|ps1|vbs|hta|msi)$/i;
const toolFiles = /(?:psexesvc|paexec|csexec|remcom|winexesvc|__output|__[0-9]{10,}|\\execute\.bat$)/i;

export const remoteExecution = detector({
  name: "remote_execution",
  technique: "T1569.002",
  title: "Remote execution",
  about:
    "A host makes another one run a program: by a service, a task, WMI, DCOM, WinRM, or a file of PsExec or Impacket.",
  needs: ["rpc", "smb", "http"],
  limits: {
    signsMin: { value: 1, unit: "signs", why: "one created service runs whatever it was given" },
    waysMin: {
      value: 2,
      unit: "ways",
      why: "an administrator's tool uses one way; somebody who wants in tries the next",
    },
  },
  window: {
    quietS: { value: 3_600, unit: "s", why: "sessions of an hour belong together" },
    ageS: { value: 86_400, unit: "s", why: "administration of a day is one story" },
  },
  items: signsOf,
  key: () => by.pair,
  open: ({ segment: { src_ip, dst_ip, dst_port } }) => ({
    srcIp: src_ip,
    dstIp: dst_ip,
    port: dst_port,
    ways: new Map<string, Sign>(),
    times: 0,
  }),
  step(pair, _update, _limits, sign) {
    pair.times += sign.times;
    const known = pair.ways.get(sign.way);
    if (known) known.times += sign.times;
    else pair.ways.set(sign.way, { ...sign });
  },
  isThreat: (pair, { signsMin }) => pair.times >= signsMin,
  finding(pair, { waysMin }) {
    const signs = [...pair.ways.values()].sort((a, b) => b.points - a.points);
    const [worst] = signs;
    const evidence = {
      times: field("signs seen", pair.times),
      ways: field("ways", signs.map(({ way, times }) => `${way} (${times})`).join(", ")),
      shown: hostile("shown by", signs.map(({ shown }) => shown).join(", ").slice(0, 200)),
    };
    const reasons = [reason("remote_run", worst.points, `${worst.way}, shown by ${worst.shown}`)];
    if (signs.length >= waysMin) {
      reasons.push(reason("several_ways", 20, `${signs.length} different ways: ${evidence.ways}`));
    }
    return {
      technique: worst.technique,
      src_ips: [pair.srcIp],
      dst_ips: [pair.dstIp],
      dst_port: pair.port,
      count: pair.times,
      summary: `${pair.srcIp} made ${pair.dstIp} run or keep something from afar: ${evidence.ways}.`,
      reasons,
      evidence,
    };
  },
  meaning:
    "With an administrator's password or its hash, attackers start their programs on one machine after another in just this way. Administrators' own tools do the same.",
  action: (_evidence, { src_ips, dst_ips }) =>
    `Ask whoever administers ${dst_ips[0]} whether they did this from ${
      src_ips[0]
    }. If not: isolate both, look at the services and tasks made at that time, and change the password of the account that was used.`,
  falseAlarm:
    "Software distribution, monitoring and administrators use services, tasks and WMI from a few known machines.",
});

function signsOf({ segment: { facts, dst_port } }: PreparedUpdate): Sign[] {
  const signs: Sign[] = [];
  for (const { interface: name, operation, count = 1 } of facts?.rpc ?? []) {
    const call = calls[`${name} ${operation}`];
    if (call) {
      signs.push({ way: call[0], technique: call[1], points: call[2], times: count, shown: `${operation}` });
    }
  }
  for (const { tree = "", file = "" } of facts?.smb ?? []) {
    if (toolFiles.test(file)) {
      signs.push({
        way: "a file of a remote shell",
        technique: "T1569.002",
        points: 60,
        times: 1,
        shown: file,
      });
    } else if (/\\(?:admin|[a-z])\$$/i.test(tree) && executable.test(file)) {
      signs.push({
        way: "a program in an administrator's share",
        technique: "T1021.002",
        points: 45,
        times: 1,
        shown: file,
      });
    }
  }
  for (const { method, uri = "" } of facts?.http ?? []) {
    if (method === "POST" && winRmPorts.has(dst_port) && /^\/wsman\/?(?:\?|$)/i.test(uri)) {
      signs.push({
        way: "requests to a WinRM shell",
        technique: "T1021.006",
        points: 40,
        times: 1,
        shown: uri,
      });
    }
  }
  return signs;
}
