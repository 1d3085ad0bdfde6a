/** Sweeps from elsewhere: all that is seen of them inside are the router's questions and the packets to the hosts that
 * are there. Whoever sent those is named, and the router only where nobody stands out. @module */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { hostSweep } from "../../../aggregator/detect/detectors/host_sweep.ts";
import type { FlowUpdate } from "../../../aggregator/model/flow.ts";
import type { Segment } from "../../../shared/segment.ts";
import {
  evidenceValue,
  refused,
  run,
  severity,
  silent,
  times,
  unansweredDatagram,
  update,
} from "./updates.ts";

const routerMac = "02:00:00:00:00:01", scanner = "203.0.113.66";

/** The router asks for 60 addresses, ten a second unless said otherwise. */
const asks = (everyS = 0.1, change: Partial<Segment> = {}) =>
  times(60, (i) =>
    update(i * everyS, {
      protocol: "arp",
      fwd_packets: 1,
      bwd_packets: 0,
      src_port: 1,
      dst_port: 0,
      src_ip: "10.0.0.1",
      src_mac: routerMac,
      dst_ip: `10.0.0.${i + 20}`,
      ...change,
    }));
const tries = (src_ip: string, hosts: number, change: Partial<Segment> = {}, atS = 1) =>
  times(
    hosts,
    (i) => update(atS, { ...refused, src_ip, src_mac: routerMac, dst_ip: `10.0.0.${i + 10}`, ...change }),
  );
const attackers = (updates: readonly FlowUpdate[]) => run(hostSweep, updates).map(({ src_ips }) => src_ips);

Deno.test("a sweep by TCP, UDP or ping through a router is that of whoever sent the packets, with port and hosts", () => {
  const kinds: [Partial<Segment>, string, number | null][] = [
    [{ ...refused, dst_port: 3_389 }, "TCP 3389", 3_389],
    [{ ...silent, dst_port: 443 }, "TCP 443", 443],
    [{ ...unansweredDatagram, dst_port: 40_125 }, "UDP 40125", 40_125],
    [{ protocol: "icmp", src_port: 8, dst_port: 0 }, "ping", null],
  ];
  for (const [kind, name, port] of kinds) {
    const [finding] = run(hostSweep, [...tries(scanner, 3, kind), ...asks()]);
    assertEquals([finding.src_ips, finding.dst_port, severity(finding)], [[scanner], port, "medium"]);
    assertEquals(evidenceValue(finding, "tried by"), name);
    assertEquals(evidenceValue(finding, "hosts tried through the router"), "10.0.0.10, 10.0.0.11, 10.0.0.12");
    assertEquals(["10.0.0.10", "10.0.0.20"].map((ip) => finding.dst_ips.includes(ip)), [true, true]);
    assertStringIncludes(finding.words.action, `Block ${scanner}`);
  }
});

Deno.test("the router's own tries, its other clients, another network and another time explain nothing", () => {
  assertEquals(attackers([...asks(), ...tries("10.0.0.1", 3), ...tries(scanner, 2)]), [["10.0.0.1"]]);
  assertEquals(attackers([...asks(), ...tries("10.0.0.1", 2), ...tries(scanner, 3)]), [[scanner]]);
  assertEquals(attackers([...asks(), ...tries(scanner, 2), ...tries("198.51.100.7", 1)]), [[
    scanner,
    "198.51.100.7",
  ]]);
  assertEquals(attackers([...asks(), ...tries(scanner, 3), ...tries("198.51.100.7", 1)]), [[scanner]]);
  assertEquals(attackers([...asks(), ...tries(scanner, 3, { src_mac: "02:00:00:00:00:02" })]), [[
    "10.0.0.1",
  ]]);
  assertEquals(attackers([...asks(), ...tries(scanner, 3, { dst_ip: "10.0.1.9" })]), [["10.0.0.1"]]);
  assertEquals(attackers([...asks(), ...tries(scanner, 3, {}, -5)]), [[scanner]]);
  assertEquals(attackers([...asks(), ...tries(scanner, 3, {}, -5.5)]), [["10.0.0.1"]]);
});

Deno.test("one host tried is enough where nobody else tried any within the minute", () => {
  const alone = tries(scanner, 1);
  assertEquals(attackers([...asks(1), ...alone]), [[scanner]]);
  assertEquals(attackers([...asks(1.02), ...alone]), [["10.0.0.1"]], "60.7 s");
  assertEquals(attackers([...asks(), ...alone, ...tries("198.51.100.7", 1)]), [["10.0.0.1"]], "or the other");
});

Deno.test("ten sources that tried as many hosts are named, eleven are not", () => {
  const divided = (sources: number) => times(sources, (i) => tries(`203.0.113.${i + 1}`, 2)).flat();
  assertEquals(attackers([...divided(10), ...asks()])[0].length, 10);
  assertEquals(attackers([...divided(11), ...asks()]), [["10.0.0.1"]]);
});

Deno.test("conversations are no tries, and the latest 256 tries are remembered", () => {
  assertEquals(attackers([...tries(scanner, 3, { ...update(0).segment, src_ip: scanner }), ...asks()]), [[
    "10.0.0.1",
  ]]);
  const others = (count: number) => tries("198.51.100.7", count, { dst_ip: "10.0.1.9" });
  assertEquals(attackers([...tries(scanner, 3), ...others(253), ...asks()]), [[scanner]]);
  assertEquals(attackers([...tries(scanner, 3), ...others(256), ...asks()]), [["10.0.0.1"]]);
});

Deno.test("a scattered sweep through a router is medium when its source is known, low when it is not", () => {
  const scattered = asks().map((one, i) => ({
    ...one,
    segment: { ...one.segment, dst_ip: `10.0.0.${i * 4 + 2}` },
  }));
  const rated = (updates: readonly FlowUpdate[]) => run(hostSweep, updates).map(severity);
  assertEquals([rated([...scattered, ...tries(scanner, 3)]), rated(scattered)], [["medium"], ["low"]]);
});

Deno.test("an IPv6 network swept through a router is told by its solicitations", () => {
  const solicits = asks(0.1, { protocol: "icmp6", src_port: 135, src_ip: "fe80::1" }).map((one, i) => ({
    ...one,
    segment: { ...one.segment, dst_ip: `ff02::1:ff00:${(i + 1).toString(16)}` },
  }));
  const outside = { protocol: "icmp6", src_port: 128, dst_port: 0, dst_ip: "2001:db8::9" };
  assertEquals(attackers([...solicits, ...tries("2001:db8:1::66", 1, outside)]), [["2001:db8:1::66"]]);
  assertEquals(attackers([...solicits, ...tries("203.0.113.66", 1)]), [["fe80::1"]], "IPv4");
});
