/** Flows of an address come from an index, hour by hour, in both orders, however far apart the hours are. @module */

import { assert, assertEquals } from "@std/assert";
import { hasAddress, keyOfAddress } from "../../../aggregator/store/by_address.ts";
import type { Database } from "../../../aggregator/store/database.ts";
import { allKeys } from "../../../aggregator/store/key_range.ts";
import { openDatabase } from "../../../aggregator/store/open.ts";
import { sqlStore } from "../../../aggregator/store/sql_store.ts";
import type { Store } from "../../../aggregator/store/store.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { createDatabase, useMariadb } from "../../services/services.ts";
import { flowsOf, flowWrite, idOf, nothing } from "./rows.ts";

const reporter = createReporter({ component: "test", write: () => {} });
const mariadb = await useMariadb();
const ends = ["src_ip", "dst_ip"] as const;
/** Seconds from the first flow on: within an hour, at its borders, hours later, and years before. */
const seconds = [
  ...Array.from({ length: 40 }, (_, n) => n * 7),
  ...[1_799, 1_800, 3_599, 3_600, 7_200, 90_000, 90_001],
  ...[-200_000_000, -199_999_999],
];

/** Every third flow is from one host, every fourth one to it. */
const isOf = {
  src_ip: (n: number) => n % 3 === 0,
  dst_ip: (n: number) => n % 4 === 0,
};

async function withFlows(url: string, work: (store: Store, database: Database) => Promise<void>) {
  const database = openDatabase(url, { reporter });
  const store = sqlStore(database, { reporter });
  await store.start();
  try {
    const writes = seconds.map((at, n) =>
      flowWrite(at, {
        src_ip: isOf.src_ip(n) ? "10.0.0.7" : `10.1.0.${n}`,
        dst_ip: isOf.dst_ip(n) ? "10.0.0.7" : `10.2.0.${n}`,
      })
    );
    await store.ingest({ ...nothing(), ...flowsOf(writes) });
    await work(store, database);
  } finally {
    await store.stop();
  }
}

/** Ids of all pages of 3. */
async function paged(store: Store, query: object, isOldestFirst: boolean): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await store.readFlows(query, { limit: 3, isOldestFirst, ...(cursor ? { cursor } : {}) });
    ids.push(...page.rows.map(({ flow_id }) => flow_id));
    cursor = page.next_cursor;
  } while (cursor !== undefined);
  return ids;
}

const expected = (is: (n: number) => boolean) =>
  seconds.filter((_, n) => is(n)).sort((a, b) => b - a).map((at) => idOf(at));

async function pagesAreRight(store: Store): Promise<void> {
  const either = (n: number) => isOf.src_ip(n) || isOf.dst_ip(n);
  for (const [query, is] of [["src_ip", isOf.src_ip], ["dst_ip", isOf.dst_ip], ["ip", either]] as const) {
    const ids = expected(is);
    assertEquals(await paged(store, { [query]: "10.0.0.7" }, false), ids, query);
    assertEquals(await paged(store, { [query]: "10.0.0.7" }, true), ids.toReversed(), query);
  }
  assertEquals(await paged(store, { ip: "10.0.0.99" }, false), []);
}

/** The place of each flow of an address is where counting says. */
async function placesAreRight(database: Database): Promise<void> {
  await database.read(async (session) => {
    const { dialect } = database;
    for (const column of ends) {
      const end = { column, ip: new Uint8Array([10, 0, 0, 7]) };
      const { sql, values } = hasAddress(dialect, end, allKeys);
      const found = await session.all(
        `SELECT id >> 11 AS us FROM flows WHERE ${sql} ORDER BY id DESC`,
        values,
      );
      assertEquals(found.length, expected(isOf[column]).length);
      for (const isUp of [false, true]) {
        const keys = [];
        for (let rows = 0; rows <= found.length; rows++) {
          keys.push(await keyOfAddress({ dialect, session }, end, allKeys, { rows, isUp }));
        }
        const us = found.map((row) => row.us as number);
        assertEquals(keys.map((key) => key?.us ?? null), [...isUp ? us.toReversed() : us, null]);
      }
    }
  });
}

Deno.test("sqlite: pages of an address hold its flows, in both orders", () =>
  withFlows("sqlite::memory:", async (store, database) => {
    await pagesAreRight(store);
    await placesAreRight(database);
  }));

Deno.test({
  name: "mariadb: pages of an address hold its flows, in both orders",
  ignore: mariadb.ignore,
  fn: async () =>
    withFlows(await createDatabase(mariadb.address), async (store, database) => {
      await pagesAreRight(store);
      await placesAreRight(database);
    }),
});

Deno.test("sqlite: flows of an address are found by its index, also when statistics say that it is busy", () =>
  withFlows("sqlite::memory:", async (store, database) => {
    const busy = Array.from({ length: 3_000 }, (_, n) => flowWrite(100_000 + n, { src_ip: "10.0.0.7" }));
    await store.ingest({ ...nothing(), ...flowsOf(busy) });
    await database.transaction((session) => session.run("ANALYZE"));
    for (const column of ends) {
      const { sql, values } = hasAddress(
        database.dialect,
        { column, ip: new Uint8Array([10, 0, 0, 7]) },
        allKeys,
      );
      const plan = await database.read((session) =>
        session.all(`EXPLAIN QUERY PLAN SELECT id FROM flows WHERE ${sql}`, values)
      );
      const text = plan.map(({ detail }) => detail).join("; ");
      assert(text.includes(`flows_by_hour_${column.slice(0, 3)} (<expr>=? AND ${column}=?)`), text);
    }
  }));
