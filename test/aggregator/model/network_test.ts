/** Addresses and CIDR: ends of a range, spellings, and what is none. @module */

import { assertEquals } from "@std/assert";
import { isWithin, onlyAddress, readNetwork } from "../../../aggregator/model/network.ts";
import { formatIp, parseIp } from "../../../shared/ip.ts";

Deno.test("a range has the first and the last address of its prefix", () => {
  const ends = (text: string) => {
    const network = readNetwork(text)!;
    return [formatIp(network.low), formatIp(network.high), network.isOne];
  };
  assertEquals(ends("10.0.0.0/8"), ["10.0.0.0", "10.255.255.255", false]);
  assertEquals(ends("10.1.2.3/12"), ["10.0.0.0", "10.15.255.255", false]);
  assertEquals(ends("192.0.2.9/31"), ["192.0.2.8", "192.0.2.9", false]);
  assertEquals(ends("192.0.2.9/32"), ["192.0.2.9", "192.0.2.9", true]);
  assertEquals(ends("0.0.0.0/0"), ["0.0.0.0", "255.255.255.255", false]);
  assertEquals(ends("2001:db8:ffff::/33"), [
    "2001:db8:8000::",
    "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
    false,
  ]);
  assertEquals(onlyAddress("[2001:DB8:0::0001]"), "2001:db8::1");
  assertEquals(onlyAddress("::FFFF:192.0.2.1"), "::ffff:c000:201");
  assertEquals(onlyAddress("10.0.0.0/31"), null);
});

Deno.test("IPv4 and IPv6 never mix, though octets of one may lie between those of the other", () => {
  const inside = (network: string, address: string) => isWithin(readNetwork(network)!, parseIp(address)!);
  assertEquals(inside("10.0.0.0/8", "10.255.255.255"), true);
  assertEquals(inside("10.0.0.0/8", "11.0.0.0"), false);
  assertEquals(inside("10.0.0.0/8", "a00::1"), false);
  assertEquals(inside("::/0", "10.0.0.1"), false);
  assertEquals(inside("::/0", "::"), true);
});

Deno.test("what is no address and no CIDR is refused", () => {
  const none = [
    "",
    "10.0.0",
    "10.0.0.0/33",
    "::/129",
    "10.0.0.0/",
    "/8",
    "10.0.0.0/8/8",
    "[10.0.0.1]",
    "[::1",
    "::1]",
  ];
  for (const text of [...none, "fe80::1%eth0", "10.0.0.0/-1", "010.0.0.1", "' OR 1=1", "[[::1]]"]) {
    assertEquals(readNetwork(text), null, text);
  }
});
