/** Vertical port scan: one host tries many ports of another, most of them closed.
 *
 * In: first updates of TCP and UDP flows. Out: one finding for each pair of hosts.
 * Invariant: only ports without a conversation count; a client that talks to many ports of a server is no scanner.
 * ATT&CK T1046, Network Service Discovery.
 * Considered: a window of 5 minutes as in Zeek; an episode that lasts while the prober goes on also finds slow scans. @module */

import type { FlowUpdate } from "../../model/flow.ts";
import type { Finding, Reason } from "../../model/threat.ts";
import { type Advice, type Detector, evidenceValue, growingPoints, numberEvidence } from "../detector.ts";
import { type Episode, episodeDetector, episodeParts, Episodes } from "../episodes.ts";
import { probeOutcome } from "../signs/probe.ts";

export const portScanVerticalLimits = {
  /** Distinct ports without a conversation. Zeek's scan.zeek: `Scan::port_scan_threshold` = 15 in 5 minutes. */
  tcpPortsMin: 15,
  /** UDP gives no sign of refusal, and peers that look for a way through NAT try some ports: twice as many. */
  udpPortsMin: 30,
  /** Share of the ports tried that were closed or silent. */
  failedShareMin: 0.5,
  /** Silence that ends a scan; nmap's slowest but one timing (-T1) waits 15 s between probes. */
  quietS: 600,
  ageMaxS: 3_600,
  /** Ports a second above which nobody types them in. */
  fastPortsPerS: 1,
  keysMax: 20_000,
  portsMax: 4_096,
} as const;
const limits = portScanVerticalLimits;

interface Scan {
  protocol: string;
  srcIp: string;
  dstIp: string;
  failed: Set<number>;
  open: Set<number>;
  used: Set<number>;
  attempts: number;
}

const advice: Advice = {
  summary: (finding) =>
    `${finding.src_ips[0]} tried ${evidenceValue(finding, "ports tried")} different ${
      evidenceValue(finding, "protocol")
    } ports of ${finding.dst_ips[0]}; ${
      evidenceValue(finding, "ports closed or silent")
    } of them were closed or did not answer.`,
  meaning: "This is how an attacker, or a tool, finds out which services of a machine could be attacked.",
  action:
    "Find out who uses the scanning machine and whether somebody meant to test the target. If nobody did: isolate the scanning machine, look at what it did next, and check that the ports which answered are meant to be reachable.",
  falseAlarm:
    "Vulnerability scanners, inventory and monitoring tools scan on purpose; compare address and time with your planned scans.",
};

/** Makes the detector; it holds all state. */
export function createPortScanVertical(): Detector {
  const scans = new Episodes<Scan>({
    keysMax: limits.keysMax,
    quietS: limits.quietS,
    ageMaxS: limits.ageMaxS,
    create: () => ({
      protocol: "",
      srcIp: "",
      dstIp: "",
      failed: new Set(),
      open: new Set(),
      used: new Set(),
      attempts: 0,
    }),
    isAboveThreshold: isScan,
  });

  function step(update: FlowUpdate): void {
    const outcome = probeOutcome(update);
    if (outcome === null) return;
    const { protocol, src_ip, dst_ip, dst_port } = update.segment;
    const key = `${update.network}|${protocol}|${src_ip}|${dst_ip}`;
    // A conversation alone is no reason to follow a pair: most pairs on a network only ever talk.
    if (outcome === "used" && !scans.get(key)) return;
    const scan = scans.touch(key, update);
    scan.protocol = protocol;
    scan.srcIp = src_ip;
    scan.dstIp = dst_ip;
    scan.attempts++;
    const ports = outcome === "used" ? scan.used : outcome === "open" ? scan.open : scan.failed;
    if (ports.size < limits.portsMax) ports.add(dst_port);
  }

  return episodeDetector("port_scan_vertical", advice, scans, step, describe);
}

function isScan(scan: Scan): boolean {
  const tried = scan.failed.size + scan.open.size;
  const portsMin = scan.protocol === "udp" ? limits.udpPortsMin : limits.tcpPortsMin;
  return tried >= portsMin && scan.failed.size >= limits.failedShareMin * (tried + scan.used.size);
}

function describe(scan: Scan & Episode): Finding {
  const ports = new Set([...scan.failed, ...scan.open]);
  const tried = ports.size;
  const durationS = Math.max(1, scan.lastS - scan.firstS);
  const portsMin = scan.protocol === "udp" ? limits.udpPortsMin : limits.tcpPortsMin;
  const reasons: Reason[] = [{
    name: "distinct_ports",
    points: growingPoints(tried, portsMin, { base: 40, perTenfold: 11, max: 60 }),
    text: `${tried} different ports were tried; ${portsMin} are enough to call it a scan`,
  }];
  const failedShare = scan.failed.size / tried;
  if (failedShare >= 0.8) {
    reasons.push({
      name: "mostly_closed",
      points: 10,
      text: `${
        Math.round(failedShare * 100)
      } % of the ports were closed or silent; a client that knows its server stays near 0 %`,
    });
  }
  if (tried / durationS >= limits.fastPortsPerS) {
    reasons.push({
      name: "fast",
      points: 10,
      text: `${(tried / durationS).toFixed(1)} ports a second; a person stays below ${limits.fastPortsPerS}`,
    });
  }
  const sorted = [...ports].sort((a, b) => a - b);
  return {
    detector: "port_scan_vertical",
    identity: `port_scan_vertical|${scan.key}`,
    technique: "T1046",
    title: "Vertical port scan",
    src_ips: [scan.srcIp],
    dst_ips: [scan.dstIp],
    dst_port: null,
    count: scan.attempts,
    reasons,
    evidence: numberEvidence([
      ["ports tried", tried],
      ["ports closed or silent", scan.failed.size],
      ["ports that accepted", [...scan.open].sort((a, b) => a - b).slice(0, 20).join(", ") || "none"],
      ["lowest and highest port", `${sorted[0]}-${sorted[tried - 1]}`],
      ["duration in seconds", Math.round(scan.lastS - scan.firstS)],
      ["protocol", scan.protocol.toUpperCase()],
    ]),
    ...episodeParts(scan),
  };
}
