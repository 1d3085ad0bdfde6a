/** What the topic of flows must do: give back what was written, merged, and page through it. @module */

import { assertEquals, assertRejects } from "@std/assert";
import { BadCursor, type Store } from "../../../../aggregator/store/store.ts";
import type { FlowQuery } from "../../../../aggregator/model/page.ts";
import type { Test } from "../contract.ts";
import { flowsOf, flowWrite, idOf, nothing, nowMs, sighting, t0 } from "../rows.ts";

export function flowCases(test: Test): void {
  test("gives back a flow as it was written", async ({ store, reopen }) => {
    const written = flowWrite(1);
    await store.ingest({ ...nothing(), ...flowsOf([written]) });
    const expected = { ...written.flow, seen_by: written.sightings };
    assertEquals(await store.readFlow(written.flow.flow_id), expected);
    const again = await reopen();
    assertEquals(await again.readFlow(written.flow.flow_id), expected);
    assertEquals(await again.readFlow(idOf(2)), null);
    assertEquals(await again.readFlow("no id"), null);
  });

  test("keeps IPv6, mapped and odd addresses as they are", async ({ store }) => {
    const ips = ["2001:db8::1", "::ffff:102:304", "1.2.3.4", "255.255.255.255", "::"];
    await store.ingest({ ...nothing(), ...flowsOf(ips.map((src_ip, i) => flowWrite(i, { src_ip }))) });
    for (const [i, src_ip] of ips.entries()) {
      assertEquals((await store.readFlow(idOf(i)))?.src_ip, src_ip);
      const { rows } = await store.readFlows({ src_ip }, { limit: 10 });
      assertEquals(rows.map((flow) => flow.src_ip), [src_ip]);
    }
    assertEquals((await store.readFlows({ ip: "not an address" }, { limit: 10 })).rows, []);
  });

  test("keeps numbers up to 2^53 - 1 and text of any character", async ({ store }) => {
    const large = Number.MAX_SAFE_INTEGER;
    const name = "a'b\"c\\d%_é\u202e\u{1f600}";
    const facts = { dns: [{ name, type: "A", rcode: "NOERROR", answers: [name] }] };
    await store.ingest({
      ...nothing(),
      ...flowsOf([flowWrite(1, { fwd_bytes: large, total_bytes: large, tcp_isn: 4_294_967_295, facts })]),
    });
    const flow = await store.readFlow(idOf(1));
    assertEquals([flow?.fwd_bytes, flow?.tcp_isn, flow?.facts], [large, 4_294_967_295, facts]);
  });

  test("adds an update to the flow that is there", async ({ store }) => {
    const first = flowWrite(1, {
      end_reason: "active",
      conn_state: "S1",
      bwd_sensor: "",
      facts: { tls: { sni: "a.example" } },
      app_protocol: "",
      ...{ fwd_bytes: 500, bwd_bytes: 1_000, total_bytes: 1_500 },
      packet_length_mean: 100,
      packet_length_deviation: 0,
      interarrival_us_min: 5,
    });
    const second = flowWrite(1, {
      start: t0 + 30,
      end: t0 + 90,
      end_reason: "fin",
      conn_state: "SF",
      bwd_sensor: "s-two",
      facts: { tls: { sni: "b.example", version: "TLS 1.3" }, cut: 2 },
      app_protocol: "tls",
      ...{ fwd_bytes: 1_500, bwd_bytes: 3_000, total_bytes: 4_500 },
      packet_length_mean: 300,
      packet_length_deviation: 0,
      packet_length_min: 40,
      interarrival_us_min: 9,
      stored_ms: nowMs + 5,
      updated_ms: nowMs + 5,
    }, { kind: "update", newSightings: 0 });
    // The second vantage brings a row for both, each the whole of what it has seen; what comes later is added.
    const whole = { ...second.sightings[0], end: t0 + 90, fwd_packets: 20, segments: 2 };
    second.sightings = [whole, sighting("s-two")];
    await store.ingest({ ...nothing(), ...flowsOf([first]) });
    await store.ingest({ ...nothing(), ...flowsOf([second]) });
    const other = flowWrite(1, { app_protocol: "http", src_mac: "02:00:00:00:00:99", fwd_ttl: 9 });
    const { app_protocol, src_mac, fwd_ttl } = (await store.readFlow(idOf(1)))!;
    assertEquals([app_protocol, src_mac, fwd_ttl], ["tls", "02:00:00:00:00:05", 64]);
    const nothingNew = {
      fwd_packets: 0,
      fwd_bytes: 0,
      bwd_packets: 0,
      bwd_bytes: 0,
      total_packets: 0,
      total_bytes: 0,
    };
    Object.assign(other.flow, nothingNew, {
      packet_length_max: 9_000,
      end: t0 + 90,
      end_reason: "fin",
      bwd_sensor: "s-two",
    });
    await store.ingest({ ...nothing(), ...flowsOf([{ ...other, kind: "update", newSightings: 0 }]) });
    const still = (await store.readFlow(idOf(1)))!;
    assertEquals([still.app_protocol, still.src_mac, still.fwd_ttl, still.packet_length_max], [
      "tls",
      "02:00:00:00:00:05",
      64,
      1_500,
    ]);
    const later = flowsOf([{ ...second, sightings: [sighting("s-two"), sighting("s-two")] }]);
    later.sightings.columns.isNew.fill(0);
    await store.ingest({ ...nothing(), sightings: later.sightings });
    const flow = (await store.readFlow(idOf(1)))!;
    assertEquals([flow.fwd_packets, flow.bwd_bytes, flow.total_packets, flow.total_bytes], [
      20,
      4_000,
      30,
      6_000,
    ]);
    assertEquals([flow.start, flow.end], [first.flow.start, t0 + 90]);
    assertEquals([flow.end_reason, flow.conn_state, flow.app_protocol, flow.bwd_sensor], [
      "fin",
      "SF",
      "tls",
      "s-two",
    ]);
    assertEquals(flow.facts, { tls: { sni: "a.example", version: "TLS 1.3" }, cut: 2 });
    assertEquals([flow.packet_length_mean, flow.packet_length_deviation, flow.packet_length_min], [
      200,
      100,
      40,
    ]);
    assertEquals(flow.interarrival_us_min, 5);
    assertEquals([flow.stored_ms, flow.updated_ms], [nowMs, nowMs + 5]);
    assertEquals(flow.seen_by.map((one) => [one.sensor_id, one.fwd_packets, one.segments]), [
      ["s-one", 20, 2],
      ["s-two", 30, 3],
    ]);
    assertEquals(flow.seen_by[0].end, t0 + 90);
  });

  test("writes several parts of one flow in one transaction", async ({ store }) => {
    const facts = (name: string) => ({ dns: [{ name, type: "A" }] });
    await store.ingest({
      ...nothing(),
      ...flowsOf([
        flowWrite(1, { facts: facts("a.example") }),
        flowWrite(1, { facts: facts("b.example") }, { kind: "update", newSightings: 0 }),
      ]),
    });
    const flow = await store.readFlow(idOf(1));
    assertEquals(flow?.facts?.dns?.map(({ name }) => name), ["a.example", "b.example"]);
    assertEquals(flow?.total_packets, 30);
  });

  test("reads recent flows by their last change, oldest first", async ({ store }) => {
    const flows = [3, 1, 2].map((n) => flowWrite(n, { updated_ms: nowMs + n }));
    await store.ingest({ ...nothing(), ...flowsOf(flows) });
    const ids = async (since: number, limit: number) =>
      (await store.readRecentFlows(since, limit)).map(({ flow_id }) => flow_id);
    assertEquals(await ids(nowMs, 10), [1, 2, 3].map(idOf));
    assertEquals(await ids(nowMs + 2, 10), [2, 3].map(idOf));
    assertEquals(await ids(nowMs, 2), [2, 3].map(idOf));
  });
}

export function queryCases(test: Test): void {
  test("pages through flows, newest first, each exactly once", async ({ store }) => {
    await store.ingest({ ...nothing(), ...flowsOf(Array.from({ length: 95 }, (_, i) => flowWrite(i))) });
    const { ids, pages } = await allPages(store, {}, 10);
    assertEquals(ids, Array.from({ length: 95 }, (_, i) => idOf(94 - i)));
    assertEquals(pages, 10);
  });

  test("pages the same way through one address, whichever end it is", async ({ store }) => {
    const flows = Array.from(
      { length: 60 },
      (_, i) =>
        flowWrite(i, i % 3 === 0 ? { src_ip: "10.9.9.9" } : i % 3 === 1 ? { dst_ip: "10.9.9.9" } : {}),
    );
    await store.ingest({ ...nothing(), ...flowsOf(flows) });
    const { ids } = await allPages(store, { ip: "10.9.9.9" }, 7);
    const expected = flows.map(({ flow }) => flow.flow_id).filter((_, i) => i % 3 !== 2).reverse();
    assertEquals(ids, expected);
    for (const limit of [1, 7, 20, 39, 40, 41]) {
      const up = await allPages(store, { ip: "10.9.9.9" }, limit, true);
      assertEquals(up.ids, expected.toReversed(), `oldest first, ${limit} a page`);
      assertEquals(up.pages, Math.ceil(40 / limit));
    }
    const some = await allPages(store, { from: t0 + 20, to: t0 + 30 }, 4, true);
    assertEquals(some.ids, flows.slice(20, 31).map(({ flow }) => flow.flow_id));
  });

  test("filters flows by every field, alone and together", async ({ store }) => {
    const special = flowWrite(50, {
      src_ip: "192.0.2.7",
      dst_ip: "198.51.100.8",
      src_port: 5_353,
      dst_port: 8_443,
      protocol: "udp",
      app_protocol: "quic",
      conn_state: "S0",
      network: "global",
      fwd_bytes: 998_000,
      total_bytes: 1_000_000,
      facts: { quic: { sni: "Odd_100%.Example" } },
    });
    special.sightings = [sighting("s-one", 50), sighting("s-special", 50)];
    const others = Array.from(
      { length: 40 },
      (_, i) => flowWrite(i, { facts: { tls: { sni: `host${i}.example` } } }),
    );
    await store.ingest({ ...nothing(), ...flowsOf([...others, special]) });
    const queries = [
      { ip: "192.0.2.7" },
      { ip: "198.51.100.8" },
      { src_ip: "192.0.2.7" },
      { dst_ip: "198.51.100.8" },
      { port: 8_443 },
      { port: 5_353 },
      { dst_port: 8_443 },
      { protocol: "udp" },
      { app_protocol: "quic" },
      { sensor_id: "s-special" },
      { community_id: special.flow.community_id },
      { conn_state: "S0" },
      { network: "global" },
      { min_bytes: 999_999 },
      { name: "100%.EXAMPLE" },
      { name: "odd_1" },
      { ip: "192.0.2.0/24" },
      { ip: "198.51.100.8/29", src_ip: "192.0.2.7" },
      { src_ip: "192.0.0.0/8", dst_ip: "198.0.0.0/8" },
      { src_ip: "192.0.2.6/31", ip: "198.51.100.8" },
      {
        src_ip: "192.0.2.7",
        dst_ip: "198.51.100.8",
        ip: "198.51.100.8",
        port: 8_443,
        name: "odd",
        protocol: "udp",
      },
      { from: t0 + 50, to: t0 + 50 },
    ];
    for (const query of queries) {
      const { rows } = await store.readFlows(query, { limit: 10 });
      assertEquals(rows.map(({ flow_id }) => flow_id), [idOf(50)], JSON.stringify(query));
    }
    const nothingFound = [
      { dst_ip: "192.0.2.7" },
      { dst_port: 5_353 },
      { name: "100_.example" },
      { name: "' OR 1=1 --" },
      { protocol: "udp' OR '1'='1" },
      { src_ip: "192.0.2.7", dst_ip: "192.0.2.7" },
      { threat_id: "none" },
      { ip: "c000:200::/32" },
      { ip: "192.0.2.8/29" },
      { ip: "no/8" },
      { from: t0 + 51 },
      { to: t0 - 1 },
    ];
    for (const query of nothingFound) {
      assertEquals(await store.readFlows(query, { limit: 10 }), { rows: [] }, JSON.stringify(query));
    }
    assertEquals((await store.readFlows({ from: t0 + 3, to: t0 + 5 }, { limit: 10 })).rows.length, 3);
  });

  test("refuses a limit out of bounds and a cursor it did not give", async ({ store }) => {
    await assertRejects(() => store.readFlows({}, { limit: 0 }), RangeError, '"limit" must be 1 to 1000');
    await assertRejects(() => store.readFlows({}, { limit: 1_001 }), RangeError);
    await assertRejects(() => store.readFlows({}, { limit: 1, cursor: "x' --" }), BadCursor);
    await assertRejects(() => store.readThreats({}, { limit: 1, cursor: "x' --" }), BadCursor);
  });
}

async function allPages(
  store: Store,
  query: FlowQuery,
  limit: number,
  isOldestFirst = false,
): Promise<{ ids: string[]; pages: number }> {
  const ids: string[] = [];
  let pages = 0;
  let cursor: string | undefined;
  do {
    const page = await store.readFlows(query, { limit, isOldestFirst, ...(cursor ? { cursor } : {}) });
    ids.push(...page.rows.map(({ flow_id }) => flow_id));
    pages++;
    cursor = page.next_cursor;
  } while (cursor);
  return { ids, pages };
}
