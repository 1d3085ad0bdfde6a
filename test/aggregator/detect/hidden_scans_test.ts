/** Scans that hide: divided among many sources, spread over a day, over IPv6; and what looks like them and is none.
 * @module */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { portScanDistributed } from "../../../aggregator/detect/detectors/port_scan_distributed.ts";
import { portScanHorizontal } from "../../../aggregator/detect/detectors/port_scan_horizontal.ts";
import { portScanSlow } from "../../../aggregator/detect/detectors/port_scan_slow.ts";
import { portScanVertical } from "../../../aggregator/detect/detectors/port_scan_vertical.ts";
import { incidentsOf } from "../../../aggregator/detect/incidents.ts";
import type { Segment } from "../../../shared/segment.ts";
import { sampleThreat } from "../triage/sample_threat.ts";
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

const target = "10.0.0.80";

/** `sources` divide ports from 1 on among them, `each` by each. */
const divided = (sources: number, each: number, change: Partial<Segment> = {}, stepS = 1) =>
  times(sources * each, (i) =>
    update(i * stepS, {
      ...refused,
      src_ip: `203.0.113.${1 + i % sources}`,
      dst_ip: target,
      dst_port: 1 + i,
      ...change,
    }));

Deno.test("a scan divided among five sources is found from 30 ports on, and none of them by itself", () => {
  const [finding, ...others] = run(portScanDistributed, divided(5, 6));
  assertEquals(others, []);
  assertEquals([finding.src_ips.length, finding.dst_ips, finding.dst_port], [5, [target], null]);
  assertEquals([finding.count, severity(finding)], [30, "medium"]);
  assertStringIncludes(finding.words.action, "Block the sources at the firewall");
  assertEquals(run(portScanDistributed, divided(5, 6).slice(0, 29)), []);
  assertEquals(run(portScanDistributed, divided(4, 8)), [], "four sources");
  assertEquals(run(portScanDistributed, divided(15, 2)), [], "two ports by each, as strangers try all day");
  assertEquals(run(portScanVertical, divided(5, 6)), []);
});

Deno.test("a divided scan is found behind hundreds of strangers who try one port each", () => {
  const strangers = times(
    600,
    (i) =>
      update(i * 0.2, { ...silent, src_ip: `198.51.${i >> 8}.${i & 255}`, dst_ip: target, dst_port: 23 }),
  );
  const later = divided(6, 5).map((one) => ({
    ...one,
    segment: { ...one.segment, start: one.segment.start + 200, end: one.segment.end + 200 },
  }));
  assertEquals(run(portScanDistributed, [...strangers, ...later]).map(({ src_ips }) => src_ips.length), [6]);
});

Deno.test("a divided scan from inside names whom to look for, by UDP it counts on service ports", () => {
  const inside = divided(6, 5).map((one, i) => ({
    ...one,
    segment: { ...one.segment, src_ip: `10.0.7.${1 + i % 6}` },
  }));
  const [finding] = run(portScanDistributed, inside);
  assertStringIncludes(
    finding.words.action,
    "Find out which program scans on the sources inside (10.0.7.1, ",
  );
  assertEquals(run(portScanDistributed, divided(6, 5, unansweredDatagram)).length, 1);
  const calls = times(40, (i) =>
    update(i, {
      ...unansweredDatagram,
      src_ip: `203.0.113.${1 + i % 5}`,
      dst_ip: target,
      dst_port: 32_768 + i,
    }));
  assertEquals(run(portScanDistributed, calls), [], "peers of calls try ephemeral ports");
});

Deno.test("a botnet that tries one port by each bot is found from 1500 ports within an hour on; faster it is a flood", () => {
  const botnet = (ports: number, stepS: number) =>
    run(
      portScanDistributed,
      divided(1, ports, {}, stepS).map((one, i) => ({
        ...one,
        segment: { ...one.segment, src_ip: `203.0.${i >> 8}.${i & 255}` },
      })),
    );
  const [finding] = botnet(1_500, 1);
  assertEquals([evidenceValue(finding, "sources"), severity(finding)], ["at least 64", "medium"]);
  assertEquals([botnet(1_499, 1), botnet(1_500, 0.005), botnet(1_500, 3)], [[], [], []]);
});

Deno.test("a network's hosts divided among sources are found from 50 on", () => {
  const bots = (hosts: number, sources: number, change: (i: number) => Partial<Segment> = () => ({})) =>
    run(
      portScanDistributed,
      times(hosts, (i) =>
        update(i * 2, {
          ...silent,
          src_ip: `203.0.113.${1 + i % sources}`,
          dst_ip: `10.1.0.${1 + i}`,
          dst_port: 3_389,
          ...change(i),
        })),
    );
  const [finding] = bots(50, 10);
  assertEquals([finding.src_ips.length, finding.dst_ips.length, finding.dst_port], [10, 50, 3_389]);
  assertEquals([bots(49, 10), bots(50, 4)], [[], []]);
  assertEquals(
    bots(200, 10, (i) => ({ dst_ip: `198.51.100.${i}` })),
    [],
    "hosts of others: peers, not a network",
  );
});

Deno.test("what many ask, what all try, and what is tried again and again is no divided scan", () => {
  const from = (i: number) => ({ src_ip: `203.0.113.${1 + i % 200}`, dst_ip: target });
  const web = times(2_000, (i) => update(i, { ...i % 3 ? {} : refused, ...from(i), dst_port: 443 }));
  const popular = times(
    2_000,
    (i) => update(i, { ...silent, ...from(i), dst_port: 1 + (i * 7 + Math.floor(i / 200)) % 40 }),
  );
  const peers = times(400, (i) => update(i, { ...silent, ...from(i), dst_port: 51_413 }));
  const balancers = times(40 * 30, (i) => {
    const port = i % 40;
    return update(i, {
      ...refused,
      src_ip: `10.0.9.${1 + port % 5}`,
      dst_ip: target,
      dst_port: 30_000 + port,
    });
  });
  assertEquals([web, popular, peers, balancers].map((one) => run(portScanDistributed, one).length), [
    0,
    0,
    0,
    0,
  ]);
  const used = times(300, (i) => update(i, { ...from(i), dst_port: 20_000 + i }));
  assertEquals(run(portScanDistributed, used), [], "conversations on many ports");
  const flood = divided(250, 20, silent, 0.0005);
  assertEquals(run(portScanDistributed, flood), [], "2000 in a second are a flood");
});

Deno.test("a divided scan and the scans of its busiest sources are one incident", () => {
  const bots = times(20, (i) => `203.0.113.${i}`);
  const seen = (detector: string, src_ips: string[], first_seen: number) =>
    sampleThreat({ id: `${detector}${src_ips[0]}`, detector, src_ips, dst_ips: [target], first_seen });
  const threats = [
    seen("port_scan_distributed", bots, 100),
    ...bots.map((bot, i) => seen("port_scan_vertical", [bot], 100 + i)),
  ];
  assertEquals(incidentsOf(threats).map(({ threats }) => threats), [21]);
  const crowd = threats.map((one) => ({ ...one, detector: one.detector.replace("distributed", "of_many") }));
  assertEquals(incidentsOf(crowd).length, 21);
});

/** New ports, or hosts, one every `stepS`. */
const slowPorts = (ports: number, stepS: number, change: Partial<Segment> = {}) =>
  times(ports, (i) => update(i * stepS, { ...refused, dst_ip: target, dst_port: 20 + i, ...change }));
const slowHosts = (hosts: number, stepS: number, change: Partial<Segment> = {}) =>
  times(
    hosts,
    (i) =>
      update(i * stepS, { ...silent, dst_ip: `10.2.${i >> 7}.${1 + i % 128}`, dst_port: 445, ...change }),
  );

Deno.test("a port every five minutes is a slow scan from 30 ports on; a port a minute is found as any other", () => {
  const [finding] = run(portScanSlow, slowPorts(30, 300));
  assertEquals([finding.src_ips, finding.dst_ips, severity(finding)], [["10.0.0.5"], [target], "medium"]);
  assertEquals(evidenceValue(finding, "of them the most in an hour"), 12);
  assertEquals([run(portScanSlow, slowPorts(29, 300)), run(portScanVertical, slowPorts(30, 300))], [[], []]);
  const day = slowPorts(1_440, 60);
  assertEquals([run(portScanVertical, day).length, run(portScanSlow, day).length], [1, 0]);
});

Deno.test("a host every five minutes is a slow scan from 50 hosts on; a host a minute is found as any other", () => {
  const [finding] = run(portScanSlow, slowHosts(50, 300));
  assertEquals([finding.dst_port, finding.dst_ips.length, severity(finding)], [445, 50, "medium"]);
  assertEquals([run(portScanSlow, slowHosts(49, 300)), run(portScanHorizontal, slowHosts(50, 300))], [
    [],
    [],
  ]);
  const day = slowHosts(1_440, 60);
  assertEquals([run(portScanHorizontal, day).length, run(portScanSlow, day).length], [1, 0]);
});

Deno.test("a slow scan is not one from outside, failures over days, retries, or calls back to clients", () => {
  assertEquals(run(portScanSlow, slowPorts(60, 400, { src_ip: "203.0.113.7" })), []);
  assertEquals(run(portScanSlow, slowPorts(60, 7_200)), [], "a failure every two hours");
  const retried = times(3, (round) =>
    slowHosts(60, 300).map((one) => ({
      ...one,
      segment: { ...one.segment, start: one.segment.start + round * 60, end: one.segment.end + round * 60 },
    })));
  const inOrder = retried[0].flatMap((_, i) => retried.map((round) => round[i]));
  assertEquals(run(portScanSlow, inOrder), [], "a list of printers, half a day long");
  assertEquals(run(portScanSlow, inOrder.filter((_, i) => i % 3 < 2)).length, 1, "nmap repeats once");
  const callsBack = times(60, (i) => update(i * 300, { ...silent, dst_ip: target, dst_port: 49_152 + i }));
  assertEquals(run(portScanSlow, callsBack), []);
  const accepting = (open: number) =>
    run(
      portScanSlow,
      slowPorts(60, 300).map((one, i) => ({
        ...one,
        segment: { ...one.segment, ...i < open ? { bwd_tcp_flags: 18, fwd_tcp_flags: 6 } : {} },
      })),
    );
  assertEquals([accepting(30).length, accepting(31).length], [1, 0], "half of the ports must fail");
  const served = times(60, (i) => update(i * 300, { dst_ip: target, dst_port: 1_000 + i }));
  assertEquals(run(portScanSlow, served), []);
});

Deno.test("scans over IPv6 are found like those over IPv4, of every kind", () => {
  const own = (host: number) => `fd00:1::${host.toString(16)}`;
  const to6 = (updates: ReturnType<typeof slowPorts>) =>
    updates.map((one) => {
      const host = (ip: string) =>
        own(ip.split(".").reduce((sum, part) => (sum * 8 + Number(part)) % 60_000, 1));
      const { src_ip, dst_ip } = one.segment;
      return { ...one, segment: { ...one.segment, src_ip: host(src_ip), dst_ip: host(dst_ip) } };
    });
  assertEquals(run(portScanVertical, to6(slowPorts(15, 1))).length, 1);
  assertEquals(run(portScanVertical, to6(slowPorts(14, 1))), []);
  const hosts = (count: number, stepS: number) =>
    times(
      count,
      (i) => update(i * stepS, { ...silent, src_ip: own(0xbeef), dst_ip: own(i + 1), dst_port: 22 }),
    );
  assertEquals([run(portScanHorizontal, hosts(25, 1)).length, run(portScanHorizontal, hosts(24, 1))], [
    1,
    [],
  ]);
  assertEquals([run(portScanSlow, hosts(50, 300)).length, run(portScanSlow, hosts(49, 300))], [1, []]);
  assertEquals(run(portScanSlow, to6(slowPorts(30, 300))).length, 1);
  assertEquals(run(portScanDistributed, to6(divided(5, 6))).length, 1);
});
