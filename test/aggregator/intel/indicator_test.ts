/** Words of threat-intelligence lists: what each becomes, and what is never taken. @module */

import { assertEquals } from "@std/assert";
import { readIndicator, type SkipReason } from "../../../aggregator/intel/indicator.ts";

const taken: [word: string, kind: string, value: string][] = [
  ["203.0.113.7", "ip", "203.0.113.7"],
  ["203.0.113[.]7", "ip", "203.0.113.7"],
  ["2001:DB8::0:7", "ip", "2001:db8::7"],
  ["198.51.100.77/24", "cidr", "198.51.100.0/24"],
  ["198.51.100.77/32", "ip", "198.51.100.77"],
  ["9.0.0.0/8", "cidr", "9.0.0.0/8"],
  ["2600:1000::/19", "cidr", "2600::/19"],
  ["Bad.Example.", "domain", "bad.example"],
  ["*.bad.example", "domain", "bad.example"],
  ["bad[.]example", "domain", "bad.example"],
  ["_dmarc.bad.example", "domain", "_dmarc.bad.example"],
  ["hxxp://Bad.example/a?b=C#d", "url", "bad.example/a?b=C"],
  ["https://bad.example:8443/x", "url", "bad.example:8443/x"],
  ["http://bad.example/", "domain", "bad.example"],
  ["http://203.0.113.9/", "ip", "203.0.113.9"],
  ["e7d705a3286e19ea42f587b344ee6865", "ja3", "e7d705a3286e19ea42f587b344ee6865"],
  ["t13d1516h2_8daaf6152771_b186095e22b6", "ja4", "t13d1516h2_8daaf6152771_b186095e22b6"],
  ["DA39A3EE5E6B4B0D3255BFEF95601890AFD80709", "certificate", "da39a3ee5e6b4b0d3255bfef95601890afd80709"],
];

Deno.test("a word of a list becomes one indicator in its canonical form", () => {
  for (const [word, kind, value] of taken) {
    assertEquals(readIndicator(word), { kind, value } as ReturnType<typeof readIndicator>, word);
  }
});

Deno.test("a word that would match too much, or nothing, is skipped with its reason", () => {
  const skipped: [string, SkipReason][] = [
    ["0.0.0.0/0", "too_broad"],
    ["8.0.0.0/7", "too_broad"],
    ["2000::/18", "too_broad"],
    ["com", "too_broad"],
    ["co.uk", "too_broad"],
    ["localhost", "too_broad"],
    ["10.1.2.3", "own_address"],
    ["192.168.0.0/16", "own_address"],
    ["fe80::1", "own_address"],
    ["127.0.0.1", "own_address"],
    ["203.0.113.7/33", "not_an_indicator"],
    ["203.0.113", "not_an_indicator"],
    ["ftp://bad.example/x", "not_an_indicator"],
    ["-bad.example", "not_an_indicator"],
    ["<script>.example", "not_an_indicator"],
    ["", "not_an_indicator"],
    ["a".repeat(3_000), "too_long"],
  ];
  for (const [word, reason] of skipped) assertEquals(readIndicator(word), reason, word);
});

Deno.test("a hash is a certificate only where the list does not say otherwise", () => {
  const sha256 = "a".repeat(64);
  assertEquals(readIndicator(sha256), { kind: "certificate", value: sha256 });
  assertEquals(readIndicator(sha256, "certificate"), { kind: "certificate", value: sha256 });
  assertEquals(readIndicator(sha256, "domain"), "not_an_indicator");
});
