/** The string that invites a sensor: `picket://HOST:PORT/TOKEN#FINGERPRINT`, as the aggregator prints it.
 *
 * In: text from a command line. Out: address, join token and fingerprint of the aggregator's certificate authority;
 * null = it is none. Without a fingerprint the aggregator's certificate must be of an authority that is trusted
 * already; only on loopback there is no TLS. @module */

import { parseIp } from "../../shared/ip.ts";
import { readFingerprint } from "../authority.ts";

export interface Invitation {
  url: string;
  /** As in a URL: an IPv6 address stands in brackets. */
  host: string;
  port: number;
  token: string;
  /** 64 hexadecimal digits; null = none was given. */
  fingerprint: string | null;
}

const form =
  /^picket:\/\/(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)(?::([0-9]{1,5}))?\/([A-Za-z0-9_-]{20,200})(?:#([0-9A-Fa-f:]{64,95}))?$/;
const portDefault = 8_600;

export function readInvitation(text: string): Invitation | null {
  const [, host, digits, token, hex] = form.exec(text.trim()) ?? [];
  if (host === undefined) return null;
  const bare = host.replace(/^\[|\]$/g, "");
  if (host !== bare && parseIp(bare) === null) return null;
  const port = digits === undefined ? portDefault : Number(digits);
  const fingerprint = hex === undefined ? null : readFingerprint(hex);
  if (port < 1 || port > 65_535 || (hex !== undefined && fingerprint === null)) return null;
  const isPlain = fingerprint === null && /^(?:localhost|127\.[0-9.]+|::1)$/.test(bare);
  return { url: `${isPlain ? "http" : "https"}://${host}:${port}`, host, port, token, fingerprint };
}
