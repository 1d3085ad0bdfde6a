/** Beacon: one host calls the same outside service at regular times with calls of regular size, as implants do to fetch orders.
 *
 * In: first updates of TCP and UDP flows. Out: one finding for each caller, callee and port.
 * Invariant: services that are regular by design (time, names, discovery) are not followed.
 * ATT&CK T1573 where it is encrypted.
 * Source of the scores: RITA (github.com/activecm/rita): skew and deviation of intervals and of sizes, share of the time covered.
 * RITA asks for 20 connections in 24 h; jitter of implants is usually set to 10-50 % of the interval. @module */

import { isPrivateIp } from "../../../shared/ip.ts";
import type { Reason } from "../../model/threat.ts";
import { detector, type LimitValues } from "../detector.ts";
import { field, growingPoints, hostile, reason } from "../finding.ts";
import { bowleySkew, deviationOf, medianOf, sortedCopy } from "../signs/statistics.ts";

/** Calls closer together than this are one call: a client opens several connections at once. */
const burstS = 0.5;
const callsMax = 256;

const limitsTable = {
  callsMin: { value: 10, unit: "calls", why: "RITA wants 20; fewer count only when they are very regular" },
  durationMinS: {
    value: 300,
    unit: "s",
    why: "a page that reloads itself while somebody reads it stays below",
  },
  scoreMin: { value: 0.75, unit: "share", why: "mean of the sub-scores that RITA calls medium" },
  coverageMin: {
    value: 0.6,
    unit: "share",
    why: "of the expected calls that were seen; below, the caller has pauses of its own",
  },
  jitterMax: { value: 0.35, unit: "share", why: "the pace of people deviates by more" },
};

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

export const beacon = detector({
  name: "beacon",
  technique: "T1071",
  title: "Beacon",
  about: "One host calls the same service at regular times with calls of regular size.",
  limits: limitsTable,
  window: {
    quietS: { value: 86_400, unit: "s", why: "one missed day ends an episode" },
    ageS: { value: 7 * 86_400, unit: "s", why: "slow implants call once a day" },
  },
  key(update) {
    const { protocol, dst_port, fwd_syn_count } = update.segment;
    if (!update.begins || (protocol !== "tcp" && protocol !== "udp")) return null;
    if (regularByDesign.has(dst_port) || update.dst.isGroup) return null;
    // Without its SYN it is a connection that was there before the capture: its start is not a call.
    if (protocol === "tcp" && fwd_syn_count === 0) return null;
    return `${protocol}|${update.pair}|${dst_port}`;
  },
  open: ({ segment: { src_ip, dst_ip, dst_port } }): Calls => ({
    srcIp: src_ip,
    dstIp: dst_ip,
    dstPort: dst_port,
    app: "",
    name: "",
    startsS: [],
    bytes: [],
    total: 0,
    unanswered: 0,
  }),
  step(calls, { segment, serverName }) {
    calls.app = segment.app_protocol || calls.app;
    calls.name = serverName || calls.name;
    calls.total++;
    if (segment.bwd_packets === 0) calls.unanswered++;
    if (calls.startsS.length >= callsMax) {
      calls.startsS.shift();
      calls.bytes.shift();
    }
    calls.startsS.push(segment.start);
    calls.bytes.push(segment.fwd_payload_bytes);
  },
  isThreat(calls, { callsMin, scoreMin, coverageMin, durationMinS, jitterMax }) {
    if (calls.total < callsMin) return false;
    const score = scoreCalls(calls);
    if (score.calls < callsMin || score.total < scoreMin || score.coverage < coverageMin) return false;
    const first = Math.min(...calls.startsS), last = Math.max(...calls.startsS);
    return last - first >= durationMinS && score.jitter <= jitterMax;
  },
  finding(calls, limits) {
    const score = scoreCalls(calls);
    const percent = (share: number) => `${Math.round(share * 100)} %`;
    const evidence = {
      calls: field("calls", calls.total),
      interval: field("interval in seconds", Number(score.periodS.toPrecision(3))),
      jitter: field("jitter", percent(score.jitter)),
      octets: field("octets sent per call", Math.round(medianOf(calls.bytes))),
      regularity: field(
        "regularity of time, size, coverage",
        [score.interval, score.size, score.coverage].map(percent).join(", "),
      ),
      name: hostile("name of the service", calls.name || "unknown"),
      unanswered: field("calls not answered", calls.unanswered),
    };
    const isEncrypted = calls.app === "tls" || calls.app === "quic" || calls.dstPort === 443;
    const name = calls.name === "" ? "" : ` (${calls.name})`;
    return {
      ...isEncrypted && { technique: "T1573" },
      src_ips: [calls.srcIp],
      dst_ips: [calls.dstIp],
      dst_port: calls.dstPort,
      count: calls.total,
      summary:
        `${calls.srcIp} called ${calls.dstIp}${name} on port ${calls.dstPort} ${evidence.calls} times, about every ${evidence.interval} seconds.`,
      reasons: reasonsFor(calls, score, limits),
      evidence,
    };
  },
  meaning:
    "Malware that waits for orders calls its master like this: regularly, with small calls of the same size, day and night.",
  action:
    "Find out which program on the calling machine makes these calls and whether the other side is known to you. If nobody can explain it, isolate the machine, keep its memory and disk for examination, and block the destination.",
  falseAlarm:
    "Update checks, monitoring agents, chat and mail programs poll too; a well-known name and a program you installed explain them.",
});

/** RITA's sub-scores of the calls remembered. */
export function scoreCalls(calls: Pick<Calls, "startsS" | "bytes">): BeaconScore {
  const starts = sortedCopy(calls.startsS).filter((start, i, all) => i === 0 || start - all[i - 1] > burstS);
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

function reasonsFor(calls: Calls, score: BeaconScore, limits: LimitValues<typeof limitsTable>): Reason[] {
  const percent = Math.round(100 * score.jitter), period = score.periodS.toPrecision(3);
  const reasons = [reason(
    "regular_calls",
    growingPoints(calls.total, limits.callsMin, { base: 32, perTenfold: 28, max: 55 }),
    `${calls.total} calls at intervals that deviate by ${percent} % from ${period} s; people deviate by more than 35 %`,
  )];
  if (score.total >= 0.9) {
    reasons.push(reason(
      "very_regular",
      10,
      `time, size and coverage score ${
        score.total.toFixed(2)
      } of 1; 0.75 is the threshold, 0.9 is very regular`,
    ));
  }
  if (isPrivateIp(calls.dstIp)) {
    reasons.push(reason(
      "inside",
      -25,
      "the service called is on your own network, where monitoring and polling are common",
    ));
  }
  if (calls.unanswered > 0.5 * calls.total) {
    reasons.push(reason(
      "unanswered",
      -25,
      `${calls.unanswered} calls were not answered: a program that retries a service that is gone looks the same`,
    ));
  }
  return reasons;
}
