/** Community IDs against the specification's own baseline, and the properties sensors rely on. @module */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { bucketOf, communityId, flowDigest } from "../../shared/community_id.ts";

/** Rows of the specification's baseline (github.com/corelight/community-id-spec, baseline/baseline_deflt.json). */
const baseline: [string, string, number, string, number, string][] = [
  ["icmp", "192.168.0.89", 8, "192.168.0.1", 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="],
  ["icmp", "192.168.0.1", 0, "192.168.0.89", 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="],
  ["icmp6", "fe80::200:86ff:fe05:80da", 135, "fe80::260:97ff:fe07:69ea", 0, "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="],
  [
    "icmp6",
    "3ffe:501:1800:2345::2",
    3,
    "3ffe:507:0:1:200:86ff:fe05:80da",
    0,
    "1:2ObVBgIn28oZvibYZhZMBgh7WdQ=",
  ],
  ["icmp", "10.0.0.1", 11, "10.0.0.2", 0, "1:YHxtAirCG//0OzkcVAukqKQN9xM="],
  ["rsvp", "10.1.12.1", 0, "10.1.12.2", 0, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="],
  ["sctp", "192.168.170.8", 7, "192.168.170.56", 7, "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="],
  ["tcp", "128.232.110.120", 34855, "66.35.250.204", 80, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="],
  ["udp", "8.8.8.8", 53, "192.168.1.52", 54585, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="],
];

Deno.test("communityId equals the specification's baseline", () => {
  for (const [protocol, src_ip, src_port, dst_ip, dst_port, expected] of baseline) {
    assertEquals(
      communityId({ protocol, src_ip, src_port, dst_ip, dst_port }),
      expected,
      `${protocol} ${src_ip}`,
    );
  }
});

Deno.test("communityId names both directions alike and puts them into one bucket", () => {
  const ip = fc.ipV4();
  const port = fc.nat(65_535);
  fc.assert(fc.property(ip, port, ip, port, fc.integer({ min: 1, max: 64 }), (a, ap, b, bp, buckets) => {
    const there = { protocol: "tcp", src_ip: a, src_port: ap, dst_ip: b, dst_port: bp };
    const back = { protocol: "tcp", src_ip: b, src_port: bp, dst_ip: a, dst_port: ap };
    assertEquals(communityId(there), communityId(back));
    const bucket = bucketOf(flowDigest(there)!, buckets);
    assert(bucket >= 0 && bucket < buckets);
    assertEquals(bucket, bucketOf(flowDigest(back)!, buckets));
  }));
});

Deno.test("communityId names both directions alike between the ports of one host, and for every echo", () => {
  const pairs = [["tcp", "127.0.0.1", 40_000, 80], ["icmp", "10.0.0.1", 8, 0], [
    "icmp6",
    "fd00::1",
    128,
    129,
  ]];
  for (const [protocol, src_ip, src_port, dst_port] of pairs as [string, string, number, number][]) {
    const dst_ip = protocol === "tcp" ? src_ip : src_ip.replace("1", "2");
    const there = { protocol, src_ip, dst_ip, src_port, dst_port: protocol === "tcp" ? dst_port : 0 };
    const back = { protocol, src_ip: dst_ip, dst_ip: src_ip, src_port: dst_port, dst_port: there.src_port };
    if (protocol !== "tcp") back.dst_port = 0;
    assertEquals(communityId(there), communityId(back), protocol);
  }
});

Deno.test("bucketOf takes the first four octets, big-endian, whatever their sign", () => {
  assertEquals(bucketOf(Uint8Array.of(0, 0, 1, 44, 9), 7), 6);
  assertEquals(bucketOf(Uint8Array.of(255, 255, 255, 255, 0), 1_000), 295);
});

Deno.test("communityId keeps the direction of one-way ICMP and is empty for ARP and mixed families", () => {
  const unreachable = { protocol: "icmp", src_ip: "10.0.0.1", src_port: 3, dst_ip: "10.0.0.2", dst_port: 1 };
  const reverse = { ...unreachable, src_ip: "10.0.0.2", dst_ip: "10.0.0.1" };
  assert(communityId(unreachable) !== communityId(reverse));
  assertEquals(communityId({ ...unreachable, protocol: "arp" }), "");
  assert(flowDigest({ ...unreachable, protocol: "arp" }) !== null);
  assertEquals(communityId({ ...unreachable, dst_ip: "::1" }), "");
});
