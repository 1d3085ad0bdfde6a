/** Whose request it is, when a proxy hands it on.
 *
 * In: the connection's address, and what `X-Forwarded-For` or `Forwarded` (RFC 7239) say. Out: the caller's address.
 * Invariant: what a header says counts only as far as trusted proxies vouch for it: read from the right, each address
 * is believed as long as the one that added it is trusted, so a caller cannot make itself another one.
 * Why neither header counts when both are there and differ: a proxy commonly sets one and hands the other on as the
 * caller wrote it. @module */

import { formatIp, parseIp } from "../../shared/ip.ts";
import { isWithin, type Network, readNetwork } from "./network.ts";

type Header = (name: string) => string | undefined;

/** Longer chains are cut from the left. */
const hopsMax = 16;
const headerLengthMax = 4_096;

export class TrustedProxies {
  #networks: Network[];

  /** @throws {RangeError} when one is no network. */
  constructor(networks: readonly string[]) {
    this.#networks = networks.map((text) => {
      const network = readNetwork(text);
      if (network) return network;
      throw new RangeError(
        `Cannot trust proxies as each must be an address or a network like "10.0.0.0/8": current value is "${
          text.slice(0, 60)
        }"`,
      );
    });
  }

  isTrusted(address: string): boolean {
    const bytes = parseIp(plain(address));
    return bytes !== null && this.#networks.some((network) => isWithin(network, bytes));
  }

  /** Address of whoever sent a request over a connection from `peer`. */
  callerOf(peer: string, header: Header): string {
    const direct = plain(peer);
    if (!this.isTrusted(direct)) return direct;
    const found = [xForwardedFor(header("x-forwarded-for")), forwardedFor(header("forwarded"))]
      .filter((hops) => hops !== null).map((hops) => this.#walk(direct, hops));
    if (found.length === 0 || found.some((address) => address !== found[0])) return direct;
    return found[0];
  }

  #walk(direct: string, hops: readonly (string | null)[]): string {
    let caller = direct;
    for (const hop of hops.toReversed()) {
      // A name that is hidden or no address: the last proxy known is all that can be said.
      if (hop === null) return caller;
      caller = hop;
      if (!this.isTrusted(hop)) return caller;
    }
    return caller;
  }
}

/** IPv4 that came over an IPv6 socket is IPv4; every address has one text. */
export function plain(address: string): string {
  const bytes = parseIp(address.replace(/^\[|\]$/g, ""));
  if (!bytes) return address;
  const isMapped = bytes.length === 16 && bytes[10] === 255 && bytes[11] === 255 &&
    bytes.subarray(0, 10).every((byte) => byte === 0);
  return formatIp(isMapped ? bytes.subarray(12) : bytes);
}

/** What one host commonly owns: an IPv4 address, or 64 bits of IPv6. */
export function ownerOf(address: string): string {
  const bytes = parseIp(plain(address));
  if (bytes?.length !== 16) return plain(address);
  return `${formatIp(Uint8Array.from({ length: 16 }, (_, i) => i < 8 ? bytes[i] : 0))}/64`;
}

function xForwardedFor(text: string | undefined): (string | null)[] | null {
  if (text === undefined) return null;
  return text.slice(-headerLengthMax).split(",").slice(-hopsMax).map((part) => nodeAddress(part.trim()));
}

function forwardedFor(text: string | undefined): (string | null)[] | null {
  if (text === undefined) return null;
  return text.slice(-headerLengthMax).split(",").slice(-hopsMax).map((element) => {
    const value = /(?:^|;)\s*for\s*=\s*("[^"]*"|[^;\s]*)/i.exec(element)?.[1];
    return value === undefined ? null : nodeAddress(value.replace(/^"|"$/g, ""));
  });
}

/** `192.0.2.1`, `192.0.2.1:5678`, `2001:db8::1`, `[2001:db8::1]:5678`; null for anything else. */
function nodeAddress(text: string): string | null {
  const bracketed = /^\[([0-9a-fA-F:.]+)\](?::[0-9]{1,5})?$/.exec(text)?.[1];
  const withPort = /^([0-9.]+):[0-9]{1,5}$/.exec(text)?.[1];
  const address = bracketed ?? withPort ?? text;
  return parseIp(address) ? plain(address) : null;
}
