/** Flood: more packets or connections than a host, a switch or a network can serve, whatever the protocol.
 *
 * In: one-way UDP, ICMP, TCP without a beginning, other protocols; connections to web servers; IPv6 neighbour
 * discovery; packets of unknown senders.
 * Out: one finding for each victim and kind, and for connections also for each source.
 * Invariant: downloads, backups and calls are conversations and add nothing (signs/flood_share.ts). A few streams that
 * go one way, such as video, stay low until they are faster than any; so do collectors of logs, and connections between
 * own hosts that are all served. Who is named as the source of what was forged is not called the attacker.
 * Left to others: half-open connections (syn_flood), answers without a question (amplification, reflection). @module */

import { detector } from "../detector.ts";
import { field } from "../finding.ts";
import { by, KeyParts } from "../keys.ts";
import type { Opening } from "../prepared.ts";
import { stopHost } from "../signs/advice.ts";
import { Distinct } from "../signs/distinct.ts";
import { DistinctIps } from "../signs/distinct_ips.ts";
import {
  burstOf,
  type Flood,
  type FloodLimits,
  floodLimits,
  floodWords,
  isForgedName,
  rateMin,
  toAll,
} from "../signs/flood_kinds.ts";
import { floodReasons } from "../signs/flood_reasons.ts";
import { type FloodKind, type FloodShare, readFloodShare, readFloodShares } from "../signs/flood_share.ts";
import { OpenAtOnce } from "../signs/open_at_once.ts";
import { PeakRate } from "../signs/peak_rate.ts";

const sourcesMax = 4_096, portsMax = 4_096;
const strangersMax = 4_096, macsMax = 16;
const keys: Readonly<Record<FloodKind, KeyParts>> = {
  udp: by.dst.after("udp"),
  icmp: by.dst.after("icmp"),
  tcp: by.dst.after("tcp"),
  ip: by.dst.after("ip"),
  connections: by.call,
  held: by.call.after("held"),
  smurf: by.src.after("smurf"),
  router: new KeyParts(0, "router"),
  neighbour: new KeyParts(0, "neighbour"),
  solicit: new KeyParts(0, "solicit"),
  mac: new KeyParts(0, "mac"),
};
export const flood = detector({
  name: "flood",
  technique: "T1498.001",
  title: "Flood",
  about: "One host receives more packets, or more connections, than it can serve.",
  limits: floodLimits,
  window: {
    quietS: { value: 300, unit: "s", why: "floods pause between waves" },
    ageS: { value: 3_600, unit: "s", why: "stray packets of an hour do not add up to a flood" },
  },
  items: readFloodShares,
  key: (_update, _limits, { kind }) => keys[kind],
  slight: {
    // The rate is rounded. What stays of an update has no facts, and does not tell a stranger again.
    isSlight: (_update, limits, { kind, amount }) =>
      kind !== "held" && kind !== "mac" && amount + 1 <= rateMin(kind, limits),
    item: (first) => readFloodShare(first, null)!,
  },
  open: ({ src, dst, segment: { protocol } }: Opening, { kind }: FloodShare): Flood => ({
    kind,
    protocol,
    victim: dst,
    source: src,
    rate: new PeakRate(),
    octetRate: new PeakRate(),
    amount: 0,
    octets: 0,
    unserved: 0,
    flows: 0,
    trickles: 0,
    areSourcesOwn: true,
    open: kind === "held" ? new OpenAtOnce() : null,
    macs: new Distinct(kind === "mac" ? strangersMax : macsMax),
    sources: new DistinctIps(sourcesMax),
    ports: new Distinct(portsMax),
  }),
  step(flood, { src, first, segment: { start, end, dst_port, src_mac } }: Opening, _limits, share) {
    // Of a full table neither more addresses nor more packets are told.
    if (flood.kind === "mac" && flood.macs.isFull) return;
    const isNewMac = src_mac !== "" && flood.macs.add(src_mac);
    if (flood.kind === "mac") flood.rate.add(start, start, isNewMac ? 1 : 0);
    else flood.rate.add(start, isOfPackets(flood) ? end : start, share.amount);
    flood.octetRate.add(start, end, share.octets);
    flood.amount += share.amount;
    flood.octets += share.octets;
    if (!share.isAnswered) flood.unserved += share.amount;
    if (share.isTrickle) flood.trickles += share.amount;
    if (first) flood.flows++;
    flood.areSourcesOwn &&= src.isOwn;
    flood.open?.add(start, end, share.amount);
    flood.sources.add(src);
    if (haveNoPorts[flood.kind] === undefined) flood.ports.add(dst_port);
  },
  isThreat(flood, limits, { firstS, lastS }) {
    if (flood.kind === "held") return flood.open!.peak >= limits.heldMin;
    if (flood.rate.peak < rateMin(flood.kind, limits)) return false;
    // A host that is at work sends its second packet soon, from the same address.
    if (flood.kind === "mac") {
      return flood.macs.size >= limits.strangersMin && 2 * flood.macs.size >= flood.amount;
    }
    if (lastS - firstS < limits.durationMinS && flood.amount < burstOf(flood, limits)) return false;
    return !isScan(flood, limits);
  },
  finding(flood, limits) {
    const { kind, victim, source, sources, macs, ports } = flood;
    const { title, what } = floodWords[kind];
    const isForged = isForgedName(flood);
    const evidence = {
      amount: field(kind === "held" ? "connections held open" : what, flood.amount),
      peak: field(
        kind === "mac" ? "new hardware addresses in the busiest second" : "of them in the busiest second",
        flood.rate.peak,
      ),
      octets: field("octets in the busiest second", flood.octetRate.peak),
      sources: field("source addresses", sources.count),
      macs: field(
        "hardware addresses that sent them",
        macs.size > 4 ? macs.count : [...macs].join(", ") || "not seen",
      ),
      ports: field("ports", [...ports].slice(0, 10).join(", ") || "none"),
      different: field("different ports", ports.count),
      flows: field("flows", flood.flows),
      open: field("held open at the same time", flood.open?.peak ?? 0),
      duration: field("duration in seconds", Math.round(flood.lastS - flood.firstS)),
      protocol: field("protocol", flood.protocol.toUpperCase()),
    };
    const isSlow = kind === "connections" || kind === "held";
    return {
      title: isForged && kind !== "smurf"
        ? `${title} in the victim's own name`
        : kind === "ip"
        ? `${evidence.protocol} flood`
        : title,
      technique: isSlow ? "T1499.002" : kind === "mac" ? "T1557" : "T1498.001",
      src_ips: isForged || kind === "mac" ? [] : sources,
      dst_ips: kind === "mac" ? [] : [kind === "smurf" ? source.ip : victim.ip],
      dst_port: ports.size === 1 ? [...ports][0] : null,
      count: flood.amount,
      summary: summaryOf(flood, evidence),
      reasons: floodReasons(flood, limits),
      evidence,
    };
  },
  meaning: ({ peak }, _finding, { kind }) =>
    kind === "held"
      ? "A server has a limited number of places. Requests that are begun and never finished keep them, until real clients find none."
      : kind === "smurf"
      ? "All hosts that hear such a ping answer it, and all answers go to whoever is named as its source."
      : toAll[kind] ??
        `${peak} in one second keep the line or the machine so busy that real users may be turned away.`,
  action: ({ macs }, { src_ips }, flood) => {
    const { kind, source, victim, sources } = flood;
    if (isForgedName(flood)) {
      return `Find the machine whose hardware address is ${macs} (the switch knows its port): it uses the address ${source.ip}. If that is ${source.ip} itself, stop the program that does it; if not, disconnect it.${
        kind === "smurf" ? " Let hosts ignore pings of all, which most do by default." : ""
      }`;
    }
    if (kind === "mac" || (toAll[kind] !== undefined && sources.size > 4)) {
      return `Find the switch port that this comes from and disconnect it: the senders are made up. ${
        kind === "mac"
          ? "Limit the number of hardware addresses a port may have (port security)."
          : "Let the switches drop router advertisements of anybody but the routers (RA guard), and limit the rate of neighbour discovery a port."
      }`;
    }
    if (source.isOwn) {
      return `Find out what ${source.ip} runs: it may be part of a botnet. ${
        sources.size === 1
          ? `If nobody can explain it, ${stopHost(source)}.`
          : `The same goes for ${src_ips.slice(1, 4).join(", ")}.`
      }`;
    }
    return `Check whether ${victim.ip} still answers. ${
      sources.size <= 4
        ? `Then block ${src_ips.join(", ")} at the firewall.`
        : "Do not block the sources one by one, as so many may be forged; filter what they have in common."
    } If the line is full, ask your provider to filter upstream.`;
  },
  falseAlarm: (_evidence, _finding, { kind }) =>
    kind === "mac"
      ? "A capture joined from those of several networks looks like this; a switch would show a full table."
      : toAll[kind] !== undefined
      ? "Tests of network equipment do this on purpose."
      : kind === "held"
      ? "Clients on a very slow line, or a server that hangs, leave requests unfinished too; compare with other clients."
      : "A load test, a speed test over UDP, a video stream or a collector of logs sends as much; then you know who started it.",
});

/** Of these only the number of packets is told, not their ports. */
const haveNoPorts: Partial<Record<FloodKind, true>> = {
  icmp: true,
  smurf: true,
  router: true,
  neighbour: true,
  solicit: true,
  mac: true,
};

function isOfPackets({ kind }: Flood): boolean {
  return kind !== "tcp" && kind !== "connections" && kind !== "held";
}

function summaryOf(
  flood: Flood,
  evidence: Record<"amount" | "peak" | "sources" | "protocol" | "macs" | "open", unknown>,
): string {
  const { kind, victim, source, sources } = flood;
  const { what } = floodWords[kind];
  const { amount, peak } = evidence;
  if (kind === "smurf") {
    return `${source.ip} is named as the source of ${amount} pings that went to all hosts of its network at once, ${peak} of them in the busiest second; whoever answers them floods ${source.ip}.`;
  }
  if (kind === "mac") {
    return `${evidence.macs} hardware addresses that nobody knows sent a packet or two each, ${peak} new ones in the busiest second, as programs do that overflow the tables of switches.`;
  }
  if (isForgedName(flood)) {
    return `${victim.ip} received ${amount} ${what}, ${peak} of them in the busiest second, that name itself as their source; somebody else sent them.`;
  }
  return `${victim.ip} received ${amount} ${kind === "ip" ? `${evidence.protocol} ` : ""}${what}, ${
    kind === "held" ? `${evidence.open} of them at the same time` : `${peak} of them in the busiest second`
  }, from ${evidence.sources} ${sources.size === 1 ? `source, ${source.ip}` : "sources"}.`;
}

/** Few sources, many ports, small packets. */
function isScan({ kind, sources, ports, amount, octets }: Flood, limits: FloodLimits): boolean {
  if (sources.size > 4 || (kind !== "udp" && kind !== "tcp")) return false;
  if (octets >= limits.scanOctetsMax * amount) return false;
  return ports.size >= Math.min(portsMax, 0.2 * amount);
}
