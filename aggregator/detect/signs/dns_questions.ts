/** DNS questions of one update, with client and resolver the right way round and names taken apart.
 *
 * In: a segment. Out: {@link DnsQuestions}, or null when it carries no DNS.
 * Invariant: mDNS and LLMNR are not DNS here: nobody registers their names. A capture that begins with the answer has
 * the resolver as initiator and is turned. @module */

import { type DnsFact, dnsMessages } from "../../../shared/facts.ts";
import type { Segment } from "../../../shared/segment.ts";
import { readDomainName } from "../../model/domain_name.ts";

/** A question for a name that somebody registered, and its answer when there was one. */
export interface DnsQuestion extends DnsFact {
  /** The registered domain ("example.co.uk"). */
  domain: string;
  /** What stands before it ("a.b"), "" for none. */
  subdomain: string;
  /** The subdomain is an address turned round, as questions to a block list are. */
  isReversedAddress: boolean;
}

export interface DnsQuestions {
  client: string;
  resolver: string;
  resolverPort: number;
  /** Queries and responses in the segment, those left out of `questions` included. */
  messages: number;
  /** Without empty names, reverse lookups, service discovery and local names. */
  questions: readonly DnsQuestion[];
}

export function readDnsQuestions(segment: Segment, srcIp: string, dstIp: string): DnsQuestions | null {
  const entries = segment.facts?.dns;
  if (!entries || segment.app_protocol === "mdns" || segment.app_protocol === "llmnr") return null;
  const questions: DnsQuestion[] = [];
  for (const entry of entries) {
    if (entry.name === "") continue;
    const { domain, subdomain, isReversedAddress, isStructural } = readDomainName(entry.name);
    if (!isStructural) questions.push({ ...entry, domain, subdomain, isReversedAddress });
  }
  const isTurned = segment.src_port === 53 && segment.dst_port !== 53;
  return {
    client: isTurned ? dstIp : srcIp,
    resolver: isTurned ? srcIp : dstIp,
    resolverPort: isTurned ? segment.src_port : segment.dst_port,
    messages: dnsMessages(entries).length,
    questions,
  };
}
