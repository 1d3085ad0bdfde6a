/** MariaDB behind the database seam: the fleet's store. The one file that imports its client.
 *
 * In: host, port, user, password, database. Out: sessions. Invariant: a statement that the server gave up on for a
 * deadlock or a lock wait has changed nothing, so its transaction is run again, at most {@link triesMax} times in all.
 * A connection that leads to the wrong place (a server that has become read-only, is shutting down, left its cluster,
 * or ended the session) is closed, never pooled again; the others of its time lead there too and go with it.
 * Each session sets its own SQL mode, time zone and isolation: what is stored must not depend on a server's defaults.
 * Why a pool for writers, one for our own readers and one for people's questions: a slow question must never hold a
 * connection that ingest, check-ins or health wait for.
 * Why `checkNumberRange`: a count beyond 2^53 is an error, never a rounded number. @module */

import type { Pool, PoolConnection } from "mariadb";
import { connect, type Socket } from "node:net";
import process from "node:process";
import type { Reporter } from "../../shared/reporter.ts";
import type { Database, Row, RowSource, Session } from "./database.ts";
import { mariadbDialect } from "./dialects.ts";
import { loadStatement, streamRows } from "./mariadb_bulk.ts";
import { explainTls, tlsOptions } from "./mariadb_tls.ts";
import { StoreUnavailable } from "./store.ts";
import { OpenSession } from "./open_session.ts";
import { bindable, uniform, ValueList } from "./values.ts";

export interface MariadbOptions {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  /** Present: TLS, and the server's certificate must come from one of these authorities (PEM). */
  ca?: string;
  /** Server-side limit of one reading statement, seconds. @default 2 */
  readTimeoutS?: number;
  /** @default 2 */
  writersMax?: number;
  /** Of ours. @default 4 */
  readersMax?: number;
  /** Of people, as many as may ask at once. @default 8 */
  queriesMax?: number;
}

const connectTimeoutMs = 5_000;
const triesMax = 3;
const rowsPerBatch = 2_000;
/** From here on rows are streamed. */
const loadRowsMin = 400;
/** The server does not let clients load. */
const loadRefused = new Set([1148, 3948, 4166]);
const duplicateKey = 1062;
/** Lock wait timeout, deadlock, and a deadlock over the next number of a row. */
const retriable = new Set([1205, 1213, 1467]);
/** Errors by which a server says that this session is of no more use, or that it is not the one to write to. */
const misleading = new Set([
  1047, // Unknown command: a Galera node without its cluster.
  1053, // Server shutdown in progress.
  1079, // The same, for another session's sake.
  1159, // Network read timeout.
  1161, // Network write timeout.
  1290, // Server runs with --read-only, and the like.
  1792, // Cannot write in a read-only transaction.
  1836, // Running in read-only mode.
  1927, // Connection was killed.
  1969, // The transaction was rolled back by the server's own limits.
  2006, // Server has gone away.
  2013, // Lost connection during query.
  2055, // Lost connection at some system call.
  4031, // Disconnected by the server because of inactivity.
]);

/** Of these, those that refused a statement: nothing was changed, and another connection may do. */
const refusing = new Set([1047, 1290, 1792, 1836]);
/** The client's own: everything about a socket. */
const clientCodesMin = 45_001, clientCodesMax = 45_100;
const sessionSql = [
  "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
  "time_zone = '+00:00'",
  "tx_isolation = 'REPEATABLE-READ'",
  "group_concat_max_len = 1048576",
];
const refused: Record<number, string> = {
  1044: "access denied for this user",
  1045: "access denied: user or password is wrong",
  1049: "no such database, and it cannot be made",
  1698: "access denied: user or password is wrong",
};

export class MariadbDatabase implements Database {
  readonly dialect = mariadbDialect;
  #options: Required<Omit<MariadbOptions, "ca">> & Pick<MariadbOptions, "ca">;
  #reporter: Reporter;
  #create: ((connectionLimit: number, sql: string) => Pool) | null = null;
  #writers: Pool | null = null;
  #readers: Pool | null = null;
  #queries: Pool | null = null;
  #loading: Loading = { isAllowed: true };

  constructor(options: MariadbOptions, deps: { reporter: Reporter }) {
    this.#reporter = deps.reporter;
    this.#options = { readTimeoutS: 2, writersMax: 2, readersMax: 4, queriesMax: 8, ...options };
    if (!/^[A-Za-z0-9_$-]{1,64}$/.test(options.database)) {
      throw new RangeError(
        `Cannot open store as the database's name must be letters, digits, "_", "$" or "-": current value is "${options.database}"`,
      );
    }
  }

  async open(): Promise<void> {
    const { host, port, user, password, database, ca } = this.#options;
    const common = {
      ...(ca === undefined ? {} : { ssl: tlsOptions({ host, port, ca }) }),
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
      const where = `Cannot use database "${database}" at ${host}:${port}`;
      throw (ca === undefined ? null : await explainTls({ host, port, ca }, where, cause)) ??
        this.#explain(cause);
    }
    const pooled = { ...common, database, acquireTimeout: connectTimeoutMs, minimumIdle: 1, idleTimeout: 60 };
    this.#create = (connectionLimit, initSql) => createPool({ ...pooled, connectionLimit, initSql });
    this.#openPools();
  }

  #openPools(): void {
    const { readTimeoutS, writersMax, readersMax, queriesMax } = this.#options;
    const session = sessionSql.join(", ");
    const reading = `${session}, autocommit = 1, max_statement_time = ${readTimeoutS}`;
    // After a deadlock the server has rolled back: statements already on their way must not commit by themselves.
    this.#writers = this.#create!(writersMax, `${session}, autocommit = 0`);
    this.#readers = this.#create!(readersMax, reading);
    this.#queries = this.#create!(queriesMax, reading);
  }

  async close(): Promise<void> {
    const pools = [this.#writers, this.#readers, this.#queries];
    this.#writers = this.#readers = this.#queries = null;
    for (const pool of pools) await pool?.end().catch(() => undefined); // A dead server closes them for us.
  }

  read<Result>(work: (session: Session) => Promise<Result>): Promise<Result> {
    return this.#read(() => this.#readers, work);
  }

  query<Result>(work: (session: Session) => Promise<Result>): Promise<Result> {
    return this.#read(() => this.#queries, work);
  }

  async #read<Result>(
    pool: () => Pool | null,
    work: (session: Session) => Promise<Result>,
  ): Promise<Result> {
    const once = () => this.#with(pool(), (connection) => work(sessionOf(connection, this.#loading)));
    try {
      return await once();
    } catch (error) {
      if (!isMisleading((error as Error).cause)) throw error;
      return await once();
    }
  }

  async ping(): Promise<void> {
    await this.read((session) => session.all("SELECT 1"));
  }

  async transaction<Result>(work: (session: Session) => Promise<Result>): Promise<Result> {
    for (let attempt = 1;; attempt++) {
      try {
        return await this.#with(
          this.#writers,
          (connection) => inTransaction(connection, this.#loading, work),
        );
      } catch (error) {
        const number = numberOf((error as Error).cause);
        if (!(retriable.has(number) || refusing.has(number)) || attempt >= triesMax) throw error;
        this.#reporter.count("store_transactions_retried_total");
      }
    }
  }

  /** Without a transaction: within one, EXCHANGE PARTITION waits for a lock that it has itself. */
  async define(sql: string): Promise<void> {
    await this.#with(this.#writers, async (connection) => {
      await connection.query("SET autocommit = 1");
      try {
        await connection.query(sql);
      } finally {
        await connection.query("SET autocommit = 0").catch(() => connection.destroy());
      }
    });
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
      if (connection && isMisleading(cause)) {
        connection.destroy();
        connection = null;
        this.#abandon(pool);
      }
      throw this.#explain(cause);
    } finally {
      await connection?.release().catch(() => undefined); // A broken connection leaves the pool by itself.
    }
  }

  /** Lets all pools go, when the one that failed is still in use:
   * their connections were opened when its were, and lead where they led. */
  #abandon(failed: Pool): void {
    const pools = [this.#writers, this.#readers, this.#queries];
    if (!pools.includes(failed)) return;
    this.#reporter.count("store_pools_abandoned_total");
    this.#openPools();
    // Ends when the last of its connections is given back.
    for (const pool of pools) pool?.end().catch(() => undefined);
  }

  /** Only errors of the client package are explained; ours and programming errors pass. */
  #explain(cause: unknown): unknown {
    if (numberOf(cause) === 0 || numberOf(cause) === duplicateKey) return cause;
    const { host, port, database } = this.#options;
    const { sqlMessage, code, message } = cause as { sqlMessage?: string; code?: string; message: string };
    // Our statement (42xxx) or its values (22xxx, 23xxx) are wrong, and waiting does not make them right.
    const state = String((cause as { sqlState?: string }).sqlState);
    if (/^(22|23|42)/.test(state) && !(numberOf(cause) in refused)) return cause;
    const why = refused[numberOf(cause)] ?? (sqlMessage || code || message);
    return new StoreUnavailable(`Cannot use database "${database}" at ${host}:${port}: ${why}`, { cause });
  }
}

/** The client asks for the memory limit as soon as it is loaded, and Deno before 2.7 cannot say one: 0 means that there
 * is none. It is loaded only by those who use it, which also spares everyone else its start. */
async function loadClient(): Promise<typeof import("mariadb")> {
  const asked = process as { constrainedMemory?: () => number };
  asked.constrainedMemory ??= () => 0;
  return await import("mariadb");
}

/** Opens sockets for the client, which listens on one only once it is connected: listening before makes Deno before 2.7
 * fail as a whole when nobody answers. */
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
  const session = new OpenSession(sessionOf(connection, loading));
  await connection.beginTransaction();
  try {
    const result = await work(session).finally(() => session.end());
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

function isMisleading(cause: unknown): boolean {
  const number = numberOf(cause);
  return misleading.has(number) || (number >= clientCodesMin && number <= clientCodesMax) ||
    (cause as { fatal?: boolean })?.fatal === true;
}

function numberOf(error: unknown): number {
  const number = (error as { errno?: unknown })?.errno;
  return typeof number === "number" ? number : 0;
}
