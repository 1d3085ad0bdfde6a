/** Beacon: one host calls the same outside service at regular times with calls of regular size, as implants do to fetch orders.
 *
 * In: first updates of TCP and UDP flows. Out: one finding for each caller, callee and port.
 * Invariant: services that are regular by design (time, names, discovery) are not followed.
 * ATT&CK T1071, Application Layer Protocol; T1573 where it is encrypted.
 * Source of the scores: RITA (github.com/activecm/rita): skew and deviation of intervals and of sizes, share of the time covered.
 * RITA asks for 20 connections in 24 h; jitter of implants is usually set to 10-50 % of the interval. @module */

import { isPrivateIp } from "../../../shared/ip.ts";
import type { FlowUpdate } from "../../model/flow.ts";
import type { Finding, Reason } from "../../model/threat.ts";
import { type Advice, type Detector, evidenceValue, growingPoints, numberEvidence } from "../detector.ts";
import { type Episode, episodeDetector, episodeParts, Episodes } from "../episodes.ts";
import { isGroupAddress } from "../signs/probe.ts";
import { bowleySkew, deviationOf, medianOf, sortedCopy } from "../signs/statistics.ts";

export const beaconLimits = {
  /** Calls; RITA wants 20, which alone make it medium. Fewer do so only when they are very regular. */
  callsMin: 10,
  /** Seconds from first to last call: a page that reloads itself while somebody reads it stays below. */
  durationMinS: 300,
  /** Mean of the sub-scores, 0..1. RITA calls 0.75 "medium". */
  scoreMin: 0.75,
  /** Calls closer together than this are one call: a client opens several connections at once. */
  burstS: 0.5,
  /** Share of expected calls seen; below, the caller has pauses of its own. */
  coverageMin: 0.6,
  /** One missed day ends an episode. */
  quietS: 86_400,
  ageMaxS: 7 * 86_400,
  keysMax: 20_000,
  callsMax: 256,
} as const;
const limits = beaconLimits;

/** Ports of services whose clients ask at fixed times by specification: DNS, DHCP, NTP, NetBIOS, SNMP, syslog, SSDP, STUN, Teredo,
 * NAT-PMP, mDNS, LLMNR, IPsec keep-alive, DHCPv6, RIP. */
const regularByDesign = new Set([
  53,
  67,
  68,
  123,
  137,
  138,
  161,
  162,
  500,
  514,
  520,
  546,
  547,
  1900,
  3478,
  3544,
  3702,
  4500,
  5350,
  5351,
  5353,
  5355,
]);

interface Calls {
  srcIp: string;
  dstIp: string;
  dstPort: number;
  protocol: string;
  app: string;
  name: string;
  startsS: number[];
  bytes: number[];
  total: number;
  unanswered: number;
}

export interface BeaconScore {
  calls: number;
  periodS: number;
  /** Median absolute deviation of the intervals over their median. */
  jitter: number;
  interval: number;
  size: number;
  coverage: number;
  total: number;
}

const advice: Advice = {
  summary: (finding) => {
    const name = evidenceValue(finding, "name of the service");
    return `${finding.src_ips[0]} called ${finding.dst_ips[0]}${
      name === "unknown" ? "" : ` (${name})`
    } on port ${finding.dst_port} ${evidenceValue(finding, "calls")} times, about every ${
      evidenceValue(finding, "interval in seconds")
    } seconds.`;
  },
  meaning:
    "Malware that waits for orders calls its master like this: regularly, with small calls of the same size, day and night.",
  action:
    "Find out which program on the calling machine makes these calls and whether the other side is known to you. If nobody can explain it, isolate the machine, keep its memory and disk for examination, and block the destination.",
  falseAlarm:
    "Update checks, monitoring agents, chat and mail programs poll too; a well-known name and a program you installed explain them.",
};

/** Makes the detector; it holds all state. */
export function createBeacon(): Detector {
  const pairs = new Episodes<Calls>({
    keysMax: limits.keysMax,
    quietS: limits.quietS,
    ageMaxS: limits.ageMaxS,
    create: () => ({
      srcIp: "",
      dstIp: "",
      dstPort: 0,
      protocol: "",
      app: "",
      name: "",
      startsS: [],
      bytes: [],
      total: 0,
      unanswered: 0,
    }),
    isAboveThreshold: (calls) => calls.total >= limits.callsMin && isBeacon(calls, scoreCalls(calls)),
  });

  function step(update: FlowUpdate): void {
    const { segment } = update;
    if (!update.first || segment.segment !== 0 || segment.fwd_packets === 0) return;
    if (segment.protocol !== "tcp" && segment.protocol !== "udp") return;
    if (regularByDesign.has(segment.dst_port) || isGroupAddress(segment.dst_ip)) return;
    // Without its SYN it is a connection that was there before the capture: its start is not a call.
    if (segment.protocol === "tcp" && segment.fwd_syn_count === 0) return;
    const key =
      `${update.network}|${segment.protocol}|${segment.src_ip}|${segment.dst_ip}|${segment.dst_port}`;
    const calls = pairs.touch(key, update);
    calls.srcIp = segment.src_ip;
    calls.dstIp = segment.dst_ip;
    calls.dstPort = segment.dst_port;
    calls.protocol = segment.protocol;
    calls.app = segment.app_protocol || calls.app;
    const { facts } = segment;
    calls.name = facts?.tls?.sni ?? facts?.quic?.sni ?? facts?.http?.find((entry) => entry.host)?.host ??
      calls.name;
    calls.total++;
    if (segment.bwd_packets === 0) calls.unanswered++;
    if (calls.startsS.length >= limits.callsMax) {
      calls.startsS.shift();
      calls.bytes.shift();
    }
    calls.startsS.push(segment.start);
    calls.bytes.push(segment.fwd_payload_bytes);
  }

  return episodeDetector("beacon", advice, pairs, step, describe);
}

/** RITA's sub-scores of the calls remembered. */
export function scoreCalls(calls: Pick<Calls, "startsS" | "bytes">): BeaconScore {
  const starts = sortedCopy(calls.startsS).filter((start, i, all) =>
    i === 0 || start - all[i - 1] > limits.burstS
  );
  const gaps = starts.slice(1).map((start, i) => start - starts[i]);
  const periodS = medianOf(gaps);
  const jitter = periodS > 0 ? deviationOf(gaps, periodS) / periodS : 1;
  const interval = regularity(gaps, jitter);
  const median = medianOf(calls.bytes);
  const sizeDeviation = median > 0 ? deviationOf(calls.bytes, median) / median : 0;
  const size = regularity(calls.bytes, sizeDeviation);
  const durationS = starts.length > 1 ? starts[starts.length - 1] - starts[0] : 0;
  const coverage = periodS > 0 ? Math.min(1, gaps.length / (durationS / periodS)) : 0;
  // Regular time weighs twice: sizes of a poll are alike in many harmless programs, the pace of people is not.
  const total = (2 * interval + size + coverage) / 4;
  return { calls: starts.length, periodS, jitter, interval, size, coverage, total };
}

/** 0..1 from skew and spread. The skew of a spread of a few percent says nothing, so it counts in full only from 20 % on. */
function regularity(values: readonly number[], spread: number): number {
  const skew = Math.abs(bowleySkew(values)) * Math.min(1, 5 * spread);
  return (1 - skew + Math.max(0, 1 - 2 * spread)) / 2;
}

function isBeacon(calls: Calls, score: BeaconScore): boolean {
  if (score.calls < limits.callsMin || score.total < limits.scoreMin || score.coverage < limits.coverageMin) {
    return false;
  }
  const first = Math.min(...calls.startsS), last = Math.max(...calls.startsS);
  return last - first >= limits.durationMinS && score.jitter <= 0.35;
}

function describe(calls: Calls & Episode): Finding {
  const score = scoreCalls(calls);
  const percent = (share: number) => `${Math.round(share * 100)} %`;
  const isEncrypted = calls.app === "tls" || calls.app === "quic" || calls.dstPort === 443;
  return {
    detector: "beacon",
    identity: `beacon|${calls.key}`,
    technique: isEncrypted ? "T1573" : "T1071",
    title: "Beacon",
    src_ips: [calls.srcIp],
    dst_ips: [calls.dstIp],
    dst_port: calls.dstPort,
    count: calls.total,
    reasons: reasonsFor(calls, score),
    evidence: numberEvidence([
      ["calls", calls.total],
      ["interval in seconds", Number(score.periodS.toPrecision(3))],
      ["jitter", percent(score.jitter)],
      ["octets sent per call", Math.round(medianOf(calls.bytes))],
      [
        "regularity of time, size, coverage",
        [score.interval, score.size, score.coverage].map(percent).join(", "),
      ],
      ["name of the service", calls.name || "unknown", true],
      ["calls not answered", calls.unanswered],
    ]),
    ...episodeParts(calls),
  };
}

function reasonsFor(calls: Calls, score: BeaconScore): Reason[] {
  const reasons: Reason[] = [{
    name: "regular_calls",
    points: growingPoints(calls.total, limits.callsMin, { base: 32, perTenfold: 28, max: 55 }),
    text: `${calls.total} calls at intervals that deviate by ${Math.round(100 * score.jitter)} % from ${
      score.periodS.toPrecision(3)
    } s; people deviate by more than 35 %`,
  }];
  if (score.total >= 0.9) {
    reasons.push({
      name: "very_regular",
      points: 10,
      text: `time, size and coverage score ${
        score.total.toFixed(2)
      } of 1; 0.75 is the threshold, 0.9 is very regular`,
    });
  }
  if (isPrivateIp(calls.dstIp)) {
    reasons.push({
      name: "inside",
      points: -25,
      text: "the service called is on your own network, where monitoring and polling are common",
    });
  }
  if (calls.unanswered > 0.5 * calls.total) {
    reasons.push({
      name: "unanswered",
      points: -25,
      text:
        `${calls.unanswered} calls were not answered: a program that retries a service that is gone looks the same`,
    });
  }
  return reasons;
}
