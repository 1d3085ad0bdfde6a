/** Networks that the operator has named: "printers" for 10.2.0.0/16.
 *
 * In: lines "NAME=NETWORK"; an address as text. Out: the name of the narrowest network that holds it.
 * Invariant: at most {@link subnetsMax} lines; a name counts in any case, as filters compare words, and is shown as
 * it was written first.
 * Why the word is subnet: a network is, in rows and filters, where a sensor listens.
 * @module */

import { parseIp } from "../../shared/ip.ts";
import { lowerAscii } from "../model/filter.ts";
import { isWithin, type Network, readNetwork } from "../model/network.ts";
import type { Place, Places } from "../model/place.ts";

export const subnetsMax = 256;
const namePattern = /^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,39}$/u;

interface Subnet {
  name: string;
  network: Network;
}

export class Subnets {
  /** Narrowest first. */
  readonly #subnets: readonly Subnet[];
  readonly #byName = new Map<string, Subnet[]>();

  /** @throws {RangeError} when a line is not "NAME=NETWORK", or there are too many. */
  constructor(lines: readonly string[]) {
    if (lines.length > subnetsMax) {
      throw new RangeError(
        `Cannot use "networks" as there must be <= ${subnetsMax}: current number is ${lines.length}`,
      );
    }
    const subnets = lines.map(readLine);
    for (const subnet of subnets) {
      const named = this.#byName.get(lowerAscii(subnet.name));
      if (named === undefined) this.#byName.set(lowerAscii(subnet.name), [subnet]);
      else named.push({ ...subnet, name: named[0].name });
    }
    this.#subnets = [...this.#byName.values()].flat()
      .sort((a, b) => freeBits(a.network) - freeBits(b.network));
  }

  get names(): string[] {
    return [...this.#byName.values()].map(([{ name }]) => name);
  }

  /** Empty when nobody has named one so. */
  networksOf(name: string): Network[] {
    return (this.#byName.get(lowerAscii(name)) ?? []).map(({ network }) => network);
  }

  nameOf(ip: string): string | null {
    if (this.#subnets.length === 0) return null;
    const octets = parseIp(ip);
    if (octets === null) return null;
    return this.#subnets.find(({ network }) => isWithin(network, octets))?.name ?? null;
  }
}

/** What GeoIP files know, and the operator's names besides. */
export class NamedPlaces implements Places {
  readonly #geo: Places;
  readonly subnets: Subnets;

  constructor(geo: Places, subnets: Subnets) {
    this.#geo = geo;
    this.subnets = subnets;
  }

  get isKnown(): boolean {
    return this.#geo.isKnown;
  }

  find(ip: string): Place | null {
    const place = this.#geo.find(ip), subnet = this.subnets.nameOf(ip);
    return subnet === null ? place : { ...place, subnet };
  }
}

function readLine(line: string): Subnet {
  const at = line.indexOf("=");
  const name = line.slice(0, Math.max(0, at)).trim();
  const network = at < 0 ? null : readNetwork(line.slice(at + 1));
  if (network !== null && namePattern.test(name)) return { name, network };
  throw new RangeError(
    `Cannot use "networks" as each must be NAME=NETWORK like "printers=10.2.0.0/16", its name <= 40 letters, digits, ` +
      `spaces, ".", "_" or "-": current value is "${line.slice(0, 80)}"`,
  );
}

/** Bits that are free in it. Networks of IPv4 and of IPv6 are never compared for one address. */
function freeBits({ low, high }: Network): number {
  let bits = 0;
  for (let i = 0; i < low.length; i++) {
    for (let differing = low[i] ^ high[i]; differing > 0; differing >>= 1) bits += differing & 1;
  }
  return bits;
}
