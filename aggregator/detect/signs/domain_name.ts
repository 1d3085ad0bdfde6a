/** Kinds of DNS names that detectors tell apart; what was registered of a name is the model's business.
 *
 * In: a name from the wire. Out: registered domain and subdomain, lower-case; whether its labels carry an address or a service. @module */

export { splitDomain } from "../../model/domain_name.ts";

/** Names that carry an address or a service in their labels by design: reverse lookups, service discovery, local names. */
export function isStructuralName(name: string): boolean {
  const lower = name.toLowerCase();
  return /(^|\.)(in-addr|ip6)\.arpa\.?$/.test(lower) ||
    /\.(local|localdomain|lan|home|internal)\.?$/.test(lower) ||
    /(^|\.)_(tcp|udp|msdcs|sites|dns-sd|domainkey)\./.test(lower);
}

/** Reverse-octet questions to a block list: "4.3.2.1.zen.example". */
export function isReversedAddress(subdomain: string): boolean {
  return /^(\d{1,3}\.){3}\d{1,3}(\.|$)/.test(subdomain) || /^([0-9a-f]\.){16,32}/.test(`${subdomain}.`);
}
