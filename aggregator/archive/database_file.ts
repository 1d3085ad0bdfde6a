/** The whole database as one file: backup and restore.
 *
 * In: the URL of a store, the name of a file.
 * Out: the file, whole under its name after fsync, or the database made from it.
 * Invariant: an existing file is never overwritten. SQLite's file is replaced only when nobody has it open.
 * Why MariaDB's own programs: they know every version of the server, its views and its partitions,
 * and read one consistent snapshot. @module */

import { openDatabase } from "../store/open.ts";
import { SqliteFile } from "../store/sqlite_file.ts";
import type { Store } from "../store/store.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { syncFolder } from "./manifest.ts";

export interface Target {
  /** The store's. */
  url: string;
  /** Of the database user. */
  password: string;
  /** File with the certificate authority of a store that is reached with TLS; "" = it is not. */
  caFile: string;
  reporter: Reporter;
}

/** Thrown when a backup cannot be made or brought back; the message says what to do. */
export class BackupProblem extends Error {
  override name = "BackupProblem";
}

/** Copies the database into a new file while others go on. Returns its octets. @throws {BackupProblem} */
export async function backUp(target: Target, path: string): Promise<number> {
  const { url } = target;
  if (await Deno.stat(path).then(() => true, () => false)) {
    throw new BackupProblem(`Cannot write "${path}" as it is there already`);
  }
  const part = `${path}.part`;
  await Deno.remove(part).catch(() => undefined); // Left by a backup that was stopped; most often there is none.
  try {
    // Made here, so that it is its owner's alone from the start.
    const file = await Deno.open(part, { write: true, createNew: true, mode: 0o600 });
    if (url.startsWith("sqlite:")) {
      file.close();
      await new SqliteFile(url.slice("sqlite:".length)).copyInto(part);
    } else await dump(target, file);
    const written = await Deno.open(part, { read: true, write: true });
    await written.sync();
    const { size } = await written.stat();
    written.close();
    await Deno.rename(part, path);
    await syncFolder(path.includes("/") ? path.slice(0, path.lastIndexOf("/")) || "/" : ".");
    return size;
  } catch (error) {
    await Deno.remove(part).catch(() => undefined);
    throw error;
  }
}

async function dump(target: Target, file: Deno.FsFile): Promise<void> {
  const { args, database, env } = clientOf(target);
  const child = start("mariadb-dump", {
    args: [...args, "--single-transaction", "--quick", "--hex-blob", "--no-tablespaces", database],
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
  const said = new Response(child.stderr).text();
  await child.stdout.pipeTo(file.writable);
  await ended(child, "mariadb-dump", await said);
}

/** Makes the database anew from a file.
 * `store` is the present one, open; it is closed in between. @throws {BackupProblem} */
export async function bringBack(store: Store, target: Target, path: string, force: boolean): Promise<void> {
  if (!force && !await store.isEmpty()) {
    throw new BackupProblem(
      "Cannot restore as the store must be empty: it holds flows, threats or sensors, which --force would replace",
    );
  }
  await store.stop();
  const { url } = target;
  if (url.startsWith("sqlite:")) {
    const problem = await new SqliteFile(url.slice("sqlite:".length)).replaceBy(path);
    if (problem !== null) throw new BackupProblem(`Cannot restore from "${path}": ${problem}`);
    return;
  }
  await checkDump(path);
  await clear(target);
  const { args, database, env } = clientOf(target);
  const file = await Deno.open(path, { read: true });
  const child = start("mariadb", {
    args: [...args, database],
    env,
    stdin: "piped",
    stdout: "null",
    stderr: "piped",
  });
  const said = new Response(child.stderr).text();
  const broken = await file.readable.pipeTo(child.stdin).then(() => null, (error: Error) => error);
  // A client that ends early closes the pipe; what it said is the reason, and it may have said nothing.
  await ended(child, "mariadb", await said);
  if (broken !== null) {
    throw new BackupProblem(`Cannot restore from "${path}" as not all of it was read: ${broken.message}`);
  }
}

/** A dump ends with a line that says so: one that was cut off does not have it. */
async function checkDump(path: string): Promise<void> {
  const file = await Deno.open(path, { read: true });
  try {
    const { size } = await file.stat();
    await file.seek(Math.max(0, size - 200), Deno.SeekMode.Start);
    const octets = new Uint8Array(200);
    const count = await file.read(octets) ?? 0;
    if (new TextDecoder().decode(octets.subarray(0, count)).includes("-- Dump completed")) return;
    throw new BackupProblem(`Cannot restore from "${path}" as it is no whole dump: its last line is missing`);
  } finally {
    file.close();
  }
}

/** Drops what is there, so that nothing of it is mixed with the dump. */
async function clear({ url, password, caFile, reporter }: Target): Promise<void> {
  const env = (name: string) => name === "PICKET_STORE_PASSWORD" ? password : undefined;
  const tls = caFile === "" ? {} : { ca: await Deno.readTextFile(caFile) };
  const database = openDatabase(url, { reporter, env, ...tls });
  await database.open();
  try {
    const found = await database.read((session) =>
      session.all(
        "SELECT table_name AS name, table_type AS kind FROM information_schema.tables WHERE table_schema = DATABASE()",
      )
    );
    for (const { name, kind } of found) {
      const what = kind === "VIEW" ? "VIEW" : "TABLE";
      await database.transaction((session) => session.run(`DROP ${what} \`${name}\``));
    }
  } finally {
    await database.close();
  }
}

function clientOf({ url, password, caFile }: Target) {
  const { hostname, port, username, pathname, password: given } = new URL(url);
  return {
    args: [
      "--no-defaults",
      `--host=${hostname.replace(/^\[|\]$/g, "")}`,
      `--port=${port || "3306"}`,
      `--user=${decodeURIComponent(username)}`,
      "--default-character-set=utf8mb4",
      ...caFile === "" ? [] : [`--ssl-ca=${caFile}`, "--ssl-verify-server-cert"],
    ],
    database: decodeURIComponent(pathname.slice(1)) || "picket",
    // Not as an argument, which every user of the machine can read.
    env: { MYSQL_PWD: decodeURIComponent(given) || password },
  };
}

function start(program: string, options: Deno.CommandOptions): Deno.ChildProcess {
  try {
    return new Deno.Command(program, options).spawn();
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new BackupProblem(
      `Cannot go on as ${program} must be installed (Debian: mariadb-client); days of flows alone need db export`,
      { cause },
    );
  }
}

async function ended(child: Deno.ChildProcess, program: string, said: string): Promise<void> {
  const { success } = await child.status;
  if (!success) throw new BackupProblem(`${program} failed: ${said.trim().slice(0, 500)}`);
}
