/** What can stand on a threat-intelligence list, and how one word becomes it.
 *
 * In: a word of a list, perhaps "defanged" (`hxxp://`, `[.]`). Out: an indicator of one kind in its one canonical form,
 * or the reason why it cannot be used.
 * Invariant: nothing is accepted that would match a whole network or a whole registry: one careless line of a list must
 * not turn everything into a threat. @module */

import { formatIp, isPrivateIp, parseIp } from "../../shared/ip.ts";

export const indicatorKinds = ["ip", "cidr", "domain", "url", "ja3", "ja4", "certificate"] as const;
export type IndicatorKind = typeof indicatorKinds[number];

/** Why a word of a list is left out. The label set of `intel_entries_skipped_total`. */
export const skipReasons = ["not_an_indicator", "too_broad", "own_address", "file_hash", "too_long"] as const;
export type SkipReason = typeof skipReasons[number];

export interface Indicator {
  kind: IndicatorKind;
  /** Canonical: lower case, no trailing dot; a network with its host bits zero; a URL without fragment. */
  value: string;
}

/** Shorter prefixes hold more than one organisation could be accused of. */
const prefixMin = { 4: 8, 16: 19 } as const;
const charactersMax = 2_048;
const labelPattern = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;
const ja4Pattern = /^[tqd][0-9sd]{2}[di][0-9]{4}[0-9a-z]{2}_[0-9a-f]{12}_[0-9a-f]{12}$/;

/** Reads one word. `hint` is what the list says the word is, where it says so. */
export function readIndicator(word: string, hint: IndicatorKind | null = null): Indicator | SkipReason {
  if (word.length > charactersMax) return "too_long";
  const text = refang(word.trim());
  if (text === "") return "not_an_indicator";
  if (/^[a-z]+:\/\//i.test(text)) return readUrl(text);
  if (hint === "url") return readUrl(`http://${text}`);
  if (text.includes("/")) return readNetwork(text);
  const bytes = parseIp(text.toLowerCase());
  if (bytes) return isPrivateIp(text) ? "own_address" : { kind: "ip", value: formatIp(bytes) };
  const lower = text.toLowerCase();
  if (/^[0-9a-f]+$/.test(lower) && lower.length >= 32) return readHash(lower, hint);
  if (ja4Pattern.test(lower)) return { kind: "ja4", value: lower };
  return readDomain(lower);
}

function refang(text: string): string {
  return text.replace(/^hxxp/i, "http").replaceAll("[.]", ".").replaceAll("(.)", ".").replaceAll("[:]", ":");
}

function readUrl(text: string): Indicator | SkipReason {
  const url = canonicalUrl(text);
  if (url === null) return "not_an_indicator";
  const { host, path } = url;
  // Without a path it says no more than its host does.
  if (path === "/") return readIndicator(host.replace(/:\d+$/, "").replace(/^\[|\]$/g, ""));
  return { kind: "url", value: host + path };
}

/** Host with an odd port, and path with query: what a request on the wire shows; null = not a URL of HTTP. */
export function canonicalUrl(text: string): { host: string; path: string } | null {
  try {
    const { protocol, host, pathname, search } = new URL(text);
    if (protocol !== "http:" && protocol !== "https:") return null;
    return { host: host.toLowerCase().replace(/\.$/, ""), path: pathname + search };
  } catch {
    return null;
  }
}

function readNetwork(text: string): Indicator | SkipReason {
  const [address, length, ...rest] = text.split("/");
  const bytes = parseIp(address.toLowerCase());
  if (!bytes || rest.length > 0 || !/^[0-9]{1,3}$/.test(length)) return "not_an_indicator";
  const prefix = Number(length);
  if (prefix > bytes.length * 8) return "not_an_indicator";
  if (prefix < prefixMin[bytes.length as 4 | 16]) return "too_broad";
  const network = formatIp(maskTo(bytes, prefix));
  if (isPrivateIp(network)) return "own_address";
  return prefix === bytes.length * 8
    ? { kind: "ip", value: network }
    : { kind: "cidr", value: `${network}/${prefix}` };
}

/** `bytes` with everything after the first `prefix` bits zero. */
export function maskTo(bytes: Uint8Array, prefix: number): Uint8Array {
  return bytes.map((octet, i) => {
    const kept = Math.min(8, Math.max(0, prefix - 8 * i));
    return octet & (0xff00 >> kept);
  });
}

/** MD5 is a JA3, SHA-1 and SHA-256 are certificates:
 * hashes of files are never seen on the wire, and lists that name them say so. */
function readHash(hex: string, hint: IndicatorKind | null): Indicator | SkipReason {
  if (hex.length === 32) return { kind: "ja3", value: hex };
  if (hex.length !== 40 && hex.length !== 64) return "not_an_indicator";
  return hint === null || hint === "certificate" ? { kind: "certificate", value: hex } : "not_an_indicator";
}

function readDomain(text: string): Indicator | SkipReason {
  const name = text.replace(/^\*\./, "").replace(/\.$/, "");
  const labels = name.split(".");
  if (name.length > 253 || !labels.every((label) => labelPattern.test(label))) return "not_an_indicator";
  const last = labels[labels.length - 1];
  if (!/^(?:[a-z]{2,63}|xn--[a-z0-9-]+)$/.test(last)) return "not_an_indicator";
  if (labels.length === 1 || isRegistry(labels)) return "too_broad";
  return { kind: "domain", value: name };
}

const registryLabels = new Set(["ac", "co", "com", "edu", "gob", "gov", "mil", "ne", "net", "or", "org"]);

/** "co.uk", "com.br": names below which everybody registers. */
function isRegistry([first, second, ...rest]: string[]): boolean {
  return rest.length === 0 && second.length === 2 && registryLabels.has(first);
}
