/** The seam between the store's statements and the two database packages.
 *
 * In: SQL text of ours with `?` for every value. Out: rows as plain objects; errors as {@link LedgerConflict} or StoreUnavailable.
 * Invariant: statements of one {@link Session} given to `transaction` are one database transaction, never mixed with another's.
 * Why: SQLite and MariaDB differ in types, in upserts and in how they fail; everything else of the store is written once. @module */

/** What can be bound. Booleans are 0 and 1. */
export type Value = string | number | null | Uint8Array;
export type Row = Record<string, Value>;

export interface Session {
  all(sql: string, values?: readonly Value[]): Promise<Row[]>;
  /** Rows changed. */
  run(sql: string, values?: readonly Value[]): Promise<number>;
  /** One statement for many rows, in their order. */
  batch(sql: string, rows: readonly (readonly Value[])[]): Promise<void>;
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
  transaction<Result>(work: (session: Session) => Promise<Result>): Promise<Result>;
  /** Whether `error` says that a unique key is taken. */
  isDuplicateKey(error: unknown): boolean;
}

/** Kinds of column the schema speaks of. */
export type ColumnType =
  | "flow_id" // 16 octets
  | "ip" // address
  | "integer" // 64 bits
  | "real"
  | "name" // up to 64 characters
  | "word" // up to 255 characters
  | "line" // up to 1,024 characters
  | "text" // up to 16 MiB
  | "octets" // up to 64 KiB
  | "serial"; // rises by itself; is the primary key

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
  /** Address as it is bound; and back. One place, so that one address has one form. */
  ipIn(text: string): Value;
  ipOut(value: Value): string;
  /** Ends a SELECT whose rows the transaction will change. */
  readonly forUpdate: string;
}

/** "?, ?, ?" */
export function marks(count: number): string {
  return new Array(count).fill("?").join(", ");
}
