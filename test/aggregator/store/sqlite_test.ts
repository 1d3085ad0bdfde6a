/** SQLite keeps the store's contract, on disk and in memory, and says clearly what is wrong with a file. @module */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { openDatabase, openStore } from "../../../aggregator/store/open.ts";
import { Connection } from "../../../aggregator/store/sqlite_connection.ts";
import { StoreUnavailable } from "../../../aggregator/store/store.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { madePlaces } from "../filter/made.ts";
import { storeContract, type Subject } from "./contract.ts";

const reporter = createReporter({ component: "test", write: () => {} });

storeContract("sqlite", async (): Promise<Subject> => {
  const folder = await Deno.makeTempDir({ prefix: "picket-store-" });
  const open = async () => {
    const store = openStore(`sqlite:${folder}/picket.db`, { reporter, places: madePlaces });
    await store.start();
    return store;
  };
  const subject: Subject = {
    store: await open(),
    async reopen() {
      await subject.store.stop();
      return subject.store = await open();
    },
    async close() {
      await subject.store.stop();
      await Deno.remove(folder, { recursive: true });
    },
  };
  return subject;
});

Deno.test("sqlite store in memory answers readers while a writer waits", async () => {
  const store = openStore("sqlite::memory:", { reporter });
  await store.start();
  const all = await Promise.all([store.revokeSensor("nobody", 1), store.readTotals(), store.ping()]);
  assertEquals([all[0], all[1].flows], [false, 0]);
  await store.stop();
  await assertRejects(() => store.ping(), StoreUnavailable, "not started");
});

Deno.test("sqlite store makes its file, and three of them may start at once", async () => {
  const folder = await Deno.makeTempDir();
  const stores = [1, 2, 3].map(() => openStore(`sqlite:${folder}/picket.db`, { reporter }));
  await Promise.all(stores.map((store) => store.start()));
  assertEquals((await stores[2].readTotals()).flows, 0);
  await Promise.all(stores.map((store) => store.stop()));
  await Deno.remove(folder, { recursive: true });
});

Deno.test("sqlite store offers the views that analysts' SQL asks for", async () => {
  const path = await Deno.makeTempFile({ suffix: ".db" });
  const store = openStore(`sqlite:${path}`, { reporter });
  await store.start();
  await store.stop();
  const database = new DatabaseSync(path);
  const columns = (view: string) =>
    database.prepare("SELECT name FROM pragma_table_info(?)").all(view).map(({ name }) => String(name));
  assertEquals(columns("traffic_logs"), [
    "id",
    "event_time",
    "source_ip",
    "source_port",
    "dest_ip",
    "dest_port",
    "protocol",
    "length",
    "info",
    "is_suspicious",
  ]);
  assertEquals(columns("ai_threat_logs"), [
    "id",
    "log_id",
    "ai_explanation",
    "suggested_action",
    "severity_level",
  ]);
  database.exec("INSERT INTO schema_versions VALUES (99, 0)");
  database.close();
  const newer = openStore(`sqlite:${path}`, { reporter });
  await assertRejects(() => newer.start(), Error, "made by a newer Picket");
  await Deno.remove(path);
});

Deno.test("sqlite store says which file it cannot open", async () => {
  const folder = await Deno.makeTempDir();
  const missing = openStore(`sqlite:${folder}/none/picket.db`, { reporter });
  await assertRejects(
    () => missing.start(),
    StoreUnavailable,
    `Cannot open database file "${folder}/none/picket.db"`,
  );
  await Deno.writeTextFile(
    `${folder}/text.db`,
    "this is no database, but it is long enough to look like one".repeat(99),
  );
  const wrong = openStore(`sqlite:${folder}/text.db`, { reporter });
  await assertRejects(() => wrong.start(), StoreUnavailable, "not a database");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("openStore refuses a URL that names no store and never shows its password", () => {
  for (
    const url of ["", "sqlite:", "postgres://u:secret@h/db", "picket.db", "mariadb://u:secret@h:port/db"]
  ) {
    const error = assertThrows(() => openStore(url, { reporter }), RangeError, "Cannot open store");
    assert(!error.message.includes("secret"));
  }
  assertThrows(
    () => openStore("mariadb://u@h/a`b", { reporter }),
    RangeError,
    "the database's name",
  );
});

Deno.test("sqlite store keeps its log short while it writes, without the writer's doing", async () => {
  const folder = await Deno.makeTempDir({ prefix: "picket-store-" });
  const database = openDatabase(`sqlite:${folder}/picket.db`, { reporter });
  await database.open();
  const logBytes = () => Deno.statSync(`${folder}/picket.db-wal`).size;
  await database.transaction((session) => session.run("CREATE TABLE t (a BLOB)"));
  // 4 MB: SQLite's own bound, at which a commit would write and wait.
  for (let i = 0; i < 100; i++) {
    await database.transaction((session) => session.run("INSERT INTO t VALUES (ZEROBLOB(40000))"));
  }
  assert(logBytes() > 4_000_000);
  const before = logBytes();
  // Once all of it is in the file, the next commit writes from the log's beginning again.
  for (let i = 0; i < 100 && await isGrowing(); i++) await new Promise((resolve) => setTimeout(resolve, 100));
  assert(!await isGrowing(), `${before} octets, then ${logBytes()}`);
  await database.close();
  await Deno.remove(folder, { recursive: true });

  async function isGrowing(): Promise<boolean> {
    const bytes = logBytes();
    await database.transaction((session) => session.run("INSERT INTO t VALUES (ZEROBLOB(40000))"));
    return logBytes() > bytes;
  }
});

Deno.test("sqlite store commits what may be lost with the power without waiting, and the next one durably", async () => {
  const folder = await Deno.makeTempDir({ prefix: "picket-store-" });
  const path = `${folder}/picket.db`;
  const database = openDatabase(`sqlite:${path}`, { reporter });
  await database.open();
  const levels: unknown[] = [];
  for (const isDurable of [true, false, false, true]) {
    await database.transaction(async (session) => {
      const [{ synchronous }] = await session.all("PRAGMA synchronous");
      levels.push(synchronous);
    }, { isDurable });
  }
  // 2 is FULL, 1 is NORMAL.
  assertEquals(levels, [2, 1, 1, 2]);
  await database.close();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("sqlite takes 15, 16, 17 and 40 rows, each with its own octets, though they come in the same memory", async () => {
  const connection = new Connection(":memory:");
  await connection.run("CREATE TABLE things (id INTEGER PRIMARY KEY, octets BLOB, word TEXT)");
  const memory = new Uint8Array(1_000);
  for (const count of [15, 16, 17, 40]) {
    await connection.run("DELETE FROM things");
    const inserted = await connection.insert("things", ["id", "octets", "word"], {
      count,
      write(row, sink) {
        memory.fill(row + 1);
        sink.integer(row);
        sink.octets(memory, 0, 25 * row);
        if (row % 3 === 0) sink.nothing();
        else sink.text(`word ${row}`);
      },
    });
    assertEquals(inserted, count);
    const rows = await connection.all("SELECT * FROM things ORDER BY id");
    assertEquals(rows.map(({ id }) => id), Array.from({ length: count }, (_, row) => row));
    for (const [row, { octets, word }] of rows.entries()) {
      assertEquals(octets, new Uint8Array(25 * row).fill(row + 1));
      assertEquals(word, row % 3 === 0 ? null : `word ${row}`);
    }
  }
  connection.close();
});

Deno.test("sqlite adds up 33 rows of a batch in turn, and counts only what an insert added", async () => {
  const connection = new Connection(":memory:");
  await connection.run("CREATE TABLE sums (name TEXT PRIMARY KEY, n INTEGER)");
  const rows = Array.from({ length: 33 }, (_, i) => [i % 2 === 0 ? "even" : "odd", i]);
  const sql = "INSERT INTO sums (name, n) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = n + excluded.n";
  await connection.batch(sql, rows);
  assertEquals(
    await connection.all("SELECT * FROM sums ORDER BY name"),
    [
      { name: "even", n: 272 },
      { name: "odd", n: 256 },
    ].map((row) => Object.assign(Object.create(null), row)),
  );
  const inserted = await connection.insert("sums", ["name", "n"], {
    count: 20,
    write(row, sink) {
      sink.text(row < 3 ? "even" : `fresh ${row}`);
      sink.integer(row);
    },
  });
  assertEquals(inserted, 17);
  await connection.batch("UPDATE sums SET n = 0 WHERE name = ?", rows.map(([name]) => [name]));
  const [{ n }] = await connection.all("SELECT SUM(n) AS n FROM sums WHERE name IN ('even', 'odd')");
  assertEquals(n, 0);
  connection.close();
});
