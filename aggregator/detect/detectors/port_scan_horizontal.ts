/** Horizontal port scan: one host tries the same port on many hosts, most of which do not answer.
 *
 * In: the attempts that TCP, UDP and SCTP flows begin with.
 * Out: one finding for each scanning host and protocol, with all its ports.
 * Whoever forges the source is named by what the link tells (signs/link_owners.ts).
 * Invariant: whoever asks a server by its name (QUIC) was told of it, and does not scan; a host that mostly succeeds is
 * no scanner, and neither is one whose peers each listen elsewhere (peer-to-peer). A fixed list asked again and again
 * is no scan, though half of it may be off.
 * Source of the idea: Jung et al., "Fast Portscan Detection Using Sequential Hypothesis Testing" (2004): benign hosts
 * succeed in about 4 of 5 first contacts, scanners in 1 of 5. @module */

import { detector, type LimitValues } from "../detector.ts";
import type { Episode } from "../episodes.ts";
import { capScore, field, growingPoints, percentOf, reason } from "../finding.ts";
import { by } from "../keys.ts";
import type { Opening } from "../prepared.ts";
import { Address } from "../signs/address.ts";
import { findOut } from "../signs/advice.ts";
import { AskedList } from "../signs/asked_list.ts";
import { DistinctIps } from "../signs/distinct_ips.ts";
import { forgedSource, LinkOwners } from "../signs/link_owners.ts";
import { PeakRate } from "../signs/peak_rate.ts";

const portsMax = 256, hostsMax = 4_096;

/** Ports that monitors, printer servers and backups ask on lists of their own, of which half may be off: printing,
 * SNMP, NTP, IPMI, node exporters, agents of Zabbix, Nagios and Bacula.
 * A first round of few hosts there may be such a list's. */
const polledPorts = new Set([123, 161, 515, 623, 631, 5666, 9090, 9100, 9102, 10050]);
const lowMax = 35;

interface PortTally {
  list: AskedList;
  failed: DistinctIps;
  open: DistinctIps;
  used: DistinctIps;
  attempts: number;
}
interface Sweep {
  protocol: string;
  owners: LinkOwners;
  network: string;
  mac: string;
  src: Address;
  rate: PeakRate;
  ports: Map<number, PortTally>;
  /** Hosts that failed on any port. */
  failedHosts: DistinctIps;
}

const limitsTable = {
  hostsMin: { value: 25, unit: "hosts", why: "Zeek's scan.zeek: addr_scan_threshold in 5 minutes" },
  failedShareMin: { value: 0.5, unit: "share", why: "halfway between Jung's 0.2 and 0.8" },
  portShareMin: {
    value: 0.5,
    unit: "share",
    why:
      "hosts out of reach that were tried on this port: peers of a file-sharing network each listen on their own",
  },
  listMin: { value: 100, unit: "hosts", why: "lists of printers and agents are shorter" },
  wormPortsMax: {
    value: 12,
    unit: "ports",
    why:
      "worms try a handful of services, one or two at each host; peers of a file-sharing network have a port each",
  },
  smallHostsMin: {
    value: 12,
    unit: "hosts",
    why: "of a small network walked through in a few seconds, nearly none of which accepts",
  },
  smallS: {
    value: 10,
    unit: "s",
    why: "a client whose servers are down tries them one after another, with pauses",
  },
  fastHostsPerS: { value: 5, unit: "attempts in a second", why: "ordinary hosts meet new ones more slowly" },
};

export const portScanHorizontal = detector({
  name: "port_scan_horizontal",
  technique: "T1046",
  title: "Horizontal port scan",
  about: "One host tries the same port on many hosts, most of which do not answer.",
  limits: limitsTable,
  window: {
    quietS: { value: 600, unit: "s", why: "nmap -T1, the slowest but one, waits 15 s between probes" },
    ageS: { value: 3_600, unit: "s", why: "a few failures an hour are ordinary" },
  },
  keysMax: 10_000,
  key(update) {
    const { probe, dst } = update;
    if (probe === null || dst.isGroup || (probe === "silent" && update.serverName !== "")) return null;
    return by.protocolSrc;
  },
  slight: { isSlight: (_update, { hostsMin }) => hostsMin > 1 },
  shared: () => new LinkOwners(),
  notice: (owners, update) => owners.learn(update),
  open: ({ network, src, segment: { protocol } }: Opening, _item: undefined, owners): Sweep => ({
    owners,
    network,
    mac: "",
    protocol,
    src,
    rate: new PeakRate(),
    ports: new Map(),
    failedHosts: new DistinctIps(hostsMax),
  }),
  step(sweep, { probe, dst, segment: { dst_port, start, src_mac } }: Opening) {
    sweep.mac = src_mac;
    const tally = sweep.ports.get(dst_port) ?? newTally();
    if (tally.attempts === 0 && sweep.ports.size < portsMax) sweep.ports.set(dst_port, tally);
    tally.attempts++;
    // Conversations are no part of a scan; most updates are such.
    if (probe !== "used") {
      sweep.rate.add(start);
      tally.list.ask(dst, start);
    }
    const hosts = probe === "used" ? tally.used : probe === "open" ? tally.open : tally.failed;
    hosts.add(dst);
    if (hosts === tally.failed) sweep.failedHosts.add(dst);
  },
  isThreat: (sweep, limits, episode) => scannedPorts(sweep, limits, episode).length > 0,
  finding(sweep, limits) {
    const ports = scannedPorts(sweep, limits, sweep);
    const failedHosts = new Set(ports.flatMap(([, tally]) => [...tally.failed]));
    const openHosts = new Set(ports.flatMap(([, tally]) => [...tally.open]));
    const hosts = new Set([...openHosts, ...failedHosts]);
    const forgers = sweep.owners.forgersOf(sweep.network, sweep.src.ip, sweep.mac, sweep.lastS);
    const evidence = {
      tried: field("hosts tried", hosts.size),
      failed: field("hosts closed or silent", failedHosts.size),
      open: field("hosts that accepted", [...openHosts].slice(0, 20).join(", ") || "none"),
      ports: field("ports", ports.slice(0, 20).map(([port]) => port).join(", ")),
      duration: field("duration in seconds", Math.round(sweep.lastS - sweep.firstS)),
      perS: field("attempts in the busiest second", sweep.rate.peak),
      protocol: field("protocol", sweep.protocol.toUpperCase()),
      ...forgers.length > 0 && {
        forged: field("forged source", sweep.src.ip),
        mac: field("hardware address of the sender", sweep.mac),
      },
    };
    const { tried, failed } = evidence;
    const reasons = [reason(
      "distinct_hosts",
      growingPoints(tried.value, limits.hostsMin, { base: 40, perTenfold: 11, max: 60 }),
      `${tried} hosts were tried${ports.length === 1 ? " on the same port" : ""}; ${
        tried.value < limits.hostsMin
          ? `${limits.smallHostsMin} neighbours within ${limits.smallS} s`
          : limits.hostsMin
      } are enough to call it a scan`,
    )];
    if (failed.value / tried.value >= 0.8) {
      reasons.push(reason(
        "mostly_failed",
        10,
        `${
          percentOf(failed.value, tried.value)
        } of the hosts refused or were silent; ordinary hosts stay near 20 %`,
      ));
    }
    if (sweep.rate.peak >= limits.fastHostsPerS) {
      const text =
        `${evidence.perS} attempts in the busiest second; ${limits.fastHostsPerS} or more are faster than ordinary hosts meet others`;
      reasons.push(reason("fast", 10, text));
    }
    if (ports.every(([port]) => polledPorts.has(port)) && hosts.size < limits.listMin) {
      capScore(
        reasons,
        lowMax,
        "may_be_a_list",
        "monitors and printer servers ask lists of hosts on this port",
      );
    }
    if (forgers.length > 0) reasons.push(forgedSource(sweep.src.ip, sweep.mac, forgers[0]));
    return {
      src_ips: forgers.length > 0 ? forgers : [sweep.src.ip],
      dst_ips: hosts,
      dst_port: ports.length === 1 ? ports[0][0] : null,
      count: ports.reduce((sum, [, tally]) => sum + tally.attempts, 0),
      summary: `${
        forgers[0] ?? sweep.src.ip
      } tried ${evidence.protocol} port ${evidence.ports} on ${tried} different hosts${
        forgers.length > 0 ? ` under the forged address ${sweep.src.ip}` : ""
      }; ${failed} of them refused or did not answer.`,
      reasons,
      evidence,
    };
  },
  meaning:
    "Worms and attackers look like this when they search a network for machines that run one attackable service.",
  action: ({ open }, { src_ips }, { src }) =>
    `${findOut(src_ips.includes(src.ip) ? src : new Address(src_ips[0]), "scans")} ${
      open.value === "none"
        ? "No host accepted, so nothing was found."
        : `Then look at what it did to the hosts that accepted: ${open}.`
    }`,
  falseAlarm:
    "Vulnerability scanners, network inventory and monitoring do the same on purpose; so does a client whose servers are all down.",
});

function newTally(): PortTally {
  return {
    list: new AskedList(),
    failed: new DistinctIps(hostsMax),
    open: new DistinctIps(hostsMax),
    used: new DistinctIps(hostsMax),
    attempts: 0,
  };
}

/** Ports of a sweep that make it a scan, the most tried first. */
function scannedPorts(
  sweep: Sweep,
  limits: LimitValues<typeof limitsTable>,
  episode: Episode,
): [number, PortTally][] {
  const { hostsMin, failedShareMin, portShareMin, wormPortsMax } = limits;
  const isFailing = ({ failed, open, used }: PortTally) =>
    failed.size >= failedShareMin * (failed.size + open.size + used.size);
  const failing = [...sweep.ports].filter(([, tally]) => isFailing(tally) && !tally.list.isFixed);
  if (failing.length > 1) failing.sort((a, b) => b[1].failed.size - a[1].failed.size);
  const scanned = failing.filter(([, { failed, open }]) =>
    failed.size + open.size >= hostsMin && failed.size >= portShareMin * sweep.failedHosts.size
  );
  if (scanned.length > 0) return scanned;
  if (isSmallAndFast(episode, failing, limits)) return failing.slice(0, 1);
  // A worm's ports, each tried on a part of the hosts: together they are what a single port is above.
  const few = sweep.ports.size <= wormPortsMax ? failing.filter(([, { failed }]) => failed.size >= 3) : [];
  return sweep.failedHosts.size >= 2 * hostsMin && few.length > 1 ? few : [];
}

/** A small network walked through at once: all of it, none of it in use. */
function isSmallAndFast(
  { firstS, lastS }: Episode,
  failing: readonly [number, PortTally][],
  { smallHostsMin, smallS }: LimitValues<typeof limitsTable>,
): boolean {
  if (failing.length === 0 || lastS - firstS > smallS) return false;
  const { failed, open, used, list } = failing[0][1];
  return failed.size >= smallHostsMin && used.size === 0 && open.size <= 0.2 * failed.size &&
    list.rangeShare >= 0.8;
}
