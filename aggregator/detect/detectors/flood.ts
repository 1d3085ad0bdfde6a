/** Flood: more packets or connections than a host can serve, whatever the protocol.
 *
 * In: one-way UDP, ICMP, TCP without a beginning, other protocols; connections to web servers. Out: one finding for
 * each victim and kind, and for connections also for each source.
 * Invariant: downloads, backups and calls are conversations and add nothing (signs/flood_share.ts). One stream that
 * goes one way, such as video, stays low until it is faster than any;
 * so do collectors of logs, and connections between own hosts that are all served.
 * Left to others: half-open connections (syn_flood), answers without a question (amplification, reflection). @module */

import type { Reason } from "../../model/threat.ts";
import { detector, type LimitValues } from "../detector.ts";
import type { Episode } from "../episodes.ts";
import { capScore, field, growingPoints, percentOf, reason } from "../finding.ts";
import { by, type KeyParts } from "../keys.ts";
import type { Opening } from "../prepared.ts";
import type { Address } from "../signs/address.ts";
import { stopHost } from "../signs/advice.ts";
import { Distinct } from "../signs/distinct.ts";
import { DistinctIps } from "../signs/distinct_ips.ts";
import { type FloodKind, type FloodShare, readFloodShare } from "../signs/flood_share.ts";
import { PeakRate } from "../signs/peak_rate.ts";

const sourcesMax = 4_096, portsMax = 4_096, lowMax = 35;
/** Syslog, NetFlow, IPFIX, sFlow, statsd, Graylog, RTP's usual range is found by its single stream. */
const collectorPorts = new Set([514, 2055, 4739, 6343, 8125, 9995, 9996, 12201]);

const limits = {
  packetsPerSMin: {
    value: 1_000,
    unit: "packets in a second",
    why: "one way and unanswered; a television stream of 8 Mbit/s has 750, a telephone call 50",
  },
  icmpPerSMin: {
    value: 250,
    unit: "packets in a second",
    why: "monitors ping a host a few times a second; ping -f sends 100 or as many as come back",
  },
  tcpPerSMin: {
    value: 250,
    unit: "flows in a second",
    why: "flows that begin in their middle are stragglers, a few dozen after an interruption",
  },
  connectionsPerSMin: {
    value: 100,
    unit: "connections in a second",
    why: "of one client to one server: a browser opens six to a host, a crawler a few in a second",
  },
  heldMin: {
    value: 50,
    unit: "connections",
    why: "of one client, held open unfinished: Apache serves 150 to 400 at once, a browser opens six",
  },
  durationMinS: { value: 3, unit: "s", why: "a burst of a second or two fills no line" },
  streamPerSMax: {
    value: 10_000,
    unit: "packets in a second",
    why: "of one source on one port: video of 100 Mbit/s stays below",
  },
  manyPorts: { value: 50, unit: "ports", why: "no program sends to so many ports of one host" },
  manySources: { value: 50, unit: "sources", why: "so many at once are forged or a botnet" },
  scanOctetsMax: { value: 100, unit: "octets", why: "probes of a port scan are small; floods fill lines" },
  unservedShareMin: { value: 0.3, unit: "share", why: "a server that keeps up answers nearly all" },
} as const;
type Values = LimitValues<typeof limits>;

interface Flood {
  kind: FloodKind;
  victim: Address;
  source: Address;
  rate: PeakRate;
  octetRate: PeakRate;
  amount: number;
  octets: number;
  unserved: number;
  sources: DistinctIps;
  ports: Distinct<number>;
  protocol: string;
}

const words: Readonly<Record<FloodKind, { title: string; what: string }>> = {
  udp: { title: "UDP flood", what: "UDP packets without an answer" },
  icmp: { title: "ICMP flood", what: "ICMP packets" },
  tcp: { title: "TCP flood", what: "TCP packets of connections that never began" },
  ip: { title: "IP flood", what: "packets without an answer" },
  connections: { title: "Connection flood", what: "connections" },
  held: { title: "Slow requests that hold a server", what: "connections that were held open unfinished" },
};

const keys: Readonly<Record<FloodKind, KeyParts>> = {
  udp: by.dst.after("udp"),
  icmp: by.dst.after("icmp"),
  tcp: by.dst.after("tcp"),
  ip: by.dst.after("ip"),
  connections: by.call,
  held: by.call.after("held"),
};

export const flood = detector({
  name: "flood",
  technique: "T1498.001",
  title: "Flood",
  about: "One host receives more packets, or more connections, than it can serve.",
  limits,
  window: {
    quietS: { value: 300, unit: "s", why: "floods pause between waves" },
    ageS: { value: 3_600, unit: "s", why: "stray packets of an hour do not add up to a flood" },
  },
  items(update) {
    const share = readFloodShare(update);
    return share === null ? [] : [share];
  },
  key: (_update, _limits, { kind }) => keys[kind],
  slight: {
    // The rate is rounded.
    isSlight: (_update, limits, { kind, amount }) =>
      amount + 1 <= (kind === "held" ? limits.heldMin : rateMin(kind, limits)),
    item: (first) => readFloodShare(first)!,
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
    sources: new DistinctIps(sourcesMax),
    ports: new Distinct(portsMax),
  }),
  step(flood, { src, segment: { start, end, dst_port } }: Opening, _limits, share) {
    const isPackets = flood.kind === "udp" || flood.kind === "icmp" || flood.kind === "ip";
    flood.rate.add(start, isPackets ? end : start, share.amount);
    flood.octetRate.add(start, end, share.octets);
    flood.amount += share.amount;
    flood.octets += share.octets;
    if (!share.isAnswered) flood.unserved += share.amount;
    flood.sources.add(src);
    if (flood.kind !== "icmp") flood.ports.add(dst_port);
  },
  isThreat(flood, limits, { firstS, lastS }) {
    if (flood.kind === "held") return flood.amount >= limits.heldMin;
    if (flood.rate.peak < rateMin(flood.kind, limits)) return false;
    if (lastS - firstS < limits.durationMinS) return false;
    return !isScan(flood, limits);
  },
  finding(flood, limits) {
    const { title, what } = words[flood.kind];
    const evidence = {
      amount: field(flood.kind === "held" ? "connections held open" : what, flood.amount),
      peak: field("of them in the busiest second", flood.rate.peak),
      octets: field("octets in the busiest second", flood.octetRate.peak),
      sources: field("source addresses", flood.sources.count),
      ports: field("ports", [...flood.ports].slice(0, 10).join(", ") || "none"),
      different: field("different ports", flood.ports.count),
      duration: field("duration in seconds", Math.round(flood.lastS - flood.firstS)),
      protocol: field("protocol", flood.protocol.toUpperCase()),
    };
    const isOne = flood.sources.size === 1;
    const name = flood.kind === "ip" ? `${evidence.protocol} flood` : title;
    return {
      title: name,
      technique: flood.kind === "connections" || flood.kind === "held" ? "T1499.002" : "T1498.001",
      src_ips: flood.sources,
      dst_ips: [flood.victim.ip],
      dst_port: flood.ports.size === 1 ? [...flood.ports][0] : null,
      count: flood.amount,
      summary: `${flood.victim.ip} received ${evidence.amount} ${
        flood.kind === "ip" ? `${evidence.protocol} ` : ""
      }${what}, ${evidence.peak} of them in the busiest second, from ${evidence.sources} ${
        isOne ? `source, ${flood.source.ip}` : "sources"
      }.`,
      reasons: reasonsFor(flood, limits),
      evidence,
    };
  },
  meaning: ({ peak }, _finding, { kind }) =>
    kind === "held"
      ? "A server has a limited number of places. Requests that are begun and never finished keep them, until real clients find none."
      : `${peak} in one second keep the line or the machine so busy that real users may be turned away.`,
  action: (_evidence, { src_ips }, { source, victim, sources }) =>
    source.isOwn
      ? `Find out what ${source.ip} runs: it may be part of a botnet. ${
        sources.size === 1
          ? `If nobody can explain it, ${stopHost(source)}.`
          : `The same goes for ${src_ips.slice(1, 4).join(", ")}.`
      }`
      : `Check whether ${victim.ip} still answers. ${
        sources.size <= 4
          ? `Then block ${src_ips.join(", ")} at the firewall.`
          : "Do not block the sources one by one, as so many may be forged; filter what they have in common."
      } If the line is full, ask your provider to filter upstream.`,
  falseAlarm:
    "A load test, a speed test over UDP, a video stream or a collector of logs sends as much; then you know who started it.",
});

function rateMin(kind: FloodKind, limits: Values): number {
  if (kind === "icmp") return limits.icmpPerSMin;
  if (kind === "tcp") return limits.tcpPerSMin;
  return kind === "connections" ? limits.connectionsPerSMin : limits.packetsPerSMin;
}

/** Few sources, many ports, small packets. */
function isScan({ kind, sources, ports, amount, octets }: Flood, limits: Values): boolean {
  if (sources.size > 4 || (kind !== "udp" && kind !== "tcp")) return false;
  if (octets >= limits.scanOctetsMax * amount) return false;
  return ports.size >= Math.min(portsMax, 0.2 * amount);
}

function reasonsFor(flood: Flood & Episode, limits: Values): Reason[] {
  const { kind, rate: { peak }, sources, ports, source, victim, amount, unserved } = flood;
  if (kind === "held") return heldReasons(flood, limits);
  const min = rateMin(kind, limits);
  const isStream = (kind === "udp" || kind === "ip") && sources.size === 1 && ports.size === 1;
  const reasons = [reason(
    "rate",
    growingPoints(peak, min, { base: 40, perTenfold: 15, max: 65 }),
    `${peak} ${words[kind].what} in the busiest second; ${min} are the threshold`,
  )];
  if (kind === "udp" && ports.size >= limits.manyPorts) {
    reasons.push(reason("many_ports", 15, `at ${ports.count} ports; no program sends to so many`));
  }
  if (sources.size >= limits.manySources) {
    reasons.push(
      reason("many_sources", 10, `${sources.count} sources; so many at once are forged or a botnet`),
    );
  }
  const port = [...ports][0];
  if (isStream && peak < limits.streamPerSMax) {
    capScore(reasons, lowMax, "one_stream", "one source sends to one port, as video and telephony do");
  } else if (kind === "udp" && ports.size === 1 && source.isOwn && victim.isOwn && collectorPorts.has(port)) {
    capScore(reasons, lowMax, "collector", `collectors of logs and measurements listen on port ${port}`);
  }
  if (kind === "connections") {
    const share = percentOf(unserved, amount);
    if (unserved >= limits.unservedShareMin * amount) {
      reasons.push(
        reason("unserved", 15, `${share} of the connections got no answer: the server is overrun`),
      );
    } else if (source.isOwn === victim.isOwn || !victim.isOwn) {
      capScore(reasons, lowMax, "served", `${share} of the connections got no answer: the server keeps up`);
    }
  }
  return reasons;
}

function heldReasons({ amount, source }: Flood, { heldMin }: Values): Reason[] {
  const points = growingPoints(amount, heldMin, { base: 45, perTenfold: 15, max: 75 });
  return [reason(
    "held_open",
    points,
    `${amount} connections of ${source.ip} were held open with an unfinished request; ${heldMin} are the threshold`,
  )];
}
