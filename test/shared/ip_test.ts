/** IP addresses as text: canonical, round-trip, and private or not. @module */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { formatIp, isPrivateIp, parseIp } from "../../shared/ip.ts";

Deno.test("formatIp writes IPv6 as RFC 5952 asks", () => {
  const cases: [string, string][] = [
    ["2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["::ffff:10.0.0.1", "::ffff:a00:1"],
    ["FE80::1", "fe80::1"],
  ];
  for (const [text, canonical] of cases) assertEquals(formatIp(parseIp(text)!), canonical, text);
});

Deno.test("parseIp reads back what formatIp wrote", () => {
  for (const length of [4, 16]) {
    fc.assert(fc.property(fc.uint8Array({ minLength: length, maxLength: length }), (bytes) => {
      assertEquals(parseIp(formatIp(bytes)), bytes);
    }));
  }
});

Deno.test("parseIp refuses what is no address", () => {
  const bad = [
    "",
    "1.2.3",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.4.5",
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "g::",
    "fe80::1%eth0",
  ];
  for (const text of [...bad, "1:2:3:4:5:6:7:8::", "1.2.3.4/8", "1".repeat(99)]) {
    assertEquals(parseIp(text), null, text);
  }
});

Deno.test("isPrivateIp tells site addresses from global ones", () => {
  const inside = [
    "10.1.2.3",
    "172.31.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "169.254.1.1",
    "127.0.0.1",
    "224.0.0.251",
    "0.0.0.0",
  ];
  const inside6 = ["::1", "::", "fe80::1", "fd00::1", "ff02::fb", "::ffff:10.0.0.1"];
  for (const text of [...inside, ...inside6]) assertEquals(isPrivateIp(text), true, text);
  for (const text of ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2001:db8::1", "::ffff:8.8.8.8"]) {
    assertEquals(isPrivateIp(text), false, text);
  }
});
