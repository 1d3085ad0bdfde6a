/** Sets of addresses count and remember what sets of their texts do, up to their bound. @module */

import { assertEquals } from "@std/assert";
import { Address } from "../../../aggregator/detect/signs/address.ts";
import { Distinct } from "../../../aggregator/detect/signs/distinct.ts";
import { DistinctIps } from "../../../aggregator/detect/signs/distinct_ips.ts";

Deno.test("addresses of both kinds are told apart as their texts are, in the order in which they came", () => {
  const ips = new DistinctIps(300), texts = new Distinct<string>(300);
  for (let i = 0; i < 3_000; i++) {
    const host = i * 7_919 % 331;
    const ip = i % 3 === 0
      ? `2001:db8::${host.toString(16)}`
      : `${host % 2 ? 250 : 9}.0.${host >> 8}.${host & 255}`;
    assertEquals(ips.add(new Address(ip)), texts.add(ip), ip);
    assertEquals(ips.size, texts.size);
  }
  assertEquals([...ips], [...texts]);
  assertEquals([ips.size, ips.isFull, ips.count], [300, true, "at least 300"]);
});

Deno.test("no address and one address are no special cases to whoever asks", () => {
  const ips = new DistinctIps(2);
  assertEquals([[...ips], ips.count], [[], 0]);
  assertEquals([ips.add(new Address("10.0.0.1")), ips.add(new Address("10.0.0.1"))], [true, false]);
  assertEquals([[...ips], ips.count], [["10.0.0.1"], 1]);
  ips.add(new Address("255.255.255.255"));
  assertEquals([ips.add(new Address("10.0.0.2")), [...ips]], [false, ["10.0.0.1", "255.255.255.255"]]);
});
