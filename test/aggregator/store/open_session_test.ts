/** Statements that are sent without waiting for each other are one transaction, also when one of them fails: nothing of
 * the others stays.
 *
 * The databases roll back by themselves in the middle: SQLite on a full disk, MariaDB after a deadlock. @module */

import { assertEquals, assertRejects } from "@std/assert";
import type { Database, Session } from "../../../aggregator/store/database.ts";
import { openDatabase } from "../../../aggregator/store/open.ts";
import { systemClock } from "../../../shared/clock.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { createDatabase, useMariadb } from "../../services/services.ts";

const reporter = createReporter({ component: "test", write: () => {} });
const mariadb = await useMariadb();
const insert = "INSERT INTO numbers (n, text) VALUES (?, ?)";

async function withNumbers(url: string, work: (database: Database) => Promise<void>): Promise<void> {
  const database = openDatabase(url, { reporter });
  await database.open();
  try {
    await database.transaction((session) =>
      session.run("CREATE TABLE numbers (n INTEGER PRIMARY KEY, text VARCHAR(60000))")
    );
    await work(database);
  } finally {
    await database.close();
  }
}

function count(database: Database): Promise<number> {
  return database.read(async (session) => {
    const [row] = await session.all("SELECT COUNT(*) AS found FROM numbers");
    return Number(row.found);
  });
}

/** Work whose statement fails while another one is still to come, and one of many rows is under way. */
async function leavesNothing(database: Database): Promise<void> {
  const later = async (session: Session) => {
    await systemClock.sleep(20);
    await session.run(insert, [1, "later"]);
  };
  const many = Array.from({ length: 9_000 }, (_, n) => [100 + n, "many"]);
  const failing = database.transaction(async (session) => {
    await Promise.all([
      session.batch(insert, many),
      session.run("INSERT INTO absent (n) VALUES (?)", [1]),
      later(session),
    ]);
  });
  await assertRejects(() => failing, Error, "absent");
  await systemClock.sleep(60);
  assertEquals(await count(database), 0);
  await database.transaction((session) => session.run(insert, [1, "kept"]));
  assertEquals(await count(database), 1);
}

Deno.test("sqlite: nothing stays of a transaction in which one of several statements failed", () =>
  withNumbers("sqlite::memory:", leavesNothing));

Deno.test("sqlite: nothing stays of a transaction that the database ended for want of room", () =>
  withNumbers("sqlite::memory:", async (database) => {
    await database.transaction((session) => session.run(insert, [1, "there before"]));
    const pages = (max: number) =>
      database.transaction((session) => session.all(`PRAGMA max_page_count = ${max}`));
    const [{ max_page_count: least }] = await pages(1);
    const full = database.transaction((session) =>
      Promise.all([
        session.run(insert, [2, "x".repeat(60_000)]),
        session.run("DELETE FROM numbers WHERE n = ?", [1]),
        session.run(insert, [3, "small"]),
      ])
    );
    await assertRejects(() => full, Error, "full");
    assertEquals(await count(database), 1);
    await pages(Number(least) + 100);
    await database.transaction((session) => session.run(insert, [3, "small"]));
    assertEquals(await count(database), 2);
  }));

Deno.test({
  name: "mariadb: nothing stays of a transaction in which one of several statements failed",
  ignore: mariadb.ignore,
  fn: async () => withNumbers(await createDatabase(mariadb.address), leavesNothing),
});

Deno.test({
  name: "mariadb: what was sent behind a statement that ran into a deadlock is written once",
  ignore: mariadb.ignore,
  fn: async () =>
    withNumbers(await createDatabase(mariadb.address), async (database) => {
      await database.transaction((session) => session.batch(insert, [[1, "one"], [2, "two"]]));
      await database.transaction((session) => session.run("CREATE TABLE told (n INTEGER)"));
      const bothCame = Promise.withResolvers<void>();
      let came = 0;
      await Promise.all([1, 2].map((own) =>
        database.transaction(async (session) => {
          const update = "UPDATE numbers SET text = ? WHERE n = ?";
          await session.run(update, ["own", own]);
          if (++came === 2) bothCame.resolve();
          await bothCame.promise;
          await Promise.all([
            session.run(update, ["other's", 3 - own]),
            session.run("INSERT INTO told (n) VALUES (?)", [own]),
          ]);
        })
      ));
      assertEquals(came, 3, "one of them had to try again");
      const told = await database.read((session) => session.all("SELECT n FROM told ORDER BY n"));
      assertEquals(told.map(({ n }) => n), [1, 2]);
    }),
});
