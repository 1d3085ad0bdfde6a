/** Vertical port scan: one host tries many ports of another, most of them closed.
 *
 * In: the attempts that TCP, UDP and SCTP flows begin with. Out: one finding for each pair of hosts.
 * Whoever forges the source is named by what the link tells (signs/link_owners.ts).
 * Invariant: only ports without a conversation count; a client that talks to many ports of a server is no scanner.
 * Considered: a window of 5 minutes as in Zeek; an episode that lasts while the prober goes on also finds slow scans.
 * @module */

import { detector } from "../detector.ts";
import { field, growingPoints, percentOf, reason } from "../finding.ts";
import { by } from "../keys.ts";
import type { Opening } from "../prepared.ts";
import { Address } from "../signs/address.ts";
import { findOut } from "../signs/advice.ts";
import { Distinct } from "../signs/distinct.ts";
import { forgedSource, LinkOwners } from "../signs/link_owners.ts";
import { PeakRate } from "../signs/peak_rate.ts";

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
    fastPortsPerS: { value: 2, unit: "ports in a second", why: "nobody types ports in so fast" },
  },
  window: {
    quietS: { value: 600, unit: "s", why: "nmap -T1, the slowest but one, waits 15 s between probes" },
    ageS: { value: 3_600, unit: "s", why: "a few failures an hour are ordinary" },
  },
  key: (update) => update.probe && by.protocolPair,
  // A conversation alone is no reason to follow a pair: most pairs on a network only ever talk.
  opens: (update) => update.probe !== "used",
  slight: { isSlight: (_update, { tcpPortsMin, udpPortsMin }) => tcpPortsMin > 1 && udpPortsMin > 1 },
  shared: () => new LinkOwners(),
  notice: (owners, update) => owners.learn(update),
  open: ({ network, src, dst, segment: { protocol } }: Opening, _item: undefined, owners) => ({
    owners,
    network,
    mac: "",
    protocol,
    src,
    dst,
    failed: new Distinct<number>(portsMax),
    open: new Distinct<number>(portsMax),
    used: new Distinct<number>(portsMax),
    attempts: 0,
    rate: new PeakRate(),
  }),
  step(scan, { probe, segment: { dst_port, start, src_mac } }: Opening) {
    scan.attempts++;
    scan.mac = src_mac;
    if (probe !== "used") scan.rate.add(start);
    const ports = probe === "used" ? scan.used : probe === "open" ? scan.open : scan.failed;
    ports.add(dst_port);
  },
  isThreat: ({ protocol, failed, open, used }, { udpPortsMin, tcpPortsMin, failedShareMin }) =>
    failed.size + open.size >= (protocol === "udp" ? udpPortsMin : tcpPortsMin) &&
    failed.size >= failedShareMin * (failed.size + open.size + used.size),
  finding(scan, { udpPortsMin, tcpPortsMin, fastPortsPerS }) {
    const ports = [...new Set([...scan.failed, ...scan.open])].sort((a, b) => a - b);
    const portsMin = scan.protocol === "udp" ? udpPortsMin : tcpPortsMin;
    const forgers = scan.owners.forgersOf(scan.network, scan.src.ip, scan.mac, scan.lastS);
    const evidence = {
      tried: field("ports tried", ports.length),
      failed: field("ports closed or silent", scan.failed.size),
      open: field(
        "ports that accepted",
        [...scan.open].sort((a, b) => a - b).slice(0, 20).join(", ") || "none",
      ),
      range: field("lowest and highest port", `${ports[0]}-${ports.at(-1)}`),
      duration: field("duration in seconds", Math.round(scan.lastS - scan.firstS)),
      perS: field("attempts in the busiest second", scan.rate.peak),
      protocol: field("protocol", scan.protocol.toUpperCase()),
      ...forgers.length > 0 && {
        forged: field("forged source", scan.src.ip),
        mac: field("hardware address of the sender", scan.mac),
      },
    };
    const { tried, failed, protocol } = evidence;
    const reasons = [reason(
      "distinct_ports",
      growingPoints(tried.value, portsMin, { base: 40, perTenfold: 11, max: 60 }),
      `${tried} different ports were tried; ${portsMin} are enough to call it a scan`,
    )];
    const failedShare = failed.value / tried.value;
    if (failedShare >= 0.8) {
      reasons.push(reason(
        "mostly_closed",
        10,
        `${
          percentOf(failedShare)
        } of the ports were closed or silent; a client that knows its server stays near 0 %`,
      ));
    }
    if (scan.rate.peak >= fastPortsPerS) {
      const text =
        `${evidence.perS} attempts in the busiest second; a person makes fewer than ${fastPortsPerS}`;
      reasons.push(reason("fast", 10, text));
    }
    if (forgers.length > 0) reasons.push(forgedSource(scan.src.ip, scan.mac, forgers[0]));
    return {
      src_ips: forgers.length > 0 ? forgers : [scan.src.ip],
      dst_ips: [scan.dst.ip],
      dst_port: null,
      count: scan.attempts,
      summary: `${forgers[0] ?? scan.src.ip} tried ${tried} different ${protocol} ports of ${scan.dst.ip}${
        forgers.length > 0 ? ` under the forged address ${scan.src.ip}` : ""
      }; ${failed} of them were closed or did not answer.`,
      reasons,
      evidence,
    };
  },
  meaning: "This is how an attacker, or a tool, finds out which services of a machine could be attacked.",
  action: ({ open }, { src_ips }, { src, dst }) =>
    `${findOut(src_ips.includes(src.ip) ? src : new Address(src_ips[0]), "scans")} ${
      open.value === "none"
        ? `No port of ${dst.ip} accepted, so nothing was found.`
        : `Check that the ports which accepted (${open}) of ${dst.ip} are meant to be reachable from ${src.ip}.`
    }`,
  falseAlarm:
    "Vulnerability scanners, inventory and monitoring tools scan on purpose; compare address and time with your planned scans.",
});
