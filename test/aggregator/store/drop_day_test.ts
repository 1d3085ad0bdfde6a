/** A day leaves in small transactions, whatever its rows have in common, and what comes meanwhile is not taken for
 * gone. @module */

import { assert, assertEquals } from "@std/assert";
import type { Database } from "../../../aggregator/store/database.ts";
import { openDatabase } from "../../../aggregator/store/open.ts";
import { sqlStore } from "../../../aggregator/store/sql_store.ts";
import type { Store } from "../../../aggregator/store/store.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { flowsOf, flowWrite, nothing, nowMs, t0 } from "./rows.ts";
import { type Watch, watched } from "./watched.ts";

const reporter = createReporter({ component: "test", write: () => {} });
const day = t0 - t0 % 86_400;

async function withStore(watch: Watch, work: (store: Store, database: Database) => Promise<void>) {
  const database = openDatabase("sqlite::memory:", { reporter });
  const store = sqlStore(watched(database, watch), { reporter });
  await store.start();
  try {
    await work(store, database);
  } finally {
    await store.stop();
  }
}

Deno.test("a day whose rows have one value of the column they leave by goes in many transactions", async () => {
  const deleted: number[] = [];
  const changed = (sql: string, rows: number) => sql.startsWith("DELETE") && deleted.push(rows);
  await withStore({ changed: (sql, rows) => void changed(sql, rows) }, async (store, database) => {
    await store.ingest({ ...nothing(), ...flowsOf([flowWrite(0)]) });
    const numbers = Array.from({ length: 5_000 }, (_, n) => n);
    const ip = (n: number) => new Uint8Array([10, 1, n >> 8, n & 255]);
    await database.transaction(async (session) => {
      await session.batch(
        "INSERT INTO conversations VALUES (?, ?, ?, 1, 1, 443, 0, 0, 0, 1, 1, 1, 1)",
        numbers.map((n) => [ip(n), day, ip(n)]),
      );
      await session.batch(
        "INSERT INTO host_hours VALUES (?, 1, ?, 1, 1)",
        numbers.map((n) => [ip(n), day + 3_600]),
      );
      await session.batch(
        "INSERT INTO host_names VALUES (?, 1, 'a.example', 1, ?, ?)",
        numbers.map((n) => [ip(n), day * 1e6, day * 1e6]),
      );
    });
    await store.dropDay(day, "flows");
    assert(Math.max(...deleted) <= 2_000, `${Math.max(...deleted)} rows at once`);
    for (const table of ["flows", "conversations", "host_hours", "host_names", "hosts"]) {
      const [row] = await database.read((session) =>
        session.all(`SELECT COUNT(*) AS left_over FROM ${table}`)
      );
      assertEquals(row.left_over, 0, table);
    }
  });
});

for (const late of [5, 40_000]) {
  Deno.test(`what comes ${late} s into a day while its flows leave, leaves at the next turn`, async () => {
    let isComing = true;
    const store = Promise.withResolvers<Store>();
    const before = async (sql: string) => {
      if (!isComing || !sql.startsWith("DELETE FROM conversations")) return;
      isComing = false;
      const other = await store.promise;
      coming = other.ingest({ ...nothing(), ...flowsOf([flowWrite(late, { updated_ms: nowMs + 1 })]) });
    };
    let coming: Promise<void> = Promise.resolve();
    await withStore({ before }, async (one) => {
      store.resolve(one);
      await one.ingest({ ...nothing(), ...flowsOf([flowWrite(0), flowWrite(1)]) });
      await one.dropDay(day, "flows");
      await coming;
      const state = async () =>
        [
          (await one.readDays()).map(({ flows, gone }) => [flows, gone]),
          (await one.readFlows({}, { limit: 10 })).rows.length,
        ] as const;
      assertEquals(await state(), [[[1, []]], 1]);
      await one.dropDay(day, "flows");
      assertEquals(await state(), [[[0, ["flows"]]], 0]);
    });
  });
}
