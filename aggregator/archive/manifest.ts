/** What an archived day is, in a small JSON file beside it.
 *
 * In: what was written. Out: manifests of a folder, checked. Invariant: a manifest exists only once its file is
 * complete on disk under its name; so a day without one is not archived. Every file appears by rename, after fsync.
 * @module */

import { createHash } from "node:crypto";
import { z } from "../../shared/schema.ts";
import type { DaySums } from "../model/archived.ts";

const count = z.int().min(0);
const sums = z.strictObject({
  flows: count,
  packets: z.number().min(0),
  bytes: z.number().min(0),
  sightings: count,
  threat_links: count,
});
const manifestSchema = z.strictObject({
  format: z.literal("picket.archive"),
  version: z.int().min(1),
  /** UTC. */
  day: z.string().regex(/^[0-9]{4}-[0-9]{2}-[0-9]{2}$/),
  /** What came after the day had left is a further part. */
  part: z.int().min(1).max(9_999),
  file: z.string().regex(/^flows-[0-9]{4}-[0-9]{2}-[0-9]{2}(?:\.[0-9]{1,4})?\.parquet$/),
  octets: count,
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  rows: count,
  /** Rows of the store that could not be read, and are not in the file. */
  unreadable: count,
  columns: z.record(z.string(), z.string()),
  sums,
  /** The day in the store as it was then: whether anything came since. */
  stored_ms: count,
  /** The day is about to leave the store, or has left it: the file is never written over. */
  is_final: z.boolean(),
});
export type Manifest = z.infer<typeof manifestSchema>;
// What is added up is what a manifest holds.
export type SumsAgree = Manifest["sums"] extends DaySums ? true : never;

export const manifestOctetsMax = 64 * 1024;
const partsMax = 100_000;

export function dateOf(day: number): string {
  return new Date(day * 1e3).toISOString().slice(0, 10);
}

/** Epoch seconds of a date's midnight, UTC; null when the text is none. */
export function dayOf(date: string): number | null {
  if (!/^[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(date)) return null;
  const day = Date.parse(`${date}T00:00:00Z`) / 1e3;
  return Number.isFinite(day) && dateOf(day) === date ? day : null;
}

export function nameOf(date: string, part: number): string {
  return part === 1 ? `flows-${date}` : `flows-${date}.${part}`;
}

/** All manifests of a folder, by day and part; those that cannot be read beside them, each with its reason. */
export async function readManifests(
  folder: string,
): Promise<{ manifests: Manifest[]; problems: { file: string; reason: string }[] }> {
  const manifests: Manifest[] = [], problems: { file: string; reason: string }[] = [];
  let seen = 0;
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (!isFile || !/^flows-.*\.json$/.test(name) || ++seen > partsMax) continue;
    try {
      manifests.push(await readManifest(`${folder}/${name}`));
    } catch (error) {
      problems.push({ file: name, reason: (error as Error).message.split("\n")[0].slice(0, 200) });
    }
  }
  sortManifests(manifests);
  return { manifests, problems };
}

/** By day and part. */
export function sortManifests(manifests: Manifest[]): void {
  manifests.sort((a, b) => a.day < b.day ? -1 : a.day > b.day ? 1 : a.part - b.part);
}

async function readManifest(path: string): Promise<Manifest> {
  if ((await Deno.stat(path)).size > manifestOctetsMax) {
    throw new RangeError("it is too large for a manifest");
  }
  return parseManifest(await Deno.readTextFile(path), path.slice(path.lastIndexOf("/") + 1));
}

/** @throws {SyntaxError | RangeError} why the text of the file `name` is no manifest */
export function parseManifest(text: string, name: string): Manifest {
  const read = manifestSchema.safeParse(JSON.parse(text));
  if (!read.success) throw new RangeError(`it is no manifest: ${read.error.issues[0].message}`);
  const manifest = read.data;
  if (name !== `${nameOf(manifest.day, manifest.part)}.json`) {
    throw new RangeError("its name is not that of its day and part");
  }
  if (manifest.file !== `${nameOf(manifest.day, manifest.part)}.parquet`) {
    throw new RangeError("its file is not that of its day and part");
  }
  return manifest;
}

export async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  const path = `${folder}/${nameOf(manifest.day, manifest.part)}.json`;
  const file = await Deno.open(`${path}.part`, { write: true, create: true, truncate: true, mode: 0o600 });
  try {
    await writeAll(file, textOfManifest(manifest));
    await file.sync();
  } finally {
    file.close();
  }
  await ownLikeFolder(`${path}.part`, folder);
  await Deno.rename(`${path}.part`, path);
  await syncFolder(folder);
}

export function textOfManifest(manifest: Manifest): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${JSON.stringify(manifest, null, 2)}\n`);
}

export async function writeAll(file: Deno.FsFile, octets: Uint8Array): Promise<void> {
  for (let at = 0; at < octets.length;) at += await file.write(octets.subarray(at));
}

/** What root's command leaves in a service's folder is the service's, which could not read it else. */
export async function ownLikeFolder(path: string, folder: string): Promise<void> {
  if (Deno.uid() !== 0) return;
  const { uid, gid } = await Deno.stat(folder);
  if (uid !== null && gid !== null) await Deno.chown(path, uid, gid);
}

/** A name is durable once its folder is. */
export async function syncFolder(folder: string): Promise<void> {
  const file = await Deno.open(folder, { read: true });
  try {
    await file.sync();
  } finally {
    file.close();
  }
}

/** Why the file of a manifest is not what was written; null = it is. Reads all of it. */
export async function problemOfFile(folder: string, manifest: Manifest): Promise<string | null> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(`${folder}/${manifest.file}`, { read: true });
  } catch (error) {
    return (error as Error).message;
  }
  try {
    const { size } = await file.stat();
    if (size !== manifest.octets) return `it has ${size} octets and must have ${manifest.octets}`;
    const hash = createHash("sha256"), octets = new Uint8Array(1 << 20);
    for (let count = await file.read(octets); count !== null; count = await file.read(octets)) {
      hash.update(octets.subarray(0, count));
    }
    const found = hash.digest("hex");
    return found === manifest.sha256 ? null : `its SHA-256 is ${found} and must be ${manifest.sha256}`;
  } finally {
    file.close();
  }
}
