/** What bounds the rollups of hosts: full tables lose the weakest rows, counted;
 * written names are not written again; MACs are a host's own.
 *
 * Why here and not in the contract: small bounds are given, and the database itself is asked. @module */

import { assert, assertEquals } from "@std/assert";
import type { Database, Value } from "../../../aggregator/store/database.ts";
import { openDatabase, openStore } from "../../../aggregator/store/open.ts";
import { type BoundTable, type RowBounds, rowBounds, RowCaps } from "../../../aggregator/store/row_caps.ts";
import { estimateAskers } from "../../../aggregator/store/name_sums.ts";
import { migrate } from "../../../aggregator/store/migrate.ts";
import { WrittenNames } from "../../../aggregator/store/written_names.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { TestClock } from "../ingest/fleet.ts";
import { createDatabase, useMariadb } from "../../services/services.ts";
import { watched } from "./watched.ts";
import { flowsOf, flowWrite, nothing, t0 } from "./rows.ts";

const mariadb = await useMariadb();
const silent = () => createReporter({ component: "test", write: () => {} });

for (
  const { name, ignore, url } of [
    { name: "sqlite", ignore: false, url: () => Promise.resolve("sqlite::memory:") },
    { name: "mariadb", ignore: mariadb.ignore, url: () => createDatabase(mariadb.address) },
  ]
) {
  Deno.test({
    name: `${name} drops the weakest rows of a full table, then the oldest, and counts them`,
    ignore,
    sanitizeOps: name === "sqlite",
    sanitizeResources: name === "sqlite",
    fn: async () => {
      const reporter = silent();
      const database = openDatabase(await url(), { reporter });
      await database.open();
      await migrate(database, { reporter, clock: new TestClock() });
      const bounds: RowBounds = {
        ...rowBounds,
        domains: { ...rowBounds.domains, rowsMax: 10 },
        conversations: { ...rowBounds.conversations, rowsMax: 10 },
      };
      const caps = new RowCaps(database, { reporter, bounds });
      const add = (sql: string, rows: Value[][], table: BoundTable) =>
        trimmed(
          database,
          caps,
          () => database.transaction((session) => session.batch(sql, rows)),
          table,
          rows.length,
        );
      const all = (sql: string) => database.read((session) => session.all(sql));
      const numbers = (count: number) => Array.from({ length: count }, (_, i) => i + 1);
      // Of 12 two are many, and one more goes for the room of a tenth: 2 asked for once, then the oldest.
      await add(
        "INSERT INTO domains VALUES (?, 1, ?, ?, ?, 0, 0, 0, 0)",
        numbers(12).map((n) => [`d${n}`, n, n, n > 10 ? 1 : 2]),
        "domains",
      );
      const left = await all("SELECT name FROM domains ORDER BY last_us");
      assertEquals(left.map(({ name }) => name), ["d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9", "d10"]);
      const ip = new Uint8Array([10, 0, 0, 1]);
      const sql = "INSERT INTO conversations VALUES (?, ?, ?, 1, 1, ?, 0, 1, 1, 1, 1, ?, 1)";
      await add(sql, numbers(11).map((n) => [ip, n > 8 ? 100 : 200, ip, n, n]), "conversations");
      const days = await all("SELECT day, bytes FROM conversations ORDER BY day, bytes");
      assertEquals(days.map(({ bytes }) => bytes), [11, 1, 2, 3, 4, 5, 6, 7, 8]);
      // Ten fit.
      await add(sql, [[ip, 1, ip, 99, 1]], "conversations");
      assertEquals((await all("SELECT 1 AS found FROM conversations")).length, 10);
      await database.close();
      const counts = reporter.snapshot();
      assertEquals(counts.get('rollup_rows_dropped_total{table="domains"}'), 3);
      assertEquals(counts.get('rollup_rows_dropped_total{table="conversations"}'), 2);
    },
  });
}

/** What follows a transaction that wrote `rows`. */
async function trimmed(
  database: Database,
  caps: RowCaps,
  write: () => Promise<void>,
  table: BoundTable,
  rows: number,
): Promise<void> {
  await caps.room();
  await write();
  caps.wrote(table, rows);
  caps.trim();
  while (caps.isTrimming) await new Promise((resolve) => setTimeout(resolve, 1));
  await database.ping();
}

for (
  const { name, ignore, url } of [
    { name: "sqlite", ignore: false, url: () => Promise.resolve("sqlite::memory:") },
    { name: "mariadb", ignore: mariadb.ignore, url: () => createDatabase(mariadb.address) },
  ]
) {
  Deno.test({
    name:
      `${name} lets 5,000 rows of a full table leave in slices, and a write waits only for those it has too many`,
    ignore,
    fn: async () => {
      const reporter = silent(), deleted: number[] = [];
      const inner = openDatabase(await url(), { reporter });
      await inner.open();
      await migrate(inner, { reporter, clock: new TestClock() });
      const gates: (() => void)[] = [];
      const database = watched(inner, {
        before: (sql) =>
          sql.startsWith("DELETE") ? new Promise<void>((resolve) => gates.push(resolve)) : Promise.resolve(),
        changed: (sql, rows) => void (sql.startsWith("DELETE") && deleted.push(rows)),
      });
      const bounds: RowBounds = { ...rowBounds, host_hours: { ...rowBounds.host_hours, rowsMax: 50_000 } };
      const caps = new RowCaps(database, { reporter, bounds, countEvery: 2_000 });
      await inner.transaction((session) =>
        session.batch(
          "INSERT INTO host_hours (ip, network, hour, packets, bytes) VALUES (?, 1, ?, 1, 1)",
          Array.from({ length: 50_001 }, (_, n) => [new Uint8Array([10, n >> 16, n >> 8 & 255, n & 255]), n]),
        )
      );
      // Both are due; one waits for the other's count, and no write waits for that.
      caps.wrote("neighbours", 20_000);
      caps.wrote("host_hours", 50_001);
      caps.trim();
      const open = async () => {
        while (gates.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        gates.shift()!();
      };
      caps.wrote("host_hours", 1_999);
      await caps.room();
      assertEquals([deleted.length, reporter.snapshot().get("rollup_trim_waits_total")], [0, undefined]);
      caps.wrote("host_hours", 1);
      let hasRoom = false;
      const room = caps.room().then(() => hasRoom = true);
      await new Promise((resolve) => setTimeout(resolve, 20));
      assertEquals([hasRoom, deleted.length], [false, 0]);
      await open();
      await room;
      assertEquals([deleted, reporter.snapshot().get("rollup_trim_waits_total")], [[1_000], 1]);
      while (caps.isTrimming) {
        gates.shift()?.();
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      const [{ oldest }] = await inner.read((session) =>
        session.all("SELECT MIN(hour) AS oldest FROM host_hours")
      );
      assertEquals([oldest, deleted.reduce((sum, rows) => sum + rows)], [5_001, 5_001]);
      assert(deleted.every((rows) => rows <= 2_000) && deleted.length >= 3, deleted.join());
      await inner.close();
    },
  });
}

Deno.test("a trim that fails is counted, holds up nobody, and is done after the next commit", async () => {
  const reporter = silent();
  const inner = openDatabase("sqlite::memory:", { reporter });
  await inner.open();
  await migrate(inner, { reporter, clock: new TestClock() });
  let isBroken = true;
  const database = watched(inner, {
    before: (sql) => {
      if (isBroken && sql.startsWith("DELETE")) throw new Error("broken");
      return Promise.resolve();
    },
  });
  const bounds: RowBounds = { ...rowBounds, domains: { ...rowBounds.domains, rowsMax: 10 } };
  const caps = new RowCaps(database, { reporter, bounds });
  const add = (names: string[]) =>
    trimmed(
      inner,
      caps,
      () =>
        inner.transaction((session) =>
          session.batch(
            "INSERT INTO domains VALUES (?, 1, 1, 1, 1, 0, 0, 0, 0)",
            names.map((name) => [name]),
          )
        ),
      "domains",
      names.length,
    );
  const count = async () =>
    (await inner.read((session) => session.all("SELECT COUNT(*) AS found FROM domains")))[0].found;
  await add(Array.from({ length: 12 }, (_, n) => `d${n}`));
  assertEquals([await count(), reporter.snapshot().get('rollup_trims_failed_total{table="domains"}')], [
    12,
    1,
  ]);
  isBroken = false;
  await add(["more"]);
  assertEquals(await count(), 9);
  await caps.stop();
  await inner.close();
});

Deno.test("the bounds of the rollups are as documented", () => {
  assertEquals(Object.entries(rowBounds).map(([table, { rowsMax }]) => [table, rowsMax]), [
    ["hosts", 100_000],
    ["host_hours", 1_000_000],
    ["services", 100_000],
    ["conversations", 500_000],
    ["neighbours", 100_000],
    ["host_names", 200_000],
    ["domains", 100_000],
  ]);
});

Deno.test("estimateAskers() is right for few, near for many, and ends", () => {
  assertEquals(estimateAskers([0, 0, 0, 0]), 0);
  assertEquals(estimateAskers([1, 0, 0, 2 ** 31]), 2);
  const full = 2 ** 32 - 1;
  assertEquals(estimateAskers([full, full, 0, 0]), 89);
  assertEquals(estimateAskers([full, full, full, full - 1]), 621);
  assertEquals(estimateAskers([full, full, full, full]), 621);
});

Deno.test("WrittenNames writes a name again only when it says more, and only after a commit", () => {
  const written = new WrittenNames();
  const name = {
    network: 1,
    ip: new Uint8Array([10, 0, 0, 1]),
    name: "a",
    sources: 1,
    firstUs: 5,
    lastUs: 9,
  };
  written.begin();
  assert(written.isNew(name));
  written.begin(); // Rolled back.
  assert(written.isNew(name));
  written.commit();
  written.begin();
  assert(!written.isNew(name));
  assert(!written.isNew({ ...name, firstUs: 6, lastUs: 8 }));
  for (const more of [{ sources: 2 }, { firstUs: 4 }, { lastUs: 10 }, { network: 2 }, { name: "b" }]) {
    assert(written.isNew({ ...name, ...more }), JSON.stringify(more));
  }
  assert(written.isNew({ ...name, ip: new Uint8Array([10, 0, 0, 2]) }));
});

Deno.test("WrittenNames knows an answered question by its answers and hours", () => {
  const written = new WrittenNames();
  const hour = 3_600e6;
  const asked = {
    name: "a",
    type: "A",
    network: 1,
    source: 1,
    answers: ["10.0.0.1"],
    first: 2 * hour + 5,
    last: 3 * hour + 5,
  };
  written.begin();
  assert(written.isNewAnswer(asked));
  written.begin(); // Rolled back.
  assert(written.isNewAnswer(asked));
  written.commit();
  assert(!written.isNewAnswer(asked));
  assert(!written.isNewAnswer({ ...asked, first: 2 * hour, last: 4 * hour - 1 }));
  for (
    const more of [{ answers: ["10.0.0.2"] }, { type: "AAAA" }, { network: 2 }, { source: 2 }, {
      first: 2 * hour - 1,
    }, {
      last: 4 * hour,
    }]
  ) assert(written.isNewAnswer({ ...asked, ...more }), JSON.stringify(more));
});

Deno.test("names come from answers, leases and clients, and hostile ones become plain", async () => {
  const store = openStore("sqlite::memory:", { reporter: silent() });
  await store.start();
  const answer = (name: string, answers: string[], more = {}) =>
    flowWrite(1, {
      protocol: "udp",
      dst_port: 53,
      facts: { dns: [{ name, type: "A", rcode: "NOERROR", answers, ...more }] },
    }).flow.facts;
  const lease = {
    protocol: "udp",
    src_ip: "0.0.0.0",
    dst_ip: "255.255.255.255",
    facts: { dhcp: [{ message_type: "REQUEST", hostname: "Laptop-7", requested_ip: "10.0.0.21" }] },
  };
  await store.ingest({
    ...nothing(),
    ...flowsOf([
      flowWrite(1, { dst_ip: "10.0.0.20" }),
      flowWrite(2, { dst_ip: "10.0.0.21" }),
      flowWrite(3, {
        protocol: "udp",
        dst_port: 53,
        facts: answer("evil\u0000\n<b>.test", ["10.0.0.20", "224.0.0.9"]),
      }),
      flowWrite(4, { protocol: "udp", dst_port: 5353, facts: answer("Printer.local", ["10.0.0.20"]) }),
      flowWrite(5, { protocol: "udp", dst_port: 5355, facts: answer("wpad", ["10.0.0.20"]) }),
      flowWrite(6, lease),
      flowWrite(7, {
        dst_ip: "10.0.0.21",
        facts: { http: [{ host: "intra.test:8080" }, { host: "10.0.0.21" }] },
      }),
    ]),
  });
  assertEquals((await store.readHost("10.0.0.20"))?.names, ["evil__<b>.test", "printer.local"]);
  assertEquals((await store.readHost("10.0.0.21"))?.names, ["intra.test", "laptop-7"]);
  assertEquals((await store.readDomains({}, { limit: 10 })).rows.map(({ name }) => name), ["evil__<b>.test"]);
  await store.stop();
});

Deno.test("names of more requests and leases of one flow than 64 are left out and counted", async () => {
  const reporter = silent();
  const store = openStore("sqlite::memory:", { reporter });
  await store.start();
  const http = (count: number) => Array.from({ length: count }, (_, n) => ({ host: `h${n}.test` }));
  const dhcp = (count: number) =>
    Array.from(
      { length: count },
      () => ({ message_type: "REQUEST", hostname: "a", requested_ip: "10.0.0.21" }),
    );
  const leftOut = () => reporter.snapshot().get("rollup_names_left_out_total") ?? 0;
  await store.ingest({
    ...nothing(),
    ...flowsOf([flowWrite(1, { facts: { http: http(64), dhcp: dhcp(64) } })]),
  });
  assertEquals(leftOut(), 0);
  await store.ingest({
    ...nothing(),
    ...flowsOf([flowWrite(2, { facts: { http: http(65), dhcp: dhcp(66) } })]),
  });
  assertEquals(leftOut(), 3);
  await store.stop();
});

Deno.test("a MAC is a host's when ARP says so or the packets crossed no router", async () => {
  const store = openStore("sqlite::memory:", { reporter: silent() });
  await store.start();
  const by = (n: number, src_ip: string, change = {}) =>
    flowWrite(n, { src_ip, dst_ip: "203.0.113.9", dst_mac: "02:00:00:00:00:01", bwd_ttl: 64, ...change });
  await store.ingest({
    ...nothing(),
    ...flowsOf([
      by(1, "10.0.0.1", { fwd_ttl: 128 }),
      by(2, "10.0.0.2", { fwd_ttl: 127 }),
      by(3, "10.0.0.3", { protocol: "arp", fwd_ttl: 0, dst_ip: "10.0.0.4", bwd_packets: 0 }),
      by(4, "203.0.113.8"),
    ]),
  });
  const macs = async (ip: string) => (await store.readHost(ip))?.macs;
  assertEquals(await macs("10.0.0.1"), ["02:00:00:00:00:05"]);
  assertEquals(await macs("10.0.0.2"), []);
  assertEquals(await macs("10.0.0.3"), ["02:00:00:00:00:05"]);
  assertEquals(await macs("203.0.113.8"), []);
  // Its TTL is 64 as well, but an address outside has no MAC here.
  assertEquals(await macs("203.0.113.9"), []);
  assertEquals((await store.readHost("10.0.0.1"))?.first_seen_ms, (t0 + 1) * 1_000);
  await store.stop();
});

Deno.test("every question about hosts goes by an index", async () => {
  const reporter = silent();
  const database = openDatabase("sqlite::memory:", { reporter });
  await database.open();
  await migrate(database, { reporter, clock: new TestClock() });
  const asked: [string, string][] = [
    [
      "SELECT ip FROM hosts WHERE flows > 0 ORDER BY last_us DESC, ip DESC, network DESC LIMIT 5",
      "hosts_by_time",
    ],
    [
      "SELECT ip FROM hosts WHERE flows > 0 AND first_us >= 5 ORDER BY first_us DESC, ip DESC, network DESC LIMIT 5",
      "hosts_by_first",
    ],
    [
      "SELECT ip FROM hosts WHERE flows > 0 ORDER BY bytes DESC, ip DESC, network DESC LIMIT 5",
      "hosts_by_bytes",
    ],
    [
      "SELECT ip FROM hosts WHERE ip >= x'0a' AND ip <= x'0b' ORDER BY last_us + 0 DESC LIMIT 5",
      "PRIMARY KEY",
    ],
    [
      "SELECT hour FROM host_hours WHERE hour IN (3600, 7200) AND ip = x'0a' AND network = 1",
      "PRIMARY KEY (hour=? AND ip=? AND network=?)",
    ],
    ["SELECT DISTINCT ip, network FROM host_hours WHERE hour >= 1 AND hour <= 2", "PRIMARY KEY"],
    [
      "SELECT * FROM conversations WHERE src_ip = x'0a' AND network = 1 ORDER BY day DESC LIMIT 5",
      "PRIMARY KEY",
    ],
    ["SELECT * FROM conversations WHERE dst_ip = x'0a' AND day = 1 LIMIT 5", "conversations_by_dst"],
    ["SELECT * FROM conversations WHERE day = 1 ORDER BY bytes DESC LIMIT 5", "conversations_by_bytes"],
    ["SELECT * FROM talker_hours WHERE hour >= 1 AND hour <= 7200 ORDER BY hour DESC LIMIT 5", "PRIMARY KEY"],
    ["SELECT name FROM domains ORDER BY last_us DESC, name DESC, network DESC LIMIT 5", "domains_by_time"],
    ["SELECT ip FROM threat_ips WHERE ip IN (x'0a')", "threat_ips_by_host"],
    [
      "SELECT ip, network, COUNT(*) FROM threat_ips WHERE ip IN (x'0a') GROUP BY ip, network",
      "COVERING INDEX",
    ],
  ];
  for (const [sql, index] of asked) {
    const plan = await database.read((session) => session.all(`EXPLAIN QUERY PLAN ${sql}`));
    const text = plan.map(({ detail }) => detail).join("; ");
    assert(text.includes(index), `${sql}: ${text}`);
    assert(index.startsWith("PRIMARY KEY") || !text.includes("TEMP B-TREE FOR ORDER"), `${sql}: ${text}`);
  }
  await database.close();
});
