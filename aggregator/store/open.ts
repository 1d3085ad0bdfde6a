/** Which store a URL names.
 *
 * In: `sqlite:PATH`, `sqlite::memory:` or `mariadb://user:password@host:port/database`.
 * Out: a store that is not started yet.
 * Why a variable for the password: an argument is visible to every user of the machine. @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { Places } from "../model/place.ts";
import type { Database } from "./database.ts";
import { MariadbDatabase } from "./mariadb.ts";
import { SqliteDatabase } from "./sqlite.ts";
import { sqlStore } from "./sql_store.ts";
import type { Store } from "./store.ts";

const defaultPort = 3306;
const defaultDatabase = "picket";

export interface OpenDeps {
  reporter: Reporter;
  clock?: Clock;
  env?: (name: string) => string | undefined;
  /** Authorities (PEM) for a MariaDB that is to be spoken to with TLS. */
  ca?: string;
  /** Where addresses are, for filters that ask. @default nothing is known */
  places?: Places;
}

/** @throws {RangeError} when `url` names no store. The message never holds a password. */
export function openStore(url: string, deps: OpenDeps): Store {
  return sqlStore(openDatabase(url, deps), deps);
}

/** The database below a store, not opened yet. @throws {RangeError} as {@link openStore}. */
export function openDatabase(url: string, deps: OpenDeps): Database {
  const scheme = url.slice(0, url.indexOf(":"));
  if (deps.ca !== undefined && scheme !== "mariadb") {
    throw new RangeError(
      "Cannot open store with a certificate authority as only MariaDB is reached over a network",
    );
  }
  if (scheme === "sqlite" && url.length > "sqlite:".length) {
    return new SqliteDatabase(url.slice("sqlite:".length), deps);
  }
  if (scheme === "mariadb") return openMariadb(url, deps);
  const rule = "must be sqlite:PATH or mariadb://user@host:port/database";
  throw new RangeError(`Cannot open store as its URL ${rule}: current scheme is "${scheme.slice(0, 20)}"`);
}

function openMariadb(url: string, deps: OpenDeps): MariadbDatabase {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw new RangeError(
      "Cannot open store as its URL must be mariadb://user@host:port/database: it cannot be read",
    );
  }
  return new MariadbDatabase({
    host: parsed.hostname.replace(/^\[|\]$/g, "") || "127.0.0.1",
    port: Number(parsed.port || defaultPort),
    user: decodeURIComponent(parsed.username),
    password: decodeURIComponent(parsed.password) || (deps.env?.("PICKET_STORE_PASSWORD") ?? ""),
    database: decodeURIComponent(parsed.pathname.slice(1)) || defaultDatabase,
    ...(deps.ca === undefined ? {} : { ca: deps.ca }),
  }, deps);
}
