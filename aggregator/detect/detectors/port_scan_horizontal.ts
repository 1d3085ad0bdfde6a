/** Horizontal port scan: one host tries the same port on many hosts, most of which do not answer.
 *
 * In: first updates of TCP and UDP flows. Out: one finding for each scanning host and protocol, with all its ports.
 * Invariant: a host that mostly succeeds is no scanner, and neither is one whose peers each listen elsewhere (peer-to-peer).
 * ATT&CK T1046, Network Service Discovery.
 * Source of the idea: Jung et al., "Fast Portscan Detection Using Sequential Hypothesis Testing" (2004): benign hosts succeed in
 * about 4 of 5 first contacts, scanners in 1 of 5. @module */

import type { FlowUpdate } from "../../model/flow.ts";
import type { Finding, Reason } from "../../model/threat.ts";
import {
  type Advice,
  type Detector,
  evidenceValue,
  findingLimits,
  growingPoints,
  numberEvidence,
} from "../detector.ts";
import { type Episode, episodeDetector, episodeParts, Episodes } from "../episodes.ts";
import { isGroupAddress, probeOutcome } from "../signs/probe.ts";

export const portScanHorizontalLimits = {
  /** Hosts that did not talk on one port. Zeek's scan.zeek: `Scan::addr_scan_threshold` = 25 in 5 minutes. */
  hostsMin: 25,
  /** Share of hosts on that port that were closed or silent; halfway between Jung's 0.2 and 0.8. */
  failedShareMin: 0.5,
  /** Share of all hosts this source could not reach that were tried on this port. A scanner tries its port everywhere; peers of
   * a file-sharing network each listen on their own. */
  portShareMin: 0.5,
  quietS: 600,
  ageMaxS: 3_600,
  fastHostsPerS: 1,
  keysMax: 10_000,
  portsMax: 256,
  hostsMax: 4_096,
} as const;
const limits = portScanHorizontalLimits;

interface PortTally {
  failed: Set<string>;
  open: Set<string>;
  used: Set<string>;
  attempts: number;
}
interface Sweep {
  protocol: string;
  srcIp: string;
  ports: Map<number, PortTally>;
  /** Hosts that failed on any port. */
  failedHosts: Set<string>;
}

const advice: Advice = {
  summary: (finding) =>
    `${finding.src_ips[0]} tried ${evidenceValue(finding, "protocol")} port ${
      evidenceValue(finding, "ports")
    } on ${evidenceValue(finding, "hosts tried")} different hosts; ${
      evidenceValue(finding, "hosts closed or silent")
    } of them refused or did not answer.`,
  meaning:
    "Worms and attackers look like this when they search a network for machines that run one attackable service.",
  action:
    "Check the scanning machine for malware first: an ordinary machine has no reason to do this. Isolate it if nobody can explain it, then look at the hosts that answered.",
  falseAlarm:
    "Vulnerability scanners, network inventory and monitoring do the same on purpose; so does a client whose servers are all down.",
};

/** Makes the detector; it holds all state. */
export function createPortScanHorizontal(): Detector {
  const sweeps = new Episodes<Sweep>({
    keysMax: limits.keysMax,
    quietS: limits.quietS,
    ageMaxS: limits.ageMaxS,
    create: () => ({ protocol: "", srcIp: "", ports: new Map(), failedHosts: new Set() }),
    isAboveThreshold: (sweep) => scannedPorts(sweep).length > 0,
  });

  function step(update: FlowUpdate): void {
    const outcome = probeOutcome(update);
    const { protocol, src_ip, dst_ip, dst_port } = update.segment;
    if (outcome === null || isGroupAddress(dst_ip)) return;
    const sweep = sweeps.touch(`${update.network}|${protocol}|${src_ip}`, update);
    sweep.protocol = protocol;
    sweep.srcIp = src_ip;
    const tally = sweep.ports.get(dst_port) ?? newTally();
    if (tally.attempts === 0 && sweep.ports.size < limits.portsMax) sweep.ports.set(dst_port, tally);
    tally.attempts++;
    const hosts = outcome === "used" ? tally.used : outcome === "open" ? tally.open : tally.failed;
    if (hosts.size < limits.hostsMax) hosts.add(dst_ip);
    if (hosts === tally.failed && sweep.failedHosts.size < limits.hostsMax) sweep.failedHosts.add(dst_ip);
  }

  return episodeDetector("port_scan_horizontal", advice, sweeps, step, describe);
}

function newTally(): PortTally {
  return { failed: new Set(), open: new Set(), used: new Set(), attempts: 0 };
}

/** Ports of a sweep that make it a scan, the most tried first. */
function scannedPorts(sweep: Sweep): [number, PortTally][] {
  return [...sweep.ports].filter(([, tally]) => {
    const tried = tally.failed.size + tally.open.size;
    return tried >= limits.hostsMin &&
      tally.failed.size >= limits.failedShareMin * (tried + tally.used.size) &&
      tally.failed.size >= limits.portShareMin * sweep.failedHosts.size;
  }).sort((a, b) => b[1].failed.size - a[1].failed.size);
}

function describe(sweep: Sweep & Episode): Finding {
  const ports = scannedPorts(sweep);
  const failed = new Set(ports.flatMap(([, tally]) => [...tally.failed]));
  const open = new Set(ports.flatMap(([, tally]) => [...tally.open]));
  const hosts = new Set([...open, ...failed]);
  const hostsPerS = hosts.size / Math.max(1, sweep.lastS - sweep.firstS);
  const reasons: Reason[] = [{
    name: "distinct_hosts",
    points: growingPoints(hosts.size, limits.hostsMin, { base: 40, perTenfold: 11, max: 60 }),
    text: `${hosts.size} hosts were tried on the same port; ${limits.hostsMin} are enough to call it a scan`,
  }];
  if (failed.size / hosts.size >= 0.8) {
    const percent = Math.round(100 * failed.size / hosts.size);
    reasons.push({
      name: "mostly_failed",
      points: 10,
      text: `${percent} % of the hosts refused or were silent; ordinary hosts stay near 20 %`,
    });
  }
  if (hostsPerS >= limits.fastHostsPerS) {
    reasons.push({
      name: "fast",
      points: 10,
      text: `${hostsPerS.toFixed(1)} new hosts a second; ordinary hosts stay below ${limits.fastHostsPerS}`,
    });
  }
  return {
    detector: "port_scan_horizontal",
    identity: `port_scan_horizontal|${sweep.key}`,
    technique: "T1046",
    title: "Horizontal port scan",
    src_ips: [sweep.srcIp],
    dst_ips: [...hosts].slice(0, findingLimits.addressesMax),
    dst_port: ports.length === 1 ? ports[0][0] : null,
    count: ports.reduce((sum, [, tally]) => sum + tally.attempts, 0),
    reasons,
    evidence: numberEvidence([
      ["hosts tried", hosts.size],
      ["hosts closed or silent", failed.size],
      ["hosts that accepted", [...open].slice(0, 20).join(", ") || "none"],
      ["ports", ports.slice(0, 20).map(([port]) => port).join(", ")],
      ["duration in seconds", Math.round(sweep.lastS - sweep.firstS)],
      ["protocol", sweep.protocol.toUpperCase()],
    ]),
    ...episodeParts(sweep),
  };
}
