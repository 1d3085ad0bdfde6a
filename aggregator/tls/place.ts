/** Where sensors reach this aggregator, as its own words to them say.
 *
 * In: the address under which a person asked, the public address, the own authority's fingerprint.
 * Out: an address for other machines.
 * Why: who asks from this machine says "localhost", which is another machine to everyone else. @module */

import type { Place } from "../model/invitation.ts";
import { reachableAddress } from "./authority.ts";

export function placeOf(asked: URL, publicUrl: URL | null, fingerprint: string | null): Place {
  // What stands before us has a certificate of its own.
  if (publicUrl) return { url: publicUrl.href, fingerprint: null };
  const isLocal = /^(localhost|127\.[0-9.]+|\[::1\])$/.test(asked.hostname);
  // Without TLS it listens on loopback alone, and another address would lead nowhere.
  const host = asked.protocol === "https:" && isLocal
    ? `${reachableAddress()}:${asked.port || "443"}`
    : asked.host;
  return { url: `${asked.protocol}//${host}`, fingerprint };
}
