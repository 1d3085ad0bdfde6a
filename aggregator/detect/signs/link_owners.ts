/** Who sent packets whose source address is forged: the machine whose hardware address they carry.
 *
 * In: ARP flows, each of which tells an address of a machine; the source and hardware address of an attempt.
 * Out: the addresses of the machine that made it, where the source is none of them.
 * Invariant: at most `macsMax` hardware addresses in each of `networksMax` networks are remembered, with `addressesMax`
 * addresses each. A source of another network comes through a router, and is nobody's on the link.
 * Why: decoys (nmap -D) and idle scans (nmap -sI) put the blame on others; the link tells who it was.
 * @module */

import type { Reason } from "../../model/threat.ts";
import { Halves } from "../../model/halves.ts";
import { reason } from "../finding.ts";
import type { PreparedUpdate } from "../prepared.ts";
import { isNear } from "./address.ts";

const networksMax = 64, macsMax = 4_096, addressesMax = 16;
/** An address told this long before the attempt, or after it, may have gone to another machine. */
const staleS = 3_600;

export class LinkOwners {
  readonly #networks = new Halves<string, Halves<string, Map<string, number>>>(networksMax);

  /** Learns from what machines say by ARP. */
  learn({ network, segment: { protocol, src_mac, src_ip, end } }: PreparedUpdate): void {
    if (protocol !== "arp" || src_mac === "" || src_ip === "0.0.0.0") return;
    const addresses = this.#of(network, src_mac);
    if (addresses.size < addressesMax || addresses.has(src_ip)) addresses.set(src_ip, end);
  }

  /** Addresses of the machine that sent packets from `source` until `atS`; empty = its own, or nobody knows. */
  forgersOf(network: string, source: string, mac: string, atS: number): string[] {
    if (mac === "") return [];
    const addresses = this.#of(network, mac);
    if (addresses.has(source)) return [];
    return [...addresses].filter(([ip, toldS]) => Math.abs(atS - toldS) <= staleS && isNear(ip, source))
      .map(([ip]) => ip);
  }

  #of(network: string, mac: string): Map<string, number> {
    return this.#networks.get(network, makeMacs).get(mac, makeAddresses);
  }
}

const makeMacs = () => new Halves<string, Map<string, number>>(macsMax);
const makeAddresses = () => new Map<string, number>();

export function forgedSource(source: string, mac: string, owner: string): Reason {
  return reason(
    "forged_source",
    10,
    `the packets carry the hardware address ${mac}, which ${owner} has by ARP and ${source} has not`,
  );
}
