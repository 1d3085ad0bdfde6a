/** Computed domains: one host asks for many registered domains that look computed, whether they exist or not.
 *
 * In: DNS questions in facts. Out: one finding for each asking host.
 * Invariant: only the registered label counts, so that computed names below a domain, as content networks and trackers
 * have them, are none; and each domain counts once. A resolver asks for what others asked it for, and is none.
 * Why beside bursts of missing domains: a resolver that answers for all, a sinkhole,
 * and malware that registered its names leave no errors.
 * Source of the idea: Antonakakis et al., "From Throw-Away Traffic to Bots" (2012); Plohmann et al., "A Comprehensive
 * Measurement Study of Domain Generating Malware" (2016): most families compute labels of 8 to 20 letters or digits.
 * @module */

import { detector } from "../detector.ts";
import { field, growingPoints, hostile, percentOf, reason } from "../finding.ts";
import { stopHost } from "../signs/advice.ts";
import { Distinct } from "../signs/distinct.ts";
import { isRandom } from "../signs/odd_service.ts";

const domainsMax = 1_024;

export const dga = detector({
  name: "dga",
  technique: "T1568.002",
  title: "Computed domains",
  about: "One host asks for many registered domains that look computed, whether they exist or not.",
  needs: ["dns"],
  limits: {
    computedMin: {
      value: 10,
      unit: "domains",
      why: "of those people visit hardly any looks computed; malware tries tens to thousands a day",
    },
    computedShareMin: {
      value: 0.2,
      unit: "share",
      why: "of its questions: of ordinary domains one in fifty looks computed, and a crawler meets many",
    },
  },
  window: {
    quietS: { value: 3_600, unit: "s", why: "malware pauses between its rounds" },
    ageS: { value: 7_200, unit: "s", why: "the odd domains of a day do not add up" },
  },
  keysMax: 10_000,
  items: ({ dns }) => dns === null ? [] : dns.questions,
  key: ({ dns }) => dns!.client,
  // Most hosts never ask for a computed name, and nothing is kept of them.
  opens: (_update, _limits, { domain }) => isComputed(domain),
  open: ({ dns, src, dst }) => ({
    client: dns!.client === src.ip ? src : dst,
    resolvers: new Distinct<string>(64),
    computed: new Distinct<string>(domainsMax),
    existing: new Distinct<string>(domainsMax),
    questions: 0,
    computedQuestions: 0,
  }),
  step(host, { dns }, _limits, { domain, rcode }) {
    host.questions++;
    if (!isComputed(domain)) return;
    host.computedQuestions++;
    host.resolvers.add(dns!.resolver);
    host.computed.add(domain);
    if (rcode === "NOERROR") host.existing.add(domain);
  },
  isThreat: ({ computed, questions, computedQuestions, client }, { computedMin, computedShareMin }) =>
    computed.size >= computedMin && computedQuestions >= computedShareMin * questions && !client.isResolver,
  finding(host, { computedMin }) {
    const evidence = {
      computed: field("domains that look computed", host.computed.count),
      existing: field("of them that exist", host.existing.count),
      share: field("share of its questions", percentOf(host.computedQuestions, host.questions)),
      examples: hostile("examples", [...host.computed].slice(0, 3).join(", ")),
      found: hostile("computed domains that exist", [...host.existing].slice(0, 5).join(", ") || "none"),
      duration: field("duration in seconds", Math.round(host.lastS - host.firstS)),
    };
    return {
      src_ips: [host.client.ip],
      dst_ips: host.resolvers,
      dst_port: 53,
      count: host.computed.size,
      summary:
        `${host.client.ip} asked for ${evidence.computed} domains that look computed, such as ${evidence.examples}; ${evidence.existing} of them exist.`,
      reasons: [reason(
        "computed_domains",
        growingPoints(host.computed.size, computedMin, { base: 45, perTenfold: 20, max: 70 }),
        `${evidence.computed} registered domains without words in them; ${computedMin} are the threshold, and they are ${evidence.share} of its questions`,
      )],
      evidence,
    };
  },
  meaning:
    "Malware computes the names of its control servers, so that nobody can shut them all down. It asks for one after another until one answers.",
  action: ({ found }, _finding, { client }) =>
    `Treat ${client.ip} as infected until shown otherwise: ${stopHost(client)}, and scan it. ${
      found.value === "none"
        ? "None of the computed domains existed."
        : `Look for what it said to those that exist: ${found}.`
    }`,
  falseAlarm:
    "Researchers, spam filters and link checkers ask for such domains too, from a few known machines.",
});

function isComputed(domain: string): boolean {
  return isRandom(domain.slice(0, domain.indexOf(".")));
}
