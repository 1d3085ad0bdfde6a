/** DNS tunnel: data hidden in the names of DNS questions, and in the answers.
 *
 * In: DNS facts of flows to a resolver. Out: one finding for each client and registered domain.
 * Invariant: reverse lookups, service discovery, block lists and virus scanners' lookups are not counted; repeated
 * names (content networks) carry nothing.
 * ATT&CK also T1572, Protocol Tunneling.
 * Sources: Born and Gustafson, "Detecting DNS Tunnels Using Character Frequency Analysis" (2010); the SANS paper of
 * Farnham, "Detecting DNS Tunneling" (2013):
 * names longer than 52 characters, many different names a domain, record types TXT, NULL, KEY. @module */

import type { DnsFact } from "../../../shared/facts.ts";
import type { Reason } from "../../model/threat.ts";
import { detector, type LimitValues } from "../detector.ts";
import { field, growingPoints, hostile, percentOf, reason } from "../finding.ts";
import { Distinct } from "../signs/distinct.ts";
import type { Address } from "../signs/address.ts";
import { entropyOf } from "../signs/statistics.ts";

const namesMax = 2_048;

const limitsTable = {
  namesMin: {
    value: 20,
    unit: "names",
    why: "below one domain ordinary clients ask for a handful, content networks for a few dozen",
  },
  freshShareMin: {
    value: 0.5,
    unit: "share",
    why: "questions never asked before: a tunnel never repeats itself, or a cache would answer",
  },
  lengthMin: {
    value: 35,
    unit: "characters",
    why: "before the registered domain; Farnham warns above 52 for the whole name",
  },
  lengthOddMin: { value: 10, unit: "characters", why: "with odd record types; dnscat2 polls with 18" },
  oddShareMin: { value: 0.5, unit: "share", why: "odd record types are the rule" },
  entropyMin: {
    value: 3.5,
    unit: "bits/character",
    why: "English host names have about 3, encoded data about 4 and more",
  },
  payloadBytesMin: { value: 100_000, unit: "octets", why: "thousands of ordinary questions" },
  carrierFactor: {
    value: 50,
    unit: "times the names",
    why: "for zones whose names are long or carry hashes for honest work",
    range: [1, 100_000],
  },
} as const;

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

/** Zones whose names are long or carry hashes for honest work: virus scanners, reputation and mail checks, and hosters
 * who name each machine. Nobody but their owner answers for them through a resolver; since a client may also speak to a
 * server of its own, they need `carrierFactor` times the names and are not left out. */
const honestCarriers = new Set(
  ("mcafee.com sophosxl.net sophosxl.com cymru.com e5.sk eset.com trendmicro.com kaspersky.com kaspersky-labs.com bitdefender.net " +
    "spamhaus.org spamhaus.net spamcop.net surbl.org uribl.com barracudacentral.org sorbs.net senderbase.org dnswl.org abuseat.org " +
    "amazonaws.com cloudfront.net akamai.net akamaiedge.net akamaihd.net akadns.net edgekey.net edgesuite.net fastly.net " +
    "trafficmanager.net azure.com azurewebsites.net windows.net googlevideo.com googleusercontent.com googlesyndication.com gvt1.com " +
    "fbcdn.net apple-dns.net aaplimg.com icloud.com").split(" "),
);

interface Questions {
  client: Address;
  resolver: Address;
  resolverPort: number;
  domain: string;
  names: Distinct<string>;
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

export const dnsTunnel = detector({
  name: "dns_tunnel",
  technique: "T1071.004",
  title: "DNS tunnel",
  about: "One host asks for many long or odd names below one domain, which carry hidden data.",
  needs: ["dns"],
  limits: limitsTable,
  window: {
    quietS: { value: 900, unit: "s", why: "tunnels poll far more often" },
    ageS: { value: 3_600, unit: "s", why: "new names of a day do not add up" },
  },
  items: ({ dns, segment }) =>
    dns === null || segment.fwd_packets + segment.bwd_packets === 0
      ? []
      : dns.questions.filter(({ subdomain, isReversedAddress }) => subdomain !== "" && !isReversedAddress),
  key: ({ dns }, _limits, { domain }) => `${dns!.client}|${domain}`,
  open: ({ dns, src, dst }, { domain }): Questions => ({
    client: dns!.client === src.ip ? src : dst,
    resolver: dst,
    resolverPort: 53,
    domain,
    names: new Distinct(namesMax),
    asked: 0,
    odd: 0,
    characters: 0,
    entropy: 0,
    answerCharacters: 0,
    types: new Map(),
    example: "",
    payloadBytes: 0,
  }),
  step(questions, { dns, src, dst, segment }, _limits, question) {
    questions.resolver = dns!.resolver === src.ip ? src : dst;
    questions.resolverPort = dns!.resolverPort;
    const messageBytes = (segment.fwd_payload_bytes + segment.bwd_payload_bytes) / dns!.messages;
    questions.payloadBytes += messageBytes * (question.rcode !== undefined && !question.unasked ? 2 : 1);
    addQuestion(questions, question, question.subdomain);
  },
  isThreat(questions, limits) {
    const { names, length, oddShare, freshShare } = measure(questions);
    const namesMin = limits.namesMin * (honestCarriers.has(questions.domain) ? limits.carrierFactor : 1);
    if (names < namesMin || freshShare < limits.freshShareMin) return false;
    return length >= (oddShare >= limits.oddShareMin ? limits.lengthOddMin : limits.lengthMin);
  },
  finding(questions, limits) {
    const { length, entropy } = measure(questions);
    const evidence = {
      domain: hostile("domain", questions.domain),
      names: field("different names", questions.names.count),
      asked: field("questions read", questions.asked),
      length: field("mean length of the free part", Math.round(length)),
      bits: field("bits per character", entropy.toFixed(1)),
      types: field(
        "record types",
        [...questions.types].sort((a, b) => b[1] - a[1]).slice(0, 5).map(([type]) => type).join(", "),
      ),
      longest: hostile("longest name seen", questions.example),
      answered: field("characters answered", questions.answerCharacters),
      octets: field("octets in questions and answers", Math.round(questions.payloadBytes)),
      duration: field("duration in seconds", Math.round(questions.lastS - questions.firstS)),
    };
    return {
      src_ips: [questions.client.ip],
      dst_ips: [questions.resolver.ip],
      dst_port: questions.resolverPort,
      count: questions.asked,
      summary:
        `${questions.client.ip} asked for ${evidence.names} different names below ${evidence.domain}, on average ${evidence.length} characters long before the domain.`,
      reasons: reasonsFor(questions, limits),
      evidence,
    };
  },
  meaning:
    "Names that long, random and never repeated carry hidden data: this is how programs smuggle data or commands past a firewall that lets DNS through.",
  action: ({ domain }, _finding, { client, resolver }) =>
    `${
      resolver.isPrivate
        ? `Block ${domain} at your resolver ${resolver.ip}`
        : `${client.ip} asks the foreign server ${resolver.ip} directly: let clients ask only your own resolver, and block ${domain} there`
    }. Then find the program on ${client.ip} that asks, and what data it could reach.`,
  falseAlarm:
    "Some virus scanners, mail filters and tracking services put hashes into names; then the domain belongs to such a vendor and many of your machines ask it.",
});

/** Counts a question once; one whose query was not seen, by its first response. */
function addQuestion(questions: Questions, entry: DnsFact, subdomain: string): void {
  const { type, rcode, answers, unasked } = entry;
  const isNew = questions.names.add(subdomain);
  if (rcode !== undefined) {
    for (const answer of answers ?? []) questions.answerCharacters += answer.length;
  }
  if (unasked && !isNew) return;
  questions.asked++;
  questions.types.set(type, (questions.types.get(type) ?? 0) + (questions.types.size < 64 ? 1 : 0));
  if (oddTypes.has(type)) questions.odd++;
  if (!isNew) return;
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
    freshShare: names >= namesMax ? 1 : names / Math.max(1, questions.asked),
  };
}

function reasonsFor(questions: Questions, limits: LimitValues<typeof limitsTable>): Reason[] {
  const { names, length, entropy, oddShare } = measure(questions);
  const { namesMin, lengthMin, oddShareMin, entropyMin, payloadBytesMin } = limits;
  const reasons = [reason(
    "different_names",
    growingPoints(names, namesMin, { base: 30, perTenfold: 15, max: 50 }),
    `${questions.names.count} different names below ${questions.domain}; ordinary clients ask for fewer than ${namesMin}`,
  )];
  if (length >= lengthMin) {
    reasons.push(reason(
      "long_names",
      length >= 52 ? 25 : 15,
      `${Math.round(length)} characters before the domain on average; ${lengthMin} is the threshold`,
    ));
  }
  if (oddShare >= oddShareMin) {
    reasons.push(reason(
      "odd_types",
      20,
      `${percentOf(oddShare)} of the questions are for record types that carry free data; ${
        100 * oddShareMin
      } % is the threshold`,
    ));
  }
  if (entropy >= entropyMin) {
    reasons.push(reason(
      "random_names",
      10,
      `${entropy.toFixed(1)} bits a character; host names that people choose have about 3`,
    ));
  }
  if (questions.payloadBytes >= payloadBytesMin) {
    reasons.push(reason(
      "volume",
      10,
      `about ${Math.round(questions.payloadBytes / 1000)} kB went through these questions and answers; ${
        payloadBytesMin / 1000
      } kB is the threshold`,
    ));
  }
  return reasons;
}
