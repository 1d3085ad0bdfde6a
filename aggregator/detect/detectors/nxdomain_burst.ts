/** NXDOMAIN burst: a host asks for many domains that do not exist,
 * as malware does that computes its master's name anew each day.
 *
 * In: DNS answers in facts. Out: one finding for each asking host.
 * Invariant: counted by registered domain:
 * a mistyped search suffix or a block list fails below one domain, however often.
 * Source of the idea: Antonakakis et al., "From Throw-Away Traffic to Bots" (2012):
 * bots fail on hundreds of domains, hosts on few. @module */

import { detector } from "../detector.ts";
import { field, firstOf, growingPoints, hostile, reason } from "../finding.ts";
import { stopHost } from "../signs/advice.ts";
import { Distinct } from "../signs/distinct.ts";
import { entropyOf } from "../signs/statistics.ts";

const domainsMax = 4_096;

export const nxdomainBurst = detector({
  name: "nxdomain_burst",
  technique: "T1568.002",
  title: "Many domains that do not exist",
  about: "One host asks for many computed domain names that do not exist.",
  needs: ["dns"],
  limits: {
    domainsMin: {
      value: 50,
      unit: "domains",
      why: "a browser that probes for redirecting resolvers asks for three at its start",
    },
    failedShareMin: { value: 0.5, unit: "share", why: "a crawler of dead links stays below" },
    entropyMin: {
      value: 2.8,
      unit: "bits/character",
      why: "words have about 2.7, computed names above 3",
    },
  },
  window: {
    quietS: { value: 900, unit: "s", why: "malware that found no master waits before it tries again" },
    ageS: { value: 3_600, unit: "s", why: "mistyped names of a day do not add up" },
  },
  keysMax: 10_000,
  items: ({ dns }) => dns === null ? [] : dns.questions.filter(({ rcode }) => rcode !== undefined),
  key: ({ dns }) => dns!.client,
  open: ({ dns, src, dst }) => ({
    client: dns!.client === src.ip ? src : dst,
    resolvers: new Distinct<string>(256),
    failed: new Distinct<string>(domainsMax),
    existing: new Distinct<string>(domainsMax),
    answers: 0,
    entropy: 0,
  }),
  step(host, { dns }, _limits, { rcode, domain }) {
    host.resolvers.add(dns!.resolver);
    if (rcode === "NOERROR") host.existing.add(domain);
    if (rcode !== "NXDOMAIN") return;
    host.answers++;
    if (host.failed.add(domain)) host.entropy += entropyOf(domain.split(".")[0]);
  },
  isThreat(host, { domainsMin, failedShareMin, entropyMin }) {
    const failed = host.failed.size;
    return failed >= domainsMin && failed >= failedShareMin * (failed + host.existing.size) &&
      host.entropy / failed >= entropyMin;
  },
  finding(host, { domainsMin }) {
    const count = host.failed.size;
    const bits = host.entropy / count;
    const evidence = {
      missing: field("domains that do not exist", host.failed.count),
      existing: field("domains that exist", host.existing.size),
      bits: field("bits per character", bits.toFixed(1)),
      examples: hostile("examples", [...host.failed].slice(0, 3).join(", ")),
      found: hostile("domains found", firstOf(host.existing, 5).join(", ") || "none"),
      duration: field("duration in seconds", Math.round(host.lastS - host.firstS)),
    };
    return {
      src_ips: [host.client.ip],
      dst_ips: [...host.resolvers].slice(0, 10),
      dst_port: 53,
      count: host.answers,
      summary:
        `${host.client.ip} asked for ${evidence.missing} different domains that do not exist, such as ${evidence.examples}.`,
      reasons: [
        reason(
          "missing_domains",
          growingPoints(count, domainsMin, { base: 35, perTenfold: 15, max: 55 }),
          `${evidence.missing} different domains do not exist; ordinary hosts ask for fewer than ${domainsMin}`,
        ),
        reason(
          "random_domains",
          bits >= 3 ? 15 : 5,
          `${evidence.bits} bits a character; domains made of words have about 2.7`,
        ),
      ],
      evidence,
    };
  },
  meaning:
    "Malware that computes the name of its control server from the date asks for many random names until one of them exists.",
  action: ({ found }, _finding, { client }) =>
    `Treat ${client.ip} as infected until shown otherwise: ${stopHost(client)}, and scan it. ${
      found.value === "none"
        ? "None of the domains it asked for existed."
        : `Look at the domains that did exist among those it asked for: ${found}.`
    }`,
  falseAlarm:
    "Security scanners, mail servers that check senders and crawlers of old links also ask for domains that are gone.",
});
