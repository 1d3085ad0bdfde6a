/** IP addresses as bytes and as text.
 *
 * In: 4 or 16 bytes, or text. Out: canonical text (dotted IPv4, RFC 5952 IPv6), bytes,
 * and whether an address is private.
 * Invariant: `formatIp(parseIp(text))` is the one canonical text of an address. @module */

const dot = 46;

/** Canonical text of the `length` (4 or 16) bytes at `offset`. */
export function formatIp(bytes: Uint8Array, offset = 0, length = bytes.length - offset): string {
  if (length === 4) return `${bytes[offset]}.${bytes[offset + 1]}.${bytes[offset + 2]}.${bytes[offset + 3]}`;
  const groups = Array.from({ length: 8 }, (_, i) => bytes[offset + 2 * i] << 8 | bytes[offset + 2 * i + 1]);
  const gap = longestZeroRun(groups);
  if (gap.length < 2) return groups.map((group) => group.toString(16)).join(":");
  const hex = (part: number[]) => part.map((group) => group.toString(16)).join(":");
  return `${hex(groups.slice(0, gap.start))}::${hex(groups.slice(gap.start + gap.length))}`;
}

function longestZeroRun(groups: number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let i = 0; i < 8; i++) {
    let length = 0;
    while (i + length < 8 && groups[i + length] === 0) length++;
    if (length > best.length) best = { start: i, length };
    i += length;
  }
  return best;
}

/** Bytes of a textual address; null when `text` is none. Zone ids and prefixes are refused.
 *
 * @example One canonical text for every spelling of an address.
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { formatIp, parseIp } from "./ip.ts";
 *
 * assertEquals(formatIp(parseIp("2001:DB8:0:0:0:0:0:1")!), "2001:db8::1");
 * assertEquals(formatIp(parseIp("::ffff:192.0.2.1")!), "::ffff:c000:201");
 * assertEquals(parseIp("192.0.2.1/24"), null);
 * assertEquals(parseIp("192.0.2.010"), null, "some read a leading zero as octal");
 * ``` */
export function parseIp(text: string): Uint8Array | null {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

function parseIpv4(text: string): Uint8Array | null {
  const number = ipv4Number(text);
  return number < 0 ? null : Uint8Array.of(number >>> 24, number >>> 16, number >>> 8, number);
}

/** The 32 bits of a dotted IPv4 address as a number; -1 when `text` is none. */
export function ipv4Number(text: string): number {
  let number = 0, part = 0, value = 0, digits = 0;
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : dot;
    if (code === dot) {
      if (digits === 0 || value > 255 || part > 3) return -1;
      number = number * 256 + value;
      part++;
      value = digits = 0;
      continue;
    }
    const digit = code - 48;
    // No leading zeros: some read them as octal.
    if (digit < 0 || digit > 9 || digits === 3 || (digits > 0 && value === 0)) return -1;
    value = value * 10 + digit;
    digits++;
  }
  return part === 4 ? number : -1;
}

function parseIpv6(text: string): Uint8Array | null {
  if (text.length > 45) return null;
  const dotted = text.lastIndexOf(":") + 1;
  if (text.includes(".")) {
    const last = parseIpv4(text.slice(dotted));
    if (!last) return null;
    const hex = `${(last[0] << 8 | last[1]).toString(16)}:${(last[2] << 8 | last[3]).toString(16)}`;
    text = text.slice(0, dotted) + hex;
  }
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const [head, tail] = halves.map((half) => half === "" ? [] : half.split(":"));
  const missing = 8 - head.length - (tail?.length ?? 0);
  if (tail === undefined ? missing !== 0 : missing < 1) return null;
  const groups = tail === undefined ? head : [...head, ...new Array<string>(missing).fill("0"), ...tail];
  const bytes = new Uint8Array(16);
  for (let i = 0; i < 8; i++) {
    if (!/^[0-9a-f]{1,4}$/i.test(groups[i])) return null;
    const value = parseInt(groups[i], 16);
    bytes[2 * i] = value >> 8;
    bytes[2 * i + 1] = value & 255;
  }
  return bytes;
}

/** Whether an address means something only on its own site: RFC 1918, RFC 6598, loopback, link-local, unique local,
 * multicast, unspecified and broadcast.
 *
 * @example Private, shared and public.
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { isPrivateIp } from "./ip.ts";
 *
 * assertEquals(["10.0.0.1", "100.64.0.1", "fe80::1", "203.0.113.7"].map(isPrivateIp), [true, true, true, false]);
 * ``` */
export function isPrivateIp(text: string): boolean {
  const bytes = parseIp(text);
  return bytes === null || isPrivate(bytes);
}

/** The same of 4 or 16 octets. */
export function isPrivate(bytes: Uint8Array): boolean {
  if (bytes.length === 4) return isPrivateIpv4(bytes[0], bytes[1]);
  if (bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255) {
    return isPrivateIpv4(bytes[12], bytes[13]);
  }
  return bytes[0] === 0 || (bytes[0] & 0xfe) === 0xfc || bytes[0] === 0xff ||
    (bytes[0] === 0xfe && (bytes[1] & 0x80) === 0x80);
}

/** By its first two octets. */
export function isPrivateIpv4(first: number, second: number): boolean {
  return first === 0 || first === 10 || first === 127 || first >= 224 ||
    (first === 100 && (second & 0xc0) === 64) ||
    (first === 169 && second === 254) || (first === 172 && (second & 0xf0) === 16) ||
    (first === 192 && second === 168);
}
