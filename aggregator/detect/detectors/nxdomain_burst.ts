/** NXDOMAIN burst: a host asks for many domains that do not exist, as malware does that computes its master's name anew each day.
 *
 * In: DNS answers in facts. Out: one finding for each asking host.
 * Invariant: counted by registered domain: a mistyped search suffix or a block list fails below one domain, however often.
 * ATT&CK T1568.002, Dynamic Resolution: Domain Generation Algorithms.
 * Source of the idea: Antonakakis et al., "From Throw-Away Traffic to Bots" (2012): bots fail on hundreds of domains, hosts on few. @module */

import type { FlowUpdate } from "../../model/flow.ts";
import type { Finding, Reason } from "../../model/threat.ts";
import { type Advice, type Detector, evidenceValue, growingPoints, numberEvidence } from "../detector.ts";
import { isStructuralName, splitDomain } from "../signs/domain_name.ts";
import { type Episode, episodeDetector, episodeParts, Episodes } from "../episodes.ts";
import { entropyOf } from "../signs/statistics.ts";

export const nxdomainBurstLimits = {
  /** Different registered domains that do not exist. A browser that probes for redirecting resolvers asks for three at its start. */
  domainsMin: 50,
  /** Share of failing among all domains asked for; a crawler of dead links stays below. */
  failedShareMin: 0.5,
  /** Mean bits a character of the failing domains' own label; words have about 2.7, computed names above 3. */
  entropyMin: 2.8,
  quietS: 900,
  ageMaxS: 3_600,
  keysMax: 10_000,
  domainsMax: 4_096,
} as const;
const limits = nxdomainBurstLimits;

interface Failures {
  client: string;
  resolvers: Set<string>;
  failed: Set<string>;
  existing: Set<string>;
  answers: number;
  entropy: number;
}

const advice: Advice = {
  summary: (finding) =>
    `${finding.src_ips[0]} asked for ${
      evidenceValue(finding, "domains that do not exist")
    } different domains that do not exist, such as ${evidenceValue(finding, "examples")}.`,
  meaning:
    "Malware that computes the name of its master from the date asks for many random names until one of them exists.",
  action:
    "Treat the asking machine as infected until shown otherwise: isolate it, scan it, and look for the few domains that did exist among its questions.",
  falseAlarm:
    "Security scanners, mail servers that check senders and crawlers of old links also ask for domains that are gone.",
};

/** Makes the detector; it holds all state. */
export function createNxdomainBurst(): Detector {
  const hosts = new Episodes<Failures>({
    keysMax: limits.keysMax,
    quietS: limits.quietS,
    ageMaxS: limits.ageMaxS,
    create: () => ({
      client: "",
      resolvers: new Set(),
      failed: new Set(),
      existing: new Set(),
      answers: 0,
      entropy: 0,
    }),
    isAboveThreshold: isBurst,
  });

  function step(update: FlowUpdate): void {
    const { segment } = update;
    const entries = segment.facts?.dns;
    if (!entries || segment.app_protocol === "mdns" || segment.app_protocol === "llmnr") return;
    const isTurned = segment.src_port === 53 && segment.dst_port !== 53;
    const client = isTurned ? segment.dst_ip : segment.src_ip;
    for (const { name, rcode } of entries) {
      if (rcode === undefined || name === "" || isStructuralName(name)) continue;
      const { domain } = splitDomain(name);
      const host = hosts.touch(`${update.network}|${client}`, update);
      host.client = client;
      host.resolvers.add(isTurned ? segment.src_ip : segment.dst_ip);
      if (rcode === "NOERROR" && host.existing.size < limits.domainsMax) host.existing.add(domain);
      if (rcode !== "NXDOMAIN") continue;
      host.answers++;
      if (host.failed.has(domain) || host.failed.size >= limits.domainsMax) continue;
      host.failed.add(domain);
      host.entropy += entropyOf(domain.split(".")[0]);
    }
  }

  return episodeDetector("nxdomain_burst", advice, hosts, step, describe);
}

function isBurst(host: Failures): boolean {
  const failed = host.failed.size;
  return failed >= limits.domainsMin && failed >= limits.failedShareMin * (failed + host.existing.size) &&
    host.entropy / failed >= limits.entropyMin;
}

function describe(host: Failures & Episode): Finding {
  const failed = host.failed.size;
  const bits = host.entropy / failed;
  const reasons: Reason[] = [{
    name: "missing_domains",
    points: growingPoints(failed, limits.domainsMin, { base: 35, perTenfold: 15, max: 55 }),
    text: `${failed} different domains do not exist; ordinary hosts ask for fewer than ${limits.domainsMin}`,
  }, {
    name: "random_domains",
    points: bits >= 3 ? 15 : 5,
    text: `${bits.toFixed(1)} bits a character; domains made of words have about 2.7`,
  }];
  return {
    detector: "nxdomain_burst",
    identity: `nxdomain_burst|${host.key}`,
    technique: "T1568.002",
    title: "Many domains that do not exist",
    src_ips: [host.client],
    dst_ips: [...host.resolvers].slice(0, 10),
    dst_port: 53,
    count: host.answers,
    reasons,
    evidence: numberEvidence([
      ["domains that do not exist", failed >= limits.domainsMax ? `at least ${failed}` : failed],
      ["domains that exist", host.existing.size],
      ["bits per character", bits.toFixed(2)],
      ["examples", [...host.failed].slice(0, 3).join(", "), true],
      ["duration in seconds", Math.round(host.lastS - host.firstS)],
    ]),
    ...episodeParts(host),
  };
}
