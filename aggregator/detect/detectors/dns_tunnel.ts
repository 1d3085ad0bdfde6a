/** DNS tunnel: data hidden in the names of DNS questions, and in the answers.
 *
 * In: DNS facts of flows to a resolver. Out: one finding for each client and registered domain.
 * Invariant: reverse lookups, service discovery, block lists and virus scanners' lookups are not counted; repeated names (content
 * networks) carry nothing.
 * ATT&CK T1071.004, Application Layer Protocol: DNS; also T1572, Protocol Tunneling.
 * Sources: Born and Gustafson, "Detecting DNS Tunnels Using Character Frequency Analysis" (2010); the SANS paper of Farnham, "Detecting
 * DNS Tunneling" (2013): names longer than 52 characters, many different names a domain, record types TXT, NULL, KEY. @module */

import { type DnsFact, dnsMessages } from "../../../shared/facts.ts";
import type { FlowUpdate } from "../../model/flow.ts";
import type { Finding, Reason } from "../../model/threat.ts";
import { type Advice, type Detector, evidenceValue, growingPoints, numberEvidence } from "../detector.ts";
import { isReversedAddress, isStructuralName, splitDomain } from "../signs/domain_name.ts";
import { type Episode, episodeDetector, episodeParts, Episodes } from "../episodes.ts";
import { entropyOf } from "../signs/statistics.ts";

export const dnsTunnelLimits = {
  /** Different names below one domain. Ordinary clients ask for a handful, content networks for a few dozen. */
  namesMin: 20,
  /** Share of questions that were never asked before: a tunnel never repeats itself, or a cache would answer. */
  freshShareMin: 0.5,
  /** Mean characters before the registered domain, where record types are ordinary. Farnham warns above 52 for the whole name. */
  lengthMin: 35,
  /** The same where most record types are odd; dnscat2 polls with 18. */
  lengthOddMin: 10,
  /** Share of odd record types that makes them the rule. */
  oddShareMin: 0.5,
  /** Bits a character: English host names have about 3, encoded data about 4 and more. */
  entropyMin: 3.5,
  /** Octets of DNS payload below one domain: thousands of ordinary questions. */
  payloadBytesMin: 100_000,
  /** Times the names that a zone of `honestCarriers` must show. */
  carrierFactor: 50,
  quietS: 900,
  ageMaxS: 3_600,
  keysMax: 20_000,
  namesMax: 2_048,
} as const;
const limits = dnsTunnelLimits;

/** Record types that carry free data and that ordinary clients seldom ask for. */
const oddTypes = new Set([
  "TXT",
  "NULL",
  "KEY",
  "CNAME",
  "MX",
  "SRV",
  "CERT",
  "DNSKEY",
  "WKS",
  "MB",
  "MG",
  "MR",
  "TYPE65399",
]);

/** Zones whose names are long or carry hashes for honest work: virus scanners, reputation and mail checks, and hosters who name each
 * machine. Nobody but their owner answers for them through a resolver; since a client may also speak to a server of its own, they need
 * `carrierFactor` times the names and are not left out. */
const honestCarriers = new Set(
  ("mcafee.com sophosxl.net sophosxl.com cymru.com e5.sk eset.com trendmicro.com kaspersky.com kaspersky-labs.com bitdefender.net " +
    "spamhaus.org spamhaus.net spamcop.net surbl.org uribl.com barracudacentral.org sorbs.net senderbase.org dnswl.org abuseat.org " +
    "amazonaws.com cloudfront.net akamai.net akamaiedge.net akamaihd.net akadns.net edgekey.net edgesuite.net fastly.net " +
    "trafficmanager.net azure.com azurewebsites.net windows.net googlevideo.com googleusercontent.com googlesyndication.com gvt1.com " +
    "fbcdn.net apple-dns.net aaplimg.com icloud.com").split(" "),
);

interface Questions {
  client: string;
  resolver: string;
  resolverPort: number;
  domain: string;
  names: Set<string>;
  asked: number;
  odd: number;
  characters: number;
  entropy: number;
  answerCharacters: number;
  types: Map<string, number>;
  example: string;
  /** DNS payload each way, shared out by messages where a flow carries several domains. */
  payloadBytes: number;
}

const advice: Advice = {
  summary: (finding) =>
    `${finding.src_ips[0]} asked for ${evidenceValue(finding, "different names")} different names below ${
      evidenceValue(finding, "domain")
    }, on average ${
      evidenceValue(finding, "mean length of the free part")
    } characters long before the domain.`,
  meaning:
    "Names that long, random and never repeated carry hidden data: this is how programs smuggle data or orders past a firewall that lets DNS through.",
  action:
    "Block the domain at your resolver, then find the program on the asking machine and what data it could reach. Let clients ask only your own resolver.",
  falseAlarm:
    "Some virus scanners, mail filters and tracking services put hashes into names; then the domain belongs to such a vendor and many of your machines ask it.",
};

/** Makes the detector; it holds all state. */
export function createDnsTunnel(): Detector {
  const domains = new Episodes<Questions>({
    keysMax: limits.keysMax,
    quietS: limits.quietS,
    ageMaxS: limits.ageMaxS,
    create: newQuestions,
    isAboveThreshold: isTunnel,
  });

  function step(update: FlowUpdate): void {
    const { segment } = update;
    const entries = segment.facts?.dns;
    if (!entries || segment.app_protocol === "mdns" || segment.app_protocol === "llmnr") return;
    if (segment.fwd_packets + segment.bwd_packets === 0) return;
    const messageBytes = (segment.fwd_payload_bytes + segment.bwd_payload_bytes) /
      dnsMessages(entries).length;
    // A capture that begins with the answer has the resolver as initiator.
    const isTurned = segment.src_port === 53 && segment.dst_port !== 53;
    const client = isTurned ? segment.dst_ip : segment.src_ip;
    for (const entry of entries) {
      if (entry.name === "" || isStructuralName(entry.name)) continue;
      const { domain, subdomain } = splitDomain(entry.name);
      if (subdomain === "" || isReversedAddress(subdomain)) continue;
      const questions = domains.touch(`${update.network}|${client}|${domain}`, update);
      questions.client = client;
      questions.resolver = isTurned ? segment.src_ip : segment.dst_ip;
      questions.resolverPort = isTurned ? segment.src_port : segment.dst_port;
      questions.domain = domain;
      questions.payloadBytes += messageBytes * (entry.rcode !== undefined && !entry.unasked ? 2 : 1);
      readEntry(questions, entry, subdomain);
    }
  }

  return episodeDetector("dns_tunnel", advice, domains, step, describe);
}

function newQuestions(): Questions {
  return {
    client: "",
    resolver: "",
    resolverPort: 53,
    domain: "",
    names: new Set(),
    asked: 0,
    odd: 0,
    characters: 0,
    entropy: 0,
    answerCharacters: 0,
    types: new Map(),
    example: "",
    payloadBytes: 0,
  };
}

/** Counts a question once; one whose query was not seen, by its first response. */
function readEntry(questions: Questions, entry: DnsFact, subdomain: string): void {
  const { type, rcode, answers, unasked } = entry;
  const isNew = !questions.names.has(subdomain) && questions.names.size < limits.namesMax;
  if (rcode !== undefined) {
    for (const answer of answers ?? []) questions.answerCharacters += answer.length;
  }
  if (unasked && !isNew) return;
  questions.asked++;
  questions.types.set(type, (questions.types.get(type) ?? 0) + (questions.types.size < 64 ? 1 : 0));
  if (oddTypes.has(type)) questions.odd++;
  if (!isNew) return;
  questions.names.add(subdomain);
  const text = subdomain.replaceAll(".", "");
  questions.characters += text.length;
  questions.entropy += entropyOf(text);
  if (text.length > questions.example.length) {
    questions.example = `${subdomain}.${questions.domain}`.slice(0, 120);
  }
}

function measure(questions: Questions) {
  const names = questions.names.size;
  return {
    names,
    length: names === 0 ? 0 : questions.characters / names,
    entropy: names === 0 ? 0 : questions.entropy / names,
    oddShare: questions.asked === 0 ? 0 : questions.odd / questions.asked,
    // Beyond the bound new names are no longer told apart; the share of those told apart stands for all.
    freshShare: names >= limits.namesMax ? 1 : names / Math.max(1, questions.asked),
  };
}

function isTunnel(questions: Questions): boolean {
  const { names, length, oddShare, freshShare } = measure(questions);
  const namesMin = limits.namesMin * (honestCarriers.has(questions.domain) ? limits.carrierFactor : 1);
  if (names < namesMin || freshShare < limits.freshShareMin) return false;
  return length >= (oddShare >= limits.oddShareMin ? limits.lengthOddMin : limits.lengthMin);
}

function describe(questions: Questions & Episode): Finding {
  const { names, length, entropy, oddShare } = measure(questions);
  const reasons: Reason[] = [{
    name: "different_names",
    points: growingPoints(names, limits.namesMin, { base: 30, perTenfold: 15, max: 50 }),
    text:
      `${names} different names below ${questions.domain}; ordinary clients ask for fewer than ${limits.namesMin}`,
  }];
  if (length >= limits.lengthMin) {
    reasons.push({
      name: "long_names",
      points: length >= 52 ? 25 : 15,
      text: `${
        Math.round(length)
      } characters before the domain on average; ${limits.lengthMin} is the threshold`,
    });
  }
  if (oddShare >= limits.oddShareMin) {
    reasons.push({
      name: "odd_types",
      points: 20,
      text: `${Math.round(100 * oddShare)} % of the questions are for record types that carry free data; ${
        100 * limits.oddShareMin
      } % is the threshold`,
    });
  }
  if (entropy >= limits.entropyMin) {
    reasons.push({
      name: "random_names",
      points: 10,
      text: `${entropy.toFixed(1)} bits a character; host names that people choose have about 3`,
    });
  }
  if (questions.payloadBytes >= limits.payloadBytesMin) {
    reasons.push({
      name: "volume",
      points: 10,
      text: `about ${
        Math.round(questions.payloadBytes / 1000)
      } kB went through these questions and answers; ${limits.payloadBytesMin / 1000} kB is the threshold`,
    });
  }
  return {
    detector: "dns_tunnel",
    identity: `dns_tunnel|${questions.key}`,
    technique: "T1071.004",
    title: "DNS tunnel",
    src_ips: [questions.client],
    dst_ips: [questions.resolver],
    dst_port: questions.resolverPort,
    count: questions.asked,
    reasons,
    evidence: numberEvidence([
      ["domain", questions.domain, true],
      ["different names", names >= limits.namesMax ? `at least ${names}` : names],
      ["questions read", questions.asked],
      ["mean length of the free part", Math.round(length)],
      ["bits per character", entropy.toFixed(2)],
      [
        "record types",
        [...questions.types].sort((a, b) => b[1] - a[1]).slice(0, 5).map(([type]) => type).join(", "),
      ],
      ["longest name seen", questions.example, true],
      ["characters answered", questions.answerCharacters],
      ["octets in questions and answers", Math.round(questions.payloadBytes)],
      ["duration in seconds", Math.round(questions.lastS - questions.firstS)],
    ]),
    ...episodeParts(questions),
  };
}
