/** Floods of any protocol and reflection: found with victim and sources, quiet on transfers, streams, monitors and
 * answers that were asked for. @module */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { amplification } from "../../../aggregator/detect/detectors/amplification.ts";
import { flood } from "../../../aggregator/detect/detectors/flood.ts";
import { reflection } from "../../../aggregator/detect/detectors/reflection.ts";
import { synFlood } from "../../../aggregator/detect/detectors/syn_flood.ts";
import type { HttpFact } from "../../../shared/facts.ts";
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
  const changing = (dst_port: number) =>
    times(
      4_000,
      (i) => update(i / 1_000, { ...datagram, src_ip: "10.0.1.9", src_port: 1_024 + i, dst_port }),
    );
  assertEquals(run(flood, [...logs, ...changing(8_125)]).map(severity), ["low"], "one host collects both");
  assertEquals(run(flood, [...logs, ...changing(8_126)]).map(severity), ["medium"]);
  const other = times(
    100,
    (i) => stream(1_200, { src_ip: `10.0.1.${i}`, dst_port: 515, fwd_bytes: 120_000 }),
  );
  assertEquals(run(flood, other).map(severity), ["medium"]);
});

const ping = (perS: number) =>
  update(0, {
    ...datagram,
    protocol: "icmp",
    src_port: 8,
    dst_port: 0,
    end: 1_700_000_010,
    fwd_packets: 10 * perS,
    bwd_packets: 10 * perS,
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
        update(i / 50, {
          ...web,
          end: 1_700_000_000 + i / 50 + 21,
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

Deno.test("requests that trickle are slow after 10 s, of whatever the server says before they are whole", () => {
  const slow = (lastedS: number, change: Partial<Segment> = {}, count = 60) =>
    run(
      flood,
      times(count, (i) =>
        update(i / 60, {
          ...web,
          end: 1_700_000_000 + i / 60 + lastedS,
          bwd_payload_bytes: 0,
          fwd_payload_bytes: 300,
          fwd_packets: 8,
          ...change,
        })),
    ).filter(({ title }) => title.startsWith("Slow"));
  assertEquals(slow(15).map(severity), ["medium"]);
  assertEquals(evidenceValue(slow(15)[0], "held open at the same time"), 60);
  assertEquals(slow(9), []);
  assertEquals(slow(15, { fwd_packets: 5 }), [], "it waits for an answer");
  assertEquals(slow(15, { fwd_payload_bytes: 20_000 }), [], "an upload");
  const http = (...entries: HttpFact[]) => ({ app_protocol: "http", facts: { http: entries } });
  const post = { method: "POST", uri: "/", length: 4_096 };
  assertEquals(slow(15, { bwd_payload_bytes: 309, ...http(post, { status: 405 }) }).length, 1, "slow body");
  assertEquals(slow(15, { bwd_payload_bytes: 309, ...http({ ...post, length: 200 }, { status: 200 }) }), []);
  assertEquals(slow(15, { bwd_payload_bytes: 400, ...http({ status: 408 }) }).length, 1, "Apache ends it");
  assertEquals(slow(15, { bwd_payload_bytes: 400, ...http({ status: 400 }) }), []);
  const get = { method: "GET", uri: "/big" }, big = { status: 200, length: 3_000_000 };
  const read = { bwd_payload_bytes: 1_500, fwd_payload_bytes: 200, fwd_packets: 4 };
  assertEquals(slow(21, { ...read, ...http(get, big) }).length, 1, "slow read");
  assertEquals(slow(21, { ...read, bwd_payload_bytes: 17_000, ...http(get, big) }), [], "a film that pauses");
  assertEquals(slow(21, { ...read, ...http({ ...get, method: "HEAD" }, big) }), []);
  assertEquals(slow(21, { ...read, ...http(get, { status: 101 }) }), [], "a WebSocket");
});

Deno.test("a server that hangs is asked again and again, which holds few places at a time", () => {
  const asked = (everyS: number, src_ip: string) =>
    run(
      flood,
      times(200, (i) =>
        update(i * everyS, {
          ...web,
          src_ip,
          end: 1_700_000_000 + i * everyS + 30,
          bwd_payload_bytes: 0,
          fwd_packets: 4,
        })),
    ).map(severity);
  assertEquals(asked(5, "10.0.0.9"), []);
  assertEquals(asked(0.2, "10.0.0.9"), ["low"], "a proxy of ours");
  assertEquals(asked(0.2, "203.0.113.9"), ["medium"]);
});

Deno.test("one source is a flood when it changes its ports, or sends small packets faster than any audio", () => {
  const changing = (perS: number, dst_port = 5_000) =>
    times(4 * perS, (i) =>
      update(i / perS, {
        ...datagram,
        end: 1_700_000_000 + i / perS,
        src_ip: "10.0.0.66",
        src_port: 1_024 + i,
        dst_port,
        fwd_bytes: 428,
      }));
  assertEquals(run(flood, changing(1_000)).map(severity), ["medium"]);
  assertEquals(run(flood, changing(990)), []);
  assertEquals(
    run(flood, changing(1_000, 514)).map(severity),
    ["low"],
    "each line of a log by a program of its own",
  );
  const small = (perS: number) =>
    run(flood, [stream(61 * perS, { fwd_bytes: 61 * perS * 300 })]).map(severity);
  assertEquals([small(3_900), small(4_100)], [["low"], ["medium"]]);
  const cameras = (src: string, dst_ip: string) =>
    run(
      flood,
      times(
        60,
        (i) => stream(30_000, { src_ip: `${src}.${i}`, src_port: 9_000, dst_ip, dst_port: 9_000 + i }),
      ),
    )
      .map(severity);
  assertEquals(cameras("10.0.2", victim), ["low"], "60 cameras and their recorder");
  assertEquals(cameras("203.0.113", victim), ["high"]);
});

Deno.test("pings of all hosts are a flood of whoever is named as their source, and nobody is called the attacker", () => {
  const pings = (perS: number, change: Partial<Segment> = {}) =>
    run(flood, [update(0, {
      ...datagram,
      protocol: "icmp",
      src_ip: victim,
      src_port: 8,
      dst_ip: "10.0.0.255",
      dst_port: 0,
      src_mac: "00:00:5e:00:53:66",
      end: 1_700_000_010,
      fwd_packets: 10 * perS,
      ...change,
    })]);
  const [finding] = pings(50);
  assertEquals([finding.src_ips, finding.dst_ips, severity(finding)], [[], [victim], "medium"]);
  assertStringIncludes(finding.words.action, "00:00:5e:00:53:66");
  assertEquals(pings(49), []);
  assertEquals(
    pings(60, { protocol: "icmp6", src_port: 128, src_ip: "fd00::5", dst_ip: "ff02::1" })[0].dst_ips,
    ["fd00::5"],
  );
  assertEquals(pings(300, { src_port: 9, dst_ip: "224.0.0.1" }), [], "a router says where it is");
});

Deno.test("IPv6 announcements and questions are a flood beyond what routers and hosts need", () => {
  const messages = (type: number, perS: number, forS = 4) =>
    run(
      flood,
      times(forS * perS, (i) =>
        update(i / perS, {
          ...datagram,
          protocol: "icmp6",
          src_ip: `fe80::${i.toString(16)}`,
          src_port: type,
          dst_ip: "ff02::1",
          dst_port: 0,
          end: 1_700_000_000 + i / perS,
        })),
    );
  const [routers] = messages(134, 20);
  assertEquals([routers.title, routers.dst_ips, severity(routers)], ["Flood of router advertisements", [
    "ff02::1",
  ], "medium"]);
  assertStringIncludes(routers.words.action, "RA guard");
  assertEquals(messages(134, 19), []);
  assertEquals(messages(136, 250).map(({ title }) => title), ["Flood of neighbour advertisements"]);
  assertEquals(messages(136, 245), []);
  assertEquals(messages(136, 1_200, 2), [], "machines that move with their server");
  assertEquals(messages(136, 1_300, 2).length, 1);
  assertEquals(messages(135, 250).map(({ title }) => title), ["Flood of neighbour solicitations"]);
  assertEquals(messages(133, 500), []);
});

Deno.test("250 hardware addresses of strangers within seconds overflow a switch; 249, or hosts at work, do not", () => {
  const strangers = (count: number, change: (i: number) => Partial<Segment> = () => ({})) =>
    run(
      flood,
      times(count, (i) =>
        update(i / 200, {
          ...silent,
          src_ip: `198.51.${i >> 8}.${i & 255}`,
          dst_ip: `203.0.${i >> 8}.${i & 255}`,
          src_mac: `02:00:00:00:${(i >> 8).toString(16).padStart(2, "0")}:${
            (i & 255).toString(16).padStart(2, "0")
          }`,
          ...change(i),
        })),
    );
  const [finding] = strangers(250);
  assertEquals([finding.title, finding.src_ips, severity(finding)], [
    "Flood of hardware addresses",
    [],
    "medium",
  ]);
  assertEquals(strangers(249), []);
  assertEquals(strangers(600, () => ({ src_mac: "02:00:00:00:00:01" })), [], "behind a router");
  assertEquals(strangers(600, (i) => ({ src_ip: `10.0.${i >> 8}.${i & 255}` })), [], "own hosts");
  assertEquals(strangers(600, () => ({ bwd_packets: 1 })), [], "they are answered");
  const odd = (i: number) => ({
    src_ip: "10.0.0.9",
    src_mac: `03:00:00:00:0${i >> 8}:${(i & 255).toString(16)}`,
  });
  assertEquals(strangers(250, odd).length, 1, "no card has a group's address");
});

Deno.test("a SYN flood in the victim's own name calls nobody the attacker", () => {
  const land = times(
    1_200,
    (i) =>
      update(i / 300, {
        ...silent,
        src_ip: victim,
        dst_ip: victim,
        dst_port: 80,
        src_mac: "00:00:5e:00:53:66",
      }),
  );
  const [finding] = run(synFlood, land);
  assertEquals([finding.src_ips, finding.dst_ips], [[], [victim]]);
  assertStringIncludes(finding.words.action, "00:00:5e:00:53:66");
  assertStringIncludes(finding.words.summary, "forged");
  const [ordinary] = run(synFlood, [
    ...land,
    update(4, { ...silent, src_ip: "203.0.113.5", dst_ip: victim, dst_port: 80 }),
  ]);
  assertEquals(ordinary.src_ips, [victim, "203.0.113.5"]);
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
