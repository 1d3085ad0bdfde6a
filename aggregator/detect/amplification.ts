/** Amplification: many servers send large answers to a host that never asked, because somebody forged its address in the questions.
 *
 * In: updates of UDP flows. Out: one finding for each flooded host and service.
 * Invariant: answers to questions that were seen are none; a single server that streams to one host is none.
 * ATT&CK T1498.002, Network Denial of Service: Reflection Amplification.
 * Services: US-CERT alert TA14-017A, "UDP-Based Amplification Attacks". @module */

import type { FlowUpdate } from "../ingest/flow.ts";
import type { Finding, Reason } from "./threat.ts";
import {
  type Advice,
  type Detector,
  evidenceValue,
  findingLimits,
  growingPoints,
  numberEvidence,
} from "./detector.ts";
import { type Episode, episodeDetector, episodeParts, Episodes } from "./episodes.ts";
import { isGroupAddress } from "./probe.ts";

export const amplificationLimits = {
  /** Servers that answer without a question. */
  reflectorsMin: 10,
  /** Octets of such answers. */
  bytesMin: 100_000,
  /** Mean packet, octets; an ordinary DNS answer has about 150. */
  packetBytesMin: 300,
  quietS: 300,
  ageMaxS: 3_600,
  keysMax: 10_000,
  reflectorsMax: 4_096,
} as const;
const limits = amplificationLimits;

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

interface Flood {
  victim: string;
  port: number;
  reflectors: Set<string>;
  packets: number;
  bytes: number;
}

const advice: Advice = {
  summary: (finding) =>
    `${finding.dst_ips[0]} received ${evidenceValue(finding, "octets")} octets of ${
      evidenceValue(finding, "service")
    } answers that it never asked for, from ${evidenceValue(finding, "servers")} servers.`,
  meaning:
    "Somebody sends questions with this host's address as sender to many servers, so that their large answers fill its line. The servers are misused, not the attackers.",
  action:
    "Ask your provider to filter this service towards the host; block answers from its source port at the border where the host needs none.",
  falseAlarm:
    "A sensor that sees only one direction of the line sees answers without questions too; then the host has asked and the answers are small.",
};

/** Makes the detector; it holds all state. */
export function createAmplification(): Detector {
  const floods = new Episodes<Flood>({
    keysMax: limits.keysMax,
    quietS: limits.quietS,
    ageMaxS: limits.ageMaxS,
    create: () => ({ victim: "", port: 0, reflectors: new Set(), packets: 0, bytes: 0 }),
    isAboveThreshold: (flood) =>
      flood.reflectors.size >= limits.reflectorsMin && flood.bytes >= limits.bytesMin &&
      flood.bytes >= limits.packetBytesMin * flood.packets,
  });

  function step(update: FlowUpdate): void {
    const { protocol, fwd_packets, bwd_packets } = update.segment;
    if (protocol !== "udp" || (fwd_packets === 0) === (bwd_packets === 0)) return;
    // Who knows that these are answers names the victim as the one who asked.
    const answers = fwd_packets > 0 ? forward(update) : backward(update);
    if (!(answers.port in services) || answers.victimPort in services || isGroupAddress(answers.victim)) {
      return;
    }
    const flood = floods.touch(`${update.network}|${answers.victim}|${answers.port}`, update);
    flood.victim = answers.victim;
    flood.port = answers.port;
    flood.packets += answers.packets;
    flood.bytes += answers.bytes;
    if (flood.reflectors.size < limits.reflectorsMax) flood.reflectors.add(answers.server);
  }

  return episodeDetector("amplification", advice, floods, step, describe);
}

function forward({ segment }: FlowUpdate) {
  const { src_ip, src_port, dst_ip, dst_port, fwd_packets, fwd_bytes } = segment;
  return {
    server: src_ip,
    port: src_port,
    victim: dst_ip,
    victimPort: dst_port,
    packets: fwd_packets,
    bytes: fwd_bytes,
  };
}

function backward({ segment }: FlowUpdate) {
  const { src_ip, src_port, dst_ip, dst_port, bwd_packets, bwd_bytes } = segment;
  return {
    server: dst_ip,
    port: dst_port,
    victim: src_ip,
    victimPort: src_port,
    packets: bwd_packets,
    bytes: bwd_bytes,
  };
}

function describe(flood: Flood & Episode): Finding {
  const servers = flood.reflectors.size;
  const mean = Math.round(flood.bytes / flood.packets);
  const reasons: Reason[] = [{
    name: "unasked_answers",
    points: growingPoints(flood.bytes, limits.bytesMin, { base: 40, perTenfold: 15, max: 70 }),
    text: `${flood.bytes} octets of answers without a question; ${limits.bytesMin} is the threshold`,
  }, {
    name: "many_servers",
    points: growingPoints(servers, limits.reflectorsMin, { base: 5, perTenfold: 5, max: 15 }),
    text: `${servers} servers answered; ${limits.reflectorsMin} is the threshold`,
  }, {
    name: "large_answers",
    points: 5,
    text: `${mean} octets a packet; ordinary answers have about 150`,
  }];
  return {
    detector: "amplification",
    identity: `amplification|${flood.key}`,
    technique: "T1498.002",
    title: `${services[flood.port]} amplification`,
    src_ips: [...flood.reflectors].slice(0, findingLimits.addressesMax),
    dst_ips: [flood.victim],
    dst_port: null,
    count: flood.packets,
    reasons,
    evidence: numberEvidence([
      ["octets", flood.bytes],
      ["packets", flood.packets],
      ["servers", servers >= limits.reflectorsMax ? `at least ${servers}` : servers],
      ["service", services[flood.port]],
      ["duration in seconds", Math.round(flood.lastS - flood.firstS)],
    ]),
    ...episodeParts(flood),
  };
}
