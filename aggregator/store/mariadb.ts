/** MariaDB behind the database seam: the fleet's store. The one file that imports its client.
 *
 * In: host, port, user, password, database. Out: sessions. Invariant: a statement that the server gave up on for a deadlock or a lock
 * wait has changed nothing, so its transaction is run again, at most {@link triesMax} times in all.
 * Why one pool for writers and one for readers: a slow dashboard query must never hold a connection that ingest waits for.
 * Why `checkNumberRange`: a count beyond 2^53 is an error, never a rounded number. @module */

import type { Pool, PoolConnection } from "mariadb";
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import process from "node:process";
import type { Database, Row, RowSource, Session, Value } from "./database.ts";
import { mariadbDialect } from "./dialects.ts";
import { loadStatement, streamRows } from "./mariadb_bulk.ts";
import { StoreUnavailable } from "./store.ts";
import { ValueList } from "./values.ts";

export interface MariadbOptions {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  /** Server-side limit of one reading statement, seconds. @default 2 */
  readTimeoutS?: number;
  /** @default 2 */
  writersMax?: number;
  /** @default 6 */
  readersMax?: number;
}

const connectTimeoutMs = 5_000;
const triesMax = 3;
const rowsPerBatch = 2_000;
/** From here on rows are streamed. */
const loadRowsMin = 400;
/** The server does not let clients load. */
const loadRefused = new Set([1148, 3948, 4166]);
const duplicateKey = 1062;
/** Lock wait timeout, deadlock. */
const retriable = new Set([1205, 1213]);
const refused: Record<number, string> = {
  1044: "access denied for this user",
  1045: "access denied: user or password is wrong",
  1049: "no such database, and it cannot be made",
  1698: "access denied: user or password is wrong",
};

export class MariadbDatabase implements Database {
  readonly dialect = mariadbDialect;
  #options: Required<MariadbOptions>;
  #writers: Pool | null = null;
  #readers: Pool | null = null;
  #loading: Loading = { isAllowed: true };

  constructor(options: MariadbOptions) {
    this.#options = { readTimeoutS: 2, writersMax: 2, readersMax: 6, ...options };
    if (!/^[A-Za-z0-9_$-]{1,64}$/.test(options.database)) {
      throw new RangeError(
        `Cannot open store as the database's name must be letters, digits, "_", "$" or "-": current value is "${options.database}"`,
      );
    }
  }

  async open(): Promise<void> {
    const { host, port, user, password, database, readTimeoutS, writersMax, readersMax } = this.#options;
    const common = {
      host,
      port,
      user,
      password,
      connectTimeout: connectTimeoutMs,
      stream: socketTo(host, port),
      timezone: "Z",
      dateStrings: true,
      insertIdAsNumber: true,
      bigIntAsNumber: true,
      decimalAsNumber: true,
      checkNumberRange: true,
      // Only for rows out of memory, see mariadb_bulk.ts; of whatever else a server asks for, it gets nothing.
      permitLocalInfile: true,
      infileStreamFactory: refuseFile,
      multipleStatements: false,
    };
    const { createConnection, createPool } = await loadClient();
    try {
      const connection = await createConnection(common);
      try {
        // The name was checked above: an identifier cannot be bound.
        await connection.query(
          `CREATE DATABASE IF NOT EXISTS \`${database}\` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
        );
      } finally {
        await connection.end();
      }
    } catch (cause) {
      throw this.#explain(cause);
    }
    const pooled = { ...common, database, acquireTimeout: connectTimeoutMs, minimumIdle: 1, idleTimeout: 60 };
    this.#writers = createPool({ ...pooled, connectionLimit: writersMax });
    this.#readers = createPool({
      ...pooled,
      connectionLimit: readersMax,
      initSql: `SET SESSION max_statement_time = ${readTimeoutS}`,
    });
  }

  async close(): Promise<void> {
    const pools = [this.#writers, this.#readers];
    this.#writers = this.#readers = null;
    for (const pool of pools) await pool?.end().catch(() => undefined); // A dead server closes them for us.
  }

  read<Result>(work: (session: Session) => Promise<Result>): Promise<Result> {
    return this.#with(this.#readers, (connection) => work(sessionOf(connection, this.#loading)));
  }

  async transaction<Result>(work: (session: Session) => Promise<Result>): Promise<Result> {
    for (let attempt = 1;; attempt++) {
      try {
        return await this.#with(
          this.#writers,
          (connection) => inTransaction(connection, this.#loading, work),
        );
      } catch (error) {
        if (!retriable.has(numberOf((error as Error).cause)) || attempt >= triesMax) throw error;
      }
    }
  }

  isDuplicateKey(error: unknown): boolean {
    return numberOf(error) === duplicateKey || numberOf((error as Error)?.cause) === duplicateKey;
  }

  async #with<Result>(
    pool: Pool | null,
    work: (connection: PoolConnection) => Promise<Result>,
  ): Promise<Result> {
    if (pool === null) throw new StoreUnavailable("Cannot use store as it is not started");
    let connection: PoolConnection | null = null;
    try {
      connection = await pool.getConnection();
      return await work(connection);
    } catch (cause) {
      throw this.#explain(cause);
    } finally {
      await connection?.release().catch(() => undefined); // A broken connection leaves the pool by itself.
    }
  }

  /** Only errors of the client package are explained; ours and programming errors pass. */
  #explain(cause: unknown): unknown {
    if (numberOf(cause) === 0 || numberOf(cause) === duplicateKey) return cause;
    const { host, port, database } = this.#options;
    const { sqlMessage, code, message } = cause as { sqlMessage?: string; code?: string; message: string };
    // 42xxx: our statement is wrong, and waiting does not make it right.
    const state = String((cause as { sqlState?: string }).sqlState);
    if (state.startsWith("42") && !(numberOf(cause) in refused)) return cause;
    const why = refused[numberOf(cause)] ?? (sqlMessage || code || message);
    return new StoreUnavailable(`Cannot use database "${database}" at ${host}:${port}: ${why}`, { cause });
  }
}

/** The client asks for the memory limit as soon as it is loaded, and Deno before 2.7 cannot say one: 0 means that there is none. It is loaded
 * only by those who use it, which also spares everyone else its start. */
async function loadClient(): Promise<typeof import("mariadb")> {
  const asked = process as { constrainedMemory?: () => number };
  asked.constrainedMemory ??= () => 0;
  return await import("mariadb");
}

/** Opens sockets for the client, which listens on one only once it is connected: listening before makes Deno before 2.7 fail as a whole
 * when nobody answers. */
function socketTo(host: string, port: number) {
  return function open(done: (error?: Error, socket?: Socket) => void): void {
    const socket = connect({ host, port, timeout: connectTimeoutMs });
    const giveUp = () => socket.destroy(new Error("the server does not answer"));
    socket.setNoDelay(true);
    socket.once("timeout", giveUp);
    socket.once("error", done);
    socket.once("connect", () => {
      socket.off("timeout", giveUp);
      socket.off("error", done);
      done(undefined, socket);
      socket.emit("connect"); // The client waits for it too.
    });
  };
}

/** Whether the server takes streams of rows, as far as is known. */
interface Loading {
  isAllowed: boolean;
}

async function inTransaction<Result>(
  connection: PoolConnection,
  loading: Loading,
  work: (session: Session) => Promise<Result>,
): Promise<Result> {
  await connection.beginTransaction();
  try {
    const result = await work(sessionOf(connection, loading));
    await connection.commit();
    return result;
  } catch (error) {
    await connection.rollback().catch(() => undefined); // A lost connection has rolled back already.
    throw error;
  }
}

function sessionOf(connection: PoolConnection, loading: Loading): Session {
  return {
    all: (sql, values = []) => connection.execute(sql, values.map(bindable)) as Promise<Row[]>,
    async run(sql, values = []) {
      // The definition of a table or a view cannot be prepared on every server version.
      const done = values.length === 0
        ? connection.query(sql)
        : connection.execute(sql, values.map(bindable));
      return ((await done) as { affectedRows?: number }).affectedRows ?? 0;
    },
    async insert(table, columns, rows) {
      if (rows.count === 0) return 0;
      if (rows.count < loadRowsMin || !loading.isAllowed) {
        return await insertFew(connection, table, columns, rows);
      }
      const sql = loadStatement(table, columns);
      const options = { sql, infileStreamFactory: () => streamRows(rows) };
      let done: { affectedRows: number; warningStatus: number };
      try {
        done = await connection.query(options as unknown as string);
      } catch (error) {
        if (!loadRefused.has(numberOf(error))) throw error;
        loading.isAllowed = false;
        return await insertFew(connection, table, columns, rows);
      }
      // A row left out is one warning; any other says that a value did not fit.
      if (done.warningStatus > rows.count - done.affectedRows) {
        const warnings = await connection.query("SHOW WARNINGS LIMIT 3") as { Message: string }[];
        throw new RangeError(
          `Cannot insert rows as the database changes them: ${
            warnings.map(({ Message }) => Message).join("; ")
          }`,
        );
      }
      return done.affectedRows;
    },
    async batch(sql, rows) {
      for (let from = 0; from < rows.length; from += rowsPerBatch) {
        await connection.batch(sql, rows.slice(from, from + rowsPerBatch).map(uniform));
      }
    },
  };
}

/** A stream costs two round trips and its set-up: for few rows more than it saves. */
async function insertFew(
  connection: PoolConnection,
  table: string,
  columns: readonly string[],
  rows: RowSource,
): Promise<number> {
  const sql = mariadbDialect.insertMissing(table, columns);
  let inserted = 0;
  for (let row = 0; row < rows.count;) {
    const lists: ReturnType<typeof uniform>[] = [];
    for (const end = Math.min(rows.count, row + rowsPerBatch); row < end; row++) {
      const sink = new ValueList(mariadbDialect);
      rows.write(row, sink);
      lists.push(uniform(sink.list));
    }
    inserted += (await connection.batch(sql, lists) as { affectedRows: number }).affectedRows;
  }
  return inserted;
}

function refuseFile(): never {
  throw new Error("the server asked for a file");
}

/** The client binds octets only as `Buffer`. */
function bindable(value: Value): string | number | bigint | null | Buffer {
  if (!(value instanceof Uint8Array) || value instanceof Buffer) return value;
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

/** In a bulk, a column whose type changes from row to row costs a round trip at each change, and a number is of one of two types by
 * its size: as text it is always of one. The server reads it back without loss. */
function uniform(row: readonly Value[]): (string | null | Buffer)[] {
  return row.map((value) =>
    typeof value === "number" || typeof value === "bigint"
      ? String(value)
      : bindable(value) as string | null | Buffer
  );
}

function numberOf(error: unknown): number {
  const number = (error as { errno?: unknown })?.errno;
  return typeof number === "number" ? number : 0;
}
