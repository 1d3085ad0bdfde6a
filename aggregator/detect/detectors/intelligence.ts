/** Intelligence: a host is in contact with an address, name or URL on one of the operator's lists,
 * or has a listed TLS fingerprint.
 *
 * In: both ends of each flow, DNS questions, server names, HTTP requests, fingerprints; the lists, handed in. Out: one
 * finding for each host and indicator;
 * the calls of a listed stranger that nobody answered are one finding, whatever hosts they were meant for.
 * Invariant: a list's note is shown as evidence from outside and never within our own sentences. A host that answers
 * DNS questions of others is not accused for a question alone: it may pass on what others asked.
 * Severity: high when the listed end answered; medium when it was asked for or called in vain, when a listed stranger
 * was let in, and for a fingerprint, which honest programs may share; a scan is info. @module */

import { type Declaration, detector } from "../detector.ts";
import type { Episode } from "../episodes.ts";
import { field, hostile, reason } from "../finding.ts";
import { findOut } from "../signs/advice.ts";
import type { Address } from "../signs/address.ts";
import { Distinct } from "../signs/distinct.ts";
import { type Indicators, type Listed, listedIn, type ListedKind, type ListedWay } from "../signs/listed.ts";

const peersMax = 256;

/** From the least to the gravest, with points. */
const ways: readonly [ListedWay, number][] = [
  ["probed", 10],
  ["asked", 45],
  ["called", 45],
  ["let_in", 45],
  ["resolved", 70],
  ["talked", 75],
];
const fingerprintPointsMax = 45;

interface Matches {
  kind: ListedKind;
  value: string;
  list: string;
  note: string;
  isScan: boolean;
  host: Address;
  /** The other ends; of a scan those that were called. */
  peers: Distinct<string>;
  /** Null = several. */
  port: number | null;
  /** The gravest so far, as an index of {@link ways}. */
  way: number;
  isDnsOnly: boolean;
}

/** The detector over `lists`; null = none are given, and it finds nothing. */
export function intelligence(lists: Indicators | null): Declaration {
  return detector({
    name: "intelligence",
    technique: "T1071",
    title: "Threat-intelligence match",
    about: "A host is in contact with an address, domain or URL on a list, or has a listed TLS fingerprint.",
    lacks: () => lists !== null && lists.entries > 0 ? null : "intelligence lists",
    limits: {
      flowsMin: { value: 1, unit: "flows", why: "who keeps a list wants to know of each match" },
    },
    window: {
      quietS: { value: 86_400, unit: "s", why: "implants may call once a day" },
      ageS: { value: 7 * 86_400, unit: "s", why: "a match is one however old" },
    },
    items: (update): Listed[] => lists === null ? [] : listedIn(update, lists),
    key: (_update, _limits, { kind, value, way, host }) =>
      way === "probed" ? `scan|${kind}|${value}` : `${host.ip}|${kind}|${value}`,
    open: ({ segment: { dst_port } }, { kind, value, way, host, listing }): Matches => ({
      kind,
      value,
      ...listing,
      isScan: way === "probed",
      host,
      peers: new Distinct<string>(peersMax),
      port: dst_port,
      way: 0,
      isDnsOnly: true,
    }),
    step(matches, { segment: { dst_port } }, _limits, { way, host, peer }) {
      matches.way = Math.max(matches.way, ways.findIndex(([name]) => name === way));
      const isQuestion = way === "asked" || way === "resolved";
      if (isQuestion && !matches.isDnsOnly) return;
      if (!isQuestion && matches.isDnsOnly) {
        // Who was called matters more than who was asked for the way.
        Object.assign(matches, { isDnsOnly: false, peers: new Distinct<string>(peersMax), port: dst_port });
      }
      matches.peers.add(matches.isScan ? host.ip : peer.ip);
      if (dst_port !== matches.port) matches.port = null;
    },
    isThreat: ({ isDnsOnly, host }, { flowsMin }, { flows }) =>
      flows >= flowsMin && !(isDnsOnly && host.isResolver),
    finding: findingOf,
    meaning: ({ list }, _finding, { way, kind }) =>
      `Somebody put this on the list ${list} after meeting it in an attack. Here, ${
        cameTo(ways[way][0], kind)
      }.`,
    action: ({ indicator }, _finding, matches) => actionOf(matches, `${indicator}`),
    falseAlarm:
      "Lists grow old: an address has a new owner, a site was cleaned, a content network serves others too. See what the list says about it, and when that was written.",
  });
}

function findingOf(matches: Matches & Episode) {
  const { kind, value, list, note, isScan, host, peers, flows } = matches;
  const [way, points] = ways[matches.way];
  const evidence = {
    indicator: kind === "domain" || kind === "URL" ? hostile("indicator", value) : field("indicator", value),
    kind: field("kind", kind),
    list: field("list", list),
    note: note === "" ? field("what the list says", "nothing") : hostile("what the list says", note),
    flows: field("flows", flows),
    peers: field(isScan ? "hosts called" : "other ends", peers.count),
  };
  const outside = kind === "address" ? [value] : peers;
  return {
    ...isScan ? { technique: "T1595" } : {},
    src_ips: isScan || way === "let_in" ? outside : [host.ip],
    dst_ips: isScan ? peers : way === "let_in" ? [host.ip] : outside,
    dst_port: matches.port,
    count: flows,
    summary: `${
      sentence(way, host.ip, kind, `the ${kind} ${evidence.indicator}`)
    }, in ${flows} flow(s); it is on the list ${list}.`,
    reasons: [
      reason(
        `listed_${way}`,
        isFingerprint(kind) ? Math.min(points, fingerprintPointsMax) : points,
        `the ${kind} ${evidence.indicator} is on the list ${list}; ${cameTo(way, kind)}`,
      ),
    ],
    evidence,
  };
}

const outcomes: Readonly<Record<ListedWay, string>> = {
  probed: "it called and got no useful answer; everything on the Internet is called like this",
  asked: "a host asked for it and got no address, so nothing was exchanged yet",
  called: "a host called it and got no answer, as malware does once its server is gone",
  let_in: "it called and was answered",
  resolved: "a host asked for it and got an answer, which is the step before a call",
  talked: "a host called it and was answered",
};

function cameTo(way: ListedWay, kind: ListedKind): string {
  return isFingerprint(kind) ? "it tells a kind of program, which honest ones may share" : outcomes[way];
}

function isFingerprint(kind: ListedKind): boolean {
  return kind === "JA3 fingerprint" || kind === "JA4 fingerprint";
}

function actionOf({ kind, isScan, way, host }: Matches, indicator: string): string {
  if (isScan) return "Nothing was given away. Block the address at the firewall if it keeps coming.";
  if (ways[way][0] === "let_in") {
    return `Block the other end at the firewall, and look at what ${host.ip} answered it.`;
  }
  const what = isFingerprint(kind) ? "has this fingerprint" : `asks for or calls ${indicator}`;
  const first = host.isPrivate
    ? findOut(host, what)
    : `Find out whether ${host.ip} is yours, and which program on it ${what}.`;
  return isFingerprint(kind) ? first : `${first} Block ${indicator} at the firewall, proxy or resolver.`;
}

function sentence(way: ListedWay, host: string, kind: ListedKind, what: string): string {
  if (isFingerprint(kind)) {
    return way === "let_in" ? `A client with ${what} called ${host}` : `${host} called out with ${what}`;
  }
  switch (way) {
    case "probed":
      return `${what.replace("the", "The")} called and got no useful answer`;
    case "let_in":
      return `${host} answered ${what}`;
    case "asked":
      return `${host} asked DNS for ${what} and got no address`;
    case "resolved":
      return `${host} asked DNS for ${what} and got an answer`;
    case "called":
      return `${host} called ${what} and got no answer`;
    case "talked":
      return `${host} called ${what} and was answered`;
  }
}
