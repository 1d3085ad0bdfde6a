/** Addresses, parsed once and remembered: group, private, own.
 *
 * In: textual addresses of segments. Out: {@link Address}. Invariant: at most `addressesMax` are remembered; when there is no room the
 * half that was asked for longest ago goes. @module */

import { isPrivate as isPrivateBytes, parseIp } from "../../../shared/ip.ts";

export interface Address {
  readonly ip: string;
  /** 4 or 16 octets; null when the text is no address. */
  readonly bytes: Uint8Array | null;
  /** Means something only on its own site (RFC 1918 and the like), group addresses included. */
  readonly isPrivate: boolean;
  /** Multicast, broadcast, or no host at all. */
  readonly isGroup: boolean;
  /** A host of the operator's own. */
  readonly isOwn: boolean;
}

const addressesMax = 65_536;

export class AddressBook {
  #young = new Map<string, Address>();
  #old = new Map<string, Address>();

  of(ip: string): Address {
    const young = this.#young.get(ip);
    if (young !== undefined) return young;
    const address = this.#old.get(ip) ?? readAddress(ip);
    if (this.#young.size >= addressesMax >> 1) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(ip, address);
    return address;
  }
}

function readAddress(ip: string): Address {
  const bytes = parseIp(ip);
  const isPrivate = bytes === null || isPrivateBytes(bytes), isGroup = bytes === null || isGroupBytes(bytes);
  return { ip, bytes, isPrivate, isGroup, isOwn: isPrivate && !isGroup };
}

/** Multicast and broadcast; an IPv4 address that ends in 255 is taken for its network's broadcast address. */
function isGroupBytes(bytes: Uint8Array): boolean {
  if (bytes.length === 16) return bytes[0] === 0xff;
  return bytes[0] >= 224 || bytes[3] === 255 || bytes.every((byte) => byte === 0);
}
