/** The ranges of private addresses, for those who compare octets.
 *
 * Invariant: holds exactly the addresses that `isPrivate` of shared/ip.ts calls private; a test compares the two.
 * @module */

import { parseIp } from "../../shared/ip.ts";
import type { Network } from "./network.ts";

const ipv4 = [
  ["0.0.0.0", "0.255.255.255"],
  ["10.0.0.0", "10.255.255.255"],
  ["100.64.0.0", "100.127.255.255"],
  ["127.0.0.0", "127.255.255.255"],
  ["169.254.0.0", "169.254.255.255"],
  ["172.16.0.0", "172.31.255.255"],
  ["192.168.0.0", "192.168.255.255"],
  ["224.0.0.0", "255.255.255.255"],
] as const;

/** First and last of each; IPv4 addresses that are written as IPv6 lie between the first two of IPv6. */
export const insideRanges: readonly Network[] = [
  ...ipv4,
  ...ipv4.map((ends) => ends.map((end) => `::ffff:${end}`)),
  ["::", "::fffe:ffff:ffff"],
  ["::1:0:0:0", "ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["fe80::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
].map(([first, last]) => ({ low: parseIp(first)!, high: parseIp(last)!, isOne: false }));
