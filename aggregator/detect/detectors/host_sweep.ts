/** Host sweep: one host asks a whole network who is there, by ARP or by ping.
 *
 * In: first updates of ARP and ICMP echo flows. Out: one finding for each asking host and protocol.
 * Invariant: hosts that answer count as found, not as tried in vain; announcements of one's own address are no question.
 * ATT&CK T1018, Remote System Discovery. @module */

import type { FlowUpdate } from "../../model/flow.ts";
import type { Finding, Reason } from "../../model/threat.ts";
import {
  type Advice,
  type Detector,
  evidenceValue,
  findingLimits,
  growingPoints,
  numberEvidence,
} from "../detector.ts";
import { type Episode, episodeDetector, episodeParts, Episodes } from "../episodes.ts";
import { isGroupAddress } from "../signs/probe.ts";

export const hostSweepLimits = {
  /** Different addresses asked for; the same as for a scan of one port (Zeek's `Scan::addr_scan_threshold` = 25 in 5 minutes). */
  hostsMin: 25,
  /** Share without an answer. A router that looks for its clients and a pinging monitor know whom they ask. */
  silentShareMin: 0.5,
  /** Addresses a minute: a host that looks for its neighbours over a day stays below. */
  hostsPerMinuteMin: 5,
  fastHostsPerS: 1,
  quietS: 300,
  ageMaxS: 3_600,
  keysMax: 10_000,
  hostsMax: 4_096,
} as const;
const limits = hostSweepLimits;
const echoTypes: Readonly<Record<string, number>> = { icmp: 8, icmp6: 128 };

interface Sweep {
  protocol: string;
  srcIp: string;
  mac: string;
  silent: Set<string>;
  answered: Set<string>;
  asked: number;
}

const advice: Advice = {
  summary: (finding) =>
    `${finding.src_ips[0]} asked ${evidenceValue(finding, "addresses asked")} addresses by ${
      evidenceValue(finding, "protocol")
    } whether somebody is there; ${evidenceValue(finding, "addresses without answer")} did not answer.`,
  meaning: "This is the first step of most attacks on a network: finding out which machines exist.",
  action:
    "Find out who uses the asking machine and which program asks. If nobody can explain it, isolate the machine and look at what it did to those that answered.",
  falseAlarm:
    "Network inventory, printers' software and routers ask whole networks too; they do so from known addresses and again and again.",
};

/** Makes the detector; it holds all state. */
export function createHostSweep(): Detector {
  const sweeps = new Episodes<Sweep>({
    keysMax: limits.keysMax,
    quietS: limits.quietS,
    ageMaxS: limits.ageMaxS,
    create: () => ({ protocol: "", srcIp: "", mac: "", silent: new Set(), answered: new Set(), asked: 0 }),
    isAboveThreshold: isSweep,
  });

  function step(update: FlowUpdate): void {
    const { protocol, src_ip, src_port, dst_ip, src_mac, fwd_packets, bwd_packets } = update.segment;
    const isQuestion = protocol === "arp" || (protocol in echoTypes && src_port === echoTypes[protocol]);
    if (!update.first || !isQuestion || fwd_packets === 0 || src_ip === dst_ip || isGroupAddress(dst_ip)) {
      return;
    }
    if (src_ip === "0.0.0.0") return; // A host that looks whether its new address is free (RFC 5227).
    const sweep = sweeps.touch(`${update.network}|${protocol}|${src_ip}`, update);
    sweep.protocol = protocol;
    sweep.srcIp = src_ip;
    sweep.mac = src_mac;
    sweep.asked++;
    const hosts = bwd_packets > 0 ? sweep.answered : sweep.silent;
    if (hosts.size < limits.hostsMax) hosts.add(dst_ip);
  }

  return episodeDetector("host_sweep", advice, sweeps, step, describe);
}

function isSweep(sweep: Sweep & Episode): boolean {
  const asked = sweep.silent.size + sweep.answered.size;
  const minutes = (sweep.lastS - sweep.firstS) / 60;
  return asked >= limits.hostsMin && sweep.silent.size >= limits.silentShareMin * asked &&
    asked >= limits.hostsPerMinuteMin * minutes;
}

function describe(sweep: Sweep & Episode): Finding {
  const hosts = [...new Set([...sweep.answered, ...sweep.silent])];
  const perS = hosts.length / Math.max(1, sweep.lastS - sweep.firstS);
  const reasons: Reason[] = [{
    name: "addresses_asked",
    points: growingPoints(hosts.length, limits.hostsMin, { base: 30, perTenfold: 15, max: 50 }),
    text: `${hosts.length} addresses were asked; ${limits.hostsMin} are enough to call it a sweep`,
  }];
  if (perS >= limits.fastHostsPerS) {
    reasons.push({
      name: "fast",
      points: 10,
      text: `${perS.toFixed(1)} addresses a second; ordinary hosts stay below ${limits.fastHostsPerS}`,
    });
  }
  const name = sweep.protocol === "arp" ? "ARP" : "ping";
  return {
    detector: "host_sweep",
    identity: `host_sweep|${sweep.key}`,
    technique: "T1018",
    title: sweep.protocol === "arp" ? "ARP sweep" : "Ping sweep",
    src_ips: [sweep.srcIp],
    dst_ips: hosts.slice(0, findingLimits.addressesMax),
    dst_port: null,
    count: sweep.asked,
    reasons,
    evidence: numberEvidence([
      ["addresses asked", hosts.length],
      ["addresses without answer", sweep.silent.size],
      ["addresses that answered", [...sweep.answered].slice(0, 20).join(", ") || "none"],
      ["hardware address of the asker", sweep.mac || "unknown"],
      ["duration in seconds", Math.round(sweep.lastS - sweep.firstS)],
      ["protocol", name],
    ]),
    ...episodeParts(sweep),
  };
}
