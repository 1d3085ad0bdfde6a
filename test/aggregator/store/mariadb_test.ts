/** MariaDB keeps the store's contract, and says clearly when it cannot be reached. @module */

import { assertEquals, assertRejects } from "@std/assert";
import { openDatabase, openStore } from "../../../aggregator/store/open.ts";
import { sqlStore } from "../../../aggregator/store/sql_store.ts";
import { FlowConflict, StoreUnavailable } from "../../../aggregator/store/store.ts";
import { Ingest } from "../../../aggregator/ingest/ingest.ts";
import { bodyOf, buckets, getterOf, segment, TestClock, TestSensor } from "../ingest/fleet.ts";
import { systemClock } from "../../../shared/clock.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { askMariadb } from "../../services/mariadb.ts";
import { createDatabase, useMariadb } from "../../services/services.ts";
import { flowsOf, flowWrite, ledgerRow, nothing, nowMs } from "./rows.ts";
import { madePlaces } from "../filter/made.ts";
import { storeContract, type Subject } from "./contract.ts";
import { watched } from "./watched.ts";

const reporter = createReporter({ component: "test", write: () => {} });
const mariadb = await useMariadb();

storeContract("mariadb", async (): Promise<Subject> => {
  const url = await createDatabase(mariadb.address);
  const open = async () => {
    const store = openStore(url, { reporter, places: madePlaces });
    await store.start();
    return store;
  };
  const subject: Subject = {
    store: await open(),
    async reopen() {
      await subject.store.stop();
      return subject.store = await open();
    },
    close: () => subject.store.stop(),
  };
  return subject;
}, { ignore: mariadb.ignore });

Deno.test({
  name: "mariadb store makes its database, and two of them may start at once",
  ignore: mariadb.ignore,
  fn: async () => {
    const url = new URL(`picket_${crypto.randomUUID().slice(0, 8)}`, mariadb.address).href;
    const stores = [1, 2, 3].map(() => openStore(url, { reporter }));
    await Promise.all(stores.map((store) => store.start()));
    assertEquals((await stores[2].readTotals()).flows, 0);
    await Promise.all(stores.map((store) => store.stop()));
  },
});

Deno.test({
  name: "mariadb answers ours while people's questions hold every connection that they may have",
  ignore: mariadb.ignore,
  fn: async () => {
    const database = openDatabase(await createDatabase(mariadb.address), { reporter });
    await database.open();
    const slept = () => database.query((session) => session.all("SELECT SLEEP(1.5) AS slept"));
    let ended = 0;
    const held = Array.from({ length: 8 }, () => slept().then(() => ended++));
    for (let i = 0; i < 4; i++) await database.read((session) => session.all("SELECT 1 AS one"));
    await database.ping();
    assertEquals(ended, 0);
    await Promise.all(held);
    await database.close();
  },
});

Deno.test({
  name: "mariadb store takes its password from the environment and says when it is wrong",
  ignore: mariadb.ignore,
  fn: async () => {
    const url = new URL("picket_password", mariadb.address);
    const password = decodeURIComponent(url.password);
    url.password = "";
    const env = (name: string) => name === "PICKET_STORE_PASSWORD" ? password : undefined;
    const right = openStore(url.href, { reporter, env });
    await right.start();
    await right.stop();
    const wrong = openStore(url.href, { reporter, env: () => "not the password" });
    await assertRejects(() => wrong.start(), StoreUnavailable, "access denied");
  },
});

Deno.test({
  name: "mariadb store keeps flows whole when two instances store the same batches at once",
  ignore: mariadb.ignore,
  fn: async () => {
    const url = await createDatabase(mariadb.address);
    const stores = [1, 2].map(() => openStore(url, { reporter }));
    for (const store of stores) await store.start();
    const sensors = [new TestSensor("one", 1), new TestSensor("two", 2)];
    for (const sensor of sensors) await sensor.enrol(stores[0]);
    const segments = Array.from({ length: 240 }, (_, i) => segment({ src_port: 2_000 + i, tcp_isn: i }));
    const batches = Array.from(
      { length: 8 },
      (_, i) => sensors.map((one) => one.seal(segments.slice(i * 30, i * 30 + 30))),
    )
      .flat(2);
    const ingests = stores.map((store) => {
      const clock = new TestClock();
      clock.isImpatient = true;
      return new Ingest({ buckets, groupBatchesMax: 5 }, { store, reporter, clock });
    });
    for (const ingest of ingests) await ingest.start();
    const outcomes = await Promise.all(
      ingests.flatMap((ingest) => batches.map((batch) => ingest.submit(getterOf(batch), bodyOf(batch)))),
    );
    assertEquals(outcomes.filter(({ outcome }) => outcome === "refused"), []);
    const totals = await stores[0].readTotals();
    assertEquals([totals.flows, totals.packets, totals.sightings], [240, 240 * 18, 480]);
    const { rows } = await stores[1].readFlows({}, { limit: 1_000 });
    assertEquals(rows.map(({ total_packets }) => total_packets), new Array(240).fill(18));
    assertEquals(rows.every(({ seen_by }) => seen_by.length === 2), true);
    for (const ingest of ingests) await ingest.stop();
    for (const store of stores) await store.stop();
  },
});

Deno.test({
  name: "mariadb store opens no gap for a batch that another instance takes meanwhile",
  ignore: mariadb.ignore,
  fn: async () => {
    const url = await createDatabase(mariadb.address);
    const other = openStore(url, { reporter });
    await other.start();
    const key = { sensor_id: "s-one", epoch: 5, bucket: 1 };
    await other.ingest({ ...nothing(), ledger: [ledgerRow(1)] });
    let taking: Promise<void> | null = null;
    const before = async (sql: string) => {
      if (taking !== null || !sql.startsWith("DELETE FROM gaps")) return;
      taking = other.ingest({ ...nothing(), ledger: [ledgerRow(2)] });
      await Promise.race([taking, systemClock.sleep(300)]);
    };
    const store = sqlStore(watched(openDatabase(url, { reporter }), { before }), { reporter });
    await store.start();
    // A check-in says that two batches were sealed.
    const gap = { ...key, from_seq: 2, to_seq: 2, found_ms: nowMs, closed_ms: null };
    await store.ingest({ ...nothing(), gaps: [gap], sequences: [{ ...key, batches: 1 }] });
    await taking;
    assertEquals(await store.readGaps({ open: true }, 10), []);
    assertEquals((await store.readPositions("s-one", 5))[0].batches, 2);
    for (const one of [store, other]) await one.stop();
  },
});

Deno.test({
  name: "mariadb store takes many rows also where the server refuses streams",
  ignore: mariadb.ignore,
  fn: async () => {
    const url = await createDatabase(mariadb.address);
    const store = openStore(url, { reporter });
    await store.start();
    const write = (from: number) => ({
      ...nothing(),
      ...flowsOf(Array.from({ length: 2_500 }, (_, i) => flowWrite(from + i))),
    });
    await store.ingest(write(0));
    await askMariadb(url, "SET GLOBAL local_infile = 0");
    try {
      await store.ingest(write(10_000));
      await assertRejects(() => store.ingest(write(12_000)), FlowConflict);
    } finally {
      await askMariadb(url, "SET GLOBAL local_infile = 1");
    }
    assertEquals(await askMariadb(url, "SELECT COUNT(*) FROM flows"), [["5000"]]);
    await store.stop();
  },
});

Deno.test("mariadb store says that nobody answers", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  const store = openStore(`mariadb://u:p@127.0.0.1:${port}/picket`, { reporter });
  await assertRejects(
    () => store.start(),
    StoreUnavailable,
    `Cannot use database "picket" at 127.0.0.1:${port}`,
  );
});
