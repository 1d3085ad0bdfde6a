/** Where archived days are: a folder, or a bucket with a folder for what is under way.
 *
 * In: what the option says. Out: manifests, files. Invariant: a manifest appears after the file that it describes, and
 * leaves before that file changes, so a day with a manifest is archived. In a bucket's folder nothing is left behind.
 * Two aggregators never write one day at once: in a folder a lock keeps them apart, in a bucket retention's lease. A
 * person's command on another machine is kept apart by nothing: it writes the same flows. @module */

import { Bucket, type BucketSettings, readBucket } from "./bucket.ts";
import {
  type Manifest,
  manifestOctetsMax,
  nameOf,
  ownLikeFolder,
  parseManifest,
  problemOfFile,
  readManifests,
  sortManifests,
  syncFolder,
  textOfManifest,
  writeManifest,
} from "./manifest.ts";

export interface PlaceSettings {
  /** The archive; or, of a bucket, where files are made. */
  folder: string;
  bucket: BucketSettings | null;
}

/** The place that an option names: a folder, or s3://BUCKET/PREFIX with files made below `stateFolder`.
 * @throws {RangeError} what is wrong with it, or missing in the environment */
export function readPlace(
  where: string,
  stateFolder: string,
  env: (name: string) => string | undefined,
): PlaceSettings {
  return where.startsWith("s3:")
    ? { folder: `${stateFolder}/archive`, bucket: readBucket(where, env) }
    : { folder: where, bucket: null };
}

export interface Found {
  manifests: Manifest[];
  problems: { file: string; reason: string }[];
}

export class ArchivePlace {
  readonly folder: string;
  readonly #bucket: Bucket | null;

  constructor({ folder, bucket }: PlaceSettings) {
    this.folder = folder;
    this.#bucket = bucket === null ? null : new Bucket(bucket);
  }

  /** Those of `date`, or all, by day and part; those that cannot be read beside them, each with its reason. */
  async manifests(date = ""): Promise<Found> {
    const bucket = this.#bucket;
    if (bucket === null) {
      const { manifests, problems } = await readManifests(this.folder);
      return { manifests: manifests.filter(({ day }) => date === "" || day === date), problems };
    }
    const found: Found = { manifests: [], problems: [] };
    for (const file of await bucket.list(`flows-${date}`)) {
      if (!/^flows-[^/]*\.json$/.test(file)) continue;
      const text = await bucket.read(file);
      try {
        if (text.length > manifestOctetsMax) throw new RangeError("it is too large for a manifest");
        found.manifests.push(parseManifest(text, file));
      } catch (error) {
        found.problems.push({ file, reason: (error as Error).message.split("\n")[0].slice(0, 200) });
      }
    }
    sortManifests(found.manifests);
    return found;
  }

  /** Why the file of a manifest is not there as it was written; null = it is. */
  async problemOf(manifest: Manifest): Promise<string | null> {
    if (this.#bucket === null) return await problemOfFile(this.folder, manifest);
    const there = await this.#bucket.look(manifest.file);
    if (there === null) return "it is not in the bucket";
    if (there.octets !== manifest.octets) {
      return `it has ${there.octets} octets and must have ${manifest.octets}`;
    }
    return there.sha256 === manifest.sha256
      ? null
      : `its SHA-256 is ${there.sha256.slice(0, 64)} and must be ${manifest.sha256}`;
  }

  /** Puts a file that was made in the folder where the archive is, then its manifest.
   * `replaced`: whose file has the same name. */
  async take(temporary: string, manifest: Manifest, replaced: Manifest | null): Promise<void> {
    if (replaced !== null) await this.#removeManifest(replaced);
    if (this.#bucket !== null) {
      await this.#bucket.putFile(manifest.file, temporary, manifest.sha256);
      await Deno.remove(temporary);
    } else {
      await ownLikeFolder(temporary, this.folder);
      await Deno.rename(temporary, `${this.folder}/${manifest.file}`);
      await syncFolder(this.folder);
    }
    await this.describe(manifest);
  }

  /** Writes a manifest whose file is there. */
  async describe(manifest: Manifest): Promise<void> {
    if (this.#bucket === null) return await writeManifest(this.folder, manifest);
    await this.#bucket.put(`${nameOf(manifest.day, manifest.part)}.json`, textOfManifest(manifest));
  }

  async #removeManifest({ day, part }: Manifest): Promise<void> {
    const name = `${nameOf(day, part)}.json`;
    if (this.#bucket !== null) return await this.#bucket.remove(name);
    await Deno.remove(`${this.folder}/${name}`);
    await syncFolder(this.folder);
  }

  /** Runs `work` while the file of a manifest is in the folder. */
  async withFile<Result>(manifest: Manifest, work: (folder: string) => Promise<Result>): Promise<Result> {
    if (this.#bucket === null) return await work(this.folder);
    await Deno.mkdir(this.folder, { recursive: true, mode: 0o700 });
    const folder = await Deno.makeTempDir({ dir: this.folder, prefix: "fetched-" });
    try {
      await this.#bucket.fetch(manifest.file, manifest.octets, `${folder}/${manifest.file}`);
      return await work(folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }
}
