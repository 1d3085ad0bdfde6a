/** Why a flood is one, and what speaks against it.
 *
 * In: a flood above its threshold. Out: reasons, those against it last.
 * Invariant: what honest programs do at the same rate is named and caps the score: streams, collectors of logs, servers
 * that keep up. @module */

import type { Reason } from "../../model/threat.ts";
import { capScore, growingPoints, percentOf, reason } from "../finding.ts";
import { type Flood, type FloodLimits, floodWords, rateMin } from "./flood_kinds.ts";

const lowMax = 35, fewSources = 4, smallOctets = 500;
/** Syslog, NetFlow, IPFIX, sFlow, statsd, Graylog, RTP's usual range is found by its single stream. */
const collectorPorts = new Set([514, 2055, 4739, 6343, 8125, 9995, 9996, 12201]);

export function floodReasons(flood: Flood, limits: FloodLimits): Reason[] {
  const { kind, rate: { peak }, sources, ports, victim, macs, areSourcesOwn } = flood;
  if (kind === "held") return heldReasons(flood, limits);
  const min = rateMin(kind, limits);
  const reasons = [reason(
    "rate",
    growingPoints(peak, min, { base: 40, perTenfold: 15, max: 65 }),
    `${peak} ${
      kind === "mac" ? "new hardware addresses" : floodWords[kind].what
    } in the busiest second; ${min} are the threshold`,
  )];
  if (kind === "udp" && ports.size >= limits.manyPorts) {
    reasons.push(reason("many_ports", 15, `at ${ports.count} ports; no program sends to so many`));
  }
  if (sources.size >= limits.manySources && kind !== "mac") {
    reasons.push(
      reason("many_sources", 10, `${sources.count} sources; so many at once are forged or a botnet`),
    );
  }
  if (kind === "mac") {
    reasons.push(
      reason("unknown_senders", 10, `${macs.count} hardware addresses, none of which was answered`),
    );
  }
  if (kind === "connections") addServed(reasons, flood, limits);
  if (kind !== "udp" && kind !== "ip") return reasons;
  if (areStreams(flood, limits)) {
    capScore(
      reasons,
      lowMax,
      sources.size === 1 && ports.size === 1 ? "one_stream" : "streams",
      sources.size === 1 && ports.size === 1
        ? "one source sends to one port, as video and telephony do"
        : "each of them keeps its ports and its pace, as video and telephony do",
    );
  } else if (
    kind === "udp" && areSourcesOwn && victim.isOwn && [...ports].every((port) => collectorPorts.has(port))
  ) {
    capScore(
      reasons,
      lowMax,
      "collector",
      `collectors of logs and measurements listen on port ${[...ports].join(", ")}`,
    );
  } else if (
    kind === "udp" && sources.size <= fewSources && flood.amount < limits.streamPacketsMin * flood.flows
  ) {
    reasons.push(
      reason(
        "changing_ports",
        10,
        `${flood.flows} flows of ${sources.count} source(s); a stream keeps its ports`,
      ),
    );
  }
  return reasons;
}

/** A few flows that last, none of them faster than video or audio: of one sender or two, or of the own network's
 * cameras to their recorder. */
function areStreams(
  { kind, flows, amount, octets, rate, sources, areSourcesOwn, victim }: Flood,
  limits: FloodLimits,
): boolean {
  const areSmall = octets < smallOctets * amount;
  if (sources.size > fewSources && (areSmall || !areSourcesOwn || !victim.isOwn)) return false;
  if (kind !== "udp" && flows > 1) return false;
  if (amount < limits.streamPacketsMin * flows) return false;
  const perSMax = areSmall ? limits.smallStreamPerSMax : limits.streamPerSMax;
  return rate.peak < perSMax * Math.max(1, flows);
}

function addServed(
  reasons: Reason[],
  { unserved, amount, source, victim }: Flood,
  limits: FloodLimits,
): void {
  const share = percentOf(unserved, amount);
  if (unserved >= limits.unservedShareMin * amount) {
    reasons.push(
      reason("unserved", 15, `${share} of the connections got no answer: the server is overrun`),
    );
  } else if (source.isOwn === victim.isOwn || !victim.isOwn) {
    capScore(reasons, lowMax, "served", `${share} of the connections got no answer: the server keeps up`);
  }
}

function heldReasons({ amount, trickles, source, victim, open }: Flood, { heldMin }: FloodLimits): Reason[] {
  const points = growingPoints(open!.peak, heldMin, { base: 45, perTenfold: 15, max: 75 });
  const reasons = [reason(
    "held_open",
    points,
    `${
      open!.peak
    } connections of ${source.ip} were held open at the same time with an unfinished request; ${heldMin} are the threshold`,
  )];
  if (2 * trickles >= amount) {
    reasons.push(reason("trickle", 10, `${trickles} of ${amount} requests went on in small pieces`));
  } else if (source.isOwn && victim.isOwn) {
    capScore(reasons, lowMax, "own_client", "a server that hangs lets a proxy of yours wait in the same way");
  }
  return reasons;
}
