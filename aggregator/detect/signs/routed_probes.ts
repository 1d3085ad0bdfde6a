/** Attempts and pings by the hardware address that put them on the wire: a router's, where they come from elsewhere.
 *
 * In: updates that begin an attempt or a ping. Out: the sources behind one hardware address that tried several hosts
 * of a network within a time.
 * Invariant: at most `probesMax` probes of `macsMax` hardware addresses are remembered, the latest ones. Adding one
 * makes nothing but the room that the first ones of a hardware address need.
 * Why: a router drops what arrives for an absent address, and asks for it instead. All that is seen of a sweep from
 * elsewhere is these questions, and the packets to the few hosts that are there. @module */

import { Halves } from "../../model/halves.ts";
import type { PreparedUpdate } from "../prepared.ts";

const networksMax = 64, macsMax = 1_024, probesMax = 256, sourcesMax = 10;
/** Probes that many hosts answer come a little before or after the questions for the others. */
const aroundS = 5;
/** A single host tried tells of a sweep only when nobody else tried anything in so short a time. */
const aloneS = 60;

interface Probe {
  source: string;
  host: string;
  atS: number;
  protocol: string;
  port: number;
}

/** What one hardware address put on the wire. */
interface Passed {
  probes: Probe[];
  /** Which of them is written over next, when there is no room. */
  oldest: number;
}

/** Who sent the packets that made a router ask. */
export interface Origins {
  sources: string[];
  /** Hosts that are there, and were tried. */
  hosts: string[];
  /** As "TCP 443"; "ping". */
  kinds: string[];
  /** The one port; null when several or none. */
  port: number | null;
}

export class RoutedProbes {
  readonly #networks = new Halves<string, Halves<string, Passed>>(networksMax);
  #network = "";
  #mac = "";
  #passed: Passed = makePassed();

  add({ network, protocol, segment: { src_mac, src_ip, dst_ip, dst_port, start } }: PreparedUpdate): void {
    if (src_mac !== this.#mac || network !== this.#network) {
      this.#passed = this.#of(network, src_mac);
      this.#mac = src_mac;
      this.#network = network;
    }
    const { probes } = this.#passed, port = protocol.startsWith("icmp") ? -1 : dst_port;
    if (probes.length < probesMax) {
      probes.push({ source: src_ip, host: dst_ip, atS: start, protocol, port });
      return;
    }
    const probe = probes[this.#passed.oldest];
    this.#passed.oldest = (this.#passed.oldest + 1) % probesMax;
    probe.source = src_ip;
    probe.host = dst_ip;
    probe.atS = start;
    probe.protocol = protocol;
    probe.port = port;
  }

  /** Whose packets `mac` passed on to hosts for which `isMeant`, while it asked;
   * null = nobody's that stands out, or its own. */
  originsOf(
    { network, mac, asker, firstS, lastS, isMeant }: {
      network: string;
      mac: string;
      asker: string;
      firstS: number;
      lastS: number;
      isMeant: (host: string) => boolean;
    },
  ): Origins | null {
    if (mac === "") return null;
    const meant = this.#of(network, mac).probes.filter(({ atS, host }) =>
      atS >= firstS - aroundS && atS <= lastS + aroundS && isMeant(host)
    );
    const hostsOf = new Map<string, Set<string>>();
    for (const { source, host } of meant) {
      const hosts = hostsOf.get(source);
      if (hosts === undefined) hostsOf.set(source, new Set([host]));
      else hosts.add(host);
    }
    const most = [...hostsOf.values()].reduce((max, { size }) => Math.max(max, size), 0);
    if ((hostsOf.get(asker)?.size ?? 0) === most) return null;
    if (most < 2 && (hostsOf.size > 1 || lastS - firstS > aloneS)) return null;
    const sources = [...hostsOf].filter(([source, { size }]) => source !== asker && 2 * size >= most)
      .map(([source]) => source);
    if (sources.length > sourcesMax) return null;
    const theirs = meant.filter(({ source }) => sources.includes(source));
    const kinds = new Set(
      theirs.map(({ protocol, port }) => port < 0 ? "ping" : `${protocol.toUpperCase()} ${port}`),
    );
    return {
      sources,
      hosts: [...new Set(theirs.map(({ host }) => host))],
      kinds: [...kinds],
      port: kinds.size === 1 && theirs[0].port >= 0 ? theirs[0].port : null,
    };
  }

  #of(network: string, mac: string): Passed {
    return this.#networks.get(network, makeMacs).get(mac, makePassed);
  }
}

const makeMacs = () => new Halves<string, Passed>(macsMax);
const makePassed = (): Passed => ({ probes: [], oldest: 0 });
