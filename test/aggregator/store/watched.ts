/** A database whose statements a test sees, and may hold up, to do something in the middle of a transaction.
 *
 * In: a database, what to do before each statement of a transaction. Out: the same database. @module */

import type { Database, Session } from "../../../aggregator/store/database.ts";

export interface Watch {
  before?: (sql: string) => Promise<void>;
  /** Rows that a statement changed. */
  changed?: (sql: string, rows: number) => void;
}

export function watched(database: Database, { before, changed }: Watch): Database {
  const watch = (session: Session): Session => ({
    async all(sql, values) {
      await before?.(sql);
      return await session.all(sql, values);
    },
    async run(sql, values) {
      await before?.(sql);
      const rows = await session.run(sql, values);
      changed?.(sql, rows);
      return rows;
    },
    async batch(sql, rows) {
      await before?.(sql);
      await session.batch(sql, rows);
    },
    async insert(table, columns, rows) {
      await before?.(`INSERT INTO ${table}`);
      return await session.insert(table, columns, rows);
    },
  });
  return {
    dialect: database.dialect,
    open: () => database.open(),
    close: () => database.close(),
    read: (work) => database.read(work),
    query: (work) => database.query(work),
    ping: () => database.ping(),
    transaction: (work, options) => database.transaction((session) => work(watch(session)), options),
    async define(sql) {
      await before?.(sql);
      await database.define(sql);
    },
    isDuplicateKey: (error) => database.isDuplicateKey(error),
  };
}
