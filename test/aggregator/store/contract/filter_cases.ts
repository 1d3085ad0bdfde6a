/** Filters against a store: no filter breaks its SQL, and what it gives is what the same filter gives in memory.
 * @module */

import { assert, assertEquals } from "@std/assert";
import { meets, testsOf } from "../../../../aggregator/filter/evaluate.ts";
import { flowTable } from "../../../../aggregator/filter/flow_table.ts";
import { hostTable } from "../../../../aggregator/filter/host_table.ts";
import { parseFilter } from "../../../../aggregator/filter/parse.ts";
import { threatTable } from "../../../../aggregator/filter/threat_table.ts";
import type { Flow } from "../../../../aggregator/model/flow.ts";
import type { Host } from "../../../../aggregator/model/host.ts";
import { severities, type Threat, threatStatuses } from "../../../../aggregator/model/threat.ts";
import type { Store } from "../../../../aggregator/store/store.ts";
import { type Die, dieOf, hostileTexts, madeFilter, madePlaces, oneOf } from "../../filter/made.ts";
import type { Test } from "../contract.ts";
import { flowsOf, flowWrite, idOf, nothing, nowMs, sighting, t0, threat } from "../rows.ts";

const addresses = ["10.0.0.5", "10.0.0.6", "10.1.2.3", "192.0.2.7", "2001:db8::1", "::1", "a00:5::"];

/** `filtersMade`: of flows, as many of threats, and a quarter as many of hosts. */
export function filterCases(test: Test, filtersMade: number): void {
  test(`answers ${2.25 * filtersMade} filters made at random as they are answered in memory`, async ({ store }) => {
    const die = dieOf(7);
    await store.ingest({ ...nothing(), ...flowsOf(Array.from({ length: 30 }, (_, i) => madeFlow(die, i))) });
    await store.saveThreats(Array.from({ length: 30 }, (_, i) => madeThreat(die, i)));
    const flows = (await store.readFlows({}, { limit: 1_000 })).rows;
    const threats = (await store.readThreats({}, { limit: 1_000 })).rows;
    const hosts = (await store.readHosts({ sort: "last_seen" }, { limit: 1_000 })).rows;
    assertEquals([flows.length, threats.length, hosts.length], [30, 30, 17]);
    let some = 0;
    for (let i = 0; i < filtersMade; i++) {
      some += await compareFlows(store, flows, madeFilter(die, flowTable));
      some += await compareThreats(store, threats, madeFilter(die, threatTable));
      if (i % 4 === 0) some += await compareHosts(store, hosts, madeFilter(die, hostTable));
    }
    assert(some > filtersMade / 3, `only ${some} filters held for some rows and not for others`);
  });

  test("goes on behind a page of a filter that only memory can answer", async ({ store }) => {
    const write = (i: number) =>
      flowWrite(i, { facts: { tls: { sni: `${i % 3 === 0 ? "odd" : "even"}.example` } } });
    await store.ingest({ ...nothing(), ...flowsOf(Array.from({ length: 60 }, (_, i) => write(i))) });
    await store.saveThreats(
      Array.from(
        { length: 60 },
        (_, i) => threat(`t${i + 10}`, { last_seen: t0 + i, score: i % 3 === 0 ? 9 : 1 }),
      ),
    );
    const odd = parseFilter("not name ~ even", flowTable, nowMs),
      nine = parseFilter("score = 9", threatTable, nowMs);
    for (const isOldestFirst of [false, true]) {
      const found: string[] = [], threats: string[] = [];
      let cursor: string | undefined;
      do {
        const page = { limit: 7, isOldestFirst, ...cursor === undefined ? {} : { cursor } };
        const { rows, next_cursor } = await store.readFlows({ filter: odd }, page);
        found.push(...rows.map(({ flow_id }) => flow_id));
        cursor = next_cursor;
      } while (cursor !== undefined);
      do {
        const page = { limit: 7, isOldestFirst, ...cursor === undefined ? {} : { cursor } };
        const { rows, next_cursor } = await store.readThreats({ filter: nine }, page);
        threats.push(...rows.map(({ id }) => id));
        cursor = next_cursor;
      } while (cursor !== undefined);
      const expected = Array.from({ length: 20 }, (_, i) => i * 3);
      if (!isOldestFirst) expected.reverse();
      assertEquals(found, expected.map(idOf));
      assertEquals(threats, expected.map((i) => `t${i + 10}`));
    }
  });

  hostPageCases(test);
}

function hostPageCases(test: Test): void {
  test("finds the few of 10,100 hosts that a filter holds for, a slice of candidates at a time", async ({ store }) => {
    const write = (i: number) =>
      flowWrite(i, {
        src_ip: `10.1.${i >> 8}.${i & 255}`,
        dst_ip: "203.0.113.9",
        fwd_bytes: [1, 5_098, 5_099, 5_100, 10_099].includes(i) ? 77_000 : 100 + i,
        bwd_bytes: 0,
      });
    for (let from = 0; from < 10_100; from += 2_020) {
      const writes = Array.from({ length: 2_020 }, (_, i) => write(from + i));
      await store.ingest({ ...nothing(), ...flowsOf(writes) });
    }
    const filter = parseFilter("bytes = 77000 and not inside = no", hostTable, nowMs);
    for (const sort of ["last_seen", "bytes"] as const) {
      for (const signal of [new AbortController().signal, AbortSignal.abort()]) {
        const found: string[] = [];
        let cursor: string | undefined, pages = 0;
        do {
          const page = { limit: 2, signal, ...cursor === undefined ? {} : { cursor } };
          const { rows, next_cursor } = await store.readHosts({ filter, sort }, page);
          found.push(...rows.map(({ ip }) => ip));
          cursor = next_cursor;
          pages++;
        } while (cursor !== undefined && pages < 10);
        assertEquals(found, ["10.1.39.115", "10.1.19.236", "10.1.19.235", "10.1.19.234", "10.1.0.1"]);
      }
    }
    const one = parseFilter("ip = 10.1.0.1 and bytes = 77000", hostTable, nowMs);
    assertEquals((await store.readHosts({ filter: one, sort: "bytes" }, { limit: 5 })).rows.length, 1);
    const range = { first: Uint8Array.of(10, 1, 0, 0), last: Uint8Array.of(10, 1, 0, 255) };
    assertEquals((await store.readHosts({ filter, range, sort: "bytes" }, { limit: 5 })).rows.length, 1);
    // What is gone before the reading begins has one step.
    const none = parseFilter("bytes = 1", hostTable, nowMs);
    const cut = await store.readHosts({ filter: none, sort: "last_seen" }, {
      limit: 5,
      signal: AbortSignal.abort(),
    });
    assertEquals([cut.rows.length, typeof cut.next_cursor], [0, "string"]);
    const whole = await store.readHosts({ filter: none, sort: "last_seen" }, { limit: 5 });
    assertEquals([whole.rows.length, whole.next_cursor], [0, undefined]);
  });
}

/** 1 when the filter tells rows apart. */
async function compareFlows(store: Store, all: Flow[], text: string): Promise<number> {
  const filter = parseFilter(text, flowTable, nowMs);
  const { rows, next_cursor } = await store.readFlows({ filter }, { limit: 1_000 });
  const expected = all.filter((flow) => meets(filter, flowTable, flow, madePlaces));
  assertEquals(rows.map((flow) => flow.flow_id), expected.map((flow) => flow.flow_id), text);
  assertEquals(next_cursor, undefined);
  return rows.length > 0 && rows.length < all.length ? 1 : 0;
}

async function compareThreats(store: Store, all: Threat[], text: string): Promise<number> {
  const filter = parseFilter(text, threatTable, nowMs);
  assert(testsOf(filter).length > 0);
  const { rows } = await store.readThreats({ filter }, { limit: 1_000 });
  const expected = all.filter((one) => meets(filter, threatTable, one, madePlaces));
  assertEquals(rows.map(({ id }) => id), expected.map(({ id }) => id), text);
  return rows.length > 0 && rows.length < all.length ? 1 : 0;
}

async function compareHosts(store: Store, all: Host[], text: string): Promise<number> {
  const filter = parseFilter(text, hostTable, nowMs);
  const { rows, next_cursor } = await store.readHosts({ filter, sort: "last_seen" }, { limit: 1_000 });
  const expected = all.filter((one) => meets(filter, hostTable, one, madePlaces));
  assertEquals(
    rows.map(({ ip, network }) => [ip, network]),
    expected.map(({ ip, network }) => [ip, network]),
    text,
  );
  assertEquals(next_cursor, undefined);
  return rows.length > 0 && rows.length < all.length ? 1 : 0;
}

function madeFlow(die: Die, i: number) {
  const names = [oneOf(die, hostileTexts), oneOf(die, hostileTexts)];
  const duration = oneOf(die, [0, 1, 1.5, 2, 2.000001, 3_600]);
  const write = flowWrite(i, {
    src_ip: oneOf(die, addresses),
    dst_ip: oneOf(die, addresses),
    src_port: oneOf(die, [22, 53, 40_000]),
    dst_port: oneOf(die, [0, 22, 443, 65_535]),
    protocol: oneOf(die, ["tcp", "udp", "icmp"]),
    app_protocol: oneOf(die, ["", "tls", "dns"]),
    conn_state: oneOf(die, ["S0", "SF", "OTH"]),
    network: oneOf(die, ["lab", "global", "é"]),
    vlan: oneOf(die, [0, 1, 100]),
    fwd_bytes: oneOf(die, [0, 1_000, 1_024, 2_999]),
    bwd_bytes: oneOf(die, [0, 1, 1_500, 1_000_000]),
    bwd_sensor: oneOf(die, ["", "s-one", "s-two"]),
    end: t0 + i + duration,
    facts: die(4) === 0 ? null : { dns: names.map((name) => ({ name, type: "A" })), tls: { sni: names[0] } },
  });
  if (die(2) === 0) write.sightings = [sighting("s-one", i), sighting("roof", i)];
  return write;
}

function madeThreat(die: Die, i: number): Threat {
  return threat(`t${i + 10}`, {
    detector: oneOf(die, ["port_scan_vertical", "beacon"]),
    severity: oneOf(die, severities),
    status: oneOf(die, threatStatuses),
    src_ips: [oneOf(die, addresses)],
    dst_ips: die(3) === 0 ? [] : [oneOf(die, addresses), oneOf(die, addresses)],
    dst_port: oneOf(die, [null, 22, 443]),
    score: oneOf(die, [0, 1, 22, 100]),
    flows: oneOf(die, [0, 22, 40_000]),
    title: oneOf(die, [...hostileTexts, "Vertical scan"]),
    technique: oneOf(die, ["T1046", "T1110"]),
    network: oneOf(die, ["lab", "global"]),
    sensors: die(3) === 0 ? [] : ["s-one", oneOf(die, hostileTexts)],
    first_seen: t0 + die(20),
    last_seen: t0 + 20 + die(20),
  });
}
