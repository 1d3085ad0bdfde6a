/** Pipeline: the account of a capture, and how it lives with the deep lane. @module */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { CaptureReader } from "../../sensor/capture/capture_reader.ts";
import type { Packet } from "../../sensor/decode/packet.ts";
import type { DeepLane } from "../../sensor/dissect/deep_lane.ts";
import { PacketRing } from "../../sensor/ring/packet_ring.ts";
import { Pipeline, type PipelineOptions } from "../../sensor/pipeline.ts";
import type { Segment } from "../../shared/segment.ts";
import { systemClock } from "../../shared/clock.ts";
import type { Octets } from "../../sensor/flow/octets.ts";
import { createReporter } from "../../shared/reporter.ts";
import { ack, arp, bytes, ethernet, ipv4, ipv6, macA, psh, syn, tcp, udp } from "./frames.ts";

const baseUs = 1_700_000_000_000_000;

/** A deep lane whose answers come when the test says so. */
class FakeLane implements DeepLane {
  answeredTicket = 0;
  turns = 0;
  isDrained = false;
  refuses = false;
  offered: { flowId: number; length: number }[] = [];
  starts: { flowId: number; direction: number; captured: number }[] = [];

  noteStart(flowId: number, direction: number, _b: Uint8Array, _at: number, captured: number): number {
    this.starts.push({ flowId, direction, captured });
    return 0;
  }
  offer(
    _b: Uint8Array,
    _o: number,
    captured: number,
    _w: number,
    _t: number,
    flowId: number,
  ): number {
    if (this.refuses) return 0;
    return this.offered.push({ flowId, length: captured });
  }
  takeFacts(flowId: number, _segment: number, out: Octets) {
    const count = this.offered.filter((one) => one.flowId === flowId).length;
    out.utf8(`{"cut":${count}}`);
    return "http";
  }
  turn(): Promise<void> {
    this.turns++;
    return Promise.resolve();
  }
  drain(): Promise<void> {
    this.isDrained = true;
    return Promise.resolve();
  }
}

function harness(
  options: Partial<PipelineOptions> = {},
  deepLane: FakeLane | null = null,
  ring: PacketRing | null = null,
) {
  const segments: Segment[] = [];
  const reporter = createReporter({ component: "test", write() {} });
  const calls: { index: number; memory: number }[] = [];
  let nowMs = 0;
  const pipeline = new Pipeline(options, {
    sink: {
      take(rows) {
        for (let index = 0; index < rows.length; index++) segments.push(rows.object(index));
      },
    },
    reporter,
    clock: { ...systemClock, monotonicMs: () => nowMs },
    deepLane,
    ring,
    chooser: {
      choose(p: Packet, _buffer: Uint8Array, index: number, memory: number) {
        calls.push({ index, memory });
        // The memory counts calls in its upper bits; packets with payload are chosen.
        return (memory & ~1) + 2 | (p.payloadLength > 0 ? 1 : 0);
      },
    },
  });
  const send = (frame: Uint8Array, ms: number, linkType = 1, wire = frame.length) =>
    pipeline.packet(frame, 0, frame.length, wire, baseUs + ms * 1000, linkType);
  return { pipeline, segments, reporter, calls, send, pass: (ms: number) => void (nowMs += ms) };
}

const request = ethernet(0x0800, ipv4(6, tcp({ flags: psh | ack, payload: new Uint8Array(20) })));
const opening = ethernet(0x0800, ipv4(6, tcp({ flags: syn })));

Deno.test("pipeline accounts for every packet, in a flow or left out by reason", async () => {
  const { pipeline, segments, reporter, send } = harness({ noise: { arp: "count" } });
  send(opening, 0);
  send(request, 1);
  send(ethernet(0x0806, arp(macA, "10.0.0.1", "10.0.0.2")), 2);
  send(ethernet(0x88cc, new Uint8Array(20)), 3);
  send(bytes(1, 2, 3), 4, 1, 60);
  send(new Uint8Array(60), 5, 9999);
  send(ethernet(0x0800, ipv4(4, bytes(0x45))), 6);
  await pipeline.finish();
  const summary = pipeline.summary("x.pcap");
  assertEquals(summary, {
    file: "x.pcap",
    packets: 7,
    bytes: 54 + 74 + 42 + 34 + 60 + 60 + 35,
    first: baseUs / 1e6,
    last: (baseUs + 6_000) / 1e6,
    in_flows: 3,
    left_out: { link_type_unknown: 1, cut_packet: 1, lldp: 1, arp: 1 },
    remarks: {},
  });
  assertEquals(segments.reduce((sum, s) => sum + s.fwd_packets + s.bwd_packets, 0), summary.in_flows);
  const counters = reporter.snapshot();
  assertEquals(counters.get("packets_total"), 7);
  assertEquals(counters.get('packets_left_out_total{reason="lldp"}'), 1);
  assertEquals(counters.get('inner_headers_refused_total{reason="inner_malformed"}'), 1);
  pipeline.report();
  assertEquals(reporter.snapshot().get("packets_total"), 7);
});

Deno.test("pipeline puts the packets of flows into the ring, cut to the start of their payload, and nothing that is left out", () => {
  const ring = new PacketRing({ bytesMax: 1024 * 1024 });
  const { pipeline, reporter, send } = harness({ noise: { arp: "count" } }, null, ring);
  const long = ethernet(0x0800, ipv4(6, tcp({ flags: psh | ack, payload: new Uint8Array(500) })));
  send(long, 1);
  send(ethernet(0x0806, arp(macA, "10.0.0.1", "10.0.0.2")), 2);
  send(ethernet(0x88cc, new Uint8Array(20)), 3);
  send(opening, 4, 1, 80);
  const kept: number[][] = [];
  const walk = ring.walk(0, Infinity, 10, ({ timeUs, bytes, wireLength, linkType }) => {
    kept.push([timeUs - baseUs, bytes.length, wireLength, linkType]);
    return true;
  });
  for (const _ of walk);
  assertEquals(kept, [[1_000, 14 + 20 + 20 + 64, 554, 1], [4_000, 54, 80, 1]]);
  pipeline.report();
  assertEquals(reporter.snapshot().get("ring_packets_total"), 2);
});

Deno.test("pipeline says how many octets were claimed and not there", async () => {
  const { pipeline, segments, reporter, send } = harness();
  for (let i = 0; i < 200; i++) {
    send(ethernet(0x0800, ipv4(17, udp(50_000, 443, new Uint8Array(18)), { total: 65_535 })), 10 * i);
  }
  await pipeline.finish();
  assertEquals(segments.map((s) => [s.fwd_packets, s.fwd_bytes]), [[200, 9_200]]);
  assertEquals(pipeline.summary("").remarks, { bytes_claimed: 13_097_800 });
  assertEquals(reporter.snapshot().get("bytes_claimed_total"), 13_097_800);
});

Deno.test("pipeline counts a mirror's copies, and says how many there are", async () => {
  const { pipeline, segments, reporter, send } = harness();
  for (let i = 0; i < 9; i++) {
    const frame = ethernet(0x0800, ipv4(6, tcp({ flags: psh | ack, seq: i, payload: new Uint8Array(1) })));
    send(frame, 10 * i);
    send(frame, 10 * i + 0.003);
  }
  await pipeline.finish();
  assertEquals(segments.map((s) => s.fwd_packets), [18]);
  assertEquals(pipeline.summary("").remarks, { packets_copied: 9 });
  assertEquals(reporter.snapshot().get("packets_copied_total"), 9);
});

Deno.test("pipeline says nothing about times of a capture without packets", async () => {
  const { pipeline, segments } = harness();
  await pipeline.finish();
  assertEquals([pipeline.summary("").first, pipeline.summary("").last, segments.length], [null, null, 0]);
});

Deno.test("pipeline gives the chooser the packet's place in its direction, and what it said last", () => {
  const { send, calls } = harness({}, new FakeLane());
  send(opening, 0);
  send(request, 1);
  send(request, 2);
  const answer = tcp({ src: 80, dst: 40_000, flags: ack, payload: new Uint8Array(9) });
  send(ethernet(0x0800, ipv4(6, answer, { src: "10.0.0.2", dst: "10.0.0.1" })), 3);
  assertEquals(calls, [
    { index: 0, memory: 0 },
    { index: 0, memory: 2 },
    { index: 1, memory: 5 },
    { index: 0, memory: 0 },
  ]);
});

Deno.test("pipeline tells the lane how each direction begins, once", () => {
  const lane = new FakeLane();
  const { send } = harness({}, lane);
  const answer = tcp({ src: 80, dst: 40_000, flags: ack, payload: new Uint8Array(9) });
  const back = ethernet(0x0800, ipv4(6, answer, { src: "10.0.0.2", dst: "10.0.0.1" }));
  for (const frame of [opening, request, request, back, back]) send(frame, 0);
  assertEquals(lane.starts.map(({ direction, captured }) => [direction, captured]), [[0, 20], [1, 9]]);
});

Deno.test("pipeline lets a segment wait for its facts, and only that one", async () => {
  const lane = new FakeLane();
  const { pipeline, segments, send } = harness({}, lane);
  send(request, 0);
  send(ethernet(0x0800, ipv4(17, udp(1, 2, bytes()))), 1);
  send(ethernet(0x0800, ipv4(17, udp(3, 4, bytes()))), 60_000);
  await pipeline.turn();
  assertEquals(segments.map((s) => s.protocol), ["udp"]);
  lane.answeredTicket = 1;
  await pipeline.turn();
  assertEquals(segments.map((s) => [s.protocol, s.app_protocol, s.facts]), [
    ["udp", "", null],
    ["tcp", "http", { cut: 1 }],
  ]);
  assertEquals(lane.turns, 2);
});

Deno.test("pipeline waits for a live segment's facts a second, for a replayed one's as long as it takes", async () => {
  for (const live of [true, false]) {
    const lane = new FakeLane();
    const { pipeline, segments, send, pass } = harness({ live }, lane);
    send(request, 0);
    pass(200_000);
    send(opening, 200_000);
    await pipeline.turn();
    pass(999);
    await pipeline.turn();
    assertEquals(segments.length, 0);
    pass(1);
    await pipeline.turn();
    assertEquals(segments.length, live ? 1 : 0);
    await pipeline.finish();
    assert(lane.isDrained);
    assertEquals(segments.length, 2);
  }
});

Deno.test("pipeline does not wait for packets that the deep lane refused", async () => {
  const lane = new FakeLane();
  lane.refuses = true;
  const { pipeline, segments, send } = harness({}, lane);
  send(request, 0);
  send(opening, 200_000);
  await pipeline.turn();
  assertEquals(segments.map((s) => [s.app_protocol, s.facts]), [["", null]]);
});

Deno.test("pipeline ends flows when time passes without packets", async () => {
  const { pipeline, segments, send } = harness({ live: true });
  await pipeline.advance(999e6, 0);
  send(ethernet(0x0800, ipv4(17, udp(1, 2))), 0);
  await pipeline.advance(29_000, 0);
  assertEquals([segments.length, pipeline.openFlows], [0, 1]);
  await pipeline.advance(2_000, 0);
  assertEquals([segments.length, pipeline.openFlows], [1, 0]);
});

Deno.test("pipeline takes other timeouts, noise and facts while packets come", async () => {
  const lane = new FakeLane();
  const { pipeline, segments, send } = harness({}, lane);
  const mdns = ethernet(0x0800, ipv4(17, udp(5_353, 5_353)));
  send(mdns, 0);
  send(request, 1);
  const timeouts = { otherIdleMs: 1_000 };
  pipeline.tune({ timeouts, noise: ["mdns"], facts: false });
  send(mdns, 2);
  send(request, 3);
  assertEquals([lane.offered.length, pipeline.summary("").left_out], [1, { mdns: 1 }]);
  pipeline.tune({ timeouts, noise: [], facts: true });
  send(request, 4);
  send(mdns, 5);
  assertEquals([lane.offered.length, pipeline.summary("").left_out], [2, { mdns: 1 }]);
  // The first flow is looked at when its old time is over, one that begins now after the new one.
  send(ethernet(0x0800, ipv4(17, udp(7, 9))), 40_000);
  send(request, 41_500);
  await pipeline.turn();
  assertEquals(segments.filter((one) => one.protocol === "udp").map((one) => one.src_port).sort(), [
    5_353,
    7,
  ]);
  assertThrows(() => pipeline.tune({ timeouts: { activeMs: 0 }, noise: [], facts: true }), RangeError);
});

Deno.test("pipeline refuses options out of range", () => {
  assertThrows(
    () => harness({ factsWaitMs: 0 }),
    RangeError,
    `"factsWaitMs" must be >= 1: current value is 0`,
  );
  assertThrows(() => harness({ flow: { flowsMax: 0 } }), RangeError, `"flowsMax"`);
});

Deno.test("pipeline takes any octets from a reader without losing count", async () => {
  let state = 99;
  const random = () => (state = Math.imul(state, 1103515245) + 12345 & 0x7fffffff) >>> 8;
  const { pipeline, segments } = harness({ flow: { flowsMax: 64 } });
  const reader = new CaptureReader(pipeline);
  for (let round = 0; round < 3_000; round++) {
    const frame = round % 2 ? request.slice() : opening.slice();
    for (let flips = 0; flips < 4; flips++) frame[random() % frame.length] = random();
    pipeline.packet(
      frame,
      0,
      frame.length,
      frame.length,
      random() * 1e6 * (random() % 3),
      random() % 2 ? 1 : 101,
    );
  }
  assertEquals(reader.end(), "empty_file");
  await pipeline.finish();
  const { packets, in_flows, left_out } = pipeline.summary("");
  assertEquals(packets, in_flows + Object.values(left_out).reduce((sum, count) => sum + count, 0));
  const counted = segments.filter((s) => s.ip_depth === 1);
  assertEquals(counted.reduce((sum, s) => sum + s.fwd_packets + s.bwd_packets, 0), in_flows);
  assert(segments.every((s) => s.end >= s.start && s.flow_start <= s.start));
});

Deno.test("pipeline ends no flow and loses no packet when the wall clock is set while it captures", async () => {
  for (const stepS of [3_600, -3_600, 315_360_000, -315_360_000, 20, -20]) {
    const { pipeline, segments, send, pass } = harness({ live: true });
    let stepMs = 0;
    for (let second = 0; second < 90; second++) {
      if (second === 45) stepMs = stepS * 1_000;
      send(ethernet(0x0800, ipv4(17, udp(1, 2))), second * 1_000 + stepMs);
      for (let tick = 0; tick < 10; tick++) {
        pass(100);
        await pipeline.advance(100, 0);
      }
      await pipeline.turn();
    }
    await pipeline.finish();
    assertEquals(segments.reduce((sum, s) => sum + s.fwd_packets, 0), 90, String(stepS));
    assertEquals(segments.filter((s) => s.segment === 0).length, 1, `a step of ${stepS} s made it two flows`);
    // A segment lasts up to a minute by the stamps too, so nothing seems to have gone on for an hour.
    assert(
      segments.every((s) => s.end - s.start <= 81),
      JSON.stringify(segments.map((s) => s.end - s.start)),
    );
    assert(segments.every((s) => s.flow_start <= s.start && s.start <= s.end));
  }
});

Deno.test("pipeline goes on ending flows after the clock was set, and counts the step", async () => {
  const { pipeline, segments, reporter, send, pass } = harness({ live: true });
  send(ethernet(0x0800, ipv4(17, udp(1, 2))), 0);
  pass(1_000);
  send(ethernet(0x0800, ipv4(17, udp(3, 4))), 3_601_000);
  await pipeline.turn();
  assertEquals([segments.length, pipeline.openFlows], [0, 2]);
  for (let tick = 0; tick < 320; tick++) {
    pass(100);
    await pipeline.advance(100, 0);
  }
  assertEquals([segments.length, pipeline.openFlows], [2, 0]);
  pipeline.report();
  assertEquals(reporter.snapshot().get("clock_steps_forward_total"), 1);
});

Deno.test("pipeline takes silence in a capture file for silence", async () => {
  const { pipeline, segments, send } = harness();
  send(ethernet(0x0800, ipv4(17, udp(1, 2))), 0);
  send(ethernet(0x0800, ipv4(17, udp(3, 4))), 3_600_000);
  await pipeline.turn();
  assertEquals([segments.length, pipeline.openFlows], [1, 1]);
});

Deno.test("pipeline that stood still takes the packets of that time for what they are", async () => {
  const { pipeline, segments, send, pass } = harness({ live: true });
  send(ethernet(0x0800, ipv4(17, udp(1, 2))), 0);
  pass(60_000);
  // One chunk with a minute of packets: each stamp is in the past.
  for (let second = 1; second <= 60; second++) send(ethernet(0x0800, ipv4(17, udp(3, 4))), second * 1_000);
  await pipeline.turn();
  pipeline.report();
  assertEquals(segments.map((s) => [s.src_port, s.fwd_packets, s.end_reason]), [[1, 1, "idle"]]);
});

const canary = (port = 8_601, dst = "239.255.86.1") =>
  ethernet(0x0800, ipv4(17, udp(50_000, port, new Uint8Array(14)), { src: "10.0.0.5", dst }));
const canary6 = ethernet(
  0x86dd,
  ipv6(17, udp(50_001, 8_601, new Uint8Array(14)), { src: "fe80::5", dst: "ff12::8601" }),
);

Deno.test("a canary is in a flow, and no life on the wire; what only looks like one is", async () => {
  const { pipeline, segments, send } = harness();
  send(canary(), 1_000);
  send(canary6, 1_001);
  assertEquals(pipeline.life.trafficUs, 0);
  const others: [Uint8Array, number][] = [
    [canary(8_602), 2_000],
    [canary(8_601, "239.255.86.2"), 3_000],
    [ethernet(0x0800, ipv4(6, tcp({ flags: syn, src: 1, dst: 8_601 }), { dst: "239.255.86.1" })), 4_000],
    [ethernet(0x88cc, new Uint8Array(20)), 5_000],
  ];
  for (const [frame, ms] of others) {
    send(frame, ms);
    assertEquals(pipeline.life.trafficUs, baseUs + ms * 1_000);
  }
  send(canary(), 6_000);
  send(opening, 4_500);
  assertEquals(pipeline.life.trafficUs, baseUs + 5_000_000, "a stamp of before is not later");
  await pipeline.finish();
  const { packets, in_flows, last } = pipeline.summary("");
  assertEquals([packets, in_flows, last], [8, 7, (baseUs + 6_000_000) / 1e6]);
  assertEquals(segments.filter(({ dst_port }) => dst_port === 8_601).length, 5);
});

Deno.test("a canary's flow ends after one second of silence, whatever the time-outs, and another's does not", async () => {
  const { pipeline, segments, send } = harness({ flow: { otherIdleMs: 3_600_000 } });
  send(canary(), 0);
  send(canary6, 0);
  send(canary(8_602), 0);
  send(opening, 1_000);
  await pipeline.turn();
  assertEquals(segments.length, 0);
  send(opening, 1_300);
  await pipeline.turn();
  const ended = segments.map(({ dst_ip, dst_port, end_reason }) => `${dst_ip} ${dst_port} ${end_reason}`);
  assertEquals(ended.sort(), ["239.255.86.1 8601 idle", "ff12::8601 8601 idle"]);
});

Deno.test("neither sampling nor noise classes leave a canary out, and it counts once", async () => {
  const { pipeline, segments, send } = harness({ noise: { loopback: "count" } });
  pipeline.sample(10);
  for (let port = 1; port <= 200; port++) {
    const datagram = (to: number, dst: string) =>
      ethernet(0x0800, ipv4(17, udp(port, to, new Uint8Array(14)), { src: "127.0.0.1", dst }));
    send(datagram(8_601, "239.255.86.1"), port);
    send(datagram(8_600, "239.255.86.1"), port);
  }
  await pipeline.finish();
  assertEquals(segments.map(({ dst_port }) => dst_port), Array(200).fill(8_601));
  assertEquals(new Set(segments.map((segment) => segment.factor)), new Set([1]));
  assertEquals(pipeline.summary("").left_out, { loopback: 200 });
});

Deno.test("only what goes to one host is unicast: not what goes to all, to a group, or cannot be read", () => {
  const { pipeline, send } = harness();
  const all = [255, 255, 255, 255, 255, 255], group = [1, 0, 0x5e, 0, 0, 251];
  const datagram = ipv4(17, udp(5_353, 5_353, new Uint8Array(20)));
  send(ethernet(0x0800, datagram, macA, all), 1_000);
  send(ethernet(0x0806, arp(macA, "10.0.0.1", "10.0.0.2"), macA, all), 2_000);
  send(ethernet(0x0800, datagram, macA, group), 3_000);
  send(ethernet(0x88cc, new Uint8Array(20)), 4_000);
  assertEquals([pipeline.life.trafficUs, pipeline.life.unicastUs], [baseUs + 4_000_000, 0]);
  send(ethernet(0x0800, datagram), 5_000);
  assertEquals(pipeline.life.unicastUs, baseUs + 5_000_000);
  send(datagram, 6_000, 101);
  assertEquals(pipeline.life.unicastUs, baseUs + 6_000_000, "a link without addresses");
});
