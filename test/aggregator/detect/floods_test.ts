/** Floods of any protocol and reflection: found with victim and sources, quiet on transfers, streams, monitors and
 * answers that were asked for. @module */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { amplification } from "../../../aggregator/detect/detectors/amplification.ts";
import { flood } from "../../../aggregator/detect/detectors/flood.ts";
import { reflection } from "../../../aggregator/detect/detectors/reflection.ts";
import { synFlood } from "../../../aggregator/detect/detectors/syn_flood.ts";
import type { Segment } from "../../../shared/segment.ts";
import { evidenceValue, run, severity, silent, times, unansweredDatagram, update } from "./updates.ts";

const victim = "10.0.0.80";
const datagram = { ...unansweredDatagram, dst_ip: victim, dst_port: 80, fwd_bytes: 540 };

Deno.test("a UDP flood from many sources at many ports is found, from 1000 packets in a second on", () => {
  const packets = (perS: number) =>
    times(4 * perS, (i) =>
      update(i / perS, {
        ...datagram,
        end: 1_700_000_000 + i / perS,
        src_ip: `203.0.113.${i % 200}`,
        dst_port: 1_024 + i % 3_000,
      }));
  const [finding] = run(flood, packets(1_000));
  assertEquals([finding.dst_ips, finding.src_ips.length, severity(finding)], [[victim], 100, "medium"]);
  assertEquals(evidenceValue(finding, "of them in the busiest second"), 1_000);
  assertStringIncludes(finding.words.action, "Do not block the sources one by one");
  assertEquals(run(flood, packets(990)), []);
});

const stream = (packets: number, change: Partial<Segment> = {}) =>
  update(0, { ...datagram, end: 1_700_000_060, fwd_packets: packets, fwd_bytes: 1_328 * packets, ...change });

Deno.test("one UDP stream is low like video, and a flood when no video is so fast", () => {
  assertEquals(run(flood, [stream(300_000)]).map(severity), ["low"]);
  assertEquals(run(flood, [stream(900_000)]).map(severity), ["medium"]);
  assertEquals(run(flood, [stream(900_000, { bwd_packets: 90_000 })]), [], "a QUIC upload is acknowledged");
  assertEquals(run(flood, [stream(900_000, { dst_port: 4_789 })]), [], "VXLAN carries others' packets");
  const [bot] = run(flood, [stream(900_000, { dst_ip: "203.0.113.9" })]);
  assertStringIncludes(bot.words.action, "isolate 10.0.0.5");
});

Deno.test("a collector of logs is low, however many devices send to it", () => {
  const logs = times(100, (i) => stream(1_200, { src_ip: `10.0.1.${i}`, dst_port: 514 }));
  assertEquals(run(flood, logs).map(severity), ["low"]);
  const other = times(100, (i) => stream(1_200, { src_ip: `10.0.1.${i}`, dst_port: 515 }));
  assertEquals(run(flood, other).map(severity), ["medium"]);
});

const ping = (perS: number) =>
  update(0, {
    ...datagram,
    protocol: "icmp",
    src_port: 8,
    dst_port: 0,
    end: 1_700_000_010,
    fwd_packets: 11 * perS,
    bwd_packets: 11 * perS,
  });

Deno.test("an ICMP flood is one although every ping is answered; monitors and errors are none", () => {
  const [finding] = run(flood, [ping(260)]);
  assertEquals([finding.title, finding.dst_ips, severity(finding)], ["ICMP flood", [victim], "medium"]);
  assertEquals(run(flood, [ping(240)]), []);
  const unreachable = ping(2_000);
  assertEquals(run(flood, [{ ...unreachable, segment: { ...unreachable.segment, src_port: 3 } }]), []);
});

const acks = (perS: number, change: Partial<Segment> = {}) =>
  times(4 * perS, (i) =>
    update(i / perS, {
      ...silent,
      fwd_tcp_flags: 16,
      fwd_syn_count: 0,
      src_port: 1_024 + i,
      dst_ip: victim,
      dst_port: 80,
      ...change,
    }));

Deno.test("an ACK flood is found, from 250 flows in a second on; SYNs are the SYN flood's and a scan the scan's", () => {
  assertEquals(run(flood, acks(250)).map(({ title }) => title), ["TCP flood"]);
  assertEquals(run(flood, acks(245)), []);
  assertEquals(
    run(flood, acks(400, { bwd_packets: 3, bwd_tcp_flags: 16 })),
    [],
    "conversations seen from their middle",
  );
  const scan = acks(400).map((one, i) => ({ ...one, segment: { ...one.segment, dst_port: 1 + i } }));
  assertEquals(run(flood, scan), []);
  const syns = acks(400, { ...silent, fwd_syn_count: 1 });
  assertEquals([run(flood, syns).length, run(synFlood, syns).length], [0, 1]);
});

const web = { dst_ip: victim, dst_port: 80, src_ip: "203.0.113.66" };

Deno.test("connections that overrun a web server are a flood; a proxy whose server keeps up is low", () => {
  const connections = (perS: number, change: (i: number) => Partial<Segment>) =>
    run(flood, times(5 * perS, (i) => update(i / perS, { ...web, ...change(i) })));
  const [finding] = connections(120, () => ({}));
  assertEquals([finding.src_ips, finding.technique, severity(finding)], [
    ["203.0.113.66"],
    "T1499.002",
    "medium",
  ]);
  assertEquals(connections(95, () => ({})), []);
  assertEquals(connections(120, () => ({ src_ip: "10.0.0.5" })).map(severity), ["low"]);
  const half = (i: number) => ({ src_ip: "10.0.0.5", ...i % 2 ? { bwd_payload_bytes: 0 } : {} });
  assertEquals(connections(120, half).map(severity), ["medium"]);
});

Deno.test("50 web requests held open unfinished are found, 49 are not, and answered long polls never", () => {
  const held = (count: number, change: Partial<Segment> = {}) =>
    run(
      flood,
      times(count, (i) =>
        update(i, {
          ...web,
          end: 1_700_000_000 + i + 21,
          bwd_payload_bytes: 0,
          fwd_payload_bytes: 240,
          ...change,
        })),
    );
  const [finding] = held(50);
  assertEquals([finding.src_ips, finding.dst_ips, severity(finding)], [["203.0.113.66"], [victim], "medium"]);
  assertEquals(held(49), []);
  assertEquals(held(80, { bwd_payload_bytes: 300 }), []);
  assertEquals(held(80, { fwd_payload_bytes: 0 }), [], "spare connections that no request went through");
});

const synAck = {
  ...silent,
  src_ip: victim,
  fwd_packets: 0,
  fwd_tcp_flags: 0,
  fwd_syn_count: 0,
  bwd_packets: 10,
  bwd_bytes: 440,
  bwd_tcp_flags: 18,
  bwd_syn_count: 10,
  dst_port: 443,
};
const answered = (servers: number, change: Partial<Segment> = {}) =>
  times(servers, (i) => update(i * 0.01, { ...synAck, dst_ip: `203.0.113.${i}`, ...change }));

Deno.test("SYN-ACKs of 25 servers without a SYN are reflection, those of 24 are not", () => {
  const [finding] = run(reflection, answered(25));
  assertEquals([finding.dst_ips, finding.src_ips.length, severity(finding)], [[victim], 25, "medium"]);
  assertEquals(run(reflection, answered(24)), []);
  assertEquals(run(reflection, answered(25, { bwd_packets: 7 })), [], "175 packets");
  assertEquals(
    run(reflection, answered(60, { bwd_payload_bytes: 500 })),
    [],
    "one direction of real connections",
  );
  assertEquals(run(reflection, answered(60, { fwd_syn_count: 1, fwd_packets: 1 })), [], "it asked");
  const resets = answered(25, { fwd_packets: 10, fwd_tcp_flags: 4 });
  assertEquals(run(reflection, resets).length, 1, "the victim resets what it never began");
});

Deno.test("UDP reflection is found on any port, once: large answers of known services are amplification", () => {
  const answers = (port: number, octets: number) =>
    times(60, (i) =>
      update(i * 0.01, {
        ...datagram,
        src_ip: victim,
        src_port: 40_000,
        dst_ip: `203.0.113.${i}`,
        dst_port: port,
        fwd_packets: 0,
        fwd_bytes: 0,
        bwd_packets: 10,
        bwd_bytes: 10 * octets,
      }));
  const neighbours = answers(1_900, 250).map((one, i) => ({
    ...one,
    segment: { ...one.segment, dst_ip: `10.0.0.${100 + i}` },
  }));
  assertEquals(run(reflection, neighbours), [], "a search that was asked of a group");
  const found = (port: number, octets: number) =>
    [reflection, amplification, flood].map((kind) => run(kind, answers(port, octets)).length);
  assertEquals(found(10_074, 1_000), [1, 0, 0]);
  assertEquals(found(53, 1_000), [0, 1, 0]);
  assertEquals(found(53, 200), [1, 0, 0]);
  const [finding] = run(reflection, answers(10_074, 1_000));
  assertStringIncludes(finding.words.action, "filter UDP answers from port 10074 towards 10.0.0.80");
});

Deno.test("reflection is told by the servers' port where their answers stand as flows of their own", () => {
  const answers = (src_port: number, change: Partial<Segment> = {}) =>
    run(
      reflection,
      times(400, (i) =>
        update(i / 100, {
          ...datagram,
          end: 1_700_000_000 + i / 100,
          src_ip: `203.0.${i % 2}.${i % 200 + 1}`,
          src_port,
          dst_port: 30_120,
          ...change,
        })),
    );
  const [finding] = answers(47_808);
  assertEquals([finding.dst_ips, severity(finding), finding.title], [[victim], "medium", "UDP reflection"]);
  assertEquals([
    answers(50_001),
    answers(47_808, { dst_port: 47_808 }),
    answers(47_808, { src_ip: "10.0.0.9" }),
  ], [
    [],
    [],
    [],
  ]);
});

Deno.test("a flood of broadcasts is one, multicast video is none", () => {
  const to = (dst_ip: string) => run(flood, [stream(900_000, { dst_ip, dst_port: 67 })]).map(severity);
  assertEquals([to("255.255.255.255"), to("239.1.1.1")], [["medium"], []]);
});
