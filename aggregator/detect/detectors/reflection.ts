/** Reflection: many servers answer a host that never asked, because somebody forged its address;
 * counted by servers, on any port.
 *
 * In: answers without a question: UDP and ICMP seen one way, and SYN-ACKs without a SYN.
 * Out: one finding for each victim, protocol and port.
 * Invariant: a connection that carries payload was asked for;
 * services with large answers are the amplification detector's.
 * Source: Kührer et al., "Hell of a Handshake: Abusing TCP for Reflective Amplification DDoS Attacks" (2014).
 * @module */

import { detector } from "../detector.ts";
import { capScore, field, growingPoints, reason } from "../finding.ts";
import type { PreparedUpdate } from "../prepared.ts";
import type { Address } from "../signs/address.ts";
import { Distinct } from "../signs/distinct.ts";
import { PeakRate } from "../signs/peak_rate.ts";
import { amplifyingPorts } from "./amplification.ts";

const serversMax = 4_096;
/** Whoever asks a group is answered by each neighbour: NetBIOS, SSDP, WS-Discovery, mDNS, LLMNR. */
const discoveryPorts = new Set([137, 1900, 3702, 5353, 5355]);
/** Ports from which an answer comes, whoever is taken for the beginner of its flow: those of amplification, IKE, SQL
 * Server's browser, STUN, CoAP, Ubiquiti's and Dahua's discovery, Steam,
 * BACnet (Shadowserver's scans of open UDP services). */
const answeringPorts = new Set([
  ...amplifyingPorts,
  ...[500, 1434, 3478, 4500, 5683, 10001, 27015, 37810, 47808],
]);
const syn = 2, ack = 16, echo = 8, echoReply = 0;

interface Answers {
  server: Address;
  victim: Address;
  port: number;
  packets: number;
  bytes: number;
}

export const reflection = detector({
  name: "reflection",
  technique: "T1498.002",
  title: "Reflection",
  about: "Many servers answer a host that never asked them.",
  limits: {
    serversMin: {
      value: 25,
      unit: "servers",
      why: "answers whose questions were missed come from the few servers in use at that moment",
    },
    packetsPerSMin: {
      value: 50,
      unit: "packets in a second",
      why: "backscatter of floods elsewhere brings one now and then",
    },
    packetsMin: {
      value: 200,
      unit: "packets",
      why: "a capture that begins in the middle lacks a few questions",
    },
    amplifiedBytesMin: {
      value: 300,
      unit: "octets",
      why: "answers as large as this of a service known for them are amplification",
    },
  },
  window: {
    quietS: { value: 300, unit: "s", why: "floods pause between waves" },
    ageS: { value: 3_600, unit: "s", why: "stray answers of an hour do not add up to a flood" },
  },
  keysMax: 10_000,
  items(update) {
    const answers = answersOf(update);
    return answers === null ? [] : [answers];
  },
  key: ({ segment: { protocol } }, _limits, { victim, port }) => `${victim.ip}|${protocol}|${port}`,
  open: ({ segment: { protocol } }, { victim, port }) => ({
    victim,
    port,
    protocol,
    servers: new Distinct<string>(serversMax),
    rate: new PeakRate(),
    packets: 0,
    bytes: 0,
  }),
  step(flood, { segment: { start, end } }, _limits, { server, packets, bytes }) {
    flood.servers.add(server.ip);
    flood.rate.add(start, end, packets);
    flood.packets += packets;
    flood.bytes += bytes;
  },
  isThreat({ servers, rate, packets, bytes, protocol, port }, limits) {
    if (servers.size < limits.serversMin || packets < limits.packetsMin) return false;
    if (rate.peak < limits.packetsPerSMin) return false;
    return protocol !== "udp" || !amplifyingPorts.has(port) || bytes < limits.amplifiedBytesMin * packets;
  },
  finding(flood, { serversMin, packetsPerSMin }) {
    const isTcp = flood.protocol === "tcp";
    const evidence = {
      packets: field("answers without a question", flood.packets),
      peak: field("of them in the busiest second", flood.rate.peak),
      servers: field("servers", flood.servers.count),
      octets: field("octets", flood.bytes),
      port: field("port of the servers", flood.protocol.startsWith("icmp") ? "none" : flood.port),
      protocol: field("protocol", flood.protocol.toUpperCase()),
      duration: field("duration in seconds", Math.round(flood.lastS - flood.firstS)),
    };
    const { packets, peak, servers } = evidence;
    const reasons = [
      reason(
        "many_servers",
        growingPoints(flood.servers.size, serversMin, { base: 40, perTenfold: 15, max: 60 }),
        `${servers} servers answered what nobody asked; ${serversMin} are the threshold`,
      ),
      reason(
        "rate",
        growingPoints(flood.rate.peak, packetsPerSMin, { base: 5, perTenfold: 5, max: 20 }),
        `${peak} answers in the busiest second; ${packetsPerSMin} are the threshold`,
      ),
    ];
    if (!isTcp && flood.victim.spokeS === -Infinity) {
      capScore(
        reasons,
        50,
        "one_direction",
        `nothing that ${flood.victim.ip} sends was seen, so that its questions may only be out of sight`,
      );
    }
    return {
      title: `${evidence.protocol} reflection`,
      src_ips: flood.servers,
      dst_ips: [flood.victim.ip],
      dst_port: null,
      count: flood.packets,
      summary: `${flood.victim.ip} received ${packets} ${
        isTcp ? "acceptances of connections" : `${evidence.protocol} answers`
      } that it was not seen to ask for, ${peak} of them in the busiest second, from ${servers} servers.`,
      reasons,
      evidence,
    };
  },
  meaning:
    "Somebody sends packets with this host's address as sender to many servers, so that their answers fill its line. The servers are misused, not the attackers.",
  action: ({ port, protocol }, _finding, { victim }) =>
    `${
      victim.isPrivate ? "Ask" : `If ${victim.ip} is yours, ask`
    } your provider to filter ${protocol} answers${
      port.value === "none" ? "" : ` from port ${port}`
    } towards ${victim.ip}. Do not block the servers one by one: real clients may need them.`,
  falseAlarm:
    "A sensor that sees one direction only sees answers without questions too, as does a network with two lines where the questions take the other.",
});

/** Answers without a question; null when there are none. */
function answersOf({ segment, src, dst, begins }: PreparedUpdate): Answers | null {
  const { protocol, fwd_packets, bwd_packets, bwd_bytes, fwd_bytes, factor } = segment;
  const toSource = {
    server: dst,
    victim: src,
    port: segment.dst_port,
    packets: bwd_packets * factor,
    bytes: bwd_bytes * factor,
  };
  if (protocol === "tcp") {
    if (segment.fwd_payload_bytes + segment.bwd_payload_bytes > 0) return null;
    if (isSynAck(segment.bwd_tcp_flags) && segment.fwd_syn_count === 0) return toSource;
    if (!begins || bwd_packets > 0 || !isSynAck(segment.fwd_tcp_flags)) return null;
  } else if (fwd_packets === 0) {
    const isEcho = protocol === "icmp" && segment.src_port === echo;
    const isDiscovery = dst.isOwn && discoveryPorts.has(segment.dst_port);
    return (isEcho || protocol === "udp" && !isDiscovery) && !src.isGroup ? toSource : null;
  } else if (
    protocol === "udp" && bwd_packets === 0 && answeringPorts.has(segment.src_port) &&
    !answeringPorts.has(segment.dst_port) && !dst.isGroup && !src.isOwn
  ) {
    return {
      server: src,
      victim: dst,
      port: segment.src_port,
      packets: fwd_packets * factor,
      bytes: fwd_bytes * factor,
    };
  } else if (protocol !== "icmp" || segment.src_port !== echoReply || bwd_packets > 0) return null;
  const answers = { server: src, victim: dst, packets: fwd_packets * factor, bytes: fwd_bytes * factor };
  return { ...answers, port: segment.src_port };
}

function isSynAck(flags: number): boolean {
  return (flags & (syn | ack)) === (syn | ack);
}
