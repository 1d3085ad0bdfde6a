/** Names of IP protocols: lower-case IANA keywords, with "icmp6" for 58 as tcpdump and PF say.
 *
 * Out: number to name and back; "proto-N" for a number without a name here. "arp" stands beside them for the one
 * protocol in flows that is not IP. @module */

const names: Record<number, string> = {
  0: "hopopt",
  1: "icmp",
  2: "igmp",
  4: "ipip",
  6: "tcp",
  8: "egp",
  9: "igp",
  17: "udp",
  27: "rdp",
  33: "dccp",
  41: "ipv6",
  43: "ipv6-route",
  44: "ipv6-frag",
  46: "rsvp",
  47: "gre",
  50: "esp",
  51: "ah",
  58: "icmp6",
  59: "ipv6-nonxt",
  60: "ipv6-opts",
  88: "eigrp",
  89: "ospf",
  94: "ipip-94",
  97: "etherip",
  103: "pim",
  108: "ipcomp",
  112: "vrrp",
  115: "l2tp",
  132: "sctp",
  136: "udplite",
  137: "mpls-in-ip",
};
const numbers = new Map(Object.entries(names).map(([number, name]) => [name, Number(number)]));

/** Outside 0..255, so that it can share a table with IP protocol numbers. */
export const arpProtocol = 256;

/** Name of an IP protocol number, or "arp" for {@link arpProtocol}. */
export function protocolName(number: number): string {
  return number === arpProtocol ? "arp" : names[number] ?? `proto-${number}`;
}

/** Number of a name made by {@link protocolName}; -1 when it is none. */
export function protocolNumber(name: string): number {
  if (name === "arp") return arpProtocol;
  const known = numbers.get(name);
  if (known !== undefined) return known;
  const match = /^proto-([0-9]{1,3})$/.exec(name);
  return match && Number(match[1]) < 256 ? Number(match[1]) : -1;
}
