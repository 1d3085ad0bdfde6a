/** Addresses of one network, parsed once and remembered: group, private, own, and when they spoke last.
 *
 * In: textual addresses of segments. Out: {@link Address}. Invariant: at most `addressesMax` addresses that look
 * private and as many others are remembered, each of IPv4 and as many of IPv6; when there is no room the half that was
 * asked for longest ago goes. Strangers never crowd out own hosts. @module */

import { Halves } from "../../model/halves.ts";
import { ipv4Number, isPrivate as isPrivateBytes, isPrivateIpv4, parseIp } from "../../../shared/ip.ts";
import { hashOfIp } from "../keys.ts";
import { NumberHalves } from "./number_halves.ts";

/** Its `ip` is one text for all updates of a host, so that sets of addresses compare pointers. */
export class Address {
  /** Means something only on its own site (RFC 1918 and the like), group addresses included. */
  readonly isPrivate: boolean;
  /** Multicast, broadcast, or no host at all. */
  readonly isGroup: boolean;
  /** A host of the operator's own. */
  readonly isOwn: boolean;
  /** Packet time, epoch seconds, of what it sent last; -Infinity: nothing was seen of it. */
  spokeS = -Infinity;
  /** It serves an industrial protocol: a controller, or what stands before one. */
  isPlant = false;
  /** It answered a DNS question of an own host: what it asks itself may be what others asked it. */
  isResolver = false;

  /** Of its text, for keys. */
  readonly hash: number;
  /** The 32 bits of an IPv4 address as a signed number; null for any other. */
  readonly ipv4: number | null;

  constructor(readonly ip: string) {
    this.hash = hashOfIp(ip);
    const number = ipv4Number(ip);
    this.ipv4 = number < 0 ? null : number | 0;
    if (number >= 0) {
      this.isPrivate = isPrivateIpv4(number >>> 24, number >>> 16 & 255);
      this.isGroup = isGroupIpv4(number);
    } else {
      const { bytes } = this;
      this.isPrivate = bytes === null || isPrivateBytes(bytes);
      this.isGroup = bytes === null || bytes[0] === 0xff;
    }
    this.isOwn = this.isPrivate && !this.isGroup;
  }

  /** 4 or 16 octets, read anew each time; null when the text is no address. */
  get bytes(): Uint8Array | null {
    return parseIp(this.ip);
  }
}

const addressesMax = 16_384;
const makeAddress = (ip: string) => new Address(ip);

export class AddressBook {
  readonly #inside = new NumberHalves<Address>(addressesMax);
  readonly #others = new NumberHalves<Address>(addressesMax);
  /** All but those of IPv4. */
  readonly #insideTexts = new Halves<string, Address>(addressesMax);
  readonly #otherTexts = new Halves<string, Address>(addressesMax);

  /** `salt`: of its network, for keys. */
  constructor(readonly salt: number) {}

  of(ip: string): Address {
    const number = ipv4Number(ip);
    if (number < 0) return (ip.startsWith("f") ? this.#insideTexts : this.#otherTexts).get(ip, makeAddress);
    const isInside = looksInside(number >>> 24, number >>> 16 & 255);
    return (isInside ? this.#inside : this.#others).get(number | 0, ip, makeAddress);
  }
}

/** By the first octets alone: where an address is remembered, not what it is. */
function looksInside(first: number, second: number): boolean {
  return first === 10 || first === 172 || (first === 192 && second === 168);
}

/** The first or the last address of a network, as most people number their routers. */
export function isLikelyGateway(ip: string): boolean {
  return /\.(?:1|254)$/.test(ip);
}

/** Whether both are in one IPv4 network of up to 256 addresses. */
export function isNear(ip: string, other: string): boolean {
  return ip.includes(".") && ip.slice(0, ip.lastIndexOf(".")) === other.slice(0, other.lastIndexOf("."));
}

/** Whether an HTTP host, with a port or without, is an address and no name. */
export function isBareAddress(host: string): boolean {
  return parseIp(host) !== null || parseIp(host.replace(/:\d{1,5}$/, "").replace(/^\[|\]$/g, "")) !== null;
}

/** Multicast and broadcast, but not the reserved 240.0.0.0/4, over which programs that make captures anonymous scatter
 * hosts; an IPv4 address that ends in 255 is taken for its network's broadcast address. */
function isGroupIpv4(number: number): boolean {
  return number >>> 28 === 14 || (number & 255) === 255 || number === 0;
}
