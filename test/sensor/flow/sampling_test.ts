/** Flow sampling: the same flows on every sensor, whole flows, factors that add up, no packet unaccounted for.
 * @module */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { samplingLevelMax } from "../../../sensor/flow/sampling.ts";
import { Pipeline } from "../../../sensor/pipeline.ts";
import { communityId } from "../../../shared/community_id.ts";
import { systemClock } from "../../../shared/clock.ts";
import { createReporter } from "../../../shared/reporter.ts";
import type { Segment } from "../../../shared/segment.ts";
import { ack, arp, bytes, ethernet, icmp, ipv4, ipv6, macA, syn, tcp, udp } from "../frames.ts";

const baseUs = 1_700_000_000_000_000;

function harness(level: number, hashSeed = 1) {
  const segments: Segment[] = [];
  const reporter = createReporter({ component: "test", write() {} });
  const pipeline = new Pipeline({ flow: { hashSeed } }, {
    sink: {
      take(rows) {
        for (let index = 0; index < rows.length; index++) segments.push(rows.object(index));
      },
    },
    reporter,
    clock: systemClock,
    deepLane: null,
    chooser: null,
  });
  pipeline.sample(level);
  const send = (frame: Uint8Array, ms = 0) =>
    pipeline.packet(frame, 0, frame.length, frame.length, baseUs + ms * 1_000, 1);
  const end = async () => {
    await pipeline.finish();
    const { packets, in_flows, left_out } = pipeline.summary("");
    const counted = segments.filter((s) => s.ip_depth === 1).reduce(
      (n, s) => n + s.fwd_packets + s.bwd_packets,
      0,
    );
    assertEquals(in_flows, counted);
    assertEquals(packets, in_flows + Object.values(left_out).reduce((sum, n) => sum + n, 0));
    return { segments, left: left_out.not_sampled ?? 0 };
  };
  return { pipeline, send, end, reporter };
}

/** Both directions of flow `i`, of a kind that changes with it. */
function conversation(i: number): [there: Uint8Array, back: Uint8Array] {
  const src = `10.1.${i >> 8 & 255}.${i & 255}`, dst = "192.0.2.7";
  if (i % 4 === 3) {
    const from = `2001:db8::${(i + 1).toString(16)}`, to = "2001:db8:1::5";
    return [
      ethernet(0x86dd, ipv6(17, udp(4_000, 53), { src: from, dst: to })),
      ethernet(0x86dd, ipv6(17, udp(53, 4_000), { src: to, dst: from })),
    ];
  }
  const [there, back, protocol] = i % 4 === 0
    ? [
      tcp({ src: 5_000 + i % 999, flags: syn }),
      tcp({ src: 80, dst: 5_000 + i % 999, flags: syn | ack, ack: 1001 }),
      6,
    ]
    : i % 4 === 1
    ? [udp(6_000, 53), udp(53, 6_000), 17]
    : [icmp(8), icmp(0), 1];
  return [
    ethernet(0x0800, ipv4(protocol, there, { src, dst })),
    ethernet(0x0800, ipv4(protocol, back, { src: dst, dst: src })),
  ];
}

Deno.test("sampling keeps the flows whose Community ID ends in zeros, on every sensor the same, whichever side it sees first", async () => {
  const sets: string[][] = [];
  for (const [seed, first] of [[1, 0], [999, 1]]) {
    const { send, end } = harness(3, seed);
    for (let i = 0; i < 4_000; i++) {
      const pair = conversation(i);
      send(pair[first], i / 100);
      send(pair[1 - first], i / 100 + 1);
    }
    const { segments, left } = await end();
    for (const s of segments) {
      assertEquals([s.factor, s.fwd_packets + s.bwd_packets], [8, 2]);
      assertEquals(communityId(s), s.community_id);
      assertEquals(atob(s.community_id.slice(2)).charCodeAt(19) & 7, 0);
    }
    assertEquals(left, 8_000 - 2 * segments.length);
    assert(Math.abs(segments.length * 8 - 4_000) < 800, `${segments.length} of 4000 flows were kept`);
    sets.push(segments.map((s) => s.community_id).sort());
  }
  assertEquals(sets[0], sets[1]);
  const finer = harness(2);
  for (let i = 0; i < 4_000; i++) finer.send(conversation(i)[0], i / 100);
  const kept = new Set((await finer.end()).segments.map((s) => s.community_id));
  assert(kept.size > sets[0].length && sets[0].every((id) => kept.has(id)));
});

Deno.test("sampling keeps a flow kept and leaves out a flow left out, however the level moves", async () => {
  const { pipeline, send, end, reporter } = harness(0);
  const flows = Array.from({ length: 800 }, (_, i) => conversation(i));
  const sendAll = (from: number, to: number, ms: number) => {
    for (let i = from; i < to; i++) send(flows[i][ms / 1_000 & 1], ms + i / 1_000);
  };
  sendAll(0, 200, 0); // all kept
  pipeline.sample(4);
  sendAll(0, 400, 1_000); // 200 kept, one in 16 of the new ones
  pipeline.sample(2);
  sendAll(0, 600, 2_000); // one in 4 of the new ones
  pipeline.sample(0);
  sendAll(0, 800, 3_000);
  pipeline.report();
  const series = reporter.snapshot();
  assertEquals(series.get("sampling_factor"), 1);
  const { segments, left } = await end();
  const by = Map.groupBy(segments, (s) => s.factor);
  assertEquals(by.get(1)!.length, 400);
  assertEquals(by.get(1)!.filter((s) => s.fwd_packets + s.bwd_packets === 4).length, 200);
  assert(by.get(16)!.every((s) => s.fwd_packets + s.bwd_packets === 3));
  assert(by.get(4)!.every((s) => s.fwd_packets + s.bwd_packets === 2));
  assertEquals(left, 3 * (200 - by.get(16)!.length) + 2 * (200 - by.get(4)!.length));
  assertEquals(series.get('packets_left_out_total{reason="not_sampled"}'), left);
});

Deno.test("sampling forgets a flow left out after the silence that ends a flow", async () => {
  const { pipeline, send, end } = harness(samplingLevelMax);
  const left = Array.from({ length: 50 }, (_, i) => conversation(i)[0]);
  left.forEach((frame) => send(frame));
  const kept = pipeline.openFlows;
  assert(kept < 3);
  pipeline.sample(0);
  left.forEach((frame) => send(frame, 119_000));
  assertEquals(pipeline.openFlows, kept);
  left.forEach((frame) => send(frame, 240_000));
  assertEquals(pipeline.openFlows, 50);
  // Nothing is remembered any more: new flows cost nothing again.
  const fresh = await end();
  assertEquals(fresh.segments.at(-1)!.factor, 1);
});

Deno.test("sampling leaves out a tunnel with all it carries, or keeps it with the factor of the outer flow", async () => {
  const { send, end } = harness(1);
  for (let i = 0; i < 200; i++) {
    const inner = ipv4(17, udp(1_000 + i, 53), { src: "172.16.0.1", dst: "172.16.0.2" });
    const gre = bytes([0, 0, 8, 0], inner);
    send(ethernet(0x0800, ipv4(47, gre, { src: `10.0.1.${i}`, dst: "10.0.2.1" })), i);
  }
  const { segments, left } = await end();
  const outer = segments.filter((s) => s.ip_depth === 1), inner = segments.filter((s) => s.ip_depth === 2);
  assertEquals([inner.length, left], [outer.length, 200 - outer.length]);
  assert(outer.length > 60 && outer.length < 140);
  assert(segments.every((s) => s.factor === 2));
});

Deno.test("sampling leaves out fragments with their flow, in whatever order they come", async () => {
  for (const order of [[0, 1, 2], [1, 0, 2], [2, 1, 0]]) {
    const { send, end } = harness(1);
    for (let i = 0; i < 100; i++) {
      const datagram = udp(3_000 + i, 53, new Uint8Array(100));
      const parts = [[0, 40, 0x2000], [40, 80, 0x2005], [80, 108, 10]].map(([from, to, fragment]) =>
        ethernet(0x0800, ipv4(17, datagram.subarray(from, to), { id: i, fragment }))
      );
      order.forEach((part, index) => send(parts[part], i * 10 + index));
    }
    // Fragments whose first never comes are a flow without ports, kept or left out like any other.
    for (let i = 0; i < 50; i++) {
      send(
        ethernet(0x0800, ipv4(17, new Uint8Array(40), { id: i, fragment: 20, src: `10.9.0.${i}` })),
        2_000,
      );
    }
    const { segments, left } = await end();
    const whole = segments.filter((s) => s.src_port > 0), orphans = segments.filter((s) => s.src_port === 0);
    assert(whole.every((s) => s.fwd_packets === 3));
    assertEquals(left, 3 * (100 - whole.length) + 50 - orphans.length);
    assert(left > 60 && left < 290, `${left} were left out`);
  }
});

Deno.test("sampling never leaves out ARP", async () => {
  const { send, end } = harness(samplingLevelMax);
  for (let i = 0; i < 100; i++) send(ethernet(0x0806, arp(macA, "10.0.0.1", `10.0.0.${i}`)));
  const { segments, left } = await end();
  assertEquals([segments.length, left], [100, 0]);
});

Deno.test("sampled flows times their factor stand for all flows, while the level moves all the time", async () => {
  const { pipeline, send, end } = harness(0);
  const flowsCount = 40_000;
  for (let i = 0; i < flowsCount; i++) {
    if (i % 1_000 === 0) pipeline.sample([0, 2, 3, 1, 4][i / 1_000 % 5]);
    send(conversation(i % 65_536)[0], i);
  }
  const { segments } = await end();
  const estimate = segments.filter((s) => s.segment === 0).reduce((sum, s) => sum + s.factor, 0);
  assert(Math.abs(estimate / flowsCount - 1) < 0.08, `${estimate} for ${flowsCount} flows`);
});

Deno.test("sampling refuses a level that is none", () => {
  assertThrows(() => harness(11), RangeError, `"level" must be 0 to 10: current value is 11`);
});

Deno.test("a flow left out stays left out over a silence that longer timeouts allow", async () => {
  const { pipeline, send, end } = harness(4);
  const timeouts = { tcpIdleMs: 600_000, otherIdleMs: 600_000, unansweredIdleMs: 600_000 };
  pipeline.tune({ timeouts, noise: [], facts: false });
  const there = Array.from({ length: 64 }, (_, i) => conversation(i)[0]);
  for (const frame of there) send(frame);
  const left = pipeline.summary("").left_out.not_sampled;
  assert(left > 40, `${left} of 64 were left out`);
  pipeline.sample(0);
  for (const frame of there) send(frame, 300_000);
  assertEquals((await end()).left, 2 * left);
});
