/** ARP storm: so many ARP packets that every host of the network is kept busy.
 *
 * In: ARP flows. Out: one finding for each VLAN.
 * Invariant: a sweep, which asks each address once or a few times, is no storm but the host sweep's. @module */

import { detector } from "../detector.ts";
import { field, growingPoints, reason } from "../finding.ts";
import { Distinct } from "../signs/distinct.ts";
import { PeakRate } from "../signs/peak_rate.ts";

const pairsMax = 8_192, sendersMax = 1_024;

export const arpStorm = detector({
  name: "arp_storm",
  technique: "T1498.001",
  title: "ARP storm",
  about: "ARP packets at a rate that keeps all hosts of a network busy.",
  limits: {
    packetsPerSMin: {
      value: 500,
      unit: "packets in a second",
      why: "a thousand hosts send a few dozen; switches limit broadcasts to some hundred",
    },
    durationMinS: { value: 3, unit: "s", why: "hosts that wake together are done in a second or two" },
    repeatsMin: {
      value: 10,
      unit: "packets a question",
      why: "a host gives up after 3 to 6 tries, a scanner after 2",
    },
  },
  window: {
    quietS: { value: 60, unit: "s", why: "a loop does not pause" },
    ageS: { value: 600, unit: "s", why: "ordinary questions do not add up to a storm" },
  },
  keysMax: 1_024,
  key: ({ segment: { protocol, vlan, fwd_packets } }) =>
    protocol === "arp" && fwd_packets > 0 ? String(vlan) : null,
  open: ({ segment: { vlan } }) => ({
    vlan,
    rate: new PeakRate(),
    packets: 0,
    pairs: new Distinct<string>(pairsMax),
    senders: new Map<string, { ip: string; packets: number }>(),
    targets: new Distinct<string>(sendersMax),
  }),
  step(storm, { pair, segment: { src_ip, src_mac, dst_ip, start, end, fwd_packets, factor } }) {
    const packets = fwd_packets * factor;
    storm.rate.add(start, end, packets);
    storm.packets += packets;
    storm.pairs.add(pair);
    storm.targets.add(dst_ip);
    const sender = storm.senders.get(src_mac);
    if (sender !== undefined) sender.packets += packets;
    else if (storm.senders.size < sendersMax) storm.senders.set(src_mac, { ip: src_ip, packets });
  },
  isThreat: ({ rate, packets, pairs }, limits, { firstS, lastS }) =>
    rate.peak >= limits.packetsPerSMin && lastS - firstS >= limits.durationMinS &&
    packets >= limits.repeatsMin * pairs.size,
  finding(storm, { packetsPerSMin }) {
    const senders = [...storm.senders].sort((a, b) => b[1].packets - a[1].packets).slice(0, 5);
    const evidence = {
      packets: field("ARP packets", storm.packets),
      peak: field("of them in the busiest second", storm.rate.peak),
      senders: field("busiest senders", senders.map(([mac, { ip }]) => `${ip} (${mac})`).join(", ")),
      vlan: field("VLAN", storm.vlan === 0 ? "none" : storm.vlan),
      duration: field("duration in seconds", Math.round(storm.lastS - storm.firstS)),
    };
    return {
      src_ips: senders.map(([, { ip }]) => ip),
      dst_ips: storm.targets,
      dst_port: null,
      count: storm.packets,
      summary:
        `${evidence.packets} ARP packets, ${evidence.peak} of them in the busiest second, repeat the same questions or answers.`,
      reasons: [reason(
        "rate",
        growingPoints(storm.rate.peak, packetsPerSMin, { base: 45, perTenfold: 15, max: 70 }),
        `${evidence.peak} ARP packets in the busiest second; ${packetsPerSMin} are the threshold`,
      )],
      evidence,
    };
  },
  meaning:
    "Every host must look at every broadcast. A loop between two switches, a broken network card or an attack tool keeps them all busy; small controllers stop first.",
  action: ({ senders }) =>
    `Look for a loop: a cable with both ends in your switches, or a wireless bridge beside a cable. If there is none, find the busiest senders: ${senders}. Switch on loop protection and limits for broadcasts.`,
  falseAlarm: "The capture holds the same packets several times, as when many ports are mirrored into one.",
});
