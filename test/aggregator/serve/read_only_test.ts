/** A store that has become read-only under a running aggregator: what writes is answered 503, readiness, health and the
 * fleet page say so, what only reads goes on, and all is well again, with nothing lost, once it can be written.
 *
 * Method: SQLite itself refuses to write, on the connection that the store writes with (`PRAGMA query_only`): the code
 * is the one of a file system that was mounted read-only. @module */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { CheckInWriter } from "../../../aggregator/fleet/check_in_writer.ts";
import { SensorDirectory } from "../../../aggregator/fleet/directory.ts";
import { Ingest } from "../../../aggregator/ingest/ingest.ts";
import { WorkMeter } from "../../../aggregator/serve/work_meter.ts";
import { SqliteDatabase } from "../../../aggregator/store/sqlite.ts";
import { Connection } from "../../../aggregator/store/sqlite_connection.ts";
import { sqlStore } from "../../../aggregator/store/sql_store.ts";
import type { Store } from "../../../aggregator/store/store.ts";
import { writeHeader } from "../../../shared/batch.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { type Fixture, healthOf, type Reply, startFixture, TestSensor } from "../api/fixture.ts";
import { buckets, segment, TestSensor as SealingSensor } from "../ingest/fleet.ts";

interface Scene {
  fixture: Fixture;
  store: Store;
  said: string[];
  setReadOnly(isReadOnly: boolean): Promise<void>;
  /** Passes so much time in steps, letting everybody go on in between. */
  pass(ms: number): Promise<void>;
}

/** The connection that a database writes with, which its sessions do not hand out. */
async function writerOf(database: SqliteDatabase): Promise<Connection> {
  const { begin } = Connection.prototype;
  const found = Promise.withResolvers<Connection>();
  Connection.prototype.begin = function (isDurable) {
    found.resolve(this);
    begin.call(this, isDurable);
  };
  try {
    await database.transaction(() => Promise.resolve());
  } finally {
    Connection.prototype.begin = begin;
  }
  return await found.promise;
}

async function inScene(work: (scene: Scene) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "picket-read-only-" });
  const said: string[] = [];
  const reporter = createReporter({ component: "test", write: (line) => said.push(line) });
  const database = new SqliteDatabase(`${folder}/picket.db`, { reporter });
  const store = sqlStore(database, { reporter });
  await store.start();
  const writer = await writerOf(database);
  let ingest: Ingest;
  const fixture = await startFixture(({ clock }) => {
    ingest = new Ingest({ buckets }, { store, reporter, clock });
    const meter = new WorkMeter(ingest, clock);
    return {
      store,
      ping: () => store.ping(),
      directory: new SensorDirectory({}, { store }),
      checkIns: new CheckInWriter({ gatherMs: 0 }, { store, clock }),
      submit: (header, body) => meter.submit(header, body),
      progress: () => meter.progress(),
    };
  });
  await ingest!.start();
  try {
    await work({
      fixture,
      store,
      said,
      setReadOnly: async (isReadOnly) => {
        await writer.run(`PRAGMA query_only = ${isReadOnly ? "ON" : "OFF"}`);
      },
      async pass(ms) {
        for (let left = ms; left > 0; left -= 500) {
          fixture.clock.advance(500);
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      },
    });
  } finally {
    await ingest!.stop();
    await fixture.stop();
    await store.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

function assertAnswer({ status, text }: Reply, wanted: number, code: string): void {
  assertEquals(status, wanted, text);
  assertStringIncludes(text, `"${code}"`);
}

Deno.test("a store that became read-only is said to be so everywhere, and recovers with nothing lost", () =>
  inScene(async ({ fixture, store, said, setReadOnly, pass }) => {
    const sensor = new TestSensor("roof"), sealing = new SealingSensor("one");
    await sensor.enrol(fixture);
    await sealing.enrol(store);
    const ask = (path: string) => fixture.ask("GET", path, { role: "viewer" });
    const checkIn = (epoch: number) =>
      sensor.checkIn(fixture, { ...healthOf(sensor.id, fixture.clock.ms += 10), epoch });
    assertEquals([(await checkIn(1)).status, (await ask("/readyz")).status], [200, 200]);

    await setReadOnly(true);
    assertAnswer(await checkIn(2), 503, "store_unavailable");
    const token = await fixture.ask("POST", "/api/v1/tokens", { role: "admin", json: {} });
    assertAnswer(token, 503, "store_unavailable");
    assertAnswer(await ask("/readyz"), 503, "store_unavailable");
    assertEquals((await ask("/api/v1/flows")).status, 200, "what only reads goes on");
    const [{ header, value }] = sealing.seal([segment()]);
    const sent = fixture.ask("POST", "/api/v1/batches", { bytes: value, headers: writeHeader(header) });
    await pass(31_000);
    assertAnswer(await ask("/healthz"), 503, "no_progress");
    assertMatch((await ask("/api/v1/fleet")).body.problem, /^1 batches wait, none was stored for 3\d s$/);
    assertMatch(said.join("\n"), /store does not answer, will retry error=.*readonly database/);

    await setReadOnly(false);
    await pass(31_000);
    assertEquals((await sent).body, { outcome: "stored" });
    assertEquals((await store.readTotals()).flows, 1);
    for (const path of ["/readyz", "/healthz"]) assertEquals((await ask(path)).status, 200, path);
    assertEquals((await ask("/api/v1/fleet")).body.problem, null);
    assertEquals((await checkIn(3)).status, 200);
    // The epoch that ended meanwhile was kept, and written with the next check-in.
    assertEquals((await store.readEndedEpochs()).map(({ epoch }) => epoch), [1, 2]);
  }));
