/** Archives a whole day of flows in a folder or a bucket before it is dropped from the store.
 *
 * In: a store, a day, a place. Out: one Parquet file and its manifest, durable.
 * Invariant: memory holds {@link rowsPerGroup} flows, however many the day has. A final part is never overwritten:
 * flows that arrive after their day was dropped become the next part. A day that was restored and did not change gives
 * the same octets, and no new part.
 * Why one file a day for all sites: `network` is a column; a fleet of 300 sites would make 300 small files a day.
 * @module */

import { createHash } from "node:crypto";
import { addToSums, type ArchivedFlow, type DaySums, noSums } from "../model/archived.ts";
import type { StoredDay } from "../model/retention.ts";
import type { ArchiveStore } from "../store/store.ts";
import { archiveTable, archiveVersion, cellsOfArchived } from "./flow_table.ts";
import { dateOf, type Manifest, nameOf, ownLikeFolder, writeAll } from "./manifest.ts";
import { ParquetEncoder } from "./parquet.ts";
import { ArchivePlace, type PlaceSettings } from "./place.ts";

const rowsPerRead = 2_000;
/** Packing them takes some 100 MB for the moment; larger groups pack little better. */
const rowsPerGroup = 6_000;

export interface KeepOptions extends PlaceSettings {
  day: Pick<StoredDay, "day" | "stored_ms">;
  /** The day will leave the store. */
  isFinal: boolean;
  onProgress?: (flows: number) => void;
  /** @throws its reason when it aborts, after the half file was removed. */
  signal?: AbortSignal;
}

/** Returns the manifest of what holds the day as it is now, and whether it was there already. */
export async function keepDay(
  store: ArchiveStore,
  options: KeepOptions,
): Promise<{ manifest: Manifest; wasThere: boolean }> {
  const { folder, day, isFinal } = options;
  const place = new ArchivePlace(options);
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  const lock = await Deno.open(`${folder}/.lock`, { write: true, create: true, mode: 0o600 });
  try {
    // Retention and a person's command may want the same day at once.
    await lock.lock(true);
    await ownLikeFolder(`${folder}/.lock`, folder);
    const date = dateOf(day.day);
    const parts = (await place.manifests(date)).manifests;
    const last = parts.at(-1);
    if (last?.stored_ms === day.stored_ms && await place.problemOf(last) === null) {
      return { manifest: await finalise(place, last, isFinal), wasThere: true };
    }
    const temporary = `${folder}/flows-${date}.parquet.part`;
    const manifest = await writePart(store, options, temporary, last);
    const same = sameAs(manifest, parts);
    if (same && await place.problemOf(same) === null) {
      await Deno.remove(temporary);
      const kept = await finalise(place, { ...same, stored_ms: day.stored_ms }, isFinal, true);
      return { manifest: kept, wasThere: true };
    }
    await place.take(temporary, manifest, last?.part === manifest.part ? last : null);
    return { manifest, wasThere: false };
  } finally {
    lock.close();
  }
}

/** The part that makes a new one needless: of the same octets, or the last of several that together hold the same. */
function sameAs(
  written: Pick<Manifest, "sha256" | "sums">,
  parts: readonly Manifest[],
): Manifest | undefined {
  const equal = parts.find(({ sha256 }) => sha256 === written.sha256);
  if (equal !== undefined || parts.length < 2) return equal;
  const names = Object.keys(written.sums) as (keyof DaySums)[];
  const isUnion = names.every((name) =>
    parts.reduce((sum, { sums }) => sum + sums[name], 0) === written.sums[name]
  );
  return isUnion ? parts.at(-1) : undefined;
}

async function finalise(
  place: ArchivePlace,
  manifest: Manifest,
  isFinal: boolean,
  hasChanged = false,
): Promise<Manifest> {
  if (!hasChanged && (manifest.is_final || !isFinal)) return manifest;
  const changed = { ...manifest, is_final: manifest.is_final || isFinal };
  await place.describe(changed);
  return changed;
}

/** Writes all flows of a day into a file that has not got its name yet, and syncs it. */
async function writePart(
  store: ArchiveStore,
  { day, isFinal, onProgress, signal }: KeepOptions,
  path: string,
  last: Manifest | undefined,
): Promise<Manifest> {
  const file = await Deno.open(path, { write: true, create: true, truncate: true, mode: 0o600 });
  const hash = createHash("sha256"), sums = noSums();
  let octets = 0, unreadable = 0, isDone = false;
  const write = async (bytes: Uint8Array) => {
    hash.update(bytes);
    octets += bytes.length;
    await writeAll(file, bytes);
  };
  try {
    const encoder = new ParquetEncoder(archiveTable, { "picket.archive": String(archiveVersion) });
    for await (const group of groupsOf(store, day.day, (count) => unreadable += count)) {
      signal?.throwIfAborted();
      for (const one of group) addToSums(sums, one);
      await write(encoder.rows(group.map(cellsOfArchived)));
      onProgress?.(sums.flows);
    }
    await write(encoder.end());
    await file.sync();
    isDone = true;
  } finally {
    file.close();
    if (!isDone) await Deno.remove(path).catch(() => undefined); // What is wrong is said by what was thrown.
  }
  // A part that is not final is written over by what holds all that it held, and by nothing else.
  const isNext = last !== undefined && (last.is_final || sums.flows < last.rows);
  const date = dateOf(day.day), part = (last?.part ?? 1) + (isNext ? 1 : 0);
  return {
    format: "picket.archive",
    version: archiveVersion,
    day: date,
    part,
    file: `${nameOf(date, part)}.parquet`,
    octets,
    sha256: hash.digest("hex"),
    rows: sums.flows,
    unreadable,
    columns: archiveTable,
    sums,
    stored_ms: day.stored_ms,
    is_final: isFinal,
  };
}

async function* groupsOf(
  store: ArchiveStore,
  day: number,
  onUnreadable: (count: number) => void,
): AsyncGenerator<ArchivedFlow[]> {
  let group: ArchivedFlow[] = [];
  for (let after: string | null = null;;) {
    const { flows, unreadable, last } = await store.readDay(day, after, rowsPerRead);
    onUnreadable(unreadable);
    group.push(...flows);
    if (group.length >= rowsPerGroup || (last === null && group.length > 0)) {
      yield group;
      group = [];
    }
    if (last === null) return;
    after = last;
  }
}
