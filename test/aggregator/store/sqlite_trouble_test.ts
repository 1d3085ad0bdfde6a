/** SQLite in trouble: long questions, a lock held by another program, a full and a damaged file. What can pass is said
 * to be unavailable, nothing else waits, and all is well again once the cause is gone. @module */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { openStore } from "../../../aggregator/store/open.ts";
import { SqliteDatabase } from "../../../aggregator/store/sqlite.ts";
import type { QueryLimits } from "../../../aggregator/store/sqlite_queries.ts";
import { StoreUnavailable } from "../../../aggregator/store/store.ts";
import { systemClock } from "../../../shared/clock.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { nothing } from "./rows.ts";
import { skipLoudly } from "../../services/services.ts";

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "picket-sqlite-" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A database with `rows` numbers, and what its queries counted. */
async function withNumbers(
  rows: number,
  limits: Partial<QueryLimits>,
  work: (database: SqliteDatabase, counter: (name: string) => number) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const reporter = createReporter({ component: "test", write: () => {} });
    const database = new SqliteDatabase(`${folder}/n.db`, { reporter }, limits);
    await database.open();
    await database.transaction(async (session) => {
      await session.run("CREATE TABLE numbers (n INTEGER PRIMARY KEY, text TEXT)");
      const values = Array.from({ length: rows }, (_, n) => [n, `text number ${n}`]);
      await session.batch("INSERT INTO numbers VALUES (?, ?)", values);
    });
    await work(database, (name) => reporter.snapshot().get(name) ?? 0);
    await database.close();
  });
}

/** The longest time in which nothing else ran. */
async function longestPauseMs(work: Promise<unknown>): Promise<number> {
  let isOver = false, longest = 0, last = systemClock.monotonicMs();
  work.finally(() => isOver = true).catch(() => undefined);
  while (!isOver) {
    await systemClock.sleep(5);
    const now = systemClock.monotonicMs();
    longest = Math.max(longest, now - last);
    last = now;
  }
  return longest;
}

const pairs = "SELECT COUNT(*) AS found FROM numbers AS a, numbers AS b WHERE a.text < b.text";
const one = "SELECT text FROM numbers WHERE n = ?";

Deno.test({
  name: "query that takes too long is interrupted in its thread, while everything else goes on",
  fn: () =>
    withNumbers(20_000, { statementMs: 400, threadsMax: 1 }, async (database, counter) => {
      const ask = (sql: string, values: number[] = []) =>
        database.query((session) => session.all(sql, values));
      assertEquals(await ask(one, [7]), [{ text: "text number 7" }]);
      const beganMs = systemClock.monotonicMs();
      const slow = ask(pairs);
      const pause = await longestPauseMs(slow);
      await assertRejects(() => slow, StoreUnavailable, "must end within 0.4 s");
      const tookMs = systemClock.monotonicMs() - beganMs;
      assert(tookMs >= 390 && tookMs < 1_300, `${tookMs} ms`);
      assert(pause < 300, `nothing else ran for ${pause} ms`);
      assertEquals(await ask(one, [8]), [{ text: "text number 8" }]);
      assertEquals(counter("store_queries_interrupted_total"), 1);
      assertEquals(counter("store_query_threads_replaced_total"), 0);
      // Ours are not asked of the threads at all.
      const busy = ask(pairs);
      const [own] = await database.read((session) => session.all(one, [9]));
      assertEquals(own.text, "text number 9");
      await assertRejects(() => busy, StoreUnavailable);
    }),
});

Deno.test({
  name: "a short question waits for a statement of the long ones before it, not for their end",
  fn: () =>
    withNumbers(20_000, { threadsMax: 1, statementMs: 20_000 }, async (database) => {
      const some =
        "SELECT COUNT(*) AS found FROM numbers AS a, (SELECT * FROM numbers LIMIT 4) AS b WHERE a.text < b.text";
      let done = 0;
      const long = Array.from({ length: 3 }, () =>
        database.query(async (session) => {
          for (let i = 0; i < 12; i++) {
            await session.all(some);
            done++;
          }
        }));
      // Each of the three has begun.
      while (done < 6) await systemClock.sleep(1);
      const before = done;
      await database.query(async (session) => {
        await session.all(one, [7]);
        await session.all(one, [8]);
      });
      assert(done - before <= 4, `${done - before} statements of the long ones went before`);
      assert(done < 30, `${done} of 36`);
      await Promise.all(long);
      assertEquals(done, 36);
    }),
});

Deno.test({
  name: "short questions without end do not keep a long one from its end",
  fn: () =>
    withNumbers(20_000, { threadsMax: 1, statementMs: 20_000, waitMs: 20_000 }, async (database) => {
      const some = (limit: number) =>
        `SELECT COUNT(*) AS found FROM numbers AS a, (SELECT * FROM numbers LIMIT ${limit}) AS b WHERE a.text < b.text`;
      let isOver = false;
      const long = database.query(async (session) => {
        for (let i = 0; i < 3; i++) await session.all(some(15));
      }).finally(() => isOver = true);
      const short = Array.from({ length: 3 }, async () => {
        let asked = 0;
        for (; !isOver && asked < 1_000; asked++) await database.query((session) => session.all(some(4)));
        return asked;
      });
      await long;
      const asked = await Promise.all(short);
      assert(asked.every((count) => count > 2), `${asked}`);
    }),
});

Deno.test({
  name: "query that reads no row, and so cannot be interrupted, loses its thread; the next one has another",
  fn: () =>
    withNumbers(1, { statementMs: 100, threadsMax: 1 }, async (database, counter) => {
      const endless =
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 30000000) SELECT COUNT(*) FROM c";
      await assertRejects(
        () => database.query((session) => session.all(endless)),
        StoreUnavailable,
        "must end within",
      );
      assertEquals(counter("store_query_threads_replaced_total"), 1);
      assertEquals(await database.query((session) => session.all(one, [0])), [{ text: "text number 0" }]);
    }),
});

Deno.test({
  name: "queries wait for a thread for so long only, only read, and name a fault of the statement",
  fn: () =>
    withNumbers(20_000, { statementMs: 500, threadsMax: 1, waitMs: 200 }, async (database) => {
      const slow = database.query((session) => session.all(pairs));
      await assertRejects(
        () => database.query((session) => session.all(one, [1])),
        StoreUnavailable,
        "too many queries wait",
      );
      await assertRejects(() => slow, StoreUnavailable);
      const wrong = await database.query((session) => session.all("SELECT absent FROM numbers"))
        .catch((error) => error);
      assert(!(wrong instanceof StoreUnavailable), `${wrong}`);
      assertEquals(wrong.message, "no such column: absent");
      await assertRejects(
        () => database.query((session) => session.run("DELETE FROM numbers")),
        Error,
        "only",
      );
      await assertRejects(() => database.query((session) => session.all("DELETE FROM numbers")), Error);
    }),
});

Deno.test("database files are readable by their owner only, also where another program made them", () =>
  withFolder(async (folder) => {
    const path = `${folder}/picket.db`;
    for (const isOld of [false, true]) {
      if (isOld) {
        for (const { name } of Deno.readDirSync(folder)) Deno.chmodSync(`${folder}/${name}`, 0o644);
      }
      const reporter = createReporter({ component: "test", write: () => {} });
      const store = openStore(`sqlite:${path}`, { reporter });
      await store.start();
      await store.revokeSensor("s", 1);
      for (const name of [path, `${path}-wal`, `${path}-shm`]) {
        assertEquals(Deno.statSync(name).mode! & 0o777, 0o600, name);
      }
      await store.stop();
    }
  }));

const addKey = (name: string) => ({
  key_hash: name,
  name,
  role: "viewer" as const,
  created_ms: 1,
  expires_ms: null,
  revoked_ms: null,
});

Deno.test({
  name: "a lock held by another program makes a change unavailable after 5 s, blocks nobody, and passes",
  fn: () =>
    withFolder(async (folder) => {
      const reporter = createReporter({ component: "test", write: () => {} });
      const store = openStore(`sqlite:${folder}/picket.db`, { reporter });
      await store.start();
      const other = new DatabaseSync(`${folder}/picket.db`);
      other.exec("BEGIN IMMEDIATE");
      const beganMs = systemClock.monotonicMs();
      const change = store.addApiKey(addKey("one"));
      assertEquals(await store.readApiKeys(), []);
      const pause = await longestPauseMs(change);
      await assertRejects(() => change, StoreUnavailable, "locked");
      const tookMs = systemClock.monotonicMs() - beganMs;
      assert(tookMs > 4_900 && tookMs < 8_000, `${tookMs} ms`);
      assert(pause < 400, `nothing else ran for ${pause} ms`);
      await assertRejects(() => store.ping(), StoreUnavailable);
      other.exec("ROLLBACK");
      await store.addApiKey(addKey("one"));
      await store.ping();
      // One that is let go in time is waited for.
      other.exec("BEGIN IMMEDIATE");
      const later = store.addApiKey(addKey("two"));
      await systemClock.sleep(600);
      other.exec("ROLLBACK");
      await later;
      other.close();
      await store.stop();
    }),
});

Deno.test("a file that another program is just leaving is opened once it has left", () =>
  withFolder(async (folder) => {
    const reporter = createReporter({ component: "test", write: () => {} });
    const store = openStore(`sqlite:${folder}/picket.db`, { reporter });
    await store.start();
    await store.stop();
    const other = new DatabaseSync(`${folder}/picket.db`);
    other.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE");
    const opened = store.start();
    await systemClock.sleep(300);
    other.close();
    await opened;
    await store.ping();
    await store.stop();
  }));

Deno.test({
  name: "a damaged file is unavailable, not a fault of ours",
  fn: () =>
    withFolder(async (folder) => {
      const reporter = createReporter({ component: "test", write: () => {} });
      const path = `${folder}/picket.db`;
      const store = openStore(`sqlite:${path}`, { reporter });
      await store.start();
      await store.stop();
      const again = openStore(`sqlite:${path}`, { reporter });
      const file = await Deno.open(path, { read: true, write: true });
      const { size } = await file.stat();
      await file.seek(4_096, Deno.SeekMode.Start);
      await file.write(new Uint8Array(size - 4_096).fill(0x5a));
      file.close();
      await assertRejects(() => again.start(), StoreUnavailable);
    }),
});

async function mount(...args: string[]): Promise<boolean> {
  try {
    return (await new Deno.Command("mount", { args, stdout: "null", stderr: "null" }).output()).success;
  } catch {
    return false;
  }
}

const probe = await Deno.makeTempDir();
const canMount = await mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", probe);
if (canMount) await new Deno.Command("umount", { args: [probe] }).output();
await Deno.remove(probe);

Deno.test({
  name: "a full disk is unavailable, a ping says so, and all is well once there is room",
  ...canMount ? {} : skipLoudly("a full disk", "mounting a small file system needs root"),
  fn: () =>
    withFolder(async (folder) => {
      assert(await mount("-t", "tmpfs", "-o", "size=3m", "tmpfs", folder));
      const reporter = createReporter({ component: "test", write: () => {} });
      const store = openStore(`sqlite:${folder}/picket.db`, { reporter });
      try {
        await store.start();
        await store.ping();
        await Deno.writeFile(`${folder}/filler`, new Uint8Array(8_000_000)).catch(() => undefined);
        const letters = (count: number) =>
          store.ingest({
            ...nothing(),
            deadLetters: Array.from({ length: count }, () => ({
              received_ms: 1,
              reason: "sha256",
              origin: "http",
              sensor_id: "s",
              sample: new Uint8Array(4_096),
            })),
          });
        await assertRejects(() => letters(40), StoreUnavailable, "full");
        await assertRejects(() => letters(40), StoreUnavailable, "full");
        assertEquals(await store.readDeadLetters(9), []);
        await Deno.remove(`${folder}/filler`);
        await store.ping();
        await letters(3);
        assertEquals((await store.readDeadLetters(9)).length, 3);
      } finally {
        await store.stop();
        await new Deno.Command("umount", { args: [folder] }).output();
      }
    }),
});
