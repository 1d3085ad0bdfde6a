/** ICMP tunnel: pings that carry a conversation.
 *
 * In: updates of ICMP echo flows. Out: one finding for each pair of hosts.
 * Invariant: an ordinary ping, however long it runs, sends packets of one size, one a second, and gets the same back.
 * ATT&CK T1095, Non-Application Layer Protocol.
 * Why sizes: ptunnel, icmptunnel and Hans fill packets as their data comes; ping fills them with a constant. @module */

import type { FlowUpdate } from "../../model/flow.ts";
import type { Finding, Reason } from "../../model/threat.ts";
import { type Advice, type Detector, evidenceValue, growingPoints, numberEvidence } from "../detector.ts";
import { type Episode, episodeDetector, episodeParts, Episodes } from "../episodes.ts";
import { isGroupAddress } from "../signs/probe.ts";

export const icmpTunnelLimits = {
  packetsMin: 50,
  /** Deviation of the packet length over its mean. 0 for ping; a ping of two sizes, as path discovery does, has few packets. */
  lengthDeviationMin: 0.15,
  /** Difference between largest and smallest packet, octets. */
  lengthSpreadMin: 64,
  quietS: 300,
  ageMaxS: 86_400,
  keysMax: 10_000,
} as const;
const limits = icmpTunnelLimits;

interface Pings {
  srcIp: string;
  dstIp: string;
  packets: number;
  bytes: number;
  lengthMin: number;
  lengthMax: number;
  /** Sum over segments of packets x (deviation over mean). */
  deviation: number;
}

const advice: Advice = {
  summary: (finding) =>
    `${finding.src_ips[0]} and ${finding.dst_ips[0]} exchanged ${
      evidenceValue(finding, "packets")
    } pings of changing size, ${evidenceValue(finding, "octets")} octets in all.`,
  meaning:
    "Pings normally all have one size. Changing sizes mean that data is hidden in them, to get past a firewall that lets pings through.",
  action:
    "Look for a tunnel program on the inner machine and find out which data it could reach; let the firewall pass pings of up to 100 octets only.",
  falseAlarm:
    "Somebody who measures a line with pings of many sizes looks the same for a short time; ask your network staff.",
};

/** Makes the detector; it holds all state. */
export function createIcmpTunnel(): Detector {
  const pairs = new Episodes<Pings>({
    keysMax: limits.keysMax,
    quietS: limits.quietS,
    ageMaxS: limits.ageMaxS,
    create: () => ({
      srcIp: "",
      dstIp: "",
      packets: 0,
      bytes: 0,
      lengthMin: Infinity,
      lengthMax: 0,
      deviation: 0,
    }),
    isAboveThreshold: isTunnel,
  });

  function step(update: FlowUpdate): void {
    const { segment } = update;
    const isEcho = (segment.protocol === "icmp" && (segment.src_port === 8 || segment.src_port === 0)) ||
      (segment.protocol === "icmp6" && (segment.src_port === 128 || segment.src_port === 129));
    const packets = segment.fwd_packets + segment.bwd_packets;
    if (!isEcho || packets === 0 || isGroupAddress(segment.dst_ip)) return;
    const pair = pairs.touch(`${update.network}|${segment.src_ip}|${segment.dst_ip}`, update);
    pair.srcIp = segment.src_ip;
    pair.dstIp = segment.dst_ip;
    pair.packets += packets;
    pair.bytes += segment.fwd_bytes + segment.bwd_bytes;
    pair.lengthMin = Math.min(pair.lengthMin, segment.packet_length_min);
    pair.lengthMax = Math.max(pair.lengthMax, segment.packet_length_max);
    pair.deviation += packets * segment.packet_length_deviation / Math.max(1, segment.packet_length_mean);
  }

  return episodeDetector("icmp_tunnel", advice, pairs, step, describe);
}

function isTunnel(pair: Pings): boolean {
  return pair.packets >= limits.packetsMin && pair.lengthMax - pair.lengthMin >= limits.lengthSpreadMin &&
    pair.deviation / pair.packets >= limits.lengthDeviationMin;
}

function describe(pair: Pings & Episode): Finding {
  const percent = Math.round(100 * pair.deviation / pair.packets);
  const reasons: Reason[] = [{
    name: "changing_sizes",
    points: 40,
    text:
      `the packets are ${pair.lengthMin} to ${pair.lengthMax} octets long and deviate by ${percent} %; pings deviate by 0 %, ${
        100 * limits.lengthDeviationMin
      } % is the threshold`,
  }, {
    name: "packets",
    points: growingPoints(pair.packets, limits.packetsMin, { base: 5, perTenfold: 10, max: 25 }),
    text: `${pair.packets} packets; ${limits.packetsMin} are enough to judge`,
  }];
  return {
    detector: "icmp_tunnel",
    identity: `icmp_tunnel|${pair.key}`,
    technique: "T1095",
    title: "ICMP tunnel",
    src_ips: [pair.srcIp],
    dst_ips: [pair.dstIp],
    dst_port: null,
    count: pair.packets,
    reasons,
    evidence: numberEvidence([
      ["packets", pair.packets],
      ["octets", pair.bytes],
      ["smallest and largest packet", `${pair.lengthMin}-${pair.lengthMax}`],
      ["duration in seconds", Math.round(pair.lastS - pair.firstS)],
    ]),
    ...episodeParts(pair),
  };
}
