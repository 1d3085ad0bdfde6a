/** SQLite behind the database seam: the embedded default, one file, nothing to set up.
 *
 * In: a path, or ":memory:". Out: sessions. Invariant: one writer at a time in this process; readers see only what is
 * committed; nobody waits for a lock without letting others run, and nobody for longer than {@link lockMsMax}.
 * Why several connections: the calls are synchronous, but a transaction awaits between them; a reader on the writer's
 * connection would see it half done. People's questions have threads of their own. In memory there can be only one
 * connection, so readers wait for the writer there.
 * A write that failed for want of space, lock or file stays known until one succeeds, so that a ping can say so.
 * @module */

import { type Clock, systemClock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { Database, Session, TransactionOptions } from "./database.ts";
import { sqliteDialect } from "./dialects.ts";
import { OpenSession } from "./open_session.ts";
import { Checkpoints } from "./sqlite_checkpoints.ts";
import { Connection } from "./sqlite_connection.ts";
import { type QueryLimits, QueryThreads } from "./sqlite_queries.ts";
import { StoreUnavailable } from "./store.ts";

const lockMsMax = 5_000;
const lockPauseMsMax = 250;
const sqliteBusy = 5;
/** Commits: a command that writes a little needs no thread for it. */
const checkpointsAfter = 100;
const sqliteConstraintUnique = [1555, 2067];
/** Permission, busy, locked, no memory, read-only, interrupted, I/O error, damaged, full, cannot open, lock protocol,
 * no database: time or an operator can help. */
const unavailableCodes = new Set([3, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 26]);

export class SqliteDatabase implements Database {
  readonly dialect = sqliteDialect;
  #path: string;
  #clock: Clock;
  #writer: Connection | null = null;
  #reader: Connection | null = null;
  #queries: QueryThreads | null = null;
  #checkpoints: Checkpoints | null = null;
  #commits = 0;
  #makeQueries: () => QueryThreads;
  /** Ends when the last transaction asked for so far has ended. */
  #tail: Promise<unknown> = Promise.resolve();
  /** Why the last write could not be done; null = it could. */
  #problem: unknown = null;

  constructor(
    path: string,
    deps: { reporter: Reporter; clock?: Clock },
    limits: Partial<QueryLimits> = {},
  ) {
    this.#path = path;
    const { clock = systemClock, reporter } = deps;
    this.#clock = clock;
    this.#makeQueries = () => new QueryThreads(path, limits, { clock: systemClock, reporter });
  }

  async open(): Promise<void> {
    try {
      this.#writer = await this.#whenFree(() => new Connection(this.#path));
      if (this.#path !== ":memory:") {
        this.#reader = await this.#whenFree(() => new Connection(this.#path));
        this.#queries = this.#makeQueries();
      }
    } catch (cause) {
      this.#writer?.close();
      this.#writer = null;
      throw new StoreUnavailable(`Cannot open database file "${this.#path}": ${(cause as Error).message}`, {
        cause,
      });
    }
  }

  async close(): Promise<void> {
    await this.#tail.catch(() => undefined);
    this.#queries?.close();
    this.#checkpoints?.close();
    this.#reader?.close();
    this.#writer?.close();
    this.#reader =
      this.#writer =
      this.#queries =
      this.#checkpoints =
        null;
  }

  read<Result>(work: (session: Session) => Promise<Result>): Promise<Result> {
    const reader = this.#reader;
    return reader ? guarded(() => work(reader)) : this.#alone(() => work(this.#open()));
  }

  query<Result>(work: (session: Session) => Promise<Result>): Promise<Result> {
    const queries = this.#queries;
    return queries ? guarded(() => queries.query(work)) : this.read(work);
  }

  transaction<Result>(
    work: (session: Session) => Promise<Result>,
    { isDurable = true }: TransactionOptions = {},
  ): Promise<Result> {
    return this.#alone(async () => {
      const writer = this.#open(), session = new OpenSession(writer);
      try {
        await this.#whenFree(() => writer.begin(isDurable));
        const result = await work(session).finally(() => session.end());
        writer.commit();
        if (++this.#commits === checkpointsAfter && this.#reader) {
          this.#checkpoints = new Checkpoints(this.#path);
        }
        this.#problem = null;
        return result;
      } catch (error) {
        writer.rollback();
        if (unavailableCodes.has(codeOf(error) & 255)) this.#problem = error;
        throw error;
      }
    });
  }

  async define(sql: string): Promise<void> {
    await this.transaction((session) => session.run(sql));
  }

  /** Reads; and writes when the last write failed, to see whether it would now. */
  async ping(): Promise<void> {
    await this.read((session) => session.all("SELECT COUNT(*) FROM schema_versions"));
    if (this.#problem === null) return;
    await this.transaction((session) => session.run("UPDATE schema_versions SET applied_ms = applied_ms"));
  }

  isDuplicateKey(error: unknown): boolean {
    return sqliteConstraintUnique.includes(codeOf(error)) ||
      sqliteConstraintUnique.includes(codeOf((error as Error)?.cause));
  }

  /** Another program may hold the lock: `token` and `key` write to the same file, and one that leaves tidies it. */
  async #whenFree<Result>(work: () => Result): Promise<Result> {
    const endsMs = this.#clock.monotonicMs() + lockMsMax;
    for (let pauseMs = 10;; pauseMs = Math.min(pauseMs * 2, lockPauseMsMax)) {
      try {
        return work();
      } catch (error) {
        if ((codeOf(error) & 255) !== sqliteBusy || this.#clock.monotonicMs() >= endsMs) throw error;
        await this.#clock.sleep(pauseMs);
      }
    }
  }

  #open(): Connection {
    if (this.#writer === null) throw new StoreUnavailable("Cannot use store as it is not started");
    return this.#writer;
  }

  #alone<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#tail.catch(() => undefined).then(() => guarded(work));
    this.#tail = done;
    return done;
  }
}

async function guarded<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    if (!unavailableCodes.has(codeOf(cause) & 255)) throw cause;
    throw new StoreUnavailable(`Cannot use database file: ${(cause as Error).message}`, { cause });
  }
}

function codeOf(error: unknown): number {
  const code = (error as { errcode?: unknown })?.errcode;
  return typeof code === "number" ? code : 0;
}
