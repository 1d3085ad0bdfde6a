/** The file of a SQLite database, copied and replaced as a whole.
 *
 * In: the file of a backup. Out: the database restored from it, or why not; a copy as of one moment, while others
 * write. Invariant: nothing is changed unless the backup is a sound database of a version known here and nobody has the
 * present one open; a crash leaves the old one or the new one. @module */

import { backup, DatabaseSync } from "node:sqlite";
import { steps } from "./migrate.ts";

/** More than a file has. */
const pagesMax = 2 ** 31 - 1;

export class SqliteFile {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** Copies in one step: between two of them somebody's write would make the copy begin anew. The copy has no log
   * beside it, so that it can be read where nobody may write. Not by `VACUUM INTO`, which the runtime refuses to a
   * program without all permissions. */
  async copyInto(path: string): Promise<void> {
    const database = new DatabaseSync(this.#path);
    try {
      await backup(database, path, { rate: pagesMax });
    } finally {
      database.close();
    }
    const copy = new DatabaseSync(path);
    try {
      copy.prepare("PRAGMA journal_mode = DELETE").all();
    } finally {
      copy.close();
    }
  }

  /** Null = done. */
  async replaceBy(backup: string): Promise<string | null> {
    const unsound = problemOf(backup);
    if (unsound !== null) return unsound;
    if (!isAlone(this.#path)) return "the database is in use: stop the aggregator first";
    const part = `${this.#path}.part`;
    await Deno.copyFile(backup, part);
    await Deno.chmod(part, 0o600);
    const file = await Deno.open(part, { read: true, write: true });
    await file.sync();
    file.close();
    // What belongs to the old file must not be taken for the new one's.
    for (const end of ["-wal", "-shm"]) await removeIfThere(`${this.#path}${end}`);
    await Deno.rename(part, this.#path);
    return null;
  }
}

function problemOf(path: string): string | null {
  try {
    const database = new DatabaseSync(path, { readOnly: true });
    try {
      const [{ version }] = database.prepare("SELECT MAX(version) AS version FROM schema_versions").all();
      if (typeof version !== "number" || version < 1 || version > steps.length) {
        return `its schema must be of version 1 to ${steps.length}: current version is ${version}`;
      }
      const found = database.prepare("PRAGMA quick_check(1)").all().map((row) => Object.values(row)[0]);
      return found[0] === "ok" ? null : `it is damaged: ${found[0]}`;
    } finally {
      database.close();
    }
  } catch (error) {
    return `it is no database of Picket: ${(error as Error).message}`;
  }
}

/** The log can be given up only by whoever is alone with the file. */
function isAlone(path: string): boolean {
  const database = new DatabaseSync(path);
  try {
    const [row] = database.prepare("PRAGMA journal_mode = DELETE").all();
    return Object.values(row)[0] === "delete";
  } catch {
    return false;
  } finally {
    database.close();
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
