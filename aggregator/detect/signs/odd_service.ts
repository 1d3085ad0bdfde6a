/** Signs that a service called is none of the ordinary ones: no name, an odd port, a certificate of its own making.
 *
 * In: a segment of a flow to the service, and its name. Out: names and sentences of the signs.
 * Invariant: a sign rests on what was read; where nothing was read, nothing is missing. @module */

import { parseIp } from "../../../shared/ip.ts";
import type { Segment } from "../../../shared/segment.ts";
import { readDomainName } from "../../model/domain_name.ts";
import { entropyOf } from "./statistics.ts";

export const oddSigns = ["raw_address", "odd_port", "odd_name", "random_name", "odd_certificate"] as const;
export type OddSign = typeof oddSigns[number];

/** Ports of services that programs call on the Internet: web, mail, chat and push, DNS over TLS, remote work,
 * telephony, MQTT, VPN. IANA's registry,
 * and the vendors' lists of ports to open (Apple, Google, Microsoft, WireGuard, Tailscale, ZeroTier). */
const ordinaryPorts = new Set([
  ...[20, 21, 22, 25, 37, 43, 80, 110, 119, 143, 179, 389, 443, 445, 465, 554, 563, 587, 636, 853, 873, 989],
  ...[990, 993, 995, 1194, 1701, 1723, 1883, 1935, 2195, 2196, 3306, 3389, 3478, 3479, 3480, 3481, 4070],
  ...[5060, 5061, 5222, 5223, 5228, 5229, 5230, 5269, 5432, 5671, 5672, 5938, 7680, 8080, 8443, 8883, 9418],
  ...[9993, 10001, 19302, 27017, 41641, 51820],
]);

/** A certificate longer valid than this was made by hand: public authorities give 398 days at most (CA/Browser Forum,
 * 2020). */
const validDaysMax = 5 * 365;

/** What is odd about the service that `segment` belongs to.
 * `name`: TLS or QUIC server name, or HTTP host; "" for none. */
export function oddSignsOf(segment: Segment, name: string): Map<OddSign, string> {
  const signs = new Map<OddSign, string>();
  const { facts, dst_port } = segment;
  const isNamed = facts?.tls !== undefined || facts?.quic !== undefined || facts?.http !== undefined;
  const host = name.replace(/:[0-9]{1,5}$/, "");
  if (isNamed && (host === "" || parseIp(host) !== null)) {
    signs.set("raw_address", "the calls name no server: they go to a bare address");
  } else if (isNamed && !host.includes(".")) {
    signs.set("odd_name", "the server's name is no Internet name");
  } else if (isNamed && isRandom(readDomainName(host).domain.split(".")[0])) {
    signs.set("random_name", "the server's domain looks computed, not chosen by a person");
  }
  if (!ordinaryPorts.has(dst_port)) {
    signs.set("odd_port", `port ${dst_port} is none of the ordinary services'`);
  }
  const certificate = oddCertificate(segment);
  if (certificate !== null) signs.set("odd_certificate", certificate);
  return signs;
}

function oddCertificate({ facts, start }: Segment): string | null {
  const { certificate_subject: subject, certificate_issuer: issuer, certificate_not_after: end } =
    facts?.tls ?? {};
  if (subject === undefined) return null;
  if (subject !== "" && subject === issuer) return "the server's certificate is signed by itself";
  const endS = end === undefined ? NaN : Date.parse(end) / 1_000;
  if (endS - start > validDaysMax * 86_400) {
    return `the server's certificate is valid for ${
      Math.round((endS - start) / 86_400)
    } more days; public ones are for 398 at most`;
  }
  return null;
}

/** Whether a label is computed: long, and with hardly a vowel, or digits among its letters,
 * in an order of high entropy. */
export function isRandom(label: string): boolean {
  if (label.length < 10 || label.startsWith("xn--")) return false;
  let letters = 0, digits = 0, vowels = 0;
  for (let i = 0; i < label.length; i++) {
    const code = label.charCodeAt(i), lower = code | 32;
    if (code === hyphen) return false;
    if (code >= 48 && code <= 57) digits++;
    else if (lower >= 97 && lower <= 122) {
      letters++;
      if (vowelBits >> (lower - 97) & 1) vowels++;
    }
  }
  const isMixed = letters >= 4 && digits >= 3 && digits / label.length >= 0.2;
  return (letters > 0 && vowels / letters < 0.2 || isMixed) && entropyOf(label) >= 2.8;
}

const hyphen = 45;
/** a, e, i, o, u as bits from the lowest. */
const vowelBits = 0b1_0000_0100_0001_0001_0001;
