/** An archived day is whole, comes back as it was, and is never written over once its day has left. @module */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { DamagedArchive, giveBack } from "../../../aggregator/archive/give_back.ts";
import { keepDay } from "../../../aggregator/archive/keep.ts";
import { dateOf, dayOf, problemOfFile, readManifests } from "../../../aggregator/archive/manifest.ts";
import type { Store } from "../../../aggregator/store/store.ts";
import { flowsOf, flowWrite, nothing, nowMs } from "../store/rows.ts";
import { allFlows, date, day, fill, onBothStores, type Place } from "./stores.ts";

const later = 40 * 86_400_000;

async function keep({ store, folder }: Pick<Place, "store" | "folder">, isFinal: boolean) {
  const stored = (await store.readDays()).find((one) => one.day === day)!;
  return await keepDay(store, { folder: `${folder}/archive`, bucket: null, day: stored, isFinal });
}

async function filesOf(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(`${folder}/archive`)) names.push(name);
  return names.sort();
}

const addFlow = (store: Store, n: number, ms: number) =>
  store.ingest({ ...nothing(), ...flowsOf([flowWrite(n, { stored_ms: ms, updated_ms: ms })]) });

onBothStores("a day goes to the archive and comes back as it was", async (place) => {
  const { store, folder } = place;
  await fill(store);
  const before = await allFlows(store), totals = await store.readTotals();
  const { manifest } = await keep(place, true);
  assertEquals(await filesOf(folder), [".lock", `flows-${date}.json`, `flows-${date}.parquet`]);
  assertEquals([manifest.rows, manifest.unreadable, manifest.part, manifest.is_final], [40, 0, 1, true]);
  assertEquals(manifest.sums, { flows: 40, packets: 600, bytes: 120_000, sightings: 28, threat_links: 3 });
  assertEquals(manifest.octets, (await Deno.stat(`${folder}/archive/${manifest.file}`)).size);

  await store.dropDay(day, "flows");
  assertEquals((await allFlows(store)).length, 2);
  const given = await giveBack(store, `${folder}/archive`, manifest, { nowMs: nowMs + later });
  assertEquals(given, { flows: 40, inserted: 40 });
  assertEquals(await allFlows(store), before);
  assertEquals(await store.readTotals(), totals);
  assertEquals((await store.readFlows({ threat_id: "t1" }, { limit: 9 })).rows.length, 3);
  const again = await giveBack(store, `${folder}/archive`, manifest, { nowMs: nowMs + later });
  assertEquals(again, { flows: 40, inserted: 0 });
  assertEquals(await allFlows(store), before);

  // Back with nothing new, it leaves without a further part.
  const second = await keep(place, true);
  assertEquals([second.wasThere, second.manifest.part], [true, 1]);
  assertEquals((await filesOf(folder)).length, 3);
});

onBothStores("what comes after a day has left is a part of its own", async (place) => {
  const { store, folder } = place;
  await fill(store);
  const first = (await keep(place, true)).manifest;
  await store.dropDay(day, "flows");
  await addFlow(store, 100, nowMs + later);
  const second = (await keep(place, true)).manifest;
  assertEquals([second.part, second.rows, second.file], [2, 1, `flows-${date}.2.parquet`]);
  await store.dropDay(day, "flows");
  for (const manifest of [first, second]) {
    assertEquals(await problemOfFile(`${folder}/archive`, manifest), null);
    await giveBack(store, `${folder}/archive`, manifest, { nowMs: nowMs + 2 * later });
  }
  assertEquals((await allFlows(store)).length, 43);
  // Both parts together hold what came back.
  assertEquals((await keep(place, true)).wasThere, true);
  assertEquals((await readManifests(`${folder}/archive`)).manifests.map(({ part }) => part), [1, 2]);
});

onBothStores("a part that is not final is written over by more, never by less", async (place) => {
  const { store, folder } = place;
  await fill(store);
  assertEquals((await keep(place, false)).manifest.is_final, false);
  assertEquals((await keep(place, false)).wasThere, true);
  await addFlow(store, 100, nowMs + 1);
  const more = await keep(place, false);
  assertEquals([more.manifest.part, more.manifest.rows, more.wasThere], [1, 41, false]);
  await store.dropDay(day, "flows");
  await addFlow(store, 101, nowMs + 2);
  const less = await keep(place, false);
  assertEquals([less.manifest.part, less.manifest.rows], [2, 1]);
  assertEquals((await keep(place, true)).manifest.is_final, true);
  assertEquals(await filesOf(folder), [
    ".lock",
    `flows-${date}.2.json`,
    `flows-${date}.2.parquet`,
    `flows-${date}.json`,
    `flows-${date}.parquet`,
  ]);
});

onBothStores("nothing is given back from an archive that is not what its manifest says", async (place) => {
  const { store, folder: base } = place;
  await fill(store);
  const { manifest } = await keep(place, true);
  const folder = `${base}/archive`, path = `${folder}/${manifest.file}`;
  await store.dropDay(day, "flows");
  const whole = await Deno.readFile(path);
  const refused = async (what: string, changed = manifest) => {
    const error = await assertRejects(() => giveBack(store, folder, changed, { nowMs }), DamagedArchive);
    assert(error.message.includes(what), error.message);
    assertEquals((await allFlows(store)).length, 2);
  };
  const bent = whole.slice();
  bent[2_000] ^= 1;
  await Deno.writeFile(path, bent);
  await refused("SHA-256");
  await Deno.writeFile(path, whole.subarray(0, -1));
  await refused("octets");
  await Deno.remove(path);
  await refused("No such file");
  await Deno.writeFile(path, whole);
  await refused("version must be <= 1", { ...manifest, version: 2 });
  // Lost and found between: it is kept again from what is there.
  await giveBack(store, folder, manifest, { nowMs });
  await Deno.writeFile(path, bent);
  assertEquals((await keep(place, true)).manifest.part, 2);
});

onBothStores("an archive that cannot be written says so and leaves no half file", async (place) => {
  const { store, folder } = place;
  await fill(store);
  await Deno.writeTextFile(`${folder}/archive`, "a file in the place of the folder");
  await assertRejects(() => keep(place, true));
  await Deno.remove(`${folder}/archive`);
  const signal = AbortSignal.abort(new Error("stop"));
  const stored = (await store.readDays()).find((one) => one.day === day)!;
  await assertRejects(
    () => keepDay(store, { folder: `${folder}/archive`, bucket: null, day: stored, isFinal: true, signal }),
    Error,
    "stop",
  );
  assertEquals(await filesOf(folder), [".lock"]);
});

Deno.test({
  name: "what root keeps in a folder of another user is that user's",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "picket-archive-" });
    await Deno.chown(folder, 65_534, 65_534);
    const store = { readDay: () => Promise.resolve({ flows: [], unreadable: 0, last: null }) };
    await keepDay({ ...store, restoreFlows: () => Promise.resolve(0) }, {
      folder,
      bucket: null,
      day: { day, stored_ms: 1 },
      isFinal: true,
    });
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    assertEquals(names, [".lock", `flows-${date}.json`, `flows-${date}.parquet`]);
    for (const name of names) {
      const { uid, mode } = await Deno.stat(`${folder}/${name}`);
      assertEquals([uid, mode! & 0o777], [65_534, 0o600], name);
    }
    await Deno.remove(folder, { recursive: true });
  },
});

onBothStores("a day of many row groups, and one without flows, are read back whole", async (place) => {
  const { store, folder } = place;
  await fill(store, 21_500);
  const { manifest } = await keep(place, true);
  assertEquals(manifest.rows, 21_500);
  const empty = { day: day + 86_400 * 9, stored_ms: 5 };
  const none =
    (await keepDay(store, { folder: `${folder}/archive`, bucket: null, day: empty, isFinal: true })).manifest;
  assertEquals(none.rows, 0);
  await store.dropDay(day, "flows");
  let seen = 0;
  const given = await giveBack(store, `${folder}/archive`, manifest, {
    nowMs,
    onProgress: (flows) => {
      assert(flows - seen <= 2_000);
      seen = flows;
    },
  });
  assertEquals(given, { flows: 21_500, inserted: 21_500 });
  assertEquals(await giveBack(store, `${folder}/archive`, none, { nowMs }), { flows: 0, inserted: 0 });
});

Deno.test("a manifest is refused that names another file, is too large, or is none", async () => {
  const folder = await Deno.makeTempDir();
  const bad: Record<string, string> = {
    "flows-2026-01-15.json": JSON.stringify({ format: "picket.archive", file: "../../etc/passwd" }),
    "flows-2026-01-16.json": "{",
    "flows-2026-01-17.json": " ".repeat(70_000),
    "flows-2026-01-18.json": "[]",
    "other.json": "{}",
  };
  for (const [name, text] of Object.entries(bad)) await Deno.writeTextFile(`${folder}/${name}`, text);
  const { manifests, problems } = await readManifests(folder);
  assertEquals([manifests.length, problems.map(({ file }) => file).sort()], [
    0,
    Object.keys(bad).slice(0, 4),
  ]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("days have names, and what is no day has none", () => {
  assertEquals([dateOf(1_768_435_200), dayOf("2026-01-15")], ["2026-01-15", 1_768_435_200]);
  for (const text of ["2026-02-30", "2026-1-15", "20260115", "", "2026-01-15/.."]) {
    assertEquals(dayOf(text), null);
  }
});
