/** The filter expression that dumpcap hands to the kernel.
 *
 * In: the sensor's own peers, the noise classes to drop, the operator's expression.
 * Out: one BPF expression, "" = everything.
 * Invariant: the sensor's own traffic is always excluded, and canaries never are, whatever the operator's expression
 * says; only checked addresses and ports reach the text. @module */

import { canaryGroup4, canaryGroup6, canaryPort } from "../../shared/canary.ts";
import { innerHost } from "../../shared/inner_host.ts";
import { parseIp } from "../../shared/ip.ts";
import type { NoiseClass } from "../../shared/policy.ts";
import type { NoisePolicy } from "./noise.ts";

/** Where the sensor itself sends: aggregator and brokers. `host` is an address or a name that dumpcap can resolve. */
export interface OwnPeer {
  host: string;
  port: number;
}

const classFilters: Readonly<Record<NoiseClass, string>> = {
  arp: "arp",
  mdns: "udp port 5353",
  ssdp: "udp port 1900",
  llmnr: "udp port 5355",
  netbios: "udp portrange 137-138",
  dhcp: "udp portrange 67-68 or udp portrange 546-547",
  igmp: "igmp",
  broadcast: "ether broadcast",
  loopback: "src net 127.0.0.0/8 or src host ::1",
};
const peersMax = 64;
const canaries = `udp dst port ${canaryPort} and (dst host ${canaryGroup4} or dst host ${canaryGroup6})`;

/** Composes the expression.
 *
 * @example The sensor's own way to its aggregator is left out first, the operator's words come last.
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { kernelFilter } from "./kernel_filter.ts";
 *
 * assertEquals(
 *   kernelFilter({ ownPeers: [{ host: "192.0.2.7", port: 8600 }], noise: { mdns: "drop" }, expression: "ip" }),
 *   "not (host 192.0.2.7 and tcp port 8600) and not (host 127.86.0.1) and not (udp port 5353) and " +
 *     "((udp dst port 8601 and (dst host 239.255.86.1 or dst host ff12::8601)) or (ip))",
 * );
 * ```
 * @throws {TypeError} when a host is neither an address nor a host name, {RangeError} when there are too many. */
export function kernelFilter(
  options: { ownPeers: readonly OwnPeer[]; noise?: NoisePolicy; expression?: string },
): string {
  const { ownPeers, noise = {}, expression = "" } = options;
  if (ownPeers.length > peersMax) {
    throw new RangeError(
      `Cannot compose filter as "ownPeers" must be <= ${peersMax}: current value is ${ownPeers.length}`,
    );
  }
  const unwanted = ownPeers.map(peerFilter);
  // What an aggregator on this machine takes from us, it takes in once more behind its front door.
  if (unwanted.length > 0) unwanted.push(`host ${innerHost}`);
  for (const [name, action] of Object.entries(noise)) {
    if (action === "drop") unwanted.push(classFilters[name as NoiseClass]);
  }
  const parts = unwanted.map((filter) => `not (${filter})`);
  // Last: libpcap looks for everything behind "vlan", "mpls", "pppoes" or "geneve" some octets further on,
  // be it negated or not.
  if (expression.trim() !== "") parts.push(`((${canaries}) or (${expression.trim()}))`);
  return parts.join(" and ");
}

function peerFilter({ host, port }: OwnPeer): string {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new RangeError(`Cannot compose filter as "port" must be 1 to 65535: current value is ${port}`);
  }
  const isName = /^[a-z0-9]([a-z0-9.-]{0,252}[a-z0-9])?$/i.test(host);
  if (parseIp(host) === null && !isName) {
    throw new TypeError(
      `Cannot compose filter as "host" must be an address or a host name: current value is "${host}"`,
    );
  }
  return `host ${host} and tcp port ${port}`;
}
