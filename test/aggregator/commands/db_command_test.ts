/** `db` on both stores: each verb does what its help says, again and again,
 * also while another program has the store open. @module */

import { assert, assertEquals } from "@std/assert";
import { dbCommand } from "../../../aggregator/commands/db_command.ts";
import { openDatabase, openStore } from "../../../aggregator/store/open.ts";
import {
  allFlows,
  date,
  day,
  fill,
  onBothStores,
  passwordOf,
  type Place,
  withoutPassword,
} from "../archive/stores.ts";
import { flowsOf, flowWrite, ledgerRow, nothing } from "../store/rows.ts";
import { systemClock } from "../../../shared/clock.ts";
import { runInside, runProgram } from "./harness.ts";

/** Runs `db` with the store of a test, which stays open. */
async function db({ url, folder }: Pick<Place, "url" | "folder">, ...args: string[]) {
  const env = { PICKET_STORE_PASSWORD: passwordOf(url) };
  const given = ["--state", `${folder}/state`, "--store", withoutPassword(url), "--json"];
  const { code, stdout, stderr } = await runInside([dbCommand], ["db", ...args, ...given], { env });
  return { code, stderr, json: stdout === "" ? null : JSON.parse(stdout) };
}

onBothStores("db size, optimize and migrate tell what is there", async (place) => {
  await fill(place.store);
  const { code, json } = await db(place, "size");
  assertEquals(code, 0);
  assert(json.octets > 10_000);
  const names = json.tables.map(({ name }: { name: string }) => name);
  for (const name of ["flows", "sightings", "ledger", "threats"]) assert(names.includes(name), `${names}`);
  assertEquals(json.days.map(({ day, flows }: { day: string; flows: number }) => [day, flows]), [
    ["2026-01-14", 1],
    [date, 40],
    ["2026-01-16", 1],
  ]);
  assertEquals((await db(place, "optimize")).json, { optimized: true });
  assertEquals((await db(place, "migrate")).json, { version: await place.store.readVersion() });
});

onBothStores("db archive and db import pass over what is done", async (place) => {
  const { store, folder } = place;
  await fill(store);
  const before = await allFlows(store), totals = await store.readTotals();
  const archive = ["--archive", `${folder}/archive`];
  const files = (json: { days: { file: string; was_there: boolean }[] }) =>
    json.days.map(({ file, was_there }) => [file.slice(6, 16), was_there]);
  const one = await db(place, "archive", date, ...archive);
  assertEquals([one.code, files(one.json)], [0, [[date, false]]]);
  const all = await db(place, "archive", ...archive);
  assertEquals(files(all.json), [["2026-01-14", false], [date, true], ["2026-01-16", false]]);
  assertEquals((await db(place, "verify", ...archive)).json, { flows: 42, days: 3, files: 3, problems: [] });

  for (const at of [day - 86_400, day, day + 86_400]) await store.dropDay(at, "flows");
  assertEquals(await allFlows(store), []);
  const given = await db(place, "import", `${folder}/archive`, date);
  assertEquals(given.json.files, [{
    file: `flows-${date}.parquet`,
    flows: 40,
    inserted: 40,
    was_there: false,
  }]);
  const rest = await db(place, "import", `${folder}/archive`);
  assertEquals(
    rest.json.files.map((file: { inserted: number; was_there: boolean }) => [file.inserted, file.was_there]),
    [[1, false], [0, true], [1, false]],
  );
  assertEquals(await allFlows(store), before);
  assertEquals(await store.readTotals(), totals);
});

onBothStores(
  "db import goes on where it was stopped, and a damaged file keeps no other out",
  async (place) => {
    const { store, folder } = place;
    await fill(store, 5_000);
    await db(place, "export", `${folder}/out`);
    const { flows } = await store.readDay(day, null, 2_000);
    for (const at of [day - 86_400, day, day + 86_400]) await store.dropDay(at, "flows");
    await store.restoreFlows(day, flows, 1);
    const damaged = `${folder}/out/flows-2026-01-14.parquet`;
    await Deno.writeFile(damaged, (await Deno.readFile(damaged)).subarray(0, 500));
    const { code, json } = await db(place, "import", `${folder}/out`);
    assertEquals([code, json.files.map(({ inserted }: { inserted: number }) => inserted)], [1, [3_000, 1]]);
    assertEquals(json.problems.map(({ file }: { file: string }) => file), ["flows-2026-01-14.parquet"]);
    assertEquals((await store.sumDay(day)).flows, 5_000);
    const seen = await db(place, "verify", "--archive", `${folder}/out`);
    assertEquals([seen.code, seen.json.problems.length], [1, 1]);
  },
);

onBothStores("db verify finds what is missing from a day and from the books", async (place) => {
  const { store } = place;
  await fill(store);
  const ledger = [1, 2].map(ledgerRow);
  await store.ingest({ ...nothing(), ...flowsOf([flowWrite(50)]), ledger });
  assertEquals((await db(place, "verify")).json.problems, []);
  const database = openDatabase(place.url, { reporter: place.reporter });
  await database.open();
  await database.transaction((session) => session.run("DELETE FROM flows WHERE src_port = 1025"));
  await database.transaction((session) => session.run("UPDATE positions SET batches = 1"));
  await database.close();
  const { code, json } = await db(place, "verify");
  assertEquals([code, json.problems.length], [1, 2]);
  assertEquals(json.problems[0], `${date}: 41 flows were stored, 40 are there`);
  assert(json.problems[1].startsWith("ledger of s-one, epoch 5, bucket 1"), json.problems[1]);
});

/** The threads of a store that was stopped end a little later, and SQLite's last one takes the log away. */
async function settled(url: string): Promise<void> {
  for (let tries = 0; url.startsWith("sqlite:") && tries < 100; tries++) {
    const isThere = await Deno.stat(`${url.slice("sqlite:".length)}-wal`).then(() => true, () => false);
    if (!isThere) return;
    await systemClock.sleep(50);
  }
}

onBothStores("db backup copies while others write, and db restore brings back all of it", async (place) => {
  const { store, folder, url } = place;
  await fill(store);
  const before = await allFlows(store), totals = await store.readTotals();
  const file = `${folder}/backup`;
  const made = await db(place, "backup", file);
  assertEquals([made.code, made.json.octets], [0, (await Deno.stat(file)).size]);
  assertEquals((await Deno.stat(file)).mode! & 0o777, 0o600);
  // The program itself, with its own permissions.
  const args = ["db", "backup", `${file}-2`, "--state", `${folder}/state`, "--store", withoutPassword(url)];
  const real = await runProgram(args, { PICKET_STORE_PASSWORD: passwordOf(url) });
  assertEquals([real.code, real.stderr], [0, ""]);
  const twice = await db(place, "backup", file);
  assert(twice.code === 1 && twice.stderr.includes("it is there already"), twice.stderr);

  await store.ingest({ ...nothing(), ...flowsOf([flowWrite(60)]) });
  const refused = await db(place, "restore", file);
  assert(refused.code === 1 && refused.stderr.includes("must be empty"), refused.stderr);
  assertEquals((await allFlows(store)).length, 43);
  if (url.startsWith("sqlite:")) {
    const held = await db(place, "restore", file, "--force");
    assert(held.code === 1 && held.stderr.includes("stop the aggregator first"), held.stderr);
    assertEquals((await allFlows(store)).length, 43);
  }
  await store.stop();
  await settled(url);
  const cut = `${folder}/cut`;
  await Deno.writeFile(cut, (await Deno.readFile(file)).subarray(0, -3_000));
  const broken = await db(place, "restore", cut, "--force");
  assert(broken.code === 1 && broken.stderr.includes("Cannot restore from"), broken.stderr);
  assertEquals((await db(place, "restore", file, "--force")).json, { restored: file });
  const again = openStore(url, { reporter: place.reporter });
  await again.start();
  assertEquals(await allFlows(again), before);
  assertEquals(await again.readTotals(), totals);
  await again.stop();
});

Deno.test("db says what is wrong with its arguments", async () => {
  const folder = await Deno.makeTempDir();
  const place = { url: `sqlite:${folder}/picket.db`, folder };
  const said = async (code: number, text: string, ...args: string[]) => {
    const ran = await db(place, ...args);
    assert(ran.code === code && ran.stderr.includes(text), `${args}: ${ran.code} ${ran.stderr}`);
  };
  await said(2, "must be one of size, optimize");
  await said(2, "must be one of size, optimize", "drop");
  await said(2, '"archive" must name a folder', "archive");
  await said(2, "must be like 2026-01-15", "archive", "2026-13-01", "--archive", folder);
  await said(1, "nothing is stored of it", "archive", "2026-01-01", "--archive", folder);
  await said(3, "Cannot read archive", "import", `${folder}/none`);
  await said(2, "one folder must be named", "import");
  await said(2, "one argument too many", "size", "now");
  await said(1, "it is no database of Picket", "restore", `${folder}/none`);
  await Deno.remove(folder, { recursive: true });
});
