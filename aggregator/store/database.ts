/** The seam between the store's statements and the two database packages.
 *
 * In: SQL text of ours with `?` for every value; rows that are encoded as the database wants them. Out: rows as plain
 * objects; errors as {@link LedgerConflict} or StoreUnavailable.
 * Invariant: statements of one {@link Session} given to `transaction` are one database transaction,
 * never mixed with another's.
 * Why: SQLite and MariaDB differ in types, in upserts and in how they fail;
 * everything else of the store is written once. @module */

/** What can be bound. Booleans are 0 and 1. */
export type Value = string | number | bigint | null | Uint8Array;
export type Row = Record<string, Value>;

/** Takes the values of one row in the order of its columns. */
export interface RowSink {
  integer(value: number): void;
  /** The key of a flow: `us * 2048 + slot`, and where the table has it the time as a date before. */
  key(us: number, slot: number): void;
  /** Octets `from` up to `to`; valid only during the call. */
  octets(bytes: Uint8Array, from: number, to: number): void;
  text(value: string): void;
  /** One of a closed list of words, by its place. */
  choice(words: readonly string[], place: number): void;
  nothing(): void;
}

/** Rows that a bulk insert asks for one after another. */
export interface RowSource {
  count: number;
  write(row: number, sink: RowSink): void;
}

/** Part of a WHERE clause, with what is bound to its marks. */
export interface Condition {
  sql: string;
  values: Value[];
}

export interface Session {
  all(sql: string, values?: readonly Value[]): Promise<Row[]>;
  /** Rows changed. */
  run(sql: string, values?: readonly Value[]): Promise<number>;
  /** One statement for many rows, in their order. */
  batch(sql: string, rows: readonly (readonly Value[])[]): Promise<void>;
  /** Inserts in bulk, leaving out rows whose key is taken. Returns how many were inserted. */
  insert(table: string, columns: readonly string[], rows: RowSource): Promise<number>;
}

export interface TransactionOptions {
  /** False: a power cut may take it, as it will come again; SQLite then does not wait for the disk. @default true */
  isDurable?: boolean;
}

export interface Database {
  readonly dialect: Dialect;
  /** @throws {StoreUnavailable} when it cannot be reached. */
  open(): Promise<void>;
  close(): Promise<void>;
  /** Reads what is committed. For our own work: short questions by key. */
  read<Result>(work: (session: Session) => Promise<Result>): Promise<Result>;
  /** Reads for people, who may ask for anything: bounded in time, and nothing of ours waits for it. */
  query<Result>(work: (session: Session) => Promise<Result>): Promise<Result>;
  /** Whether it can be read, and written when the last write failed. @throws {StoreUnavailable} */
  ping(): Promise<void>;
  /** Runs `work` and commits; rolls back when it throws. */
  transaction<Result>(
    work: (session: Session) => Promise<Result>,
    options?: TransactionOptions,
  ): Promise<Result>;
  /** Changes a definition, which is no part of a transaction. */
  define(sql: string): Promise<void>;
  /** Whether `error` says that a unique key is taken. */
  isDuplicateKey(error: unknown): boolean;
}

/** Where the SQL of the two databases differs. */
export interface Dialect {
  readonly name: "sqlite" | "mariadb";
  /** Inserts, or on a taken primary key sets `changes` (column to expression). */
  upsert(
    table: string,
    columns: readonly string[],
    keys: readonly string[],
    changes: Record<string, string>,
  ): string;
  /** Inserts, and leaves a row alone that is there. */
  insertMissing(table: string, columns: readonly string[]): string;
  /** In an upsert: the stored value, and the one that came. */
  stored(table: string, column: string): string;
  fresh(column: string): string;
  least(a: string, b: string): string;
  greatest(a: string, b: string): string;
  /** The columns of a flow's key, as they stand in a primary key. */
  readonly flowKey: readonly string[];
  /** A key as these columns are bound. */
  keyValues(us: number, slot: number): Value[];
  /** A place in a closed list of words, as it is bound. */
  choiceIn(words: readonly string[], place: number): Value;
  /** Ends a SELECT whose rows the transaction will change. */
  readonly forUpdate: string;
}

/** "?, ?, ?" */
export function marks(count: number): string {
  return new Array(count).fill("?").join(", ");
}
