/** Vertical port scan: one host tries many ports of another, most of them closed.
 *
 * In: the attempts that TCP and UDP flows begin with. Out: one finding for each pair of hosts.
 * Invariant: only ports without a conversation count; a client that talks to many ports of a server is no scanner.
 * Considered: a window of 5 minutes as in Zeek; an episode that lasts while the prober goes on also finds slow scans. @module */

import { detector } from "../detector.ts";
import { field, growingPoints, reason } from "../finding.ts";
import { Distinct } from "../signs/distinct.ts";

const portsMax = 4_096;

export const portScanVertical = detector({
  name: "port_scan_vertical",
  technique: "T1046",
  title: "Vertical port scan",
  about: "One host tries many ports of another, most of which are closed.",
  limits: {
    tcpPortsMin: { value: 15, unit: "ports", why: "Zeek's scan.zeek: port_scan_threshold in 5 minutes" },
    udpPortsMin: {
      value: 30,
      unit: "ports",
      why: "UDP gives no sign of refusal, and peers that look for a way through NAT try some ports",
    },
    failedShareMin: { value: 0.5, unit: "share", why: "ports tried that were closed or silent" },
    fastPortsPerS: { value: 1, unit: "ports/s", why: "nobody types ports in faster" },
  },
  window: {
    quietS: { value: 600, unit: "s", why: "nmap -T1, the slowest but one, waits 15 s between probes" },
    ageS: { value: 3_600, unit: "s", why: "a few failures an hour are ordinary" },
  },
  key: (update) => update.probe && `${update.segment.protocol}|${update.pair}`,
  // A conversation alone is no reason to follow a pair: most pairs on a network only ever talk.
  opens: (update) => update.probe !== "used",
  open: ({ segment: { protocol, src_ip, dst_ip } }) => ({
    protocol,
    srcIp: src_ip,
    dstIp: dst_ip,
    failed: new Distinct<number>(portsMax),
    open: new Distinct<number>(portsMax),
    used: new Distinct<number>(portsMax),
    attempts: 0,
  }),
  step(scan, { probe, segment: { dst_port } }) {
    scan.attempts++;
    const ports = probe === "used" ? scan.used : probe === "open" ? scan.open : scan.failed;
    ports.add(dst_port);
  },
  isThreat: ({ protocol, failed, open, used }, { udpPortsMin, tcpPortsMin, failedShareMin }) =>
    failed.size + open.size >= (protocol === "udp" ? udpPortsMin : tcpPortsMin) &&
    failed.size >= failedShareMin * (failed.size + open.size + used.size),
  finding(scan, { udpPortsMin, tcpPortsMin, fastPortsPerS }) {
    const ports = [...new Set([...scan.failed, ...scan.open])].sort((a, b) => a - b);
    const portsMin = scan.protocol === "udp" ? udpPortsMin : tcpPortsMin;
    const evidence = {
      tried: field("ports tried", ports.length),
      failed: field("ports closed or silent", scan.failed.size),
      open: field(
        "ports that accepted",
        [...scan.open].sort((a, b) => a - b).slice(0, 20).join(", ") || "none",
      ),
      range: field("lowest and highest port", `${ports[0]}-${ports.at(-1)}`),
      duration: field("duration in seconds", Math.round(scan.lastS - scan.firstS)),
      protocol: field("protocol", scan.protocol.toUpperCase()),
    };
    const { tried, failed, protocol } = evidence;
    const reasons = [reason(
      "distinct_ports",
      growingPoints(tried.value, portsMin, { base: 40, perTenfold: 11, max: 60 }),
      `${tried} different ports were tried; ${portsMin} are enough to call it a scan`,
    )];
    const failedShare = failed.value / tried.value;
    if (failedShare >= 0.8) {
      const percent = Math.round(failedShare * 100);
      reasons.push(reason(
        "mostly_closed",
        10,
        `${percent} % of the ports were closed or silent; a client that knows its server stays near 0 %`,
      ));
    }
    const perS = tried.value / Math.max(1, scan.lastS - scan.firstS);
    if (perS >= fastPortsPerS) {
      reasons.push(
        reason("fast", 10, `${perS.toFixed(1)} ports a second; a person stays below ${fastPortsPerS}`),
      );
    }
    return {
      src_ips: [scan.srcIp],
      dst_ips: [scan.dstIp],
      dst_port: null,
      count: scan.attempts,
      summary:
        `${scan.srcIp} tried ${tried} different ${protocol} ports of ${scan.dstIp}; ${failed} of them were closed or did not answer.`,
      reasons,
      evidence,
    };
  },
  meaning: "This is how an attacker, or a tool, finds out which services of a machine could be attacked.",
  action:
    "Find out who uses the scanning machine and whether somebody meant to test the target. If nobody did: isolate the scanning machine, look at what it did next, and check that the ports which answered are meant to be reachable.",
  falseAlarm:
    "Vulnerability scanners, inventory and monitoring tools scan on purpose; compare address and time with your planned scans.",
});
