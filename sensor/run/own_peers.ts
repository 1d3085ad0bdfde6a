/** Addresses of the sensor's own peers, for the filter that leaves its own traffic out.
 *
 * In: hosts and ports of aggregator and brokers. Out: the same with addresses in place of names.
 * Why here: dumpcap resolves names itself, but refuses to start when it cannot; a sensor must start without a name server. @module */

import { lookup } from "node:dns/promises";
import { parseIp } from "../../shared/ip.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";

export interface Peer {
  host: string;
  port: number;
}

const lookupTimeoutMs = 2_000;
/** Bounds the filter expression. */
const peersMax = 32;

/** Peers by address. A name that cannot be resolved now is left out, which was said. */
export async function resolvePeers(
  peers: readonly Peer[],
  deps: { clock: Clock; reporter: Reporter; lookupAll?: (host: string) => Promise<string[]> },
): Promise<Peer[]> {
  const { clock, reporter, lookupAll = systemLookup } = deps;
  const found = new Map<string, Peer>();
  for (const { host, port } of peers) {
    const given = new AbortController();
    const late = clock.sleep(lookupTimeoutMs, given.signal).then((): string[] => []);
    const addresses = parseIp(host) ? [host] : await Promise.race([lookupAll(host).catch(() => []), late]);
    given.abort();
    if (addresses.length === 0) {
      reporter.warn("cannot resolve a peer, own traffic to it will be captured", { host });
    }
    for (const address of addresses) {
      if (found.size < peersMax) found.set(`${address} ${port}`, { host: address, port });
    }
  }
  return [...found.values()];
}

async function systemLookup(host: string): Promise<string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}
