/** Whose request it is behind proxies: what is believed, and what a caller cannot make us believe. @module */

import { assertEquals, assertThrows } from "@std/assert";
import { ownerOf, plain, TrustedProxies } from "../../../aggregator/model/client_address.ts";

type Headers = Partial<Record<"x-forwarded-for" | "forwarded", string>>;

function callerOf(trusted: string[], peer: string, headers: Headers): string {
  return new TrustedProxies(trusted).callerOf(peer, (name) => headers[name as keyof Headers]);
}

Deno.test("without trusted proxies the connection's address is the caller's, whatever the headers say", () => {
  const headers = { "x-forwarded-for": "203.0.113.9", forwarded: "for=203.0.113.9" };
  assertEquals(callerOf([], "127.0.0.1", headers), "127.0.0.1");
  assertEquals(callerOf(["10.0.0.0/8"], "192.0.2.7", headers), "192.0.2.7");
});

Deno.test("the rightmost address that no trusted proxy has is the caller's", () => {
  const trusted = ["127.0.0.1", "10.0.0.0/8"];
  const cases: [Headers, string][] = [
    [{}, "127.0.0.1"],
    [{ "x-forwarded-for": "203.0.113.9" }, "203.0.113.9"],
    [{ "x-forwarded-for": "1.1.1.1, 203.0.113.9, 10.1.2.3" }, "203.0.113.9"],
    [{ "x-forwarded-for": "10.1.1.1, 10.2.2.2" }, "10.1.1.1"],
    [{ "x-forwarded-for": "203.0.113.9:4711" }, "203.0.113.9"],
    [{ "x-forwarded-for": "[2001:db8::7]:4711" }, "2001:db8::7"],
    [{ "x-forwarded-for": "203.0.113.9, unknown, 10.1.2.3" }, "10.1.2.3"],
    [{ "x-forwarded-for": "" }, "127.0.0.1"],
    [{ forwarded: 'for=1.1.1.1, for="[2001:DB8::7]:80";proto=https;by=10.0.0.1' }, "2001:db8::7"],
    [{ forwarded: "proto=https; For=203.0.113.9" }, "203.0.113.9"],
    [{ forwarded: "for=_hidden" }, "127.0.0.1"],
    [{ "x-forwarded-for": "203.0.113.9", forwarded: "for=203.0.113.9" }, "203.0.113.9"],
    [{ "x-forwarded-for": "203.0.113.9", forwarded: "for=198.51.100.1" }, "127.0.0.1"],
  ];
  for (const [headers, caller] of cases) {
    assertEquals(callerOf(trusted, "127.0.0.1", headers), caller, JSON.stringify(headers));
  }
  const long = Array.from({ length: 5_000 }, (_, i) => `203.0.113.${i % 250}`).join(",");
  assertEquals(callerOf(trusted, "127.0.0.1", { "x-forwarded-for": `${long},198.51.100.1` }), "198.51.100.1");
});

Deno.test("networks are read exactly, and what is none is refused", () => {
  const proxies = new TrustedProxies(["192.0.2.128/25", "2001:db8::/33", "0.0.0.0/32"]);
  for (
    const [address, isTrusted] of [
      ["192.0.2.128", true],
      ["192.0.2.127", false],
      ["::ffff:192.0.2.200", true],
      ["2001:db8:7fff::1", true],
      ["2001:db8:8000::1", false],
      ["0.0.0.1", false],
    ] as const
  ) assertEquals(proxies.isTrusted(address), isTrusted, address);
  for (const text of ["10.0.0.0/33", "10.0.0/8", "proxy.example", "10.0.0.0/8/8", "::/129", "10.0.0.0/"]) {
    assertThrows(() => new TrustedProxies([text]), RangeError, text);
  }
});

Deno.test("one owner is an IPv4 address or 64 bits of IPv6, in whatever form they come", () => {
  assertEquals(ownerOf("::ffff:192.0.2.1"), "192.0.2.1");
  assertEquals(ownerOf("2001:db8::1"), ownerOf("2001:0db8:0:0:ffff::2"));
  assertEquals(ownerOf("2001:db8::1") === ownerOf("2001:db8:0:1::1"), false);
  assertEquals(plain("[2001:DB8::0:1]"), "2001:db8::1");
});
