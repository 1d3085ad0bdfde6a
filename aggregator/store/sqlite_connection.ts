/** One connection to a SQLite file.
 *
 * In: a path. Out: rows; errors with SQLite's code in `errcode`. Invariant: nothing here waits longer than
 * {@link busyMs} for a lock: the calls are synchronous, and whoever must wait longer does so between calls.
 * Why settings are made, and transactions begin and end, with prepared statements: in Deno 2.9, errors of `exec()`
 * carry no code, so that a full or a locked database could not be told from a fault of ours.
 * Why synchronous=FULL: an acknowledged batch is deleted by its sensor, so a commit must survive a power cut.
 * @module */

import { DatabaseSync, type StatementSync } from "node:sqlite";
import { type Clock, systemClock } from "../../shared/clock.ts";
import { flowIdNumber } from "../model/flow_id.ts";
import { marks, type Row, type RowSink, type RowSource, type Session, type Value } from "./database.ts";

const busyMs = 20;
const statementsMax = 200;
/** Of SQLite's log, 64 MiB: then a commit moves it into the file, unless a thread did so before. */
const logPagesMax = 16_384;
/** Rows written without letting others run: some 20 ms. */
const rowsPerTurn = 4_000;
/** Rows of one statement: a call costs as much as a third of a row. */
const rowsPerStatement = 16;
const octetsAtFirst = 8_192;

export class Connection implements Session {
  #database: DatabaseSync;
  #statements = new Map<string, StatementSync>();
  #isBegun = false;
  #isDurable = true;

  constructor(path: string) {
    if (path !== ":memory:") makePrivate(path);
    this.#database = new DatabaseSync(path);
    try {
      for (
        const setting of [
          `busy_timeout = ${busyMs}`,
          "journal_mode = WAL",
          "synchronous = FULL",
          "cache_size = -65536",
          "temp_store = MEMORY",
          `wal_autocheckpoint = ${logPagesMax}`,
        ]
      ) this.#database.prepare(`PRAGMA ${setting}`).all();
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  /** `isDurable` false: what is committed may be lost with the power, but not with the process. */
  begin(isDurable: boolean): void {
    if (isDurable !== this.#isDurable) {
      // It works when it is prepared, so a statement that is kept would not.
      this.#database.exec(`PRAGMA synchronous = ${isDurable ? "FULL" : "NORMAL"}`);
      this.#isDurable = isDurable;
    }
    this.#prepare("BEGIN IMMEDIATE").run();
    this.#isBegun = true;
  }

  /** Moves what was committed from the log into the file, as far as no reader needs the log. */
  checkpoint(): void {
    this.#prepare("PRAGMA wal_checkpoint(PASSIVE)").all();
  }

  commit(): void {
    this.#prepare("COMMIT").run();
    this.#isBegun = false;
  }

  /** Ends the open transaction, if SQLite has not ended it by itself as it does after some errors. */
  rollback(): void {
    this.#isBegun = false;
    try {
      this.#prepare("ROLLBACK").run();
    } catch {
      // No transaction is open any more; that is what was wanted.
    }
  }

  /** Makes every statement that reads a row of a table stop with an error once `isOver` says so;
   * for a connection that only reads.
   * A view of the same name stands before each table and asks for every row. The function answers with something that
   * SQLite cannot take: one that throws is called again for the next row (Deno 2.9). */
  interruptWhen(isOver: () => boolean): void {
    let calls = 0;
    this.#database.function("picket_go_on", () => {
      const goesOn = (++calls & 127) !== 0 || !isOver();
      return goesOn ? 1 : {} as unknown as number;
    });
    const tables = this.#database.prepare(
      "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
    ).all();
    for (const { name } of tables) {
      this.#database.exec(`CREATE TEMP VIEW "${name}" AS SELECT * FROM main."${name}" WHERE picket_go_on()`);
    }
    this.#database.exec("PRAGMA query_only = ON");
  }

  allNow(sql: string, values: readonly Value[] = []): Row[] {
    return this.#prepare(sql).all(...values) as Row[];
  }

  // deno-lint-ignore require-await
  async all(sql: string, values: readonly Value[] = []): Promise<Row[]> {
    return this.allNow(sql, values);
  }

  // deno-lint-ignore require-await
  async run(sql: string, values: readonly Value[] = []): Promise<number> {
    return Number(this.#prepare(sql).run(...values).changes);
  }

  async batch(sql: string, rows: readonly (readonly Value[])[], clock: Clock = systemClock): Promise<void> {
    for (let from = 0; from < rows.length; from += rowsPerTurn) {
      // Requests are answered between turns;
      // the transaction is the writer's own connection, so nobody sees it half done.
      if (from > 0) await clock.sleep(0);
      const end = Math.min(rows.length, from + rowsPerTurn);
      let at = from;
      const many = end - at >= rowsPerStatement ? ofManyRows(sql) : null;
      if (many !== null) {
        const statement = this.#prepare(many);
        for (; at + rowsPerStatement <= end; at += rowsPerStatement) {
          statement.run(...rows.slice(at, at + rowsPerStatement).flat());
        }
      }
      const statement = this.#prepare(sql);
      for (; at < end; at++) statement.run(...rows[at]);
    }
  }

  async insert(
    table: string,
    columns: readonly string[],
    rows: RowSource,
    clock: Clock = systemClock,
  ): Promise<number> {
    const sql = `INSERT OR IGNORE INTO ${table} (${columns.join(", ")}) VALUES (${marks(columns.length)})`;
    const many = ofManyRows(sql)!;
    const values = new RowValues();
    let inserted = 0;
    for (let row = 0; row < rows.count;) {
      if (row > 0) await clock.sleep(0);
      for (const end = Math.min(rows.count, row + rowsPerTurn); row < end;) {
        const count = end - row >= rowsPerStatement ? rowsPerStatement : 1;
        values.clear();
        for (let i = 0; i < count; i++) rows.write(row++, values);
        inserted += Number(this.#prepare(count === 1 ? sql : many).run(...values.list).changes);
      }
    }
    return inserted;
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  #prepare(sql: string): StatementSync {
    // It would be a transaction of its own.
    if (this.#isBegun && !this.#database.isTransaction) {
      throw new Error("Cannot go on with transaction as SQLite has rolled it back");
    }
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

/** An insert of one row as one of {@link rowsPerStatement}; null = it has another form. */
function ofManyRows(sql: string): string | null {
  const found = /^(INSERT [^?]* VALUES )(\((?:\?, )*\?\))/.exec(sql);
  if (found === null) return null;
  return found[1] + new Array(rowsPerStatement).fill(found[2]).join(", ") + sql.slice(found[0].length);
}

class RowValues implements RowSink {
  readonly list: (string | number | bigint | null | Uint8Array)[] = [];
  /** Octets of the rows at hand: whoever gives them uses the same memory for the next row. */
  #octets = new Uint8Array(octetsAtFirst);
  #used = 0;

  clear(): void {
    this.list.length = 0;
    this.#used = 0;
  }

  integer(value: number): void {
    this.list.push(value);
  }

  key(us: number, slot: number): void {
    this.list.push(flowIdNumber(us, slot));
  }

  octets(bytes: Uint8Array, from: number, to: number): void {
    if (this.#used + to - from > this.#octets.length) {
      // What was given out before stays in the former one.
      this.#octets = new Uint8Array(2 * (this.#octets.length + to - from));
      this.#used = 0;
    }
    const start = this.#used;
    for (let i = from; i < to; i++) this.#octets[this.#used++] = bytes[i];
    this.list.push(this.#octets.subarray(start, this.#used));
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

/** Only its owner may read the file; SQLite gives its other files the same mode. A file that is there is never opened:
 * closing it would drop the locks of every other connection of this process,
 * and the next program to leave the database would delete its log. */
function makePrivate(path: string): void {
  try {
    Deno.openSync(path, { createNew: true, write: true, mode: 0o600 }).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  const { mode } = Deno.statSync(path);
  if (mode === null || (mode & 0o077) === 0) return;
  for (const name of [path, `${path}-wal`, `${path}-shm`]) {
    try {
      Deno.chmodSync(name, 0o600);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}
