/** What TLS libraries say, and what a person is told. @module */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { tlsFault } from "../../shared/tls_fault.ts";

Deno.test("words of TLS libraries become a fault with its cause and its cure", () => {
  const cases: [string, string, string][] = [
    ["invalid peer certificate: UnknownIssuer", "unknown_issuer", "with --ca"],
    ["Connection error: self-signed certificate", "unknown_issuer", "with --ca"],
    ["invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))", "ca_as_server", "CA:FALSE"],
    [
      'certificate not valid for name "10.0.0.5"; certificate is only valid for DnsName("hub.example") or IpAddress(192.0.2.1)',
      "wrong_name",
      "for hub.example, 192.0.2.1, not for this address",
    ],
    ["Hostname/IP does not match certificate's altnames: IP: 127.0.0.1", "wrong_name", "subjectAltName"],
    [
      "certificate expired: verification time 1795886599 (UNIX), but certificate is not valid after 1735689600",
      "expired",
      "expired on 2025-01-01 00:00 UTC; the clock here says 2026-11-28 17:23 UTC",
    ],
    [
      "certificate not valid yet: verification time 5000 (UNIX), but certificate is not valid before 1735689600",
      "not_yet_valid",
      "on 2025-01-01 00:00 UTC; the clock here says 1970-01-01 01:23 UTC",
    ],
    [
      "certificate does not allow extended key usage for server authentication",
      "wrong_purpose",
      "serverAuth",
    ],
    ["unable to verify the first certificate", "certificate", "cannot be verified"],
    ["invalid peer certificate: BadEncoding", "certificate", "BadEncoding"],
    ["received corrupt message of type InvalidContentType", "no_tls", "http://"],
    ["client error (SendRequest): invalid HTTP version parsed", "tls_only", "https://"],
  ];
  for (const [words, fault, said] of cases) {
    const found = tlsFault(words, "--ca");
    assertEquals(found?.fault, fault, words);
    assertStringIncludes(`${found!.cause}: ${found!.cure}`, said);
  }
});

Deno.test("words that speak of no certificate are no TLS fault", () => {
  for (const words of ["Connection refused (os error 111)", "failed to lookup address information", ""]) {
    assertEquals(tlsFault(words, "--ca"), null);
  }
});
