/** Prefilter: noise classes by policy, and the expression handed to the kernel. @module */

import { assertEquals, assertThrows } from "@std/assert";
import { Decoder } from "../../../sensor/decode/decoder.ts";
import { leftOutReasons } from "../../../sensor/decode/reasons.ts";
import { kernelFilter } from "../../../sensor/prefilter/kernel_filter.ts";
import { noiseClasses } from "../../../shared/policy.ts";
import { NoiseFilter, type NoisePolicy } from "../../../sensor/prefilter/noise.ts";
import { arp, bytes, ethernet, ipv4, ipv6, macA, tcp, udp } from "../frames.ts";

const everyone = [255, 255, 255, 255, 255, 255];
const noise: Record<string, Uint8Array> = {
  arp: ethernet(0x0806, arp(macA, "10.0.0.1", "10.0.0.2")),
  mdns: ethernet(0x0800, ipv4(17, udp(5353, 5353), { dst: "224.0.0.251" })),
  ssdp: ethernet(0x0800, ipv4(17, udp(50_000, 1900), { dst: "239.255.255.250" })),
  llmnr: ethernet(0x86dd, ipv6(17, udp(50_000, 5355), { dst: "ff02::1:3" })),
  netbios: ethernet(0x0800, ipv4(17, udp(137, 137), { dst: "10.0.0.255" })),
  dhcp: ethernet(0x0800, ipv4(17, udp(68, 67), { src: "0.0.0.0", dst: "255.255.255.255" })),
  igmp: ethernet(0x0800, ipv4(2, bytes(0x16, 0, 0, 0, 0, 0, 0, 0), { dst: "224.0.0.22" })),
  broadcast: ethernet(0x0800, ipv4(17, udp(1, 9999), { dst: "10.0.0.255" }), macA, everyone),
  loopback: ethernet(0x0800, ipv4(6, tcp(), { src: "127.0.0.1", dst: "127.0.0.1" })),
};

function leaveOut(policy: NoisePolicy, frame: Uint8Array): string {
  const decoder = new Decoder();
  assertEquals(decoder.decode(frame, 0, frame.length, frame.length, 1), 0);
  return leftOutReasons[new NoiseFilter(policy).leaveOut(decoder.layers[0], frame)];
}

Deno.test("noise filter leaves out each class by its name, and only that one", () => {
  assertEquals(Object.keys(noise).sort(), [...noiseClasses].sort());
  for (const name of noiseClasses) {
    for (const action of ["count", "drop"] as const) {
      assertEquals(leaveOut({ [name]: action }, noise[name]), name);
    }
    assertEquals(leaveOut({ [name]: "count" }, ethernet(0x0800, ipv4(6, tcp()))), "");
    assertEquals(leaveOut({ [name]: "count" }, noise[name === "arp" ? "mdns" : "arp"]), "");
  }
  const dhcp6 = ethernet(0x86dd, ipv6(17, udp(546, 547), { dst: "ff02::1:2" }));
  assertEquals(leaveOut({ dhcp: "count" }, dhcp6), "dhcp");
  assertEquals(leaveOut({ dhcp: "count" }, ethernet(0x86dd, ipv6(17, udp(545, 548)))), "");
});

Deno.test("noise filter keeps everything by default", () => {
  assertEquals([new NoiseFilter({}).isActive, new NoiseFilter({ arp: "keep" }).isActive], [false, false]);
  assertEquals(new NoiseFilter({ arp: "drop" }).isActive, true);
  for (const frame of Object.values(noise)) assertEquals(leaveOut({}, frame), "");
});

Deno.test("kernel filter always leaves out the sensor's own traffic", () => {
  const ownPeers = [{ host: "broker.example", port: 9092 }, { host: "fd00::1", port: 8080 }];
  assertEquals(
    kernelFilter({ ownPeers, noise: { mdns: "drop", arp: "count" }, expression: " tcp or udp " }),
    "not (host broker.example and tcp port 9092) and not (host fd00::1 and tcp port 8080) and " +
      "not (host 127.86.0.1) and not (udp port 5353) and " +
      "((udp dst port 8601 and (dst host 239.255.86.1 or dst host ff12::8601)) or (tcp or udp))",
  );
  assertEquals(kernelFilter({ ownPeers: [] }), "");
});

Deno.test("kernel filter refuses hosts and ports that are none", () => {
  const filter = (host: string, port: number) => () => kernelFilter({ ownPeers: [{ host, port }] });
  assertThrows(filter("a) or (tcp", 80), TypeError, `"host"`);
  assertThrows(filter("-x", 80), TypeError, `"host"`);
  assertThrows(filter("10.0.0.1", 0), RangeError, `"port"`);
  assertEquals(filter("10.0.0.1", 65_535)().includes("tcp port 65535"), true);
  assertThrows(filter("10.0.0.1", 65_536), RangeError, `"port"`);
  const many = Array.from({ length: 65 }, () => ({ host: "10.0.0.1", port: 1 }));
  assertThrows(() => kernelFilter({ ownPeers: many }), RangeError, `"ownPeers"`);
});
