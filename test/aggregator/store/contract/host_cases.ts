/** What the topic of hosts must do: sums that are what the stored flows give, and pages over them. @module */

import { assertEquals, assertRejects } from "@std/assert";
import { BadCursor } from "../../../../aggregator/store/store.ts";
import { type Host, hostOrders, type HostQuery } from "../../../../aggregator/model/host.ts";
import { parseIp } from "../../../../shared/ip.ts";
import type { Test } from "../contract.ts";
import { flowsOf, type FlowWrite, flowWrite, nothing, t0, threat } from "../rows.ts";
import { assertRollups, randomOf } from "../rollup_model.ts";

const day = t0 - t0 % 86_400;
const recent: HostQuery = { sort: "last_seen" };

export function hostCases(test: Test): void {
  for (const seed of [1, 2, 3]) {
    test(`keeps hosts, services and conversations equal to its flows, seed ${seed}`, async (subject) => {
      const random = randomOf(seed);
      const known: FlowWrite[] = [];
      for (let group = 0; group < 8; group++) {
        const writes = Array.from({ length: 40 }, () => randomWrite(random, known));
        await subject.store.ingest({ ...nothing(), ...flowsOf(writes) });
        if (group === 4) await subject.reopen();
      }
      await assertRollups(subject.store, 100);
    });
  }

  test("gives rows to hosts that answered, not to those that were only tried or invented", async ({ store }) => {
    const oneWay = {
      bwd_packets: 0,
      bwd_bytes: 0,
      bwd_payload_bytes: 0,
      bwd_tcp_flags: 0,
      conn_state: "S0",
    } as const;
    await store.ingest({
      ...nothing(),
      ...flowsOf([
        // Inside, and sent something; what it tried inside and outside is silent.
        flowWrite(1, { ...oneWay, src_ip: "10.0.0.5", dst_ip: "10.0.0.200" }),
        flowWrite(2, { ...oneWay, src_ip: "10.0.0.5", dst_ip: "203.0.113.200" }),
        // A flood from invented addresses: the victim answers, nobody acknowledges.
        flowWrite(3, {
          src_ip: "203.0.113.1",
          dst_ip: "10.0.0.9",
          fwd_tcp_flags: 2,
          bwd_tcp_flags: 18,
          conn_state: "S1",
        }),
        flowWrite(4, {
          src_ip: "203.0.113.2",
          dst_ip: "10.0.0.9",
          protocol: "udp",
          dst_port: 53,
          fwd_packets: 1,
          fwd_bytes: 60,
        }),
        // Strangers who are there.
        flowWrite(5, { src_ip: "203.0.113.3", dst_ip: "10.0.0.9" }),
        flowWrite(6, {
          src_ip: "203.0.113.4",
          dst_ip: "10.0.0.9",
          protocol: "udp",
          dst_port: 53,
          fwd_packets: 2,
        }),
        flowWrite(7, { src_ip: "10.0.0.5", dst_ip: "203.0.113.5" }),
        // No hosts.
        flowWrite(8, { src_ip: "0.0.0.0", dst_ip: "255.255.255.255", protocol: "udp", dst_port: 67 }),
        flowWrite(9, { ...oneWay, src_ip: "10.0.0.6", dst_ip: "ff02::fb", protocol: "udp", dst_port: 5353 }),
      ]),
    });
    const { rows } = await store.readHosts(recent, { limit: 50 });
    assertEquals(
      rows.map(({ ip }) => ip),
      ["10.0.0.6", "203.0.113.5", "10.0.0.5", "203.0.113.4", "10.0.0.9", "203.0.113.3"],
    );
    const byIp = new Map(rows.map((row) => [row.ip, row]));
    assertEquals(byIp.get("10.0.0.9")!.flows, 4);
    assertEquals(byIp.get("10.0.0.5")!.flows, 3);
    assertEquals(await store.readHost("203.0.113.1"), null);
    const services = (await store.readServices({}, { limit: 50 })).rows;
    assertEquals(services.map(({ ip, port, flows }) => [ip, port, flows]).sort(), [
      ["10.0.0.9", 443, 2],
      ["10.0.0.9", 53, 2],
      ["203.0.113.5", 443, 1],
    ]);
  });

  test("tells of a host what it offers, uses and talks to, its names and who sees it", async ({ store }) => {
    const dns = {
      protocol: "udp",
      app_protocol: "dns",
      dst_ip: "10.0.0.53",
      dst_port: 53,
      facts: {
        dns: [{ name: "Files.Example.com.", type: "A", rcode: "NOERROR", answers: ["203.0.113.9", "x"] }],
      },
    };
    const served = { facts: { tls: { sni: "www.example.com" } }, dst_ip: "203.0.113.9", fwd_bytes: 5_000 };
    await store.ingest({
      ...nothing(),
      ...flowsOf([
        flowWrite(1, dns),
        flowWrite(2, served),
        flowWrite(3, { ...served, src_ip: "10.0.0.6", src_mac: "", fwd_sensor: "s-two" }),
        flowWrite(3_700, { ...served, src_mac: "02:00:00:00:00:99", fwd_ttl: 63 }),
      ]),
    });
    await store.saveThreats([
      threat("t1", { src_ips: ["10.0.0.5"], dst_ips: ["203.0.113.9"] }),
      threat("t2", { src_ips: ["10.0.0.5"], dst_ips: [], network: "other" }),
    ]);
    const server = (await store.readHost("203.0.113.9"))!;
    assertEquals(server, {
      ip: "203.0.113.9",
      network: "lab",
      first_seen_ms: (t0 + 2) * 1_000,
      last_seen_ms: (t0 + 3_702) * 1_000,
      names: ["www.example.com", "files.example.com"],
      macs: [],
      ports: [443],
      flows: 3,
      packets: 45,
      bytes: 21_000,
      threats: 1,
    });
    const offered = await store.readHostDetails("203.0.113.9", "lab");
    assertEquals(
      offered.services.map((
        { protocol, port, app, flows, clients },
      ) => [protocol, port, app, flows, clients]),
      [
        ["tcp", 443, "tls", 3, 2],
      ],
    );
    assertEquals(offered.peers, [
      { ip: "10.0.0.5", flows: 2, bytes: 14_000 },
      { ip: "10.0.0.6", flows: 1, bytes: 7_000 },
    ]);
    assertEquals(offered.series.map(({ at_ms, packets }) => [(at_ms - t0 * 1_000) / 3_600_000, packets]), [[
      0,
      30,
    ], [
      1,
      15,
    ]]);
    assertEquals(offered.sensors, ["s-one", "s-two"]);
    const client = (await store.readHost("10.0.0.5", "lab"))!;
    // Behind a router the MAC is the router's.
    assertEquals([client.macs, client.threats, client.flows], [["02:00:00:00:00:05"], 1, 3]);
    const used = await store.readHostDetails("10.0.0.5", "lab");
    assertEquals(used.uses.map(({ ip, port, flows }) => [ip, port, flows]), [["203.0.113.9", 443, 2], [
      "10.0.0.53",
      53,
      1,
    ]]);
    assertEquals(await store.readHost("10.0.0.5", "elsewhere"), null);
  });

  test("counts who asked for which domain, once for each question", async ({ store }) => {
    const ask = (n: number, src_ip: string, name: string, more = {}) =>
      flowWrite(n, {
        src_ip,
        dst_ip: "10.0.0.53",
        dst_port: 53,
        protocol: "udp",
        facts: { dns: [{ name, type: "A", ...more }] },
      });
    await store.ingest({
      ...nothing(),
      ...flowsOf([
        ask(1, "10.0.0.5", "a.example.co.uk"),
        ask(2, "10.0.0.6", "B.EXAMPLE.co.uk."),
        ask(3, "10.0.0.6", "b.example.co.uk", { unasked: true, rcode: "NOERROR" }),
        ask(4, "10.0.0.7", "other.test"),
        // Nobody was seen to ask.
        ask(8, "10.0.0.7", "answered.test", { unasked: true, rcode: "NOERROR", answers: ["10.0.0.8"] }),
      ]),
    });
    await store.ingest({ ...nothing(), ...flowsOf([ask(5, "10.0.0.5", "c.example.co.uk")]) });
    const { rows } = await store.readDomains({}, { limit: 10 });
    assertEquals(rows.map(({ name, queries, hosts }) => [name, queries, hosts]), [
      ["example.co.uk", 3, 2],
      ["other.test", 1, 1],
    ]);
    assertEquals(rows[0].last_seen_ms, (t0 + 7) * 1_000);
    assertEquals((await store.readDomains({ name: "oth" }, { limit: 10 })).rows.length, 1);
    assertEquals((await store.readDomains({ network: "none" }, { limit: 10 })).rows.length, 0);
  });

  pageCases(test);
}

function pageCases(test: Test): void {
  test("pages through hosts by either time and by bytes, each once", async ({ store }) => {
    const writes = Array.from({ length: 30 }, (_, i) =>
      flowWrite(i + 1, {
        src_ip: `10.0.${i % 3}.${i}`,
        dst_ip: i % 2 ? "203.0.113.7" : "2001:db8::7",
        fwd_bytes: 100 * (i % 5 + 1),
        network: i % 2 ? "lab" : "branch",
      }));
    await store.ingest({ ...nothing(), ...flowsOf(writes) });
    for (const sort of hostOrders) {
      const all: Host[] = [];
      let cursor: string | undefined;
      do {
        const page = await store.readHosts({ sort }, {
          limit: 7,
          ...(cursor === undefined ? {} : { cursor }),
        });
        all.push(...page.rows);
        cursor = page.next_cursor;
      } while (cursor !== undefined);
      assertEquals(new Set(all.map(({ ip, network }) => `${ip} ${network}`)).size, 32);
      assertEquals(all.length, 32);
      const valueOf = { bytes: "bytes", last_seen: "last_seen_ms", first_seen: "first_seen_ms" } as const;
      const values = all.map((host) => host[valueOf[sort]]);
      assertEquals(values, [...values].sort((a, b) => b - a));
    }
    const range = { first: parseIp("10.0.1.0")!, last: parseIp("10.0.1.255")! };
    const found = await store.readHosts({ range, sort: "last_seen" }, { limit: 50 });
    assertEquals(found.rows.map(({ ip }) => ip.slice(0, 7)), new Array(10).fill("10.0.1."));
    const in2001 = { first: parseIp("2001:db8::")!, last: parseIp("2001:db8::ffff")! };
    assertEquals((await store.readHosts({ range: in2001, sort: "bytes" }, { limit: 5 })).rows.length, 1);
    assertEquals(
      (await store.readHosts({ network: "branch", sort: "bytes" }, { limit: 50 })).rows.length,
      16,
    );
    const late = { sort: "last_seen", seenSinceMs: (t0 + 31) * 1_000 } as const;
    assertEquals((await store.readHosts(late, { limit: 50 })).rows.length, 4);
    for (const cursor of ["nonsense", btoa("[1]"), btoa('[1,"x00","y",2]'), btoa('["t","x0a000001",1]')]) {
      await assertRejects(() => store.readHosts(recent, { limit: 5, cursor }), BadCursor);
    }
  });

  test("lists the largest conversations of a host, whoever began", async ({ store }) => {
    const spoke = (n: number, src_ip: string, dst_ip: string, fwd_bytes: number) =>
      flowWrite(n, { src_ip, dst_ip, fwd_bytes, bwd_bytes: 1 });
    await store.ingest({
      ...nothing(),
      ...flowsOf([
        spoke(1, "10.0.0.1", "10.0.0.2", 99),
        spoke(2, "10.0.0.2", "10.0.0.3", 299),
        spoke(3, "10.0.0.4", "10.0.0.2", 199),
        spoke(4, "10.0.0.2", "10.0.0.2", 399),
        spoke(5, "10.0.0.4", "10.0.0.5", 499),
      ]),
    });
    const of = async (limit: number) =>
      (await store.readConversations({ day, ip: "10.0.0.2" }, limit)).map(({ bytes }) => bytes);
    assertEquals(await of(10), [400, 300, 200, 100]);
    assertEquals(await of(3), [400, 300, 200]);
    assertEquals(await of(1), [400]);
  });

  test("counts different hosts by the hour, and forgets a day with its flows", async ({ store }) => {
    const at = (n: number, src_ip: string) => flowWrite(n, { src_ip, dst_ip: "203.0.113.9" });
    await store.ingest({
      ...nothing(),
      ...flowsOf([at(-86_400, "10.0.0.1"), at(1, "10.0.0.1"), at(2, "10.0.0.2"), at(3_600, "10.0.0.3")]),
    });
    const count = (fromS: number, toS: number) =>
      store.countHosts({ fromMs: (t0 + fromS) * 1_000, toMs: (t0 + toS) * 1_000 });
    assertEquals(await count(-90_000, 4_000), { hosts: 4, inside: 3 });
    assertEquals(await count(0, 10), { hosts: 3, inside: 2 });
    assertEquals(await count(10_000, 20_000), { hosts: 0, inside: 0 });
    assertEquals((await store.readConversations({ day }, 10)).length, 3);
    assertEquals((await store.readConversations({ day, ip: "10.0.0.3" }, 10)).length, 1);
    assertEquals((await store.readConversations({ day: day - 86_400, network: "lab" }, 10)).length, 1);
    await store.dropDay(day - 86_400, "flows");
    assertEquals((await store.readHosts(recent, { limit: 10 })).rows.length, 4);
    assertEquals((await count(-90_000, -80_000)).hosts, 0);
    await store.dropDay(day, "flows");
    assertEquals((await store.readHosts(recent, { limit: 10 })).rows, []);
    assertEquals((await store.readServices({}, { limit: 10 })).rows, []);
    assertEquals(await store.readConversations({ day }, 10), []);
  });
}

const states = ["S0", "S1", "SF", "REJ", "OTH"] as const;

/** A new flow, or an increment to one that is there. */
function randomWrite(random: (below: number) => number, known: FlowWrite[]): FlowWrite {
  const increments = {
    fwd_packets: random(4),
    fwd_bytes: random(1_000),
    bwd_packets: random(3) === 0 ? 0 : random(4),
    bwd_bytes: random(1_000),
    fwd_tcp_flags: [0, 2, 16, 18][random(4)],
    bwd_tcp_flags: [0, 4, 18][random(3)],
    bwd_payload_bytes: random(2) * 100,
    conn_state: states[random(states.length)],
    app_protocol: ["", "tls"][random(2)],
  };
  if (known.length > 0 && random(3) === 0) {
    const { flow } = known[random(known.length)];
    const end = flow.end + random(20);
    return {
      kind: "update",
      newSightings: 0,
      sightings: [],
      flow: { ...flow, ...increments, factor: 1 + random(4), end },
    };
  }
  const ends = [
    "10.0.0.1",
    "10.0.0.2",
    "192.168.3.3",
    "203.0.113.8",
    "198.51.100.9",
    "2001:db8::5",
    "224.0.0.1",
  ];
  const write = flowWrite(random(400_000) - 200_000 + known.length, {
    ...increments,
    src_ip: ends[random(ends.length)],
    dst_ip: ends[random(ends.length)],
    dst_port: [22, 443, 50_000][random(3)],
    protocol: ["tcp", "udp", "icmp"][random(3)],
    network: ["lab", "global"][random(2)],
    factor: 1 + random(4),
    time_suspect: random(10) === 0,
  });
  if (known.some(({ flow }) => flow.flow_id === write.flow.flow_id)) return randomWrite(random, known);
  known.push(write);
  return write;
}
