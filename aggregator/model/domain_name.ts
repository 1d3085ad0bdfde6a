/** Splits DNS names into the part somebody registered and the part they chose freely.
 *
 * In: a name from the wire. Out: {@link DomainName}, lower-case. What counts as registered is decided by the Public
 * Suffix List (publicsuffix.org, by `tldts`): a third label under "co.uk", a second under "net". Its private part is
 * left out: "d111.cloudfront.net" is one of a provider's own names, and its label was computed by the provider.
 * Invariant: at most `namesMax` names are remembered, the half asked for longest ago is evicted first.
 * Why remembered: a network asks for the same few thousand names all day,
 * and detectors and sums use their parts as keys. @module */

import { parse } from "tldts";
import { Halves } from "./halves.ts";

export interface DomainName {
  /** The registered domain ("example.co.uk"). */
  readonly domain: string;
  /** What stands before it ("a.b"), "" for none. */
  readonly subdomain: string;
  /** It carries an address or a service in its labels by design: reverse lookups, service discovery, local names. */
  readonly isStructural: boolean;
  /** Its free part is an address turned round, as questions to a block list are: "4.3.2.1.zen.example". */
  readonly isReversedAddress: boolean;
}

const namesMax = 16_384;
const names = new Halves<string, DomainName>(namesMax);

/** The parts of a name. A name whose end can be no top-level domain was never registered: tools that talk to their own
 * server put a tag in front ("dnscat.<data>"), which then stands for the domain. */
export function readDomainName(name: string): DomainName {
  return names.get(name, split);
}

function split(text: string): DomainName {
  const name = text.toLowerCase().replace(/\.+$/, "");
  const { domain, subdomain } = partsOf(name);
  return {
    domain,
    subdomain,
    isStructural: isStructural(name),
    isReversedAddress: /^(\d{1,3}\.){3}\d{1,3}(\.|$)/.test(subdomain) ||
      /^([0-9a-f]\.){16,32}/.test(`${subdomain}.`),
  };
}

const options = { extractHostname: false, validateHostname: false, detectIp: false };

function partsOf(name: string): { domain: string; subdomain: string } {
  const labels = name.split(".");
  if (labels.length > 1 && !/^([a-z]{2,24}|xn--[a-z0-9-]{1,59})$/.test(labels[labels.length - 1])) {
    return { domain: labels[0], subdomain: labels.slice(1).join(".") };
  }
  const { domain, subdomain } = parse(name, options);
  // A suffix alone belongs to its registry.
  return domain === null ? { domain: name, subdomain: "" } : { domain, subdomain: subdomain ?? "" };
}

function isStructural(name: string): boolean {
  return /(^|\.)(in-addr|ip6)\.arpa$/.test(name) ||
    /\.(local|localdomain|lan|home|internal)$/.test(name) ||
    /(^|\.)_(tcp|udp|msdcs|sites|dns-sd|domainkey)\./.test(name);
}
