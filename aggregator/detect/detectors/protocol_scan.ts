/** Protocol scan: one host tries which IP protocols another understands.
 *
 * In: flows of any IP protocol. Out: one finding for each pair of hosts.
 * Invariant: TCP, UDP and ICMP, which every pair may use, do not count; nor does a protocol that is answered in kind.
 * @module */

import { detector } from "../detector.ts";
import { field, growingPoints, reason } from "../finding.ts";
import { by } from "../keys.ts";
import { findOut } from "../signs/advice.ts";
import { Distinct } from "../signs/distinct.ts";

const common = new Set(["tcp", "udp", "icmp", "icmp6", "arp"]);

export const protocolScan = detector({
  name: "protocol_scan",
  technique: "T1046",
  title: "IP protocol scan",
  about: "One host tries which IP protocols another understands.",
  limits: {
    protocolsMin: {
      value: 8,
      unit: "protocols",
      why: "a pair of routers uses OSPF, VRRP, GRE, ESP and a few more; nmap -sO tries 256",
    },
  },
  window: {
    quietS: { value: 600, unit: "s", why: "as for a port scan" },
    ageS: { value: 3_600, unit: "s", why: "as for a port scan" },
  },
  key(update) {
    const { first, dst, segment: { protocol, bwd_packets } } = update;
    return first && bwd_packets === 0 && !dst.isGroup && !common.has(protocol) ? by.pair : null;
  },
  open: ({ src, dst }) => ({ src, dst, protocols: new Distinct<string>(256), packets: 0 }),
  step(scan, { segment: { protocol, fwd_packets } }) {
    scan.protocols.add(protocol);
    scan.packets += fwd_packets;
  },
  isThreat: ({ protocols }, { protocolsMin }) => protocols.size >= protocolsMin,
  finding(scan, { protocolsMin }) {
    const evidence = {
      protocols: field("protocols tried without an answer", scan.protocols.size),
      some: field("some of them", [...scan.protocols].slice(0, 12).join(", ")),
      packets: field("packets", scan.packets),
      duration: field("duration in seconds", Math.round(scan.lastS - scan.firstS)),
    };
    return {
      src_ips: [scan.src.ip],
      dst_ips: [scan.dst.ip],
      dst_port: null,
      count: scan.packets,
      summary:
        `${scan.src.ip} tried ${evidence.protocols} IP protocols besides TCP, UDP and ICMP on ${scan.dst.ip}, none of which was answered.`,
      reasons: [reason(
        "distinct_protocols",
        growingPoints(scan.protocols.size, protocolsMin, { base: 45, perTenfold: 15, max: 65 }),
        `${evidence.protocols} protocols were tried; ${protocolsMin} are the threshold`,
      )],
      evidence,
    };
  },
  meaning: "This is how an attacker learns what a machine or a firewall lets through besides the usual.",
  action: (_evidence, _finding, { src }) => findOut(src, "scans"),
  falseAlarm:
    "A vulnerability scanner of your own, or a test program that sends damaged packets, does the same.",
});
