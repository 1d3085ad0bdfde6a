/** Merging: what is one flow, whose counts it has, and that nothing is counted twice. @module */

import { assert, assertEquals } from "@std/assert";
import { createReporter } from "../../../shared/reporter.ts";
import type { Source } from "../../../aggregator/ingest/arrival.ts";
import type { MergeOptions } from "../../../aggregator/ingest/merge_options.ts";
import { type Merged, TestMerger } from "./merging.ts";
import type { Segment } from "../../../shared/segment.ts";
import { readFlowId } from "../../../aggregator/model/flow_id.ts";
import { nowMs, segment, t0, udpSegment } from "./fleet.ts";

const a: Source = { sensor_id: "a", site: "lab", clock_offset_ms: 0 };
const b: Source = { sensor_id: "b", site: "lab", clock_offset_ms: 0 };
const c: Source = { sensor_id: "c", site: "lab", clock_offset_ms: 0 };

function newMerger(options: Partial<MergeOptions> = {}) {
  const reporter = createReporter({ component: "test", write: () => {} });
  return { merger: new TestMerger(options, { reporter }), reporter };
}

/** Flow id to sums over all writes, as the store would have them. */
function sums(...all: Merged[]) {
  const flows = new Map<
    string,
    { packets: number; bytes: number; fwd: number; bwd: number; state: string; seen: string[] }
  >();
  for (const { flow, sightings } of all.flatMap(({ writes }) => writes)) {
    const before = flows.get(flow.flow_id) ?? { packets: 0, bytes: 0, fwd: 0, bwd: 0, state: "", seen: [] };
    flows.set(flow.flow_id, {
      packets: before.packets + flow.total_packets,
      bytes: before.bytes + flow.total_bytes,
      fwd: before.fwd + flow.fwd_packets,
      bwd: before.bwd + flow.bwd_packets,
      state: flow.conn_state,
      seen: [...new Set([...before.seen, ...sightings.map((one) => one.sensor_id)])].sort(),
    });
  }
  return [...flows.values()];
}

const mirror = (one: Segment): Segment =>
  segment({
    ...one,
    src_ip: one.dst_ip,
    dst_ip: one.src_ip,
    src_port: one.dst_port,
    dst_port: one.src_port,
    fwd_packets: one.bwd_packets,
    bwd_packets: one.fwd_packets,
    fwd_bytes: one.bwd_bytes,
    bwd_bytes: one.fwd_bytes,
    conn_state: "OTH",
    tcp_isn: null,
  });

Deno.test("merger counts a flow that two sensors saw once", () => {
  const { merger } = newMerger();
  const first = merger.take([segment()], a, nowMs);
  const second = merger.take([segment({ start: t0 + 0.001 })], b, nowMs);
  assertEquals(sums(first, second), [{
    packets: 18,
    bytes: 9_000,
    fwd: 10,
    bwd: 8,
    state: "SF",
    seen: ["a", "b"],
  }]);
  assertEquals(first.updates.length, 1);
  assertEquals(second.updates.length, 0);
  assertEquals(second.writes[0].kind, "update");
  assertEquals(second.traffic, []);
});

Deno.test("merger makes one whole flow of two asymmetric halves", () => {
  const { merger } = newMerger();
  const out = segment({ bwd_packets: 0, bwd_bytes: 0, bwd_tcp_flags: 0, conn_state: "SH" });
  const back = segment({
    fwd_packets: 0,
    fwd_bytes: 0,
    fwd_tcp_flags: 0,
    conn_state: "SHR",
    start: t0 + 0.002,
  });
  const first = merger.take([out], a, nowMs), second = merger.take([back], b, nowMs);
  assertEquals(sums(first, second), [{
    packets: 18,
    bytes: 9_000,
    fwd: 10,
    bwd: 8,
    state: "SF",
    seen: ["a", "b"],
  }]);
  const flow = second.writes[0].flow;
  assertEquals([flow.fwd_sensor, flow.bwd_sensor], ["a", "b"]);
  assertEquals(second.updates[0].sensors, ["a", "b"]);
  assertEquals(second.updates[0].segment.fwd_packets, 0);
  assertEquals(second.updates[0].segment.bwd_packets, 8);
});

Deno.test("merger turns a segment round that has its ends the other way", () => {
  const { merger } = newMerger();
  const first = merger.take([segment()], a, nowMs);
  const second = merger.take([mirror(segment())], b, nowMs);
  assertEquals(sums(first, second).length, 1);
  assertEquals(second.writes[0].sightings[0].fwd_packets, 10);
  assertEquals(second.writes[0].flow.src_ip, "10.0.0.5");
});

Deno.test("merger prefers the way round of the sensor that saw the SYN for a new flow", () => {
  const { merger } = newMerger();
  merger.begin();
  merger.learn([segment()], a);
  const late = merger.take([mirror(segment())], b, nowMs);
  merger.take([segment()], a, nowMs);
  merger.commit();
  assertEquals(late.writes[0].flow.src_ip, "10.0.0.5");
  assertEquals(late.writes[0].flow.dst_port, 443);
});

Deno.test("merger adds up the segments of one long flow", () => {
  const { merger } = newMerger();
  const parts = [0, 1, 2].map((n) =>
    segment({
      segment: n,
      flow_start: t0 - 180,
      start: t0 - 180 + n * 60,
      end: t0 - 180 + n * 60 + 59,
      end_reason: n < 2 ? "active" : "fin",
      conn_state: n < 2 ? "S1" : "SF",
    })
  );
  const merged = parts.map((part) => merger.take([part], a, nowMs));
  assertEquals(sums(...merged), [{ packets: 54, bytes: 27_000, fwd: 30, bwd: 24, state: "SF", seen: ["a"] }]);
  assertEquals(merged.map(({ writes }) => writes[0].flow.end_reason), ["active", "active", "fin"]);
  assertEquals(merged.map(({ updates }) => updates[0].first), [true, false, false]);
});

Deno.test("merger takes another initial sequence number for another flow, even at the same time", () => {
  const { merger } = newMerger();
  const merged = merger.take([segment({ tcp_isn: 1 }), segment({ tcp_isn: 2 })], a, nowMs);
  assertEquals(sums(merged).length, 2);
});

Deno.test("merger takes an equal initial sequence number for the same flow, even when times do not meet", () => {
  const { merger } = newMerger();
  const early = merger.take([segment({ start: t0 - 40, end: t0 - 39, end_reason: "idle" })], a, nowMs);
  const late = merger.take([segment({ start: t0, end: t0 + 1 })], b, nowMs);
  assertEquals(sums(early, late).length, 1);
});

Deno.test("merger separates UDP flows by time, with slack for clocks", () => {
  const { merger } = newMerger();
  const first = merger.take([udpSegment({ start: t0, end: t0 + 1 })], a, nowMs);
  const close = merger.take([udpSegment({ start: t0 + 4, end: t0 + 5 })], b, nowMs);
  const later = merger.take([udpSegment({ start: t0 + 40, end: t0 + 41 })], b, nowMs);
  assertEquals(sums(first, close, later).length, 2);
});

Deno.test("merger corrects a sensor's clock, keeps its own times, and leaves tiny offsets alone", () => {
  const { merger } = newMerger();
  merger.take([udpSegment()], a, nowMs);
  const fast = { ...b, clock_offset_ms: 3_600_000 };
  const second = merger.take([udpSegment({ start: t0 + 3_600, end: t0 + 3_602 })], fast, nowMs);
  assertEquals(second.writes[0].kind, "update");
  assertEquals(second.writes[0].flow.start, t0);
  assertEquals(second.writes[0].sightings[0].start, t0 + 3_600);
  assertEquals(second.writes[0].sightings[0].clock_offset_ms, -3_600_000);
  const third = merger.take([udpSegment()], { ...c, clock_offset_ms: 12 }, nowMs);
  assertEquals(third.writes[0].sightings[0].clock_offset_ms, 0);
});

Deno.test("merger flags a time in the future or before 2000 and lists the flow when it came", () => {
  for (const start of [t0 + 86_400, 1_000]) {
    const { merger } = newMerger();
    const { writes, traffic } = merger.take([udpSegment({ start, end: start + 1 })], a, nowMs);
    assert(writes[0].flow.time_suspect);
    assertEquals(writes[0].flow.start, start);
    const id = readFlowId(writes[0].flow.flow_id)!;
    assert(id.us >= nowMs * 1e3 && id.us < nowMs * 1e3 + 1e6);
    assertEquals(traffic.every(({ second }) => second === nowMs / 1e3), true);
  }
});

Deno.test("merger gives a direction to the most complete other sensor when the first falls silent", () => {
  const { merger, reporter } = newMerger();
  const part = (n: number, packets: number) =>
    udpSegment({
      segment: n,
      flow_start: t0 - 300,
      start: t0 - 300 + n * 60,
      end: t0 - 300 + n * 60 + 59,
      fwd_packets: packets,
      fwd_bytes: packets * 100,
      bwd_packets: 0,
      bwd_bytes: 0,
      end_reason: "active",
    });
  const merged = [
    merger.take([part(0, 100)], a, nowMs),
    merger.take([part(0, 90)], b, nowMs),
    merger.take([part(0, 95)], c, nowMs),
    merger.take([part(1, 90)], b, nowMs),
    merger.take([part(1, 95)], c, nowMs),
    merger.take([part(2, 90)], b, nowMs), // 119 s after the last packet that "a" saw.
    merger.take([part(2, 95)], c, nowMs),
  ];
  // "b" reports first that "a" is silent; at that moment it has 270 packets and "c" has 190. Then "b" is the flow's.
  assertEquals(sums(...merged)[0].packets, 270);
  assertEquals(merged[5].writes[0].flow.fwd_sensor, "b");
  assertEquals(merged[5].updates[0].segment.fwd_packets, 170);
  assertEquals(reporter.snapshot().get('merge_takeovers_total{direction="fwd"}'), 1);
});

Deno.test("merger takes over at once when the first sensor was cut off before the end", () => {
  const { merger } = newMerger();
  const cut = merger.take(
    [segment({ end: t0 + 1, fwd_packets: 4, fwd_bytes: 400, end_reason: "stopped" })],
    a,
    nowMs,
  );
  const whole = merger.take([segment({ end: t0 + 2 })], b, nowMs);
  assertEquals(sums(cut, whole)[0], {
    packets: 18,
    bytes: 9_000,
    fwd: 10,
    bwd: 8,
    state: "SF",
    seen: ["a", "b"],
  });
});

Deno.test("merger does not take over from a sensor that saw the end", () => {
  const { merger } = newMerger();
  const first = merger.take([segment()], a, nowMs);
  const more = merger.take([segment({ end: t0 + 2.001, fwd_packets: 12, fwd_bytes: 1_200 })], b, nowMs);
  assertEquals(sums(first, more)[0].fwd, 10);
});

Deno.test("merger counts two VLANs of one sensor as two vantages of one flow", () => {
  const { merger } = newMerger();
  const merged = merger.take([segment({ vlan: 10 }), segment({ vlan: 20 })], a, nowMs);
  assertEquals(sums(merged)[0].packets, 18);
  assertEquals(merged.newSightings, 2);
  assertEquals(merged.writes[0].sightings.map(({ vlan }) => vlan), [20, 10]);
});

Deno.test("merger keeps private addresses of two sites apart and joins public ones", () => {
  const { merger } = newMerger();
  const other = { ...b, site: "branch" };
  const inside = [merger.take([segment()], a, nowMs), merger.take([segment()], other, nowMs)];
  assertEquals(sums(...inside).length, 2);
  assertEquals(inside.map(({ writes }) => writes[0].flow.network), ["lab", "branch"]);
  const wide = { src_ip: "192.0.2.5", dst_ip: "198.51.100.9" };
  const outside = [merger.take([segment(wide)], a, nowMs), merger.take([segment(wide)], other, nowMs)];
  assertEquals(sums(...outside).length, 1);
  assertEquals(outside[0].writes[0].flow.network, "global");
});

Deno.test("merger tells ARP flows apart by the sender's MAC", () => {
  const { merger } = newMerger();
  const arp = { protocol: "arp", src_port: 0, dst_port: 0, tcp_isn: null };
  const merged = merger.take(
    [segment({ ...arp, src_mac: "02:00:00:00:00:01" }), segment({ ...arp, src_mac: "02:00:00:00:00:02" })],
    a,
    nowMs,
  );
  assertEquals(sums(merged).length, 2);
});

Deno.test("merger tells a fact once, from whichever sensor came first, and a repeated one again", () => {
  const { merger } = newMerger();
  const query = { name: "example.org", type: "A" };
  const answered = { ...query, rcode: "NOERROR", answers: ["192.0.2.1"] };
  const first = merger.take([udpSegment({ facts: { dns: [query, query] } })], a, nowMs);
  assertEquals(first.updates[0].segment.facts, { dns: [query, query] });
  const second = merger.take([udpSegment({ facts: { dns: [answered] } })], b, nowMs);
  assertEquals(second.updates[0].segment.facts, { dns: [{ ...answered, unasked: true }] });
  const again = merger.take([udpSegment({ facts: { dns: [query] }, segment: 1 })], a, nowMs);
  assertEquals(again.updates[0].segment.facts, { dns: [query] });
  const third = merger.take([udpSegment({ facts: { dns: [answered, query] } })], c, nowMs);
  assertEquals(third.updates, []);
});

Deno.test("merger forgets what a rolled back transaction did, and nothing else", () => {
  const { merger } = newMerger();
  const fact = { tls: { sni: "example.org" } };
  merger.take([segment({ end_reason: "active" })], a, nowMs);
  for (let i = 0; i < 3; i++) {
    merger.begin();
    merger.take(
      [segment({ segment: 1, facts: fact, end: t0 + 30 }), segment({ src_port: 40_001 })],
      a,
      nowMs,
    );
    merger.take([segment({ start: t0 + 0.5 })], b, nowMs);
    merger.rollback();
    assertEquals(merger.size, 1);
  }
  const after = merger.take([segment({ segment: 1, facts: fact, end: t0 + 30 })], a, nowMs);
  assertEquals(after.writes[0].kind, "update");
  assertEquals(after.updates[0].segment.facts, fact);
  const second = merger.take([segment()], b, nowMs);
  assertEquals(second.newSightings, 1);
  assertEquals(merger.size, 1);
});

Deno.test("merger gives back the room of facts that were rolled back", () => {
  const { merger, reporter } = newMerger({ factsMax: 3 });
  merger.take([segment({ end_reason: "active" })], a, nowMs);
  merger.take([segment({ end_reason: "active" })], b, nowMs);
  const facts = { dns: [1, 2, 3].map((id) => ({ name: `${id}.example`, type: "A" })) };
  for (let i = 0; i < 2; i++) {
    merger.begin();
    merger.take([segment({ segment: 1, facts, end: t0 + 30 })], a, nowMs);
    merger.rollback();
  }
  assertEquals(reporter.snapshot().get("merge_facts_unremembered_total"), undefined);
  // Of who does not own the flow, only what can be remembered is told.
  const sni = { tls: { sni: "example.org" } };
  const { updates } = merger.take(
    [segment({ segment: 1, facts: sni, end: t0 + 30, end_reason: "active" })],
    b,
    nowMs,
  );
  assertEquals(updates.map((update) => update.segment.facts), [sni]);
  // Of three more two find room.
  merger.take([segment({ segment: 2, facts, end: t0 + 40, end_reason: "active" })], b, nowMs);
  assertEquals(reporter.snapshot().get("merge_facts_unremembered_total"), 1);
});

Deno.test("merger goes on from stored flows as if it had never stopped", () => {
  const { merger } = newMerger();
  const { writes } = merger.take(
    [segment({ end_reason: "active", facts: { tls: { sni: "example.org" } } })],
    a,
    nowMs,
  );
  const restarted = newMerger().merger;
  restarted.restore([{ ...writes[0].flow, seen_by: writes[0].sightings }]);
  const other = restarted.take([segment({ facts: { tls: { sni: "example.org" } } })], b, nowMs);
  assertEquals(other.writes[0].flow.flow_id, writes[0].flow.flow_id);
  assertEquals(other.writes[0].flow.total_packets, 0);
  assertEquals(other.updates, []);
  const next = restarted.take([segment({ segment: 1, end: t0 + 50 })], a, nowMs);
  assertEquals(next.writes[0].flow.total_packets, 18);
  assertEquals(next.newSightings, 0);
});

Deno.test("merger stays within its flows, counts those it evicts, and keeps the newest", () => {
  const { merger, reporter } = newMerger({ flowsMax: 1_000 });
  for (let i = 0; i < 3_000; i++) {
    merger.begin();
    merger.take([segment({ src_port: 1_000 + i, tcp_isn: i })], a, nowMs + i);
    merger.commit();
  }
  assert(merger.size <= 1_001, `size is ${merger.size}`);
  assertEquals(reporter.snapshot().get("merge_flows_evicted_total"), 3_000 - merger.size);
  const newest = merger.take([segment({ src_port: 3_999, tcp_isn: 2_999 })], b, nowMs + 3_000);
  assertEquals(newest.writes[0].kind, "update");
});

Deno.test("merger forgets flows without news after their time", () => {
  const { merger } = newMerger({ keepMs: 60_000 });
  merger.take([segment()], a, nowMs);
  assertEquals(merger.expire(nowMs + 59_000), 0);
  assertEquals(merger.expire(nowMs + 61_000), 1);
  assertEquals(merger.size, 0);
});

Deno.test("merger spreads traffic over the seconds of a segment without losing a packet", () => {
  const { merger } = newMerger();
  const { traffic } = merger.take([segment({ start: t0, end: t0 + 9.5, fwd_packets: 101 })], a, nowMs);
  assertEquals(traffic.length, 10);
  assertEquals(traffic.reduce((sum, { packets }) => sum + packets, 0), 109);
  assertEquals(traffic.reduce((sum, { bytes }) => sum + bytes, 0), 9_000);
  assertEquals(traffic.map(({ flows }) => flows), [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
});

Deno.test("merger scales sums over flows by the sampling factor, never the flow's own counts", () => {
  const { merger } = newMerger();
  const sampled = { factor: 8, fwd_packets: 10, bwd_packets: 8, fwd_bytes: 1_000, bwd_bytes: 8_000 };
  const { writes, traffic } = merger.take([segment({ ...sampled, start: t0, end: t0 + 9 })], a, nowMs);
  assertEquals([writes[0].flow.factor, writes[0].flow.total_packets, writes[0].flow.total_bytes], [
    8,
    18,
    9_000,
  ]);
  const sum = (name: "flows" | "packets" | "bytes") => traffic.reduce((all, row) => all + row[name], 0);
  assertEquals([sum("flows"), sum("packets"), sum("bytes")], [8, 144, 72_000]);
});

Deno.test("merger takes the factor of the sensor that left out least, whoever comes first, within bounds", () => {
  for (const [first, second] of [[8, 1], [1, 8]]) {
    const { merger } = newMerger();
    merger.take([segment({ factor: first })], a, nowMs);
    const { writes } = merger.take([segment({ factor: second })], b, nowMs);
    assertEquals(writes[0].flow.factor, 1);
  }
  const { merger } = newMerger();
  for (const claimed of [1, 65_536]) {
    const { writes } = merger.take([segment({ factor: claimed, tcp_isn: claimed })], a, nowMs);
    assertEquals(writes[0].flow.factor, Math.min(claimed, 1_024));
  }
});
