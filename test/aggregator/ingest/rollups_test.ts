/** Rollups of hosts after real ingest: batches of several sensors, replays, segments of one flow, take-overs,
 * a restart.
 *
 * Goal: whatever way flows come to the store, hosts, services and conversations are what the flows themselves give.
 * @module */

import { assert, assertEquals } from "@std/assert";
import type { Segment } from "../../../shared/segment.ts";
import { assertRollups, randomOf } from "../store/rollup_model.ts";
import { segment, t0, TestSensor, udpSegment } from "./fleet.ts";
import { withIngest } from "./with_ingest.ts";

/** Segments of some flows, each in up to three parts. */
function someSegments(random: (below: number) => number, from: number): Segment[] {
  return Array.from({ length: 25 }, (_, i) => {
    const start = t0 + random(30);
    const ends = {
      src_ip: ["10.0.0.5", "10.0.0.6", "198.51.100.7"][random(3)],
      dst_ip: ["10.0.0.9", "203.0.113.4"][random(2)],
      src_port: 20_000 + from + i,
      start,
      flow_start: start,
    };
    const part = (segmentNumber: number, more: Partial<Segment>) => ({
      ...ends,
      segment: segmentNumber,
      start: start + segmentNumber,
      end: start + segmentNumber + 1,
      ...more,
    });
    if (random(2) === 0) return [udpSegment(part(0, { fwd_packets: random(3) + 1, bwd_packets: random(2) }))];
    const isn = { tcp_isn: from + i };
    return [
      segment(
        part(0, { ...isn, conn_state: "S1", end_reason: "active", app_protocol: "", bwd_packets: random(2) }),
      ),
      segment(part(1, { ...isn, conn_state: "S1", end_reason: "active" })),
      segment(part(2, { ...isn, conn_state: "SF" })),
    ].slice(0, 1 + random(3));
  }).flat();
}

Deno.test("rollups are what the stored flows give, after several sensors, replays, take-overs and a restart", async () => {
  let takeovers = 0;
  for (const seed of [1, 2, 3]) {
    const random = randomOf(seed);
    const sensors = [new TestSensor("one", 1), new TestSensor("two", 2)];
    await withIngest(sensors, async ({ store, submit, restart, counter }) => {
      for (let round = 0; round < 4; round++) {
        const segments = someSegments(random, round * 100);
        // Each misses some of it: the first the ends of flows, so that the second takes over.
        const seen = segments.filter(() => random(4) > 0).map((one) => ({
          ...one,
          fwd_packets: one.fwd_packets + random(2),
        }));
        const cut = segments.filter((one) => one.segment === 0 || random(2) > 0);
        const batches = [...sensors[0].seal(cut), ...sensors[1].seal(seen)];
        const outcomes = await Promise.all([...batches, batches[0]].map((batch) => submit(batch)));
        assertEquals(outcomes.filter(({ outcome }) => outcome === "replay").length, 1);
        if (round === 1) await restart();
        for (const batch of batches) assertEquals((await submit(batch)).outcome, "replay");
      }
      takeovers += counter('merge_takeovers_total{direction="fwd"}');
      await assertRollups(store, 50);
    });
  }
  assert(takeovers > 0);
});
