/** Amplification: many servers send large answers to a host that never asked,
 * because somebody forged its address in the questions.
 *
 * In: updates of UDP flows. Out: one finding for each flooded host and service.
 * Invariant: answers to questions that were seen are none; a single server that streams to one host is none.
 * Services: US-CERT alert TA14-017A, "UDP-Based Amplification Attacks". @module */

import { detector } from "../detector.ts";
import { field, growingPoints, reason } from "../finding.ts";
import type { PreparedUpdate } from "../prepared.ts";
import type { Address } from "../signs/address.ts";
import { Distinct } from "../signs/distinct.ts";
import { PeakRate } from "../signs/peak_rate.ts";

const reflectorsMax = 4_096;

/** Services whose answers are much larger than their questions. */
const services: Readonly<Record<number, string>> = {
  19: "CharGEN",
  53: "DNS",
  69: "TFTP",
  111: "portmapper",
  123: "NTP",
  137: "NetBIOS",
  161: "SNMP",
  389: "CLDAP",
  520: "RIP",
  1900: "SSDP",
  3283: "ARMS",
  3702: "WS-Discovery",
  5353: "mDNS",
  11211: "memcached",
};
export const amplifyingPorts: ReadonlySet<number> = new Set(Object.keys(services).map(Number));

export const amplification = detector({
  name: "amplification",
  technique: "T1498.002",
  title: "Amplification",
  about: "Many servers send large answers to a host that never asked.",
  limits: {
    reflectorsMin: { value: 10, unit: "servers", why: "nobody asks so many servers of one kind at once" },
    bytesMin: { value: 100_000, unit: "octets", why: "far more than stray answers bring" },
    packetBytesMin: { value: 300, unit: "octets", why: "an ordinary DNS answer has about 150" },
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
  key: (_update, _limits, { victim, port }) => `${victim.ip}|${port}`,
  open: (_update, { victim, port }) => ({
    victim,
    rate: new PeakRate(),
    port,
    reflectors: new Distinct<string>(reflectorsMax),
    packets: 0,
    bytes: 0,
  }),
  step(flood, { segment: { start, end } }, _limits, { server, packets, bytes }) {
    flood.rate.add(start, end, bytes);
    flood.packets += packets;
    flood.bytes += bytes;
    flood.reflectors.add(server.ip);
  },
  isThreat: (flood, { reflectorsMin, bytesMin, packetBytesMin }) =>
    flood.reflectors.size >= reflectorsMin && flood.bytes >= bytesMin &&
    flood.bytes >= packetBytesMin * flood.packets,
  finding(flood, { reflectorsMin, bytesMin }) {
    const count = flood.reflectors.size;
    const evidence = {
      octets: field("octets", flood.bytes),
      packets: field("packets", flood.packets),
      perS: field("octets in the busiest second", flood.rate.peak),
      mean: field("octets a packet", Math.round(flood.bytes / flood.packets)),
      servers: field("servers", flood.reflectors.count),
      service: field("service", services[flood.port]),
      duration: field("duration in seconds", Math.round(flood.lastS - flood.firstS)),
    };
    const { octets, servers, service } = evidence;
    return {
      title: `${service} amplification`,
      src_ips: flood.reflectors,
      dst_ips: [flood.victim.ip],
      dst_port: null,
      count: flood.packets,
      summary:
        `${flood.victim.ip} received ${octets} octets of ${service} answers that it never asked for, from ${servers} servers.`,
      reasons: [
        reason(
          "unasked_answers",
          growingPoints(flood.bytes, bytesMin, { base: 40, perTenfold: 15, max: 70 }),
          `${octets} octets of answers without a question; ${bytesMin} is the threshold`,
        ),
        reason(
          "many_servers",
          growingPoints(count, reflectorsMin, { base: 5, perTenfold: 5, max: 15 }),
          `${servers} servers answered; ${reflectorsMin} is the threshold`,
        ),
        reason("large_answers", 5, `${evidence.mean} octets a packet; ordinary answers have about 150`),
      ],
      evidence,
    };
  },
  meaning:
    "Somebody sends questions with this host's address as sender to many servers, so that their large answers fill its line. The servers are misused, not the attackers.",
  action: ({ service }, _finding, { victim, port }) =>
    victim.isPrivate
      ? `Ask your provider to filter UDP from port ${port} (${service}) towards ${victim.ip}; block it at the border if ${victim.ip} needs no ${service}.`
      : `If ${victim.ip} is yours, ask your provider to filter UDP from port ${port} (${service}) towards it. If the servers are yours, close their ${service} to the Internet.`,
  falseAlarm:
    "A sensor that sees only one direction of the line sees answers without questions too; then the host has asked and the answers are small.",
});

interface Answers {
  server: Address;
  port: number;
  victim: Address;
  packets: number;
  bytes: number;
}

/** Answers without a question; null when there are none.
 * A sensor that knows them for answers names the victim as the one who asked. */
function answersOf({ segment, src, dst }: PreparedUpdate): Answers | null {
  const { protocol, src_port, dst_port, fwd_packets, fwd_bytes, bwd_packets, bwd_bytes } = segment;
  if (protocol !== "udp" || (fwd_packets === 0) === (bwd_packets === 0)) return null;
  const [answers, victimPort] = fwd_packets > 0
    ? [{ server: src, port: src_port, victim: dst, packets: fwd_packets, bytes: fwd_bytes }, dst_port]
    : [{ server: dst, port: dst_port, victim: src, packets: bwd_packets, bytes: bwd_bytes }, src_port];
  return answers.port in services && !(victimPort in services) && !answers.victim.isGroup ? answers : null;
}
