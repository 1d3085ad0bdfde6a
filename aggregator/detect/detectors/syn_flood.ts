/** SYN flood: far more connection attempts than completions at one host, so that real clients find no room.
 *
 * In: updates of TCP flows. Out: one finding for each flooded host.
 * Invariant: attempts of a single host spread over many ports are a scan, not a flood.
 * ATT&CK T1499.001, Endpoint Denial of Service: OS Exhaustion Flood. @module */

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

export const synFloodLimits = {
  /** Step of the rate, seconds. */
  binS: 10,
  /** Attempts in one step that were never completed. Juniper's SYN flood screen warns from 200 a second at a busy data centre,
   * Linux holds 128 half-open connections on a small host (net.ipv4.tcp_max_syn_backlog): a small host is full at this. */
  halfOpenPerBinMin: 128,
  /** Seconds that attempts must go on, unless there are `burstMin`: a load test opens hundreds of connections at one moment, and a
   * capture that ends in that moment shows none of them completed. */
  durationMinS: 3,
  burstMin: 1_000,
  /** Share of all attempts at the host that were never completed. */
  halfOpenShareMin: 0.8,
  /** Up to this many sources that try at least `scanPortShare` ports an attempt are scanners. */
  scanSourcesMax: 4,
  scanPortShare: 0.2,
  quietS: 300,
  ageMaxS: 3_600,
  keysMax: 20_000,
  binsMax: 64,
  addressesMax: 8_192,
  portsMax: 1_024,
} as const;
const limits = synFloodLimits;
const syn = 2, ack = 16;

interface Flood {
  dstIp: string;
  halfOpen: number;
  completed: number;
  peakPerBin: number;
  firstStartS: number;
  lastStartS: number;
  bins: Map<number, number>;
  sources: Set<string>;
  ports: Map<number, number>;
}

const advice: Advice = {
  summary: (finding) => {
    const port = finding.dst_port === null ? "" : ` on port ${finding.dst_port}`;
    return `${finding.dst_ips[0]} received ${
      evidenceValue(finding, "attempts never completed")
    } connection attempts${port} that were never completed, up to ${
      evidenceValue(finding, "peak attempts per second")
    } a second, from ${evidenceValue(finding, "source addresses")} source address(es).`;
  },
  meaning:
    "Half-open connections fill the table of the attacked machine until real clients are turned away. With many sources the addresses are usually forged.",
  action:
    "Check whether the attacked service still answers. Switch on SYN cookies on the machine, rate-limit or filter at the firewall, and ask your provider to filter upstream if the line is full. Do not block forged source addresses one by one.",
  falseAlarm:
    "A service that crashed while many clients keep calling it, or a load test, looks similar; then the sources are your own clients.",
};

/** Makes the detector; it holds all state. */
export function createSynFlood(): Detector {
  const floods = new Episodes<Flood>({
    keysMax: limits.keysMax,
    quietS: limits.quietS,
    ageMaxS: limits.ageMaxS,
    create: () => ({
      dstIp: "",
      halfOpen: 0,
      completed: 0,
      peakPerBin: 0,
      firstStartS: Infinity,
      lastStartS: -Infinity,
      bins: new Map(),
      sources: new Set(),
      ports: new Map(),
    }),
    isAboveThreshold: isFlood,
  });

  function step(update: FlowUpdate): void {
    const { segment } = update;
    if (segment.protocol !== "tcp" || (segment.fwd_tcp_flags & syn) === 0 || segment.fwd_syn_count === 0) {
      return;
    }
    const isHalfOpen = (segment.fwd_tcp_flags & ack) === 0 && segment.fwd_payload_bytes === 0;
    const key = `${update.network}|${segment.dst_ip}`;
    if (!isHalfOpen && !floods.get(key)) return;
    const flood = floods.touch(key, update);
    flood.dstIp = segment.dst_ip;
    if (!isHalfOpen) {
      flood.completed++;
      return;
    }
    const attempts = segment.fwd_syn_count * segment.factor;
    flood.halfOpen += attempts;
    flood.firstStartS = Math.min(flood.firstStartS, segment.start);
    flood.lastStartS = Math.max(flood.lastStartS, segment.start);
    const bin = Math.floor(segment.start / limits.binS);
    const inBin = (flood.bins.get(bin) ?? 0) + attempts;
    if (!flood.bins.has(bin) && flood.bins.size >= limits.binsMax) {
      flood.bins.delete(flood.bins.keys().next().value!);
    }
    flood.bins.set(bin, inBin);
    flood.peakPerBin = Math.max(flood.peakPerBin, inBin);
    if (flood.sources.size < limits.addressesMax) flood.sources.add(segment.src_ip);
    const seen = flood.ports.get(segment.dst_port);
    if (seen !== undefined || flood.ports.size < limits.portsMax) {
      flood.ports.set(segment.dst_port, (seen ?? 0) + attempts);
    }
  }

  return episodeDetector("syn_flood", advice, floods, step, describe);
}

function isFlood(flood: Flood): boolean {
  if (flood.peakPerBin < limits.halfOpenPerBinMin) return false;
  const isBurst = flood.lastStartS - flood.firstStartS < limits.durationMinS;
  if (isBurst && flood.halfOpen < limits.burstMin) return false;
  if (flood.halfOpen < limits.halfOpenShareMin * (flood.halfOpen + flood.completed)) return false;
  return flood.sources.size > limits.scanSourcesMax ||
    flood.ports.size < limits.scanPortShare * flood.halfOpen;
}

function describe(flood: Flood & Episode): Finding {
  const perS = Math.round(flood.peakPerBin / limits.binS * 10) / 10;
  const ports = [...flood.ports].sort((a, b) => b[1] - a[1]);
  const share = flood.halfOpen / (flood.halfOpen + flood.completed);
  const many = flood.sources.size >= limits.addressesMax ? "at least " : "";
  const reasons: Reason[] = [{
    name: "half_open_rate",
    points: growingPoints(flood.peakPerBin, limits.halfOpenPerBinMin, { base: 45, perTenfold: 15, max: 70 }),
    text:
      `${flood.peakPerBin} attempts in ${limits.binS} s were never completed; ${limits.halfOpenPerBinMin} fill a small host's table`,
  }, {
    name: "never_completed",
    points: 10,
    text: `${Math.floor(share * 100)} % of all attempts at this host were never completed; ${
      limits.halfOpenShareMin * 100
    } % is the threshold`,
  }];
  if (flood.sources.size >= 100) {
    reasons.push({
      name: "many_sources",
      points: 10,
      text: `${many}${flood.sources.size} source addresses; so many at once are forged or a botnet`,
    });
  }
  return {
    detector: "syn_flood",
    identity: `syn_flood|${flood.key}`,
    technique: "T1499.001",
    title: "SYN flood",
    src_ips: [...flood.sources].slice(0, findingLimits.addressesMax),
    dst_ips: [flood.dstIp],
    // One port takes nearly all of a flood, or none does.
    dst_port: ports[0][1] >= 0.9 * flood.halfOpen ? ports[0][0] : null,
    count: flood.halfOpen,
    reasons,
    evidence: numberEvidence([
      ["attempts never completed", flood.halfOpen],
      ["connections completed", flood.completed],
      ["peak attempts per second", perS],
      ["source addresses", `${many}${flood.sources.size}`],
      ["ports", ports.slice(0, 10).map(([port]) => port).join(", ")],
      ["duration in seconds", Math.round(flood.lastS - flood.firstS)],
    ]),
    ...episodeParts(flood),
  };
}
