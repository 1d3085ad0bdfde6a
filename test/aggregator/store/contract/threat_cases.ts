/** What the topic of threats must do: keep them, and leave the status to people. @module */

import { assert, assertEquals } from "@std/assert";
import type { Store } from "../../../../aggregator/store/store.ts";
import type { Test } from "../contract.ts";
import { flowsOf, flowWrite, idOf, nothing, nowMs, t0, threat } from "../rows.ts";

export function threatCases(test: Test): void {
  test("keeps a threat whole, and its status when it comes again", async ({ store }) => {
    const first = threat("t1", { flow_ids: [idOf(1), idOf(2)] });
    await store.ingest({ ...nothing(), ...flowsOf([flowWrite(1), flowWrite(2), flowWrite(3)]) });
    await store.saveThreats([first]);
    assertEquals(await store.readThreat("t1"), first);
    assertEquals(await store.setThreatStatus("t1", "closed", nowMs + 9), true);
    assertEquals(await store.setThreatStatus("none", "closed", nowMs), false);
    const idsOf = async () =>
      (await store.readFlows({ threat_id: "t1" }, { limit: 10 })).rows.map(({ flow_id }) => flow_id);
    assertEquals(await idsOf(), [idOf(2), idOf(1)]);
    const next = {
      ...first,
      count: 9,
      flow_ids: [idOf(3), idOf(3)],
      stored_ms: nowMs + 20,
      updated_ms: nowMs + 20,
    };
    await store.saveThreats([next], [{ threat_id: "t1", flow_ids: [idOf(1)] }]);
    assertEquals(await store.readThreat("t1"), { ...next, status: "closed", stored_ms: nowMs });
    assertEquals([...await store.readThreatStatuses(["t1", "none"])], [["t1", "closed"]]);
    assertEquals([...await store.readThreatStatuses([])], []);
    assertEquals(await idsOf(), [idOf(3), idOf(2), idOf(1)], "links stay");
    assertEquals(await store.readThreat("none"), null);
    assertEquals((await store.readTotals()).threats, 1);
  });

  test("marks a threat anew when it comes again and when its status changes", async ({ store }) => {
    const seen = (id: string, at: number) => threat(id, { first_seen: t0, last_seen: t0 + at });
    await store.saveThreats([seen("t1", 10), seen("t2", 20), seen("t3", 30)]);
    const marks = async (range = {}, limit = 10) => await store.readThreatMarks(range, limit);
    const first = await marks();
    assertEquals(first.map(({ id }) => id), ["t3", "t2", "t1"]);
    assertEquals(await marks(), first);
    assertEquals(await marks({}, 2), first.slice(0, 2));
    assertEquals(await marks({ from: t0 + 20 }), first.slice(0, 2));
    assertEquals(await marks({ to: t0 - 1 }), []);
    await store.setThreatStatus("t2", "closed", nowMs);
    await store.saveThreats([{ ...seen("t1", 10), updated_ms: nowMs + 1 }]);
    const changed = (await marks()).filter(({ mark }, i) => mark !== first[i].mark);
    assertEquals(changed.map(({ id }) => id), ["t2", "t1"]);
    const [read] = await store.readThreatsById(["t2", "none"]);
    assertEquals(read, { ...seen("t2", 20), status: "closed" });
    assertEquals((await store.readThreatsById(["t1", "t3"])).length, 2);
  });

  test("lists threats by last sight, filtered and in pages", async ({ store }) => {
    await store.saveThreats([
      threat("t1", { last_seen: t0 + 10, severity: "low", score: 20 }),
      threat("t2", {
        last_seen: t0 + 30,
        severity: "high",
        score: 70,
        detector: "beacon",
        dst_ips: ["198.51.100.1"],
      }),
      threat("t3", { last_seen: t0 + 20, severity: "critical", score: 95, status: "acknowledged" }),
      threat("t4", { last_seen: t0 + 20, first_seen: t0 + 15, severity: "info", score: 0 }),
    ]);
    const ids = async (query: Parameters<Store["readThreats"]>[0], limit = 10, cursor?: string) => {
      const page = await store.readThreats(query, { limit, ...(cursor ? { cursor } : {}) });
      return { ids: page.rows.map(({ id }) => id), next: page.next_cursor };
    };
    assertEquals((await ids({})).ids, ["t2", "t4", "t3", "t1"]);
    const first = await ids({}, 2);
    assertEquals(first.ids, ["t2", "t4"]);
    assertEquals(await ids({}, 2, first.next), { ids: ["t3", "t1"], next: undefined });
    const oldest = { limit: 3, isOldestFirst: true };
    const up = await store.readThreats({}, oldest);
    assertEquals(up.rows.map(({ id }) => id), ["t1", "t3", "t4"]);
    const rest = await store.readThreats({}, { ...oldest, cursor: up.next_cursor! });
    assertEquals([rest.rows.map(({ id }) => id), rest.next_cursor], [["t2"], undefined]);
    assertEquals((await ids({ ip: "198.51.100.0/24" })).ids, ["t2"]);
    assertEquals((await ids({ ip: "198.51.0.0/24" })).ids, []);
    assertEquals((await ids({ severity_min: "high" })).ids, ["t2", "t3"]);
    assertEquals((await ids({ detector: "beacon" })).ids, ["t2"]);
    assertEquals((await ids({ status: "acknowledged" })).ids, ["t3"]);
    assertEquals((await ids({ ip: "198.51.100.1" })).ids, ["t2"]);
    assertEquals((await ids({ from: t0 + 11 })).ids, ["t2", "t4", "t3"]);
    assertEquals((await ids({ to: t0 + 12 })).ids, ["t2", "t3", "t1"]);
    assert((await ids({ ip: "' OR 1=1" })).ids.length === 0);
  });
}
