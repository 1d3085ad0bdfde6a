/** What to do about a host, by what it is: one of one's own, plant equipment, or a stranger.
 *
 * In: addresses. Out: parts of sentences. Invariant: plant equipment is never told to be isolated: a controller cut off
 * may do more harm than the attack. @module */

import type { Address } from "./address.ts";

/** "isolate 10.0.0.5", "block 203.0.113.7 at the firewall". Begins lower-case. */
export function stopHost(host: Address): string {
  if (host.isPlant) {
    return `do not cut ${host.ip} off, as it serves plant equipment: ask who operates the plant, and limit who may reach it`;
  }
  return host.isPrivate ? `isolate ${host.ip}` : `block ${host.ip} at the firewall`;
}

/** The first step towards whoever does it. */
export function findOut(host: Address, what: string): string {
  return host.isPrivate
    ? `Find out who uses ${host.ip} and which program ${what}. If nobody can explain it, ${stopHost(host)}.`
    : `${capital(stopHost(host))} unless you know who it is.`;
}

export function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
