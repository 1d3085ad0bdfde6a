/** What a flood of each kind is: its limits, what is kept of it, and how it is called.
 *
 * Invariant: for each kind one threshold on its busiest second ({@link rateMin}); all else tells floods from what looks
 * alike. @module */

import type { LimitValues } from "../detector.ts";
import type { Address } from "./address.ts";
import type { Distinct } from "./distinct.ts";
import type { DistinctIps } from "./distinct_ips.ts";
import type { FloodKind } from "./flood_share.ts";
import type { OpenAtOnce } from "./open_at_once.ts";
import type { PeakRate } from "./peak_rate.ts";

export const floodLimits = {
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
    why:
      "of one client, held open unfinished at the same time: Apache serves 150 to 400, a browser opens six",
  },
  smurfPerSMin: { value: 50, unit: "pings in a second", why: "of all hosts at once; a person sends one" },
  routerPerSMin: {
    value: 20,
    unit: "announcements in a second",
    why:
      "a router waits 3 s between two to all (RFC 4861, MIN_DELAY_BETWEEN_RAS); networks have a few routers",
  },
  neighbourPerSMin: {
    value: 250,
    unit: "messages in a second",
    why: "machines that move with their server announce themselves by the hundred, within a second or two",
  },
  strangersMin: {
    value: 250,
    unit: "hardware addresses",
    why: "of unknown senders of one packet or two; behind a router all have that of the router",
  },
  strangersPerSMin: { value: 100, unit: "new ones in a second", why: "hosts are switched on one by one" },
  durationMinS: { value: 3, unit: "s", why: "a burst of a second or two fills no line" },
  streamPerSMax: {
    value: 10_000,
    unit: "packets in a second",
    why: "of each of a few that last: video of 100 Mbit/s stays below",
  },
  smallStreamPerSMax: {
    value: 4_000,
    unit: "packets in a second",
    why: "of each such stream, when its packets are small: uncompressed audio has up to 3,000",
  },
  streamPacketsMin: {
    value: 200,
    unit: "packets a flow",
    why: "a stream keeps its ports; who changes them with every packet or two streams nothing",
  },
  manyPorts: { value: 50, unit: "ports", why: "no program sends to so many ports of one host" },
  manySources: { value: 50, unit: "sources", why: "so many at once are forged or a botnet" },
  scanOctetsMax: { value: 100, unit: "octets", why: "probes of a port scan are small; floods fill lines" },
  unservedShareMin: { value: 0.3, unit: "share", why: "a server that keeps up answers nearly all" },
} as const;
export type FloodLimits = LimitValues<typeof floodLimits>;

export interface Flood {
  kind: FloodKind;
  victim: Address;
  source: Address;
  rate: PeakRate;
  octetRate: PeakRate;
  amount: number;
  octets: number;
  unserved: number;
  flows: number;
  trickles: number;
  areSourcesOwn: boolean;
  /** Of connections that are held. */
  open: OpenAtOnce | null;
  macs: Distinct<string>;
  sources: DistinctIps;
  ports: Distinct<number>;
  protocol: string;
}

export const floodWords: Readonly<Record<FloodKind, { title: string; what: string }>> = {
  udp: { title: "UDP flood", what: "UDP packets without an answer" },
  icmp: { title: "ICMP flood", what: "ICMP packets" },
  tcp: { title: "TCP flood", what: "TCP packets of connections that never began" },
  ip: { title: "IP flood", what: "packets without an answer" },
  connections: { title: "Connection flood", what: "connections" },
  held: { title: "Slow requests that hold a server", what: "connections that were held open unfinished" },
  smurf: { title: "Smurf attack", what: "pings of all hosts at once" },
  router: { title: "Flood of router advertisements", what: "router advertisements" },
  neighbour: { title: "Flood of neighbour advertisements", what: "neighbour advertisements" },
  solicit: { title: "Flood of neighbour solicitations", what: "neighbour solicitations" },
  mac: { title: "Flood of hardware addresses", what: "packets of unknown senders" },
};

/** What fills the network rather than one host, each by what it does to it. */
export const toAll: Partial<Record<FloodKind, string>> = {
  router:
    "Every host takes each announced router and network as one of its own, until it is busy with nothing else or uses the attacker's.",
  neighbour: "Every host notes each announced address; tables overflow, and hosts and switches stall.",
  solicit:
    "Every host and switch has to look at each question; tables overflow, and hosts and switches stall.",
  mac:
    "A switch learns the sender of every packet. When its table is full it forgets the real hosts and sends their packets to everybody, so that anybody can listen.",
};

export function rateMin(kind: FloodKind, limits: FloodLimits): number {
  switch (kind) {
    case "icmp":
      return limits.icmpPerSMin;
    case "tcp":
      return limits.tcpPerSMin;
    case "connections":
      return limits.connectionsPerSMin;
    case "smurf":
      return limits.smurfPerSMin;
    case "router":
      return limits.routerPerSMin;
    case "neighbour":
    case "solicit":
      return limits.neighbourPerSMin;
    case "mac":
      return limits.strangersPerSMin;
    default:
      return limits.packetsPerSMin;
  }
}

/** So many at once are a flood however short. */
export function burstOf(flood: Flood, limits: FloodLimits): number {
  if (flood.kind === "router") return limits.routerPerSMin;
  return toAll[flood.kind] === undefined ? Infinity : 10 * limits.neighbourPerSMin;
}

/** Somebody else sends in the name of the one that is hit. */
export function isForgedName({ kind, source, victim, sources }: Flood): boolean {
  return kind === "smurf" || (sources.size === 1 && source.ip === victim.ip);
}
