/** Both sides of every guard, in literal numbers: a changed threshold fails here. @module */

import { assertEquals } from "@std/assert";
import { amplification } from "../../../aggregator/detect/detectors/amplification.ts";
import { beacon } from "../../../aggregator/detect/detectors/beacon.ts";
import { dnsTunnel } from "../../../aggregator/detect/detectors/dns_tunnel.ts";
import { hostSweep } from "../../../aggregator/detect/detectors/host_sweep.ts";
import { icmpTunnel } from "../../../aggregator/detect/detectors/icmp_tunnel.ts";
import { nxdomainBurst } from "../../../aggregator/detect/detectors/nxdomain_burst.ts";
import { passwordGuessing } from "../../../aggregator/detect/detectors/password_guessing.ts";
import { portScanHorizontal } from "../../../aggregator/detect/detectors/port_scan_horizontal.ts";
import { portScanVertical } from "../../../aggregator/detect/detectors/port_scan_vertical.ts";
import { synFlood } from "../../../aggregator/detect/detectors/syn_flood.ts";
import type { Declaration } from "../../../aggregator/detect/detector.ts";
import type { FlowUpdate } from "../../../aggregator/model/flow.ts";
import type { Segment } from "../../../shared/segment.ts";
import { lookUp, refused, run, silent, times, unansweredDatagram, update } from "./updates.ts";

/** Whether anything is found. */
const finds = (declaration: Declaration, updates: FlowUpdate[]) => run(declaration, updates).length > 0;
/** `quiet` finds nothing, `loud` something. */
function edge(
  name: string,
  declaration: Declaration,
  quiet: () => FlowUpdate[],
  loud: () => FlowUpdate[],
): void {
  Deno.test(
    name,
    () => assertEquals([finds(declaration, quiet()), finds(declaration, loud())], [false, true]),
  );
}

const syns = (count: number, everyS: number, completed = 0) => [
  ...times(
    count,
    (i) =>
      update(i * everyS, { ...silent, src_ip: `203.0.113.${i % 200}`, dst_ip: "10.0.0.80", dst_port: 80 }),
  ),
  ...times(completed, (i) => update(i * everyS, { dst_ip: "10.0.0.80", dst_port: 80 })),
];
// The base time is a whole number of ten seconds.
edge("SYN flood: 128 attempts in 10 s", synFlood, () => syns(127, 0.075), () => syns(128, 0.075));
edge("SYN flood: 3 s, unless there are 1,000", synFlood, () => syns(999, 0.002), () => syns(1_000, 0.002));
edge("SYN flood: goes on for 3 s", synFlood, () => syns(200, 0.0149), () => syns(202, 0.0151));
edge(
  "SYN flood: four fifths are never completed",
  synFlood,
  () => syns(400, 0.02, 101),
  () => syns(400, 0.02, 99),
);
edge(
  "SYN flood: up to four sources on a fifth as many ports are a scan",
  synFlood,
  () => times(500, (i) => update(i * 0.01, { ...silent, dst_ip: "10.0.0.80", dst_port: 1 + i % 100 })),
  () => times(500, (i) => update(i * 0.01, { ...silent, dst_ip: "10.0.0.80", dst_port: 1 + i % 99 })),
);

const ports = (count: number, used: number, change: Partial<Segment> = refused) => [
  ...times(count, (i) => update(i, { ...change, dst_port: 1_000 + i })),
  ...times(used, (i) => update(count + i, { dst_port: 9_000 + i })),
];
edge("vertical scan: 15 TCP ports", portScanVertical, () => ports(14, 0), () => ports(15, 0));
edge(
  "vertical scan: 30 UDP ports",
  portScanVertical,
  () => ports(29, 0, unansweredDatagram),
  () => ports(30, 0, unansweredDatagram),
);
edge("vertical scan: half of the ports fail", portScanVertical, () => ports(20, 21), () => ports(20, 20));
edge(
  "vertical scan: ten minutes of silence end it",
  portScanVertical,
  () => times(15, (i) => update(i * 601, { ...refused, end: 1_700_000_000 + i * 601, dst_port: 1_000 + i })),
  () => times(15, (i) => update(i * 200, { ...refused, dst_port: 1_000 + i })),
);

const hosts = (failed: number, used: number) => [
  ...times(failed, (i) => update(i, { ...silent, dst_ip: `10.1.0.${i}`, dst_port: 445 })),
  ...times(used, (i) => update(failed + i, { dst_ip: `10.2.0.${i}`, dst_port: 445 })),
];
edge("horizontal scan: 25 hosts", portScanHorizontal, () => hosts(24, 0), () => hosts(25, 0));
edge("horizontal scan: half of the hosts fail", portScanHorizontal, () => hosts(30, 31), () => hosts(30, 30));
edge(
  "horizontal scan: half of the failing hosts fail on this port",
  portScanHorizontal,
  () => [
    ...hosts(30, 0),
    ...times(31, (i) => update(i, { ...silent, dst_ip: `10.3.0.${i}`, dst_port: 9 + i })),
  ],
  () => [
    ...hosts(30, 0),
    ...times(30, (i) => update(i, { ...silent, dst_ip: `10.3.0.${i}`, dst_port: 9 + i })),
  ],
);

const arp = { ...silent, protocol: "arp", src_port: 0, dst_port: 0, dst_mac: "ff:ff:ff:ff:ff:ff" };
const asks = (count: number, everyS: number, change: Partial<Segment> = {}) =>
  times(count, (i) => update(i * everyS, { ...arp, dst_ip: `10.0.0.${i * 4 % 251}`, ...change }));
edge("host sweep: 25 addresses", hostSweep, () => asks(24, 1), () => asks(25, 1));
edge("host sweep: five a minute", hostSweep, () => asks(40, 12.5), () => asks(40, 12));
edge(
  "host sweep: duplicate-address probes are no questions",
  hostSweep,
  () => asks(60, 1, { src_ip: "0.0.0.0" }),
  () => asks(60, 1, { src_ip: "10.0.0.4" }),
);

const pings = (packets: number, min: number, max: number, deviation: number) => [
  update(0, {
    protocol: "icmp",
    src_port: 8,
    dst_port: 0,
    fwd_packets: packets,
    bwd_packets: 0,
    packet_length_min: min,
    packet_length_max: max,
    packet_length_mean: 100,
    packet_length_deviation: deviation,
  }),
];
edge("ICMP tunnel: 50 packets", icmpTunnel, () => pings(49, 60, 200, 40), () => pings(50, 60, 200, 40));
edge(
  "ICMP tunnel: 64 octets between sizes",
  icmpTunnel,
  () => pings(50, 60, 123, 40),
  () => pings(50, 60, 124, 40),
);
edge(
  "ICMP tunnel: deviation of 15 %",
  icmpTunnel,
  () => pings(50, 60, 200, 14),
  () => pings(50, 60, 200, 15),
);

const missing = (count: number, existing: number, label: (i: number) => string) =>
  times(count + existing, (i) => {
    const rcode = i < count ? "NXDOMAIN" : "NOERROR";
    return lookUp(i, "", "A", { facts: { dns: [{ name: `${label(i)}.com`, type: "A", rcode }] } });
  });
const digit = "abcdefghij";
/** Ten letters, all different but three: 3.1 bits. Two letters in turn: 1 bit and a little. */
const computed = (i: number) => `qzxw${digit[i % 10]}${digit[Math.floor(i / 10)]}vkjp`;
const words = (i: number) => `aaabbb${digit[i % 10]}${digit[Math.floor(i / 10)]}`;
edge(
  "NXDOMAIN burst: 50 domains",
  nxdomainBurst,
  () => missing(49, 0, computed),
  () => missing(50, 0, computed),
);
edge(
  "NXDOMAIN burst: half fail",
  nxdomainBurst,
  () => missing(50, 50 + 1, computed),
  () => missing(50, 50, computed),
);
edge(
  "NXDOMAIN burst: names are computed",
  nxdomainBurst,
  () => missing(60, 0, words),
  () => missing(60, 0, computed),
);

const ssh = { dst_ip: "10.0.0.22", dst_port: 22, app_protocol: "ssh", fwd_payload_bytes: 1_900 };
const logins = (count: number, everyS: number, size: (i: number) => number = () => 2_300) =>
  times(
    count,
    (i) => update(i * everyS, { ...ssh, end: 1_700_000_000 + i * everyS, bwd_payload_bytes: size(i) }),
  );
edge("password guessing: 20 attempts", passwordGuessing, () => logins(19, 1), () => logins(20, 1));
edge("password guessing: two a minute", passwordGuessing, () => logins(28, 33), () => logins(28, 30));
edge(
  "password guessing: answers alike within 30 %",
  passwordGuessing,
  () => logins(30, 1, (i) => [1_000, 1_000 * 1.32, 1_000 / 1.5][i % 3]),
  () => logins(30, 1, (i) => [1_000, 1_000 * 1.28, 1_000 / 1.3][i % 3]),
);
edge(
  "password guessing: four of five sessions fail",
  passwordGuessing,
  () => [...logins(40, 1), ...times(11, (i) => update(50 + i, { ...ssh, bwd_payload_bytes: 90_000 }))],
  () => [...logins(40, 1), ...times(10, (i) => update(50 + i, { ...ssh, bwd_payload_bytes: 90_000 }))],
);

const answers = (servers: number, bytes: number, packets = 4) =>
  times(servers, (i) =>
    update(i, {
      protocol: "udp",
      src_ip: `198.51.100.${i}`,
      src_port: 53,
      dst_ip: "10.0.0.80",
      dst_port: 4_444,
      fwd_packets: packets,
      fwd_bytes: bytes,
      bwd_packets: 0,
    }));
edge("amplification: ten servers", amplification, () => answers(9, 20_000), () => answers(10, 20_000));
edge("amplification: 100,000 octets", amplification, () => answers(10, 9_999), () => answers(10, 10_000));
edge(
  "amplification: 300 octets a packet",
  amplification,
  () => answers(10, 20_000, 67),
  () => answers(10, 20_000, 66),
);

const label = (i: number, length: number) =>
  (i.toString(36) + "q7x2m9k4w8v3z6j1p5r0t").repeat(4).slice(0, length);
const names = (count: number, length: number, type: string) =>
  times(count, (i) => lookUp(i, `${label(i + 40, length)}.example.org`, type));
edge("DNS tunnel: 20 names", dnsTunnel, () => names(19, 50, "A"), () => names(20, 50, "A"));
edge("DNS tunnel: 35 characters", dnsTunnel, () => names(40, 34, "A"), () => names(40, 35, "A"));
edge(
  "DNS tunnel: 10 characters with odd types",
  dnsTunnel,
  () => names(40, 9, "TXT"),
  () => names(40, 10, "TXT"),
);
edge(
  "DNS tunnel: half of the questions are new",
  dnsTunnel,
  () => [...names(30, 50, "A"), ...names(30, 50, "A"), ...names(1, 50, "A")],
  () => [...names(30, 50, "A"), ...names(30, 50, "A")],
);

/** Calls whose intervals alternate between `1 - part` and `1 + part` minutes, with sizes in turn. */
const calls = (count: number, part: number, sizes: readonly number[] = [700]) =>
  times(count, (i) => update(60 * (i + (i % 2 ? part : 0)), { fwd_payload_bytes: sizes[i % sizes.length] }));
edge("beacon: ten calls", beacon, () => calls(9, 0), () => calls(10, 0));
edge("beacon: intervals deviate by at most 35 %", beacon, () => calls(41, 0.37), () => calls(41, 0.34));
/** Sizes of no pattern: 0.751 without a pause, 0.654 with one of five minutes. */
const odd = [100, 5_000, 90, 9_000, 40];
edge(
  "beacon: a score of 0.75",
  beacon,
  () => times(40, (i) => update(60 * i + (i >= 20 ? 300 : 0), { fwd_payload_bytes: odd[i % 5] })),
  () => calls(40, 0, odd),
);
