/** A day leaves in small transactions, whatever its rows have in common, and what comes meanwhile is not taken for
 * gone. @module */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { Retention } from "../../../aggregator/retention/retention.ts";
import type { Database } from "../../../aggregator/store/database.ts";
import { sizeOfNext } from "../../../aggregator/store/drop_day.ts";
import { openDatabase, openStore } from "../../../aggregator/store/open.ts";
import { sqlStore } from "../../../aggregator/store/sql_store.ts";
import type { Store } from "../../../aggregator/store/store.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { systemClock } from "../../../shared/clock.ts";
import { createDatabase, useMariadb } from "../../services/services.ts";
import { flowsOf, flowWrite, idOf, nothing, nowMs, t0 } from "./rows.ts";
import { type Watch, watched } from "./watched.ts";

const mariadb = await useMariadb();
const reporter = createReporter({ component: "test", write: () => {} });
const day = t0 - t0 % 86_400;

async function withStore(
  watch: Watch,
  work: (store: Store, database: Database) => Promise<void>,
  url = "sqlite::memory:",
) {
  const database = openDatabase(url, { reporter });
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
        "INSERT INTO host_hours (ip, network, hour, packets, bytes) VALUES (?, 1, ?, 1, 1)",
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

/** What readers see of the day, before a statement of its drop. */
async function seenDuring(url: string, isMoment: (sql: string) => boolean): Promise<unknown[]> {
  const seen: unknown[] = [];
  let isReading = false, look = async () => {};
  const before = async (sql: string) => {
    if (isReading || !isMoment(sql)) return;
    isReading = true;
    await look();
    isReading = false;
  };
  await withStore({ before }, async (store) => {
    await store.prepareDays(day * 1e3);
    const kept = 90_000;
    await store.ingest({ ...nothing(), ...flowsOf([0, 1, kept].map((at) => flowWrite(at))) });
    const reader = openStore(url, { reporter });
    await reader.start();
    look = async () => {
      const day_ms = { fromMs: day * 1e3, toMs: (day + 86_399) * 1e3 };
      seen.push([
        (await reader.readFlows({}, { limit: 10 })).rows.map(({ flow_id }) => flow_id),
        (await reader.readFlow(idOf(0)))?.flow_id ?? null,
        (await reader.readFlow(idOf(kept)))?.flow_id ?? null,
        (await reader.readConversations({ day }, 10)).length,
        (await reader.countHosts(day_ms)).hosts,
      ]);
    };
    await look();
    assertEquals(seen.pop(), [[kept, 1, 0].map((at) => idOf(at)), idOf(0), idOf(kept), 1, 2]);
    await store.dropDay(day, "flows");
    await look();
    await reader.stop();
  }, url);
  return seen;
}

const onlyLater = [[idOf(90_000)], null, idOf(90_000), 0, 0];

Deno.test("sqlite: all of a day is gone for readers before its first row is", async () => {
  const folder = await Deno.makeTempDir();
  const seen = await seenDuring(`sqlite:${folder}/picket.db`, (sql) => sql.startsWith("DELETE"));
  assert(seen.length > 8, `${seen.length} looks`);
  for (const one of seen) assertEquals(one, onlyLater);
  await Deno.remove(folder, { recursive: true });
});

Deno.test({
  name: "mariadb: all of a day is gone for readers before its first row is",
  ignore: mariadb.ignore,
  fn: async () => {
    const isMoment = (sql: string) => sql.startsWith("DELETE") || sql.includes("leaving_");
    const seen = await seenDuring(await createDatabase(mariadb.address), isMoment);
    assert(seen.length > 8, `${seen.length} looks`);
    for (const one of seen) assertEquals(one, onlyLater);
  },
});

Deno.test({
  name: "mariadb: the partitions of a day are taken out, and what comes meanwhile stays in another",
  ignore: mariadb.ignore,
  fn: async () => {
    const url = await createDatabase(mariadb.address);
    let isComing = true, add = () => Promise.resolve();
    const before = async (sql: string) => {
      if (!isComing || !sql.startsWith("ALTER TABLE sightings EXCHANGE")) return;
      isComing = false;
      await add();
    };
    await withStore({ before }, async (store, database) => {
      await store.prepareDays(day * 1e3);
      await store.ingest({ ...nothing(), ...flowsOf([flowWrite(0), flowWrite(1)]) });
      add = () => store.ingest({ ...nothing(), ...flowsOf([flowWrite(2, { updated_ms: nowMs + 1 })]) });
      const tables = async (where: string) =>
        (await database.read((session) =>
          session.all(
            "SELECT table_name AS name FROM information_schema.partitions WHERE table_schema = DATABASE() AND " +
              `${where} ORDER BY name`,
          )
        )).map(({ name }) => name);
      const own = `partition_name = 'p_${
        new Date(day * 1e3).toISOString().slice(0, 10).replaceAll("-", "")
      }'`;
      assertEquals(await tables(own), ["conversations", "flows", "host_hours", "sightings"]);
      await store.dropDay(day, "flows");
      assertEquals((await store.readFlows({}, { limit: 10 })).rows.map(({ flow_id }) => flow_id), [idOf(2)]);
      assertEquals((await store.readDays()).map(({ flows, gone }) => [flows, gone]), [[1, []]]);
      await store.dropDay(day, "flows");
      assertEquals((await store.readDays()).map(({ flows, gone }) => [flows, gone]), [[0, ["flows"]]]);
      assertEquals(await tables(own), []);
      assertEquals(await tables("table_name LIKE 'leaving%'"), []);
    }, url);
  },
});

for (const [table, rows] of [["flows", 1], ["conversations", 1], ["host_hours", 2]] as const) {
  Deno.test({
    name: `mariadb: a flow that comes just before the last change of ${table} as its day leaves is kept`,
    ignore: mariadb.ignore,
    fn: async () => {
      const url = await createDatabase(mariadb.address);
      let isComing = false, came = 0, add = () => Promise.resolve();
      const last = new RegExp(`^ALTER TABLE ${table} (DROP|REORGANIZE) PARTITION`);
      const before = async (sql: string) => {
        if (!isComing || !last.test(sql)) return;
        isComing = false;
        came++;
        await add();
      };
      await withStore({ before }, async (store, database) => {
        await store.prepareDays(day * 1e3);
        await store.ingest({ ...nothing(), ...flowsOf([flowWrite(0), flowWrite(1)]) });
        add = () => store.ingest({ ...nothing(), ...flowsOf([flowWrite(2, { updated_ms: nowMs + 1 })]) });
        isComing = true;
        await store.dropDay(day, "flows");
        assertEquals(came, 1);
        const count = async (name: string) =>
          (await database.read((session) => session.all(`SELECT COUNT(*) AS found FROM ${name}`)))[0].found;
        // Tables that are taken out after the flow came take its row with them, as that of any flow of the day.
        assertEquals(await count(table), rows);
        await store.dropDay(day, "flows");
        assertEquals([await count("flows"), await count(table)], [0, 0]);
      }, url);
    },
  });
}

Deno.test({
  name: "mariadb: days that left join the first partition, and 1,001 rows there stay where they are",
  ignore: mariadb.ignore,
  fn: async () => {
    for (const [rows, left] of [[1_000, "p_first"], [1_001, "p_first own"]] as const) {
      await withStore({}, async (store, database) => {
        await store.prepareDays(day * 1e3);
        await database.transaction((session) =>
          session.batch(
            "INSERT INTO host_hours (ip, network, hour, packets, bytes) VALUES (?, 1, ?, 1, 1)",
            Array.from({ length: rows }, (_, n) => [new Uint8Array([10, 1, n >> 8, n & 255]), day - 3_600]),
          )
        );
        await store.dropDay(day, "flows");
        const names = await database.read((session) =>
          session.all(
            "SELECT partition_name AS name FROM information_schema.partitions WHERE table_schema = DATABASE() " +
              "AND table_name = 'host_hours' AND partition_description <> 'MAXVALUE' AND partition_description <= ? " +
              "ORDER BY partition_ordinal_position",
            [day + 86_400],
          )
        );
        assertEquals(names.map(({ name }) => name === "p_first" ? "p_first" : "own").join(" "), left);
        const [{ found }] = await database.read((session) =>
          session.all("SELECT COUNT(*) AS found FROM host_hours")
        );
        assertEquals(found, rows);
      }, await createDatabase(mariadb.address));
    }
  },
});

Deno.test("a drop that broke off stays hidden, and is done by the next one", async () => {
  let left = 3;
  const before = (sql: string) => {
    if (sql.startsWith("DELETE") && left-- === 0) throw new Error("broken");
    return Promise.resolve();
  };
  await withStore({ before }, async (store, database) => {
    await store.ingest({ ...nothing(), ...flowsOf([flowWrite(0), flowWrite(90_000)]) });
    await assertRejects(() => store.dropDay(day, "flows"), Error, "broken");
    assertEquals((await store.readDays()).map(({ flows, gone }) => [flows, gone]), [[1, ["flows"]], [1, []]]);
    const calls: string[] = [];
    const limits = { flowDays: 1_000, bytesMax: 0 };
    const clock = { ...systemClock, nowMs: () => nowMs };
    const retention = new Retention(limits, { store: counted(store, calls), holder: "one", clock, reporter });
    await retention.turn();
    assertEquals(calls, [`${day} flows`]);
    assertEquals((await store.readDays()).map(({ flows, gone }) => [flows, gone]), [[0, ["flows"]], [1, []]]);
    const [row] = await database.read((session) =>
      session.all("SELECT COUNT(*) AS found FROM conversations")
    );
    assertEquals(row.found, 1);
  });
});

function counted(store: Store, calls: string[]): Store {
  return {
    ...store,
    dropDay: (at, part) => {
      calls.push(`${at} ${part}`);
      return store.dropDay(at, part);
    },
  };
}

Deno.test("a slice takes about 10 ms, and 500 to 2,000 rows", () => {
  const sizes = [[1_200, 10], [1_200, 20], [1_200, 1_000], [1_200, 5], [600, 100], [1_900, 1]];
  assertEquals(sizes.map(([rows, ms]) => sizeOfNext(rows, ms)), [1_200, 600, 600, 1_800, 500, 2_000]);
});
