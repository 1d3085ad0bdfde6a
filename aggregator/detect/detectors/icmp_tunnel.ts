/** ICMP tunnel: pings that carry a conversation.
 *
 * In: updates of ICMP echo flows. Out: one finding for each pair of hosts.
 * Invariant: an ordinary ping, however long it runs, sends packets of one size, one a second, and gets the same back.
 * Why sizes: ptunnel, icmptunnel and Hans fill packets as their data comes; ping fills them with a constant. @module */

import { detector } from "../detector.ts";
import { field, growingPoints, reason } from "../finding.ts";
import { by } from "../keys.ts";

/** Types of echo request and reply. */
const echoTypes: Readonly<Record<string, readonly number[]>> = { icmp: [8, 0], icmp6: [128, 129] };

export const icmpTunnel = detector({
  name: "icmp_tunnel",
  technique: "T1095",
  title: "ICMP tunnel",
  about: "Two hosts exchange pings of changing size, which carry hidden data.",
  limits: {
    packetsMin: { value: 50, unit: "packets", why: "a ping of two sizes, as path discovery does, has few" },
    lengthDeviationMin: {
      value: 0.15,
      unit: "share",
      why: "deviation of the packet length over its mean; 0 for ping",
    },
    lengthSpreadMin: { value: 64, unit: "octets", why: "between the largest and the smallest packet" },
  },
  window: {
    quietS: { value: 300, unit: "s", why: "tunnels keep their connection alive" },
    ageS: { value: 86_400, unit: "s", why: "a slow tunnel adds up over a day" },
  },
  keysMax: 10_000,
  key(update) {
    const { protocol, src_port, fwd_packets, bwd_packets } = update.segment;
    if (!echoTypes[protocol]?.includes(src_port) || fwd_packets + bwd_packets === 0) return null;
    return update.dst.isGroup ? null : by.pair;
  },
  open: ({ src, dst }) => ({
    src,
    dst,
    packets: 0,
    bytes: 0,
    askedBytes: 0,
    lengthMin: Infinity,
    lengthMax: 0,
    /** Sum over segments of packets x (deviation over mean). */
    deviation: 0,
  }),
  step(pair, { segment }) {
    const packets = segment.fwd_packets + segment.bwd_packets;
    pair.packets += packets;
    pair.bytes += segment.fwd_bytes + segment.bwd_bytes;
    pair.askedBytes += segment.fwd_bytes;
    pair.lengthMin = Math.min(pair.lengthMin, segment.packet_length_min);
    pair.lengthMax = Math.max(pair.lengthMax, segment.packet_length_max);
    pair.deviation += packets * segment.packet_length_deviation / Math.max(1, segment.packet_length_mean);
  },
  isThreat: (pair, { packetsMin, lengthSpreadMin, lengthDeviationMin }) =>
    pair.packets >= packetsMin && pair.lengthMax - pair.lengthMin >= lengthSpreadMin &&
    pair.deviation / pair.packets >= lengthDeviationMin && !isInFragments(pair),
  finding(pair, { packetsMin, lengthDeviationMin }) {
    const evidence = {
      packets: field("packets", pair.packets),
      octets: field("octets", pair.bytes),
      lengths: field("smallest and largest packet", `${pair.lengthMin}-${pair.lengthMax}`),
      duration: field("duration in seconds", Math.round(pair.lastS - pair.firstS)),
    };
    const percent = Math.round(100 * pair.deviation / pair.packets);
    return {
      src_ips: [pair.src.ip],
      dst_ips: [pair.dst.ip],
      dst_port: null,
      count: pair.packets,
      summary:
        `${pair.src.ip} and ${pair.dst.ip} exchanged ${evidence.packets} pings of changing size, ${evidence.octets} octets in all.`,
      reasons: [
        reason(
          "changing_sizes",
          40,
          `the packets are ${pair.lengthMin} to ${pair.lengthMax} octets long and deviate by ${percent} %; pings deviate by 0 %, ${
            100 * lengthDeviationMin
          } % is the threshold`,
        ),
        reason(
          "packets",
          growingPoints(pair.packets, packetsMin, { base: 5, perTenfold: 10, max: 25 }),
          `${evidence.packets} packets; ${packetsMin} are enough to judge`,
        ),
      ],
      evidence,
    };
  },
  meaning:
    "Pings normally all have one size. Changing sizes mean that data is hidden in them, to get past a firewall that lets pings through.",
  action: (_evidence, _finding, { src, dst }) =>
    `Look for a tunnel program on ${
      src.isPrivate && dst.isPrivate ? "both machines" : src.isPrivate ? src.ip : dst.ip
    } and find out which data it could reach; let the firewall pass pings of up to 100 octets only.`,
  falseAlarm:
    "Somebody who measures a line with pings of many sizes looks the same for a short time; ask your network staff.",
});

/** Every link carries IPv6 packets of this size (RFC 8200, 5);
 * larger pings are cut on some, and most parts are then full. */
const linkOctetsMin = 1_280;

/** Pings too large for the link: their parts differ in size, though the pings do not. Answers repeat the question (RFC
 * 792), as those of tunnels do not; or nearly all parts are full. */
function isInFragments({ lengthMax, bytes, askedBytes, packets }: {
  lengthMax: number;
  bytes: number;
  askedBytes: number;
  packets: number;
}): boolean {
  return lengthMax >= linkOctetsMin && (2 * askedBytes === bytes || bytes / packets >= 0.8 * lengthMax);
}
