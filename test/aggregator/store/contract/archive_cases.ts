/** What the topic of archives must do: hand a day over whole, in chunks, and take it back as it was. @module */

import { assertEquals, assertRejects } from "@std/assert";
import type { ArchivedFlow } from "../../../../aggregator/model/archived.ts";
import { BadCursor, type Store } from "../../../../aggregator/store/store.ts";
import type { Test } from "../contract.ts";
import { flowsOf, flowWrite, idOf, nothing, nowMs, sighting, t0, threat } from "../rows.ts";

const day = t0 - t0 % 86_400;

async function chunks(store: Store, at: number, limit: number): Promise<ArchivedFlow[][]> {
  const found: ArchivedFlow[][] = [];
  for (let after: string | null = null;;) {
    const { flows, last } = await store.readDay(at, after, limit);
    if (last === null) return found;
    found.push(flows);
    after = last;
  }
}

/** One flow of each kind that is stored in a way of its own. */
function oddFlows() {
  const twice = [sighting("s-one", 2), {
    ...sighting("s-two", 2),
    vlan: 9,
    clock_offset_ms: 12.25,
    segments: 3,
  }];
  return [
    flowWrite(1),
    flowWrite(2, { facts: { dns: [{ name: "\u{1f6aa}=cmd\n\"'.example", type: "A" }] } }, {
      sightings: twice,
      newSightings: 2,
    }),
    flowWrite(3, { src_ip: "2001:db8::1", dst_ip: "2001:db8::2", tcp_isn: 4_294_967_295, factor: 64 }),
    flowWrite(4, { protocol: "arp", app_protocol: "", src_mac: "", conn_state: "OTH", end_reason: "idle" }),
    flowWrite(5, {
      tunnel: "vxlan",
      vlan_inner: 7,
      ip_depth: 2,
      time_suspect: true,
      start: t0 + 4.999_999,
      fwd_syn_count: 300,
      fwd_bytes: 9_007_199_254_740_991,
      bwd_bytes: 0,
      total_bytes: 9_007_199_254_740_991,
      packet_length_deviation: 1.5,
    }),
    flowWrite(6, { fwd_packets: 1, bwd_packets: 0, bwd_sensor: "", fwd_bytes: 40, bwd_bytes: 0 }),
  ];
}

export function archiveCases(test: Test): void {
  test("hands a day over in chunks and takes it back as it was", async ({ store }) => {
    const early = flowWrite(day - t0 - 1), late = flowWrite(day - t0 + 86_400);
    await store.ingest({ ...nothing(), ...flowsOf([early, ...oddFlows(), late]) });
    await store.saveThreats([
      threat("t1", { flow_ids: [idOf(1), idOf(2)] }),
      threat("t2", { flow_ids: [idOf(2)] }),
    ]);
    const before = await store.readFlows({}, { limit: 100 });
    const totals = await store.readTotals();
    const handed = await chunks(store, day, 4);
    assertEquals(handed.map(({ length }) => length), [4, 2]);
    const all = handed.flat();
    assertEquals(all.map(({ flow }) => flow.flow_id), [1, 2, 3, 4, 5, 6].map(idOf));
    assertEquals(all.map(({ flow }) => flow.seen_by.length), [0, 2, 0, 0, 0, 0]);
    assertEquals(all.map(({ threat_ids }) => threat_ids), [["t1"], ["t1", "t2"], [], [], [], []]);

    await store.dropDay(day, "flows");
    assertEquals((await store.readFlows({}, { limit: 100 })).rows.length, 2);
    assertEquals(await store.restoreFlows(day, all.slice(0, 3), nowMs + 5), 3);
    assertEquals(await store.restoreFlows(day, all, nowMs + 6), 3);
    assertEquals(await store.restoreFlows(day, all, nowMs + 7), 0);
    assertEquals(await store.readFlows({}, { limit: 100 }), before);
    assertEquals(await chunks(store, day, 4), handed);
    assertEquals((await store.readFlows({ threat_id: "t1" }, { limit: 9 })).rows.length, 2);
    assertEquals(await store.readTotals(), totals);
  });

  test("gives a day that came back its whole lifetime, and leaves its other parts gone", async ({ store }) => {
    await store.ingest({ ...nothing(), ...flowsOf([flowWrite(1), flowWrite(2)]) });
    const [{ flows }] = await chunks(store, day, 10).then((found) => [{ flows: found[0] }]);
    for (const part of ["flows", "seconds", "tens"] as const) await store.dropDay(day, part);
    assertEquals((await store.readDays()).map((one) => [one.flows, one.gone.length]), [[0, 3]]);
    await store.restoreFlows(day, flows.slice(0, 1), nowMs + 1_000);
    await store.restoreFlows(day, flows, nowMs + 2_000);
    assertEquals(await store.readDays(), [
      { day, flows: 2, stored_ms: nowMs + 2_000, gone: ["seconds", "tens"] },
    ]);
    await store.forgetDay(day);
    await store.restoreFlows(day, flows, nowMs + 3_000);
    assertEquals(await store.readDays(), [
      { day, flows: 0, stored_ms: nowMs + 3_000, gone: ["seconds", "tens", "minutes", "hours"] },
    ]);
  });

  test("leaves what it has when an archive brings the same flow", async ({ store }) => {
    await store.ingest({ ...nothing(), ...flowsOf([flowWrite(1)]) });
    const [flows] = await chunks(store, day, 10);
    const other = [{ ...flows[0], flow: { ...flows[0].flow, fwd_packets: 99 } }];
    assertEquals(await store.restoreFlows(day, other, nowMs), 0);
    assertEquals((await store.readFlow(idOf(1)))?.fwd_packets, 10);
    await assertRejects(() => store.readDay(day, "no id", 10), BadCursor);
    assertEquals(await store.readDay(day + 86_400, null, 10), { flows: [], unreadable: 0, last: null });
  });
}
