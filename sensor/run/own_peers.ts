/** Addresses of the sensor's own peers, so that its own traffic is left out.
 *
 * In: hosts and ports of aggregator and brokers.
 * Out: the same with addresses in place of names, again whenever they change.
 * Bounds: {@link peersMax} addresses;
 * one that a name no longer has is kept until newer ones need its place, since connections outlive it.
 * Why here: dumpcap resolves names itself, but refuses to start when it cannot;
 * a sensor must start without a name server. @module */

import { lookup } from "node:dns/promises";
import { parseIp } from "../../shared/ip.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";

export interface Peer {
  host: string;
  port: number;
}

export interface OwnPeersDeps {
  clock: Clock;
  reporter: Reporter;
  lookupAll?: (host: string) => Promise<string[]>;
}

const lookupTimeoutMs = 2_000;
/** Bounds the filter expression. */
const peersMax = 32;
/** How often names are looked up again, and sooner while one has no address. */
const refreshMs = 60_000;
const retryMsMin = 2_000;

export class OwnPeers {
  #named: () => readonly Peer[];
  #deps: OwnPeersDeps;
  #known: Peer[] = [];
  #isWhole = false;
  #stopping = new AbortController();
  #running: Promise<void> | null = null;

  /** `named` says who they are; there may be more of them later, as brokers make themselves known. */
  constructor(named: () => readonly Peer[], deps: OwnPeersDeps) {
    this.#named = named;
    this.#deps = deps;
  }

  /** By address, newest last. */
  get all(): readonly Peer[] {
    return this.#known;
  }

  /** Looks them up; whether there are new ones. A name that cannot be resolved now is left out, which was said. */
  async update(): Promise<boolean> {
    const { peers, isWhole } = await resolvePeers(this.#named(), this.#deps);
    this.#isWhole = isWhole;
    const has = (list: readonly Peer[], peer: Peer) =>
      list.some(({ host, port }) => host === peer.host && port === peer.port);
    const isNew = peers.some((peer) => !has(this.#known, peer));
    this.#known = [...this.#known.filter((peer) => !has(peers, peer)), ...peers].slice(-peersMax);
    return isNew;
  }

  /** Goes on looking, until `stop`. */
  start(onChange: (peers: readonly Peer[]) => void): void {
    this.#running ??= this.#watch(onChange);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #watch(onChange: (peers: readonly Peer[]) => void): Promise<void> {
    const { signal } = this.#stopping;
    for (let waitMs = retryMsMin; !signal.aborted;) {
      await this.#deps.clock.sleep(waitMs, signal);
      if (signal.aborted) return;
      if (await this.update()) onChange(this.#known);
      waitMs = this.#isWhole ? refreshMs : Math.min(refreshMs, waitMs * 2);
    }
  }
}

async function resolvePeers(
  peers: readonly Peer[],
  { clock, reporter, lookupAll = systemLookup }: OwnPeersDeps,
): Promise<{ peers: Peer[]; isWhole: boolean }> {
  const found = new Map<string, Peer>();
  let isWhole = true;
  for (const { host, port } of peers.slice(0, peersMax)) {
    const given = new AbortController();
    const late = clock.sleep(lookupTimeoutMs, given.signal).then((): string[] => []);
    const addresses = parseIp(host) ? [host] : await Promise.race([lookupAll(host).catch(() => []), late]);
    given.abort();
    if (addresses.length === 0) {
      isWhole = false;
      reporter.count("own_peer_lookup_failures_total");
      reporter.warn("cannot resolve a peer, own traffic to it will be captured", { host });
    }
    for (const address of addresses) {
      // An address with a zone, as fe80::1%eth0, cannot stand in a filter.
      if (parseIp(address) === null) continue;
      if (found.size < peersMax) found.set(`${address} ${port}`, { host: address, port });
    }
  }
  return { peers: [...found.values()], isWhole };
}

async function systemLookup(host: string): Promise<string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}
