/** What the topic of leases must do: one holder at a time, and no word of an earlier one;
 * and what is told to those who publish.
 * @module */

import { assertEquals } from "@std/assert";
import type { Lease } from "../../../../aggregator/store/store.ts";
import type { Test } from "../contract.ts";
import { flowsOf, flowWrite, idOf, nothing, nowMs, threat } from "../rows.ts";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export function leaseCases(test: Test): void {
  test("gives a lease to one holder, who may renew it, and to the next one when it ends", async ({ store }) => {
    const first = await store.takeLease("work", "a", 60_000);
    assertEquals(first, { holder: "a", generation: 1, position: "" });
    assertEquals(await store.takeLease("work", "b", 60_000), null);
    assertEquals(await store.takeLease("work", "a", 60_000), first);
    assertEquals((await store.takeLease("other", "b", 60_000))?.holder, "b");
    await store.releaseLease("work", "b");
    assertEquals(await store.takeLease("work", "b", 60_000), null, "it was not b's to release");
    await store.releaseLease("work", "a");
    assertEquals((await store.takeLease("work", "b", 200))?.generation, 2);
    assertEquals(await store.takeLease("work", "a", 200), null);
    await pause(250);
    assertEquals((await store.takeLease("work", "a", 60_000))?.generation, 3);
  });

  test("moves a position only for the holder of the day", async ({ store, reopen }) => {
    const old = (await store.takeLease("work", "a", 60_000))!;
    assertEquals(await store.moveLease("work", old, "7:9"), true);
    assertEquals((await store.takeLease("work", "a", 60_000))?.position, "7:9");
    await store.releaseLease("work", "a");
    const next = (await store.takeLease("work", "b", 60_000))!;
    assertEquals(next.position, "7:9");
    assertEquals(await store.moveLease("work", old, "8:9"), false);
    assertEquals(await store.moveLease("none", old, "8:9"), false);
    await store.releaseLease("work", "b");
    const again = (await store.takeLease("work", "a", 60_000))!;
    assertEquals([again.holder, old.holder, again.position], ["a", "a", "7:9"]);
    assertEquals(await store.moveLease("work", old, "8:9"), false, "a itself, from before b");
    assertEquals(await store.moveLease("work", again, "9:9"), true);
    const opened = await reopen();
    assertEquals((await opened.takeLease("work", "a", 60_000))?.position, "9:9");
  });

  test("does not keep everybody from a lease whose end a wrong clock set", async ({ store }) => {
    await store.takeLease("work", "a", 3_600_000);
    assertEquals((await store.takeLease("work", "b", 1_000))?.holder, "b");
    assertEquals(await store.takeLease("work", "a", 1_000), null);
  });

  test("gives a new lease to one of many who ask at once", async ({ store }) => {
    const holders = Array.from({ length: 8 }, (_, n) => `h${n}`);
    const leases = await Promise.all(holders.map((holder) => store.takeLease("work", holder, 60_000)));
    assertEquals(leases.filter((lease): lease is Lease => lease !== null).length, 1);
  });
}

export function changeCases(test: Test): void {
  test("tells of flows that changed, as they are now, whole transactions at a time", async ({ store }) => {
    const none = { flows: [], position: "", missed: 0, gone: 0, behind: 0 };
    assertEquals(await store.readFlowChanges("", 10), none);
    await store.ingest({ ...nothing(), ...flowsOf([flowWrite(1), flowWrite(2)]) });
    await store.ingest({ ...nothing(), ...flowsOf([flowWrite(3)]) });
    await store.ingest({ ...nothing(), ...flowsOf([flowWrite(2, { fwd_packets: 5 }, { kind: "update" })]) });
    const idsOf = (flows: readonly { flow_id: string }[]) => flows.map(({ flow_id }) => flow_id).sort();
    const first = await store.readFlowChanges("", 1);
    assertEquals([idsOf(first.flows), first.missed, first.behind], [[idOf(1), idOf(2)], 0, 2]);
    assertEquals(first.flows.find(({ flow_id }) => flow_id === idOf(2))?.fwd_packets, 15);
    const rest = await store.readFlowChanges(first.position, 100);
    assertEquals([idsOf(rest.flows), rest.missed, rest.behind], [[idOf(2), idOf(3)], 0, 0]);
    assertEquals((await store.readFlowChanges(rest.position, 100)).position, rest.position);
    assertEquals((await store.readFlowChanges(rest.position, 100)).flows, []);
  });

  test("gives recent flows of some buckets, and those whose bucket no row says", async ({ store }) => {
    const writes = Array.from({ length: 20 }, (_, n) => flowWrite(n, { src_port: 5_000 + n }));
    writes.push(flowWrite(99, { protocol: "arp" }));
    await store.ingest({ ...nothing(), ...flowsOf(writes) });
    const seen = new Map<string, number>();
    for (const bucket of [0, 1, 2, 3]) {
      const flows = await store.readRecentFlows(0, 100, { count: 4, some: [bucket] });
      for (const { flow_id } of flows) seen.set(flow_id, (seen.get(flow_id) ?? 0) + 1);
    }
    assertEquals(seen.size, 21);
    assertEquals([...seen].filter(([, times]) => times !== 1), [[idOf(99), 4]]);
    assertEquals((await store.readRecentFlows(0, 100, { count: 4, some: [0, 1, 2, 3] })).length, 21);
  });

  test("says how many changes were forgotten before they were read", async ({ store }) => {
    await store.ingest({ ...nothing(), ...flowsOf([1, 2, 3, 4, 5, 6].map((n) => flowWrite(n))) });
    await store.ingest({ ...nothing(), ...flowsOf([flowWrite(7)]) });
    const { position } = await store.readFlowChanges("", 10);
    const [id, named] = position.split(":").map(Number);
    assertEquals(named, 7);
    // As if the first two had been read, and the next four forgotten.
    const earlier = `${id - 1}:2`;
    const { missed, flows } = await store.readFlowChanges(earlier, 10);
    assertEquals([missed, flows.length], [4, 1]);
    assertEquals((await store.readFlowChanges("nonsense", 10)).missed, 0);
  });

  test("tells of threats that changed until it is told that they are known", async ({ store }) => {
    assertEquals(await store.readThreatChanges(10), []);
    await store.saveThreats([threat("t1"), threat("t2")]);
    const changes = await store.readThreatChanges(10);
    assertEquals(changes.map(({ id, threat }) => [id, threat?.status]), [["t1", "open"], ["t2", "open"]]);
    assertEquals((await store.readThreatChanges(1)).length, 1);
    await store.setThreatStatus("t1", "closed", nowMs + 1);
    await store.forgetThreatChanges(changes);
    const later = await store.readThreatChanges(10);
    assertEquals(
      later.map(({ id, threat }) => [id, threat?.status]),
      [["t1", "closed"]],
      "it changed meanwhile",
    );
    await store.forgetThreatChanges(later);
    assertEquals(await store.readThreatChanges(10), []);
    await store.saveThreats([threat("t2", { count: 9 })]);
    assertEquals((await store.readThreatChanges(10)).map(({ threat }) => threat?.count), [9]);
  });
}
