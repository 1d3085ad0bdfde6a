/** Addresses of a batch as octets, without a string or an object of our own.
 *
 * In: text, where to write. Out: 4, 16, or 0 when it is none. Invariant: agrees with `parseIp`, which reads what is not
 * dotted IPv4. @module */

import { parseIp } from "../../shared/ip.ts";

export function readIp(text: string, into: Uint8Array, at: number): 4 | 16 | 0 {
  const { length } = text;
  let octet = 0, digits = 0, dots = 0;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 48 && code <= 57) {
      // "01" is no octet.
      if (digits > 0 && octet === 0) return readOther(text, into, at);
      octet = octet * 10 + code - 48;
      if (++digits > 3 || octet > 255) return readOther(text, into, at);
    } else if (code === 46 && digits > 0 && dots < 3) {
      into[at + dots++] = octet;
      octet = digits = 0;
    } else {
      return readOther(text, into, at);
    }
  }
  if (dots !== 3 || digits === 0) return readOther(text, into, at);
  into[at + 3] = octet;
  return 4;
}

function readOther(text: string, into: Uint8Array, at: number): 4 | 16 | 0 {
  const bytes = parseIp(text);
  if (bytes === null) return 0;
  into.set(bytes, at);
  return bytes.length as 4 | 16;
}

/** Whether an address means something only on its own site: as `isPrivateIp`, of octets. */
export function isPrivate(ips: Uint8Array, at: number, length: number): boolean {
  if (length === 4) return isPrivateIpv4(ips[at], ips[at + 1]);
  const first = ips[at];
  if (first === 0 && isMapped(ips, at)) return isPrivateIpv4(ips[at + 12], ips[at + 13]);
  return first === 0 || (first & 0xfe) === 0xfc || first === 0xff ||
    (first === 0xfe && (ips[at + 1] & 0x80) === 0x80);
}

function isMapped(ips: Uint8Array, at: number): boolean {
  for (let i = 0; i < 10; i++) if (ips[at + i] !== 0) return false;
  return ips[at + 10] === 255 && ips[at + 11] === 255;
}

function isPrivateIpv4(first: number, second: number): boolean {
  return first === 0 || first === 10 || first === 127 || first >= 224 ||
    (first === 100 && (second & 0xc0) === 64) ||
    (first === 169 && second === 254) || (first === 172 && (second & 0xf0) === 16) ||
    (first === 192 && second === 168);
}
