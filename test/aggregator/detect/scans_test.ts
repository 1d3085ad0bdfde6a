/** Port scans and floods: found where they are, not where hosts merely fail. @module */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { portScanHorizontal } from "../../../aggregator/detect/detectors/port_scan_horizontal.ts";
import { portScanVertical } from "../../../aggregator/detect/detectors/port_scan_vertical.ts";
import { stackFingerprinting } from "../../../aggregator/detect/detectors/stack_fingerprinting.ts";
import { synFlood } from "../../../aggregator/detect/detectors/syn_flood.ts";
import type { Segment } from "../../../shared/segment.ts";
import { refused, run, severity, silent, times, unansweredDatagram, update } from "./updates.ts";

const scanOf = (ports: number, stepS = 0.1) =>
  times(ports, (i) => update(i * stepS, { ...refused, dst_ip: "10.0.0.9", dst_port: 1_000 + i }));

Deno.test("vertical scan is found from its threshold on, with attacker and victim", () => {
  assertEquals(run(portScanVertical, scanOf(14)), []);
  const [finding] = run(portScanVertical, scanOf(15));
  assertEquals([finding.src_ips, finding.dst_ips, finding.dst_port], [["10.0.0.5"], ["10.0.0.9"], null]);
  assertEquals([finding.count, finding.technique, severity(finding)], [15, "T1046", "medium"]);
});

Deno.test("vertical scan of a thousand ports is high", () => {
  assertEquals(severity(run(portScanVertical, scanOf(1_000, 0.01))[0]), "high");
});

Deno.test("vertical scan at one port every four minutes is found", () => {
  const [finding] = run(portScanVertical, scanOf(15, 230));
  assertEquals(finding.count, 15);
});

Deno.test("vertical scan is not a client that talks to many ports of a server", () => {
  const updates = times(60, (i) => update(i, { dst_ip: "10.0.0.9", dst_port: 20_000 + i }));
  assertEquals(run(portScanVertical, updates), []);
});

Deno.test("vertical scan is not a client that calls one dead port again and again", () => {
  assertEquals(run(portScanVertical, times(200, (i) => update(i, silent))), []);
});

Deno.test("vertical scan is not a rare failure a day for a month", () => {
  assertEquals(run(portScanVertical, scanOf(30, 86_400)), []);
});

Deno.test("vertical scan is not what comes back when only answers are captured", () => {
  const resets = times(
    100,
    (i) => update(i, { ...silent, src_port: 80, dst_port: 40_000 + i, fwd_tcp_flags: 20, fwd_syn_count: 0 }),
  );
  const accepts = times(
    100,
    (i) => update(i, { ...silent, src_port: 443, dst_port: 40_000 + i, fwd_tcp_flags: 18 }),
  );
  const answers = times(100, (i) => update(i, { ...unansweredDatagram, src_port: 53, dst_port: 40_000 + i }));
  assertEquals(run(portScanVertical, [...resets, ...accepts, ...answers]), []);
});

Deno.test("vertical scan is not a traceroute", () => {
  const updates = times(90, (i) => update(i * 0.1, { ...unansweredDatagram, dst_port: 33_434 + i }));
  assertEquals(run(portScanVertical, updates), []);
});

Deno.test("vertical scan by UDP and by FIN without SYN is found", () => {
  const datagrams = times(40, (i) => update(i * 0.1, { ...unansweredDatagram, dst_port: 100 + i }));
  const fins = times(
    20,
    (i) => update(i * 0.1, { ...silent, dst_port: 100 + i, fwd_tcp_flags: 1, fwd_syn_count: 0 }),
  );
  assertEquals(run(portScanVertical, [...datagrams, ...fins]).length, 2);
});

Deno.test("vertical scan whose TCP headers are cut into fragments is found, whatever flags its pieces show", () => {
  const pieces = (shortest: number, change: Partial<Segment> = {}) =>
    run(
      portScanVertical,
      times(15, (i) =>
        update(i * 0.1, {
          ...refused,
          dst_port: 100 + i,
          fwd_packets: 3,
          fwd_payload_bytes: 16,
          fwd_tcp_flags: 0,
          fwd_syn_count: 0,
          packet_length_min: shortest,
          ...change,
        })),
    ).map((finding) => finding.count);
  assertEquals([pieces(28), pieces(39), pieces(40)], [[15], [15], []]);
  assertEquals(
    pieces(36, { fwd_tcp_flags: 2, fwd_payload_bytes: 8 }),
    [15],
    "the flags are in the first piece",
  );
  assertEquals(pieces(28, { bwd_packets: 0, bwd_tcp_flags: 0 }), [15], "nobody answers");
  const v6 = { src_ip: "2001:db8::5", dst_ip: "2001:db8::9" };
  assertEquals([pieces(59, v6), pieces(60, v6)], [[15], []]);
  assertEquals(pieces(28, { bwd_payload_bytes: 1 }), [], "a conversation");
});

Deno.test("vertical scan by SCTP is found by refusals and silence; associations are no scan", () => {
  const sctp = (change: Partial<Segment>) =>
    run(
      portScanVertical,
      times(15, (i) =>
        update(i * 0.1, { ...unansweredDatagram, protocol: "sctp", dst_port: 2_900 + i, ...change })),
    ).map(({ words }) =>
      words.summary
    );
  const abort = { bwd_packets: 1, bwd_payload_bytes: 12 },
    initAck = { bwd_packets: 1, bwd_payload_bytes: 13 };
  assertEquals([sctp({}).length, sctp(abort).length, sctp(initAck).length], [1, 1, 0]);
  assertStringIncludes(sctp(abort)[0], "15 different SCTP ports");
  assertEquals(
    [sctp({ fwd_packets: 3 }).length, sctp({ fwd_packets: 4 }).length],
    [1, 0],
    "INIT is repeated",
  );
  assertEquals(sctp({ fwd_packets: 4, ...abort }), [], "an association that ends");
  const sweep = (hosts: number) =>
    run(
      portScanHorizontal,
      times(hosts, (i) =>
        update(i, { ...unansweredDatagram, protocol: "sctp", dst_port: 2_905, dst_ip: `10.0.1.${i}` })),
    ).length;
  assertEquals([sweep(25), sweep(24)], [1, 0]);
});

Deno.test("vertical scan survives a time that jumps back and forth", () => {
  const updates = scanOf(40).flatMap((
    one,
    i,
  ) => [one, update(i % 2 ? -1e9 : 1e9, { ...silent, src_ip: "10.0.0.66" })]);
  assertEquals(run(portScanVertical, updates).map((finding) => finding.count), [40]);
});

Deno.test("vertical scan counts nothing twice when a second sensor shows the same flow", () => {
  const again = times(200, (i) => update(i * 0.1, { ...refused, dst_port: 2_000 + i }, false));
  assertEquals(run(portScanVertical, [...scanOf(14), ...again]), []);
});

const sweepOf = (hosts: number, change = {}) =>
  times(
    hosts,
    (i) => update(i * 0.1, { ...silent, dst_ip: `10.1.${i >> 8}.${1 + i % 250}`, dst_port: 445, ...change }),
  );

Deno.test("horizontal scan is found from its threshold on, with its port and its hosts", () => {
  const holes = (i: number) => ({ dst_ip: `10.1.${i}.9` });
  assertEquals(
    run(portScanHorizontal, times(24, (i) => update(i, { ...silent, dst_port: 445, ...holes(i) }))),
    [],
  );
  const [finding] = run(portScanHorizontal, sweepOf(25));
  assertEquals([finding.src_ips, finding.dst_port, finding.dst_ips.length], [["10.0.0.5"], 445, 25]);
  assertEquals(severity(finding), "medium");
});

Deno.test("horizontal scan of several ports is one threat", () => {
  const findings = run(portScanHorizontal, [...sweepOf(100), ...sweepOf(100, { dst_port: 139 })]);
  assertEquals(findings.map(({ dst_port, count }) => [dst_port, count]), [[null, 200]]);
});

Deno.test("a small network walked through within 10 s is a scan from 12 hosts on, slower or with holes it is none", () => {
  const small = (hosts: number, stepS: number, stride = 1) =>
    run(
      portScanHorizontal,
      times(hosts, (i) =>
        update(i * stepS, { ...refused, dst_ip: `10.0.0.${100 + i * stride}`, dst_port: 445 })),
    );
  const [finding] = small(12, 0.2);
  assertEquals([finding.dst_port, finding.dst_ips.length, severity(finding)], [445, 12, "medium"]);
  assertEquals([small(11, 0.2), small(12, 1), small(12, 0.2, 3)], [[], [], []]);
});

Deno.test("a worm that tries a few ports, one at each host, is a scan of 50 hosts; peers with a port each are none", () => {
  const worm = (hosts: number, ports: number) =>
    run(
      portScanHorizontal,
      times(
        hosts,
        (i) => update(i * 2, { ...silent, dst_ip: `10.1.0.${i * 3}`, dst_port: 8_000 + i % ports }),
      ),
    );
  const [finding] = worm(60, 5);
  assertEquals([finding.dst_port, finding.dst_ips.length, severity(finding)], [null, 60, "medium"]);
  assertEquals([worm(49, 5), worm(80, 40)], [[], []]);
});

Deno.test("horizontal scan is not a browser whose servers answer", () => {
  const good = times(200, (i) => update(i, { dst_ip: `198.51.100.${i % 250}` }));
  const bad = times(30, (i) => update(i, { ...silent, dst_ip: `203.0.113.${i}` }));
  assertEquals(run(portScanHorizontal, [...good, ...bad]), []);
});

Deno.test("horizontal scan is not peer-to-peer, where each peer listens on its own port", () => {
  const peers = times(
    300,
    (i) => update(i, { ...silent, dst_ip: `203.0.113.${i % 250}`, dst_port: i % 4 ? 10_000 + i : 6_346 }),
  );
  assertEquals(run(portScanHorizontal, peers), []);
});

Deno.test("horizontal scan is not discovery by multicast and broadcast", () => {
  const updates = times(
    60,
    (i) => update(i, { ...unansweredDatagram, dst_ip: `239.1.1.${i}`, dst_port: 1_900 }),
  );
  assertEquals(run(portScanHorizontal, updates), []);
});

/** Rounds over 60 printers by SNMP, half of which are off. */
const pollOf = (rounds: number, everyS: number, change = {}) =>
  times(rounds, (round) =>
    times(60, (i) =>
      update(round * everyS + i * 0.05, {
        ...i % 2
          ? unansweredDatagram
          : { protocol: "udp", fwd_syn_count: 0, fwd_tcp_flags: 0, bwd_tcp_flags: 0 },
        dst_ip: `10.1.0.${10 + i}`,
        dst_port: 161,
        ...change,
      }))).flat();

Deno.test("horizontal scan is not a fixed list asked again and again, half of which is off", () => {
  assertEquals(run(portScanHorizontal, pollOf(3, 60)), []);
  assertEquals(run(portScanHorizontal, pollOf(20, 15)), []);
});

Deno.test("horizontal scan of few hosts on a port that monitors ask is low at first, of a hundred it is medium", () => {
  const scan = (hosts: number, change: Partial<Segment>) =>
    run(portScanHorizontal, sweepOf(hosts, change)).map(severity);
  const snmp = { ...unansweredDatagram, dst_port: 161 };
  assertEquals([scan(99, snmp), scan(100, snmp)], [["low"], ["medium"]]);
  assertEquals([scan(99, { dst_port: 9_100 }), scan(99, { dst_port: 3_389 })], [["low"], ["medium"]]);
});

const floodOf = (syns: number, change: (i: number) => object = () => ({})) =>
  times(
    syns,
    (i) =>
      update(i * 0.01, {
        ...silent,
        src_ip: `203.${i >> 8 & 255}.${i & 255}.9`,
        dst_ip: "10.0.0.80",
        dst_port: 80,
        ...change(i),
      }),
  );

Deno.test("SYN flood from forged sources names its victim and port", () => {
  const [finding] = run(synFlood, floodOf(3_000));
  assertEquals([finding.dst_ips, finding.dst_port, finding.count], [["10.0.0.80"], 80, 3_000]);
  assertEquals([finding.src_ips.length, severity(finding)], [100, "high"]);
});

Deno.test("SYN flood from a single source is found", () => {
  assertEquals(run(synFlood, floodOf(2_000, () => ({ src_ip: "10.0.0.66" }))).length, 1);
});

Deno.test("SYN flood is not a scan of a thousand ports", () => {
  const updates = floodOf(1_000, (i) => ({ src_ip: "10.0.0.66", dst_port: i + 1 }));
  assertEquals(run(synFlood, updates), []);
});

Deno.test("SYN flood is not a busy server, nor one that a few clients cannot reach", () => {
  const busy = times(5_000, (i) => update(i * 0.01, { dst_ip: "10.0.0.80" }));
  const failing = times(
    127,
    (i) => update(i * 0.05, { ...silent, dst_ip: "10.0.0.80" }),
  );
  assertEquals(run(synFlood, [...busy, ...failing]), []);
});

Deno.test("SYN flood is not a load test cut off in the moment it opens its connections", () => {
  const updates = times(500, (i) => update(i * 0.001, { ...silent, dst_ip: "10.0.0.80", dst_port: 7_000 }));
  assertEquals(run(synFlood, updates), []);
});

Deno.test("horizontal scan by lone ACKs is found inside a network, not among half-seen conversations outside", () => {
  const ack = { ...silent, fwd_tcp_flags: 16, fwd_syn_count: 0, dst_port: 80, conn_state: "OTH" as const };
  const sweep = (net: string, change: Partial<Segment> = {}) =>
    run(
      portScanHorizontal,
      times(25, (i) => update(i / 10, { ...ack, dst_ip: `${net}.${i + 1}`, ...change })),
    );
  assertEquals(sweep("10.0.0").map(severity), ["medium"]);
  assertEquals(sweep("203.0.113"), []);
  assertEquals(sweep("10.0.0", { fwd_packets: 2 }), [], "a conversation goes on");
});

Deno.test("horizontal scan is not a browser whose QUIC servers are out of sight, as it asks them by name", () => {
  const ask = (named: boolean) =>
    times(27, (i) =>
      update(i, {
        ...unansweredDatagram,
        dst_ip: `203.0.113.${i + 1}`,
        dst_port: 443,
        facts: named ? { quic: { sni: `host${i}.example.com` } } : null,
      }));
  assertEquals([run(portScanHorizontal, ask(true)), run(portScanHorizontal, ask(false)).length], [[], 1]);
});

Deno.test("addresses of 240.0.0.0/4, over which captures are made anonymous, are hosts; multicast is none", () => {
  const scan = (net: string) =>
    run(
      portScanHorizontal,
      times(30, (i) => update(i, { ...silent, dst_ip: `${net}.${i + 1}`, dst_port: 22 })),
    );
  assertEquals([scan("246.237.103").length, scan("239.1.1")], [1, []]);
});

Deno.test("stack fingerprinting is two kinds of packets that no program sends within a minute; one kind is none", () => {
  const tcp = (atS: number, fwd_tcp_flags: number, change: Partial<Segment> = {}) =>
    update(atS, { ...silent, dst_ip: "10.0.0.9", dst_port: 135, fwd_tcp_flags, ...change });
  const icmp = (atS: number, src_port: number, dst_port = 0) =>
    update(atS, { ...silent, protocol: "icmp", dst_ip: "10.0.0.9", src_port, dst_port, fwd_tcp_flags: 0 });
  const found = (...updates: ReturnType<typeof tcp>[]) => run(stackFingerprinting, updates).map(severity);
  assertEquals(found(tcp(0, 0), tcp(1, 43), tcp(2, 41), icmp(3, 8, 9)), ["medium"]);
  assertEquals(found(icmp(0, 13), icmp(50, 17)), ["medium"]);
  assertEquals(found(icmp(0, 13), icmp(62, 17)), []);
  assertEquals(found(tcp(0, 0), tcp(1, 0), tcp(2, 0)), [], "a NULL scan is a port scan");
  assertEquals(found(tcp(0, 2), tcp(1, 27), tcp(2, 41, { fwd_payload_bytes: 9 }), icmp(3, 8)), []);
});

Deno.test("SYN-ACKs to a service from four ports prepare an idle scan, whichever side stands for the caller", () => {
  const asked = (ports: number, change: Partial<Segment> = {}) =>
    run(
      stackFingerprinting,
      times(ports, (i) =>
        update(i * 0.03, {
          ...silent,
          src_ip: "10.0.0.66",
          src_port: 49_000 + i,
          dst_ip: "10.0.0.30",
          dst_port: 80,
          fwd_tcp_flags: 18,
          bwd_packets: 1,
          bwd_tcp_flags: 4,
          ...change,
        })),
    );
  const [finding] = asked(4);
  assertEquals([finding.src_ips, finding.dst_ips, finding.dst_port, severity(finding)], [
    ["10.0.0.66"],
    ["10.0.0.30"],
    80,
    "medium",
  ]);
  assertEquals(asked(3), []);
  assertEquals(asked(9, { src_port: 49_000 }), [], "one port");
  assertEquals(asked(9, { bwd_tcp_flags: 16 }), [], "the answers of a server whose questions were not seen");
  assertEquals(asked(9, { dst_port: 40_000 }), [], "a server with many ports, seen one way");
  const back = run(
    stackFingerprinting,
    times(4, (i) =>
      update(i * 0.03, {
        ...silent,
        src_ip: "10.0.0.30",
        src_port: 80,
        dst_ip: "10.0.0.66",
        dst_port: 49_000 + i,
        fwd_tcp_flags: 4,
        bwd_packets: 1,
        bwd_tcp_flags: 18,
      })),
  );
  assertEquals(back.map(({ src_ips, dst_ips }) => [src_ips, dst_ips]), [[["10.0.0.66"], ["10.0.0.30"]]]);
});
