/** Host sweep: one host asks a whole network who is there, by ARP, by ping, or by IPv6's neighbour discovery.
 *
 * In: ARP, ICMP echo and neighbour solicitation flows; attempts and pings, by who put them on the wire.
 * Out: one finding for each asking host and protocol.
 * Invariant: an ARP reply is no question, and proves that its sender is there; so does whatever else a host sent in the
 * last ten minutes, as a sensor on an ordinary switch port sees questions but no replies.
 * Announcements of one's own address are no question.
 * A router asks for whomever packets from elsewhere are meant for: whoever tried hosts of the network through it at the
 * time is who sweeps (signs/routed_probes.ts). Where nobody did, a router that asks for scattered addresses stays low.
 * A fixed list asked again and again is no sweep. A solicitation goes to the group of an address's last 24 bits
 * (RFC 4291, 2.7.1): whether that address is there cannot be told, so that only fast ones count. @module */

import { detector, type LimitValues } from "../detector.ts";
import { capScore, field, growingPoints, reason } from "../finding.ts";
import { by } from "../keys.ts";
import type { Reason } from "../../model/threat.ts";
import type { Episode } from "../episodes.ts";
import { Address, isLikelyGateway } from "../signs/address.ts";
import { findOut } from "../signs/advice.ts";
import { AskedList } from "../signs/asked_list.ts";
import { Distinct } from "../signs/distinct.ts";
import { PeakRate } from "../signs/peak_rate.ts";
import { type Origins, RoutedProbes } from "../signs/routed_probes.ts";

const hostsMax = 4_096, lowMax = 35;
/** A host that spoke this long before it was asked is there. */
const heardS = 600;
const solicitation = 135, solicitedGroup = "ff02::1:ff";
const echoTypes: Readonly<Record<string, number>> = { icmp: 8, icmp6: 128 };

const neighbours = by.src.after("neighbours");

interface Sweep {
  protocol: string;
  src: Address;
  network: string;
  rate: PeakRate;
  mac: string;
  hosts: Distinct<string>;
  list: AskedList;
  asked: number;
  /** The network's own address was asked, which no list of hosts holds. */
  asksNetwork: boolean;
  routed: RoutedProbes;
}

const limitsTable = {
  hostsMin: {
    value: 25,
    unit: "addresses",
    why: "as for a scan of one port (Zeek's addr_scan_threshold in 5 minutes)",
  },
  silentShareMin: {
    value: 0.5,
    unit: "share",
    why: "a router that looks for its clients and a pinging monitor know whom they ask",
  },
  hostsPerMinuteMin: {
    value: 5,
    unit: "addresses/min",
    why: "a host that looks for its neighbours over a day stays below",
  },
  smallHostsMin: {
    value: 12,
    unit: "addresses",
    why: "of a small network, all of its range or its own address too, within `smallS`",
  },
  smallS: {
    value: 10,
    unit: "s",
    why: "as for a small scan of one port: people and programs ask with pauses",
  },
  rangeShareMin: {
    value: 0.8,
    unit: "share",
    why: "of the addresses between the lowest and the highest asked: a list has holes, a range has none",
  },
  fastHostsPerS: {
    value: 5,
    unit: "questions in a second",
    why: "ordinary hosts meet new ones more slowly",
  },
};

export const hostSweep = detector({
  name: "host_sweep",
  technique: "T1018",
  title: "Ping sweep",
  about: "One host asks a whole network who is there, by ARP, by ping or by IPv6's neighbour discovery.",
  limits: limitsTable,
  window: {
    quietS: { value: 300, unit: "s", why: "sweeps ask many addresses a minute" },
    ageS: { value: 3_600, unit: "s", why: "a network changes within a day, not within an hour" },
  },
  keysMax: 10_000,
  key(update) {
    const { protocol, src_ip, src_port, dst_ip, dst_mac, fwd_packets } = update.segment;
    const isQuestion = protocol === "arp"
      ? isBroadcast(dst_mac)
      : protocol in echoTypes && src_port === echoTypes[protocol];
    if (protocol === "icmp6" && src_port === solicitation && dst_ip.startsWith(solicitedGroup)) {
      return update.first && fwd_packets > 0 && src_ip !== "::" ? neighbours : null;
    }
    if (!isQuestion || !update.first || fwd_packets === 0 || src_ip === dst_ip || update.dst.isGroup) {
      return null;
    }
    // A host that looks whether its new address is free (RFC 5227).
    return src_ip === "0.0.0.0" ? null : by.protocolSrc;
  },
  shared: () => new RoutedProbes(),
  notice(routed, update) {
    const { first, probe, dst, segment: { protocol, src_port, src_mac } } = update;
    if (!first || src_mac === "" || dst.isGroup) return;
    const isProbe = probe !== null ? probe !== "used" : src_port === echoTypes[protocol];
    if (isProbe) routed.add(update);
  },
  open: ({ src, network, segment: { protocol, src_port } }, _item: undefined, routed): Sweep => ({
    protocol: src_port === solicitation && protocol === "icmp6" ? "neighbours" : protocol,
    src,
    network,
    rate: new PeakRate(),
    mac: "",
    hosts: new Distinct<string>(hostsMax),
    list: new AskedList(),
    asked: 0,
    asksNetwork: false,
    routed,
  }),
  step(sweep, { dst, segment: { src_mac, start } }) {
    sweep.mac = src_mac;
    sweep.asked++;
    if (dst.ip.endsWith(".0")) sweep.asksNetwork = true;
    sweep.rate.add(start);
    sweep.hosts.add(dst.ip);
    sweep.list.ask(dst, start);
  },
  isThreat(
    sweep,
    { hostsMin, silentShareMin, hostsPerMinuteMin, fastHostsPerS, ...limits },
    { firstS, lastS },
  ) {
    const { hosts, list } = sweep;
    if (sweep.protocol === "neighbours") return hosts.size >= hostsMin && sweep.rate.peak >= fastHostsPerS;
    const isSmall = hosts.size < hostsMin && hosts.size >= limits.smallHostsMin &&
      lastS - firstS <= limits.smallS &&
      (sweep.asksNetwork || list.rangeShare >= limits.rangeShareMin);
    // Nobody who knows whom he asks asks the network itself.
    if (isSmall && sweep.asksNetwork) return true;
    if (isSmall) return list.size - list.heardSince(firstS - heardS).length >= silentShareMin * list.size;
    if (hosts.size < hostsMin || hosts.size < hostsPerMinuteMin * (lastS - firstS) / 60) return false;
    if (list.isFixed) return false;
    return list.size - list.heardSince(firstS - heardS).length >= silentShareMin * list.size;
  },
  finding(sweep, limits) {
    const isArp = sweep.protocol === "arp", isNeighbours = sweep.protocol === "neighbours";
    const heard = sweep.list.heardSince(sweep.firstS - heardS);
    const origins = originsOf(sweep);
    const evidence = {
      asked: field("addresses asked", sweep.hosts.count),
      silent: field("addresses not heard from", sweep.hosts.size - heard.length),
      answered: field("addresses that are there", heard.slice(0, 20).join(", ") || "none"),
      mac: field("hardware address of the asker", sweep.mac || "unknown"),
      duration: field("duration in seconds", Math.round(sweep.lastS - sweep.firstS)),
      perS: field("questions in the busiest second", sweep.rate.peak),
      protocol: field("protocol", isArp ? "ARP" : isNeighbours ? "neighbour discovery" : "ping"),
      ...origins !== null && {
        router: field("router that asked", sweep.src.ip),
        tried: field("hosts tried through the router", origins.hosts.slice(0, 20).join(", ")),
        kinds: field("tried by", origins.kinds.slice(0, 20).join(", ")),
      },
    };
    const { asked, silent, protocol } = evidence;
    const unheard = isNeighbours ? "" : `; nothing was heard from ${silent} of them`;
    return {
      title: isArp ? "ARP sweep" : isNeighbours ? "Neighbour sweep (IPv6)" : "Ping sweep",
      ...origins !== null && { title: "Sweep through a router" },
      src_ips: origins?.sources ?? [sweep.src.ip],
      dst_ips: origins === null ? sweep.hosts : new Set([...sweep.hosts, ...origins.hosts]),
      dst_port: origins?.port ?? null,
      count: sweep.asked,
      summary: origins === null
        ? `${sweep.src.ip} asked ${asked} addresses by ${protocol} whether somebody is there${unheard}.`
        : `${
          nameSome(origins.sources)
        } tried (${evidence.kinds}) a network behind the router ${evidence.router}, which asked ${asked} addresses by ${protocol} whether somebody is there${unheard}.`,
      reasons: reasonsFor(sweep, limits, origins),
      evidence,
    };
  },
  meaning: "This is the first step of most attacks on a network: finding out which machines exist.",
  action: ({ answered }, { src_ips }, { src }) =>
    `${
      src_ips.includes(src.ip)
        ? findOut(src, "asks")
        : src_ips.map((ip) => findOut(new Address(ip), "tries them")).join(" ")
    }${answered.value === "none" ? "" : ` Then look at what it did to those that are there: ${answered}.`}`,
  falseAlarm:
    "Network inventory, printers' software and routers ask whole networks too; they do so from known addresses and again and again.",
});

/** Questions go to everybody; a reply, or a check on a known neighbour, to one. */
function isBroadcast(mac: string): boolean {
  return mac === "" || mac === "ff:ff:ff:ff:ff:ff" || mac === "00:00:00:00:00:00";
}

/** Whose packets made a router ask; null when the asker asks on its own account. */
function originsOf(
  { protocol, network, mac, src, firstS, lastS, hosts, routed }: Sweep & Episode,
): Origins | null {
  if (protocol in echoTypes) return null;
  const isArp = protocol === "arp";
  const networks = new Set([...hosts].map(networkOf));
  return routed.originsOf({
    network,
    mac,
    asker: src.ip,
    firstS,
    lastS,
    // Of IPv6 only groups were asked.
    isMeant: (host) => isArp ? networks.has(networkOf(host)) : host.includes(":"),
  });
}

/** The first three octets. */
function networkOf(ip: string): string {
  return ip.slice(0, ip.lastIndexOf("."));
}

function reasonsFor(
  { list, hosts, rate, protocol, src, asksNetwork }: Sweep,
  { hostsMin, rangeShareMin, fastHostsPerS, smallHostsMin, smallS }: LimitValues<typeof limitsTable>,
  origins: Origins | null,
): Reason[] {
  const size = hosts.size, asked = hosts.count;
  const isWhole = protocol !== "neighbours" && list.rangeShare >= rangeShareMin;
  const reasons = [reason(
    "addresses_asked",
    growingPoints(size, hostsMin, { base: 25, perTenfold: 15, max: 45 }),
    size < hostsMin
      ? `${asked} addresses were asked within ${smallS} s; ${smallHostsMin} ${
        asksNetwork ? "with the network's own address" : "of one range"
      } are enough to call it a sweep`
      : `${asked} addresses were asked; ${hostsMin} are enough to call it a sweep`,
  )];
  if (asksNetwork && size < hostsMin) {
    reasons.push(
      reason("network_itself", 10, "the network's own address was asked, too, which is no host's"),
    );
  }
  if (isWhole) {
    reasons.push(reason(
      "whole_range",
      10,
      "nearly all addresses between the lowest and the highest were asked; a list of known hosts has holes",
    ));
  }
  if (rate.peak >= fastHostsPerS) {
    const text =
      `${rate.peak} questions in the busiest second; ${fastHostsPerS} or more are faster than ordinary hosts meet others`;
    reasons.push(reason("fast", 10, text));
  }
  if (origins !== null) {
    const text = `a router asks for whomever packets are meant for, and ${
      nameSome(origins.sources)
    } tried ${origins.hosts.length} host(s) of that network through it at the time`;
    reasons.push(reason("through_router", 5, text));
  } else if (protocol === "arp" && isLikelyGateway(src.ip) && !isWhole) {
    const text =
      "a router, by its number, asks for whomever packets from outside are meant for, be they there or not";
    capScore(reasons, lowMax, "router", text);
  }
  return reasons;
}

/** "192.0.2.1, 192.0.2.2 and 3 more" */
function nameSome(ips: readonly string[]): string {
  const rest = ips.length - 3;
  return rest > 0 ? `${ips.slice(0, 3).join(", ")} and ${rest} more` : ips.join(", ");
}
