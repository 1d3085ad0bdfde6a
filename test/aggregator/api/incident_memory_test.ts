/** Incidents that are made anew only from what changed: which threats are read again,
 * and that none is shown as it was before. @module */

import { assertEquals } from "@std/assert";
import { IncidentMemory } from "../../../aggregator/api/threats/incident_memory.ts";
import { warmIncidents } from "../../../aggregator/api/threats/incidents.ts";
import type { Threat } from "../../../aggregator/model/threat.ts";
import { startFixture } from "./fixture.ts";
import { sampleThreat } from "./samples.ts";

const { signal } = new AbortController();

/** Threats of as many attackers, and the ids that were read. */
function world(count: number) {
  const threats = new Map<string, Threat>();
  const read: string[] = [];
  for (let n = 0; n < count; n++) put(n, {});
  function put(n: number, change: Partial<Threat>) {
    const id = n.toString(16).padStart(16, "0");
    const src_ips = [`10.${n >> 16}.${n >> 8 & 255}.${n & 255}`];
    threats.set(id, sampleThreat({ id, src_ips, updated_ms: 0, flow_ids: ["f"], ...change }));
  }
  return {
    put,
    /** Ids read since the last call. */
    read: () => read.splice(0),
    drop: (n: number) => threats.delete(n.toString(16).padStart(16, "0")),
    readThreatMarks: ({ from }: { from?: number }, limit: number) =>
      Promise.resolve(
        [...threats.values()].filter(({ last_seen }) => last_seen >= (from ?? 0)).slice(0, limit)
          .map(({ id, updated_ms, status }) => ({ id, mark: `${id} ${updated_ms} ${status}` })),
      ),
    readThreatsById(ids: readonly string[]) {
      read.push(...ids);
      return Promise.resolve(ids.flatMap((id) => threats.get(id) ?? []));
    },
  };
}

Deno.test("incidents read a threat again only when it changed, and show it as it is", async () => {
  const store = world(3);
  const memory = new IncidentMemory(store);
  const statuses = async (range = {}) =>
    (await memory.read(range, signal)).incidents.map(({ status }) => status).sort();
  assertEquals(await statuses(), ["open", "open", "open"]);
  assertEquals(store.read().length, 3);
  assertEquals(await statuses(), ["open", "open", "open"]);
  assertEquals(store.read(), []);
  store.put(1, { status: "closed" });
  assertEquals(await statuses(), ["closed", "open", "open"]);
  assertEquals(store.read(), ["0000000000000001"]);
  store.put(3, { updated_ms: 1 });
  store.drop(0);
  assertEquals(await statuses(), ["closed", "open", "open"]);
  assertEquals(store.read(), ["0000000000000003"]);
  assertEquals(await statuses({ from: 2e9 }), []);
  assertEquals(await statuses(), ["closed", "open", "open"]);
  assertEquals(store.read(), []);
});

Deno.test("an answer is whole, though another makes threats be forgotten while it is made", async () => {
  const store = world(5_000);
  const memory = new IncidentMemory(store);
  await memory.read({}, signal);
  // A change of one threat is read slowly, while 5,001 others are read and push out the rest.
  store.put(0, { updated_ms: 2 });
  const goOn = Promise.withResolvers<void>();
  const { readThreatsById } = store;
  store.readThreatsById = async (ids) => {
    store.readThreatsById = readThreatsById;
    await goOn.promise;
    return readThreatsById(ids);
  };
  const slow = memory.read({}, signal);
  await Promise.resolve();
  const old = sampleThreat().last_seen;
  for (let n = 5_000; n < 10_001; n++) store.put(n, { last_seen: old + 10, updated_ms: 1 });
  await memory.read({ from: old + 10 }, signal);
  store.drop(5_000);
  await memory.read({ from: old + 10 }, signal);
  goOn.resolve();
  assertEquals((await slow).incidents.length, 5_000);
});

Deno.test("incidents hold 10,000 threats at most, and say when they read 5,000 of more", async () => {
  const store = world(5_000);
  const memory = new IncidentMemory(store);
  assertEquals((await memory.read({}, signal)).isCut, false);
  assertEquals(store.read().length, 5_000);
  // 5,001 others make the first be forgotten, as 10,001 would be held.
  const old = sampleThreat().last_seen;
  for (let n = 5_000; n < 10_001; n++) store.put(n, { last_seen: old + 10, updated_ms: 1 });
  assertEquals((await memory.read({ from: old + 10 }, signal)).isCut, true);
  assertEquals(store.read().length, 5_000);
  assertEquals((await memory.read({}, signal)).isCut, true);
  assertEquals(store.read().length, 0, "10,000 are held");
  store.drop(5_000);
  await memory.read({ from: old + 10 }, signal);
  assertEquals(store.read(), ["0000000000002710"]);
  store.put(0, { updated_ms: 2 });
  assertEquals((await memory.read({}, signal)).incidents.length, 5_000);
  assertEquals(store.read().length, 5_000, "the older half was forgotten");
});

Deno.test("who asks first after a start waits for no threat that was read before, and a store that is away is no fault", async () => {
  const fixture = await startFixture();
  const { store } = fixture.services;
  await store.saveThreats([sampleThreat({})]);
  const read = store.readThreatsById;
  let reads = 0;
  store.readThreatsById = (ids) => (reads++, read.call(store, ids));
  const stop = warmIncidents(store);
  for (let i = 0; i < 1_000 && reads === 0; i++) await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(reads, 1);
  const { body } = await fixture.ask("GET", "/api/v1/incidents", { role: "viewer" });
  assertEquals([body.rows.length, reads], [1, 1]);
  await stop();
  const away = { ...world(1), readThreatMarks: () => Promise.reject(new Error("away")) };
  await warmIncidents(away)();
  await fixture.stop();
});
