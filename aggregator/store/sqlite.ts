/** SQLite behind the database seam: the embedded default, one file, nothing to set up.
 *
 * In: a path, or ":memory:". Out: sessions. Invariant: one writer at a time in this process; readers see only what is committed.
 * Why two connections: the calls are synchronous, but a transaction awaits between them; a reader on the writer's connection would
 * see it half done. In memory there can be only one connection, so readers wait for the writer there.
 * Why synchronous=FULL: an acknowledged batch is deleted by its sensor, so a commit must survive a power cut. @module */

import { DatabaseSync, type StatementSync } from "node:sqlite";
import { systemClock } from "../../shared/clock.ts";
import { flowIdNumber } from "../model/flow_id.ts";
import {
  type Database,
  marks,
  type Row,
  type RowSink,
  type RowSource,
  type Session,
  type Value,
} from "./database.ts";
import { sqliteDialect } from "./dialects.ts";
import { StoreUnavailable } from "./store.ts";

const busyTimeoutMs = 5_000;
const statementsMax = 200;
/** Rows written without letting others run: some 20 ms. */
const rowsPerTurn = 4_000;
const sqliteConstraintUnique = [1555, 2067];
/** Busy, locked, read-only, I/O error, full, cannot open: time or an operator can help. */
const unavailableCodes = new Set([5, 6, 8, 10, 13, 14]);

export class SqliteDatabase implements Database {
  readonly dialect = sqliteDialect;
  #path: string;
  #writer: Connection | null = null;
  #reader: Connection | null = null;
  /** Ends when the last transaction asked for so far has ended. */
  #tail: Promise<unknown> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  open(): Promise<void> {
    try {
      this.#writer = new Connection(this.#path);
      this.#reader = this.#path === ":memory:" ? null : new Connection(this.#path);
      return Promise.resolve();
    } catch (cause) {
      this.#writer?.close();
      this.#writer = null;
      return Promise.reject(
        new StoreUnavailable(`Cannot open database file "${this.#path}": ${(cause as Error).message}`, {
          cause,
        }),
      );
    }
  }

  async close(): Promise<void> {
    await this.#tail.catch(() => undefined);
    this.#reader?.close();
    this.#writer?.close();
    this.#reader = this.#writer = null;
  }

  read<Result>(work: (session: Session) => Promise<Result>): Promise<Result> {
    const reader = this.#reader;
    return reader ? guarded(() => work(reader)) : this.#alone(() => work(this.#open()));
  }

  transaction<Result>(work: (session: Session) => Promise<Result>): Promise<Result> {
    return this.#alone(async () => {
      const writer = this.#open();
      writer.exec("BEGIN IMMEDIATE");
      try {
        const result = await work(writer);
        writer.exec("COMMIT");
        return result;
      } catch (error) {
        writer.rollback();
        throw error;
      }
    });
  }

  isDuplicateKey(error: unknown): boolean {
    return sqliteConstraintUnique.includes(codeOf(error)) ||
      sqliteConstraintUnique.includes(codeOf((error as Error)?.cause));
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

class Connection implements Session {
  #database: DatabaseSync;
  #statements = new Map<string, StatementSync>();

  constructor(path: string) {
    this.#database = new DatabaseSync(path);
    this.#database.exec(
      `PRAGMA busy_timeout = ${busyTimeoutMs}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; ` +
        `PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY`,
    );
  }

  exec(sql: string): void {
    this.#database.exec(sql);
  }

  /** Ends the open transaction, if SQLite has not ended it by itself as it does after some errors. */
  rollback(): void {
    try {
      this.#database.exec("ROLLBACK");
    } catch {
      // No transaction is open any more; that is what was wanted.
    }
  }

  // deno-lint-ignore require-await
  async all(sql: string, values: readonly Value[] = []): Promise<Row[]> {
    return this.#prepare(sql).all(...values) as Row[];
  }

  // deno-lint-ignore require-await
  async run(sql: string, values: readonly Value[] = []): Promise<number> {
    return Number(this.#prepare(sql).run(...values).changes);
  }

  async batch(sql: string, rows: readonly (readonly Value[])[]): Promise<void> {
    for (let from = 0; from < rows.length; from += rowsPerTurn) {
      // Requests are answered between turns; the transaction is the writer's own connection, so nobody sees it half done.
      if (from > 0) await systemClock.sleep(0);
      const statement = this.#prepare(sql);
      for (const row of rows.slice(from, from + rowsPerTurn)) statement.run(...row);
    }
  }

  async insert(table: string, columns: readonly string[], rows: RowSource): Promise<number> {
    const sql = `INSERT OR IGNORE INTO ${table} (${columns.join(", ")}) VALUES (${marks(columns.length)})`;
    const values = new RowValues();
    let inserted = 0;
    for (let row = 0; row < rows.count;) {
      if (row > 0) await systemClock.sleep(0);
      const statement = this.#prepare(sql);
      for (const end = Math.min(rows.count, row + rowsPerTurn); row < end; row++) {
        values.list.length = 0;
        rows.write(row, values);
        inserted += Number(statement.run(...values.list).changes);
      }
    }
    return inserted;
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) {
      if (this.#statements.size >= statementsMax) {
        this.#statements.delete(this.#statements.keys().next().value!);
      }
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

class RowValues implements RowSink {
  readonly list: (string | number | bigint | null | Uint8Array)[] = [];

  integer(value: number): void {
    this.list.push(value);
  }

  key(us: number, slot: number): void {
    this.list.push(flowIdNumber(us, slot));
  }

  octets(bytes: Uint8Array, from: number, to: number): void {
    this.list.push(bytes.subarray(from, to));
  }

  text(value: string): void {
    this.list.push(value);
  }

  choice(_words: readonly string[], place: number): void {
    this.list.push(place + 1);
  }

  nothing(): void {
    this.list.push(null);
  }
}

async function guarded<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    const code = codeOf(cause);
    if (!unavailableCodes.has(code & 255)) throw cause;
    throw new StoreUnavailable(`Cannot use database file: ${(cause as Error).message}`, { cause });
  }
}

function codeOf(error: unknown): number {
  const code = (error as { errcode?: unknown })?.errcode;
  return typeof code === "number" ? code : 0;
}
