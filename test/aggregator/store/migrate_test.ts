/** Every database that an earlier version made becomes the same as a new one, with its rows.
 *
 * Use: after a new step, `deno test -A test/aggregator/store/migrate_test.ts -- --write` writes what it ran into
 * versions/. A file that exists is never written again: together with those before it, it is what that version made,
 * and a step edited later differs from it. @module */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Database } from "../../../aggregator/store/database.ts";
import { migrate, type Step, steps } from "../../../aggregator/store/migrate.ts";
import { openDatabase } from "../../../aggregator/store/open.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { createDatabase, useMariadb } from "../../services/services.ts";
import { TestClock } from "../ingest/fleet.ts";
import { describe } from "./schema.ts";

const mariadb = await useMariadb();
const deps = { reporter: createReporter({ component: "test", write: () => {} }), clock: new TestClock() };
const folder = new URL("versions/", import.meta.url);

const kinds: { name: "sqlite" | "mariadb"; ignore: boolean; url: () => Promise<string> }[] = [
  { name: "sqlite", ignore: false, url: () => Promise.resolve("sqlite::memory:") },
  { name: "mariadb", ignore: mariadb.ignore, url: () => createDatabase(mariadb.address) },
];

async function withDatabase(url: string, work: (database: Database) => Promise<void>): Promise<void> {
  const database = openDatabase(url, deps);
  await database.open();
  try {
    await work(database);
  } finally {
    await database.close();
  }
}

const fileOf = (dialect: string, version: number) =>
  new URL(`${String(version).padStart(4, "0")}_${dialect}.sql`, folder);

if (Deno.args.includes("--write")) {
  for (const dialect of ["sqlite", "mariadb"] as const) {
    for (let version = 1; version <= steps.length; version++) {
      const text = steps[version - 1][dialect].map((statement) => statement + ";\n").join("");
      await Deno.writeTextFile(fileOf(dialect, version), text, { createNew: true }).catch((error) => {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      });
    }
  }
}

/** As a Picket of `version` left it, with one row of a person's; the statements are those of that day. */
async function restore(database: Database, version: number): Promise<void> {
  const texts = await Promise.all(
    Array.from({ length: version }, (_, i) => Deno.readTextFile(fileOf(database.dialect.name, i + 1))),
  );
  await database.transaction(async (session) => {
    await session.run("CREATE TABLE schema_versions (version INTEGER PRIMARY KEY, applied_ms BIGINT)");
    for (const [i, text] of texts.entries()) {
      for (const statement of text.split(";\n").filter((one) => one.trim())) await session.run(statement);
      await session.run("INSERT INTO schema_versions VALUES (?, 0)", [i + 1]);
    }
    await session.run(
      "INSERT INTO api_keys (key_hash, name, role, created_ms) VALUES ('h', 'kept', 'admin', 0)",
    );
  });
}

for (const { name, ignore, url } of kinds) {
  const test = (behaviour: string, fn: () => Promise<void>) =>
    Deno.test({
      name: `${name} migration ${behaviour}`,
      ignore,
      fn,
    });

  test("makes of a database of every earlier version what a new one is", async () => {
    let fresh: string[] = [];
    await withDatabase(await url(), async (database) => {
      await migrate(database, deps);
      fresh = await describe(database);
    });
    assert(fresh.length > 100, `only ${fresh.length} lines`);
    for (let version = 1; version <= steps.length; version++) {
      await withDatabase(await url(), async (database) => {
        await restore(database, version);
        await migrate(database, deps);
        assertEquals(await describe(database), fresh, `from version ${version}`);
        const [row] = await database.read((session) => session.all("SELECT name FROM api_keys"));
        assertEquals(row.name, "kept");
      });
    }
  });

  test("to version 10 gives addresses the network of their threat, and goes on where a body cannot be read", async () => {
    await withDatabase(await url(), async (database) => {
      await restore(database, 9);
      await database.transaction(async (session) => {
        const bodies = { a: '{"network":"lab"}', b: "{", c: '{"other":1}', d: '{"network":"l\u00e4b"}' };
        for (const [id, body] of Object.entries(bodies)) {
          await session.run(
            "INSERT INTO threats (id, detector, severity, severity_rank, status, first_seen_us, last_seen_us, " +
              "stored_ms, updated_ms, explanation, suggested_action, body) VALUES (?, '', '', 0, '', 0, 0, 0, 0, '', '', ?)",
            [id, body],
          );
          await session.run("INSERT INTO threat_ips (threat_id, ip) VALUES (?, ?)", [id, new Uint8Array(4)]);
        }
      });
      await migrate(database, deps);
      const rows = await database.read((session) =>
        session.all("SELECT threat_id, network FROM threat_ips ORDER BY threat_id")
      );
      assertEquals(rows.map(({ network }) => network), ["lab", "", "", "l\u00e4b"]);
    });
  });

  test("goes on where a step broke, and refuses what a newer version made", async () => {
    await withDatabase(await url(), async (database) => {
      const add = (statement: string): Step => ({ sqlite: [statement], mariadb: [statement] });
      const broken = [...steps, add("CREATE TABLE extra (a INTEGER)"), add("CREATE nonsense")];
      await assertRejects(() => migrate(database, deps, broken));
      const whole = [...steps, broken[steps.length], add("CREATE TABLE more (a INTEGER)")];
      await migrate(database, deps, whole);
      const [row] = await database.read((session) =>
        session.all("SELECT MAX(version) AS version FROM schema_versions")
      );
      assertEquals(row.version, whole.length);
      await assertRejects(() => migrate(database, deps), Error, "made by a newer Picket");
    });
  });
}
