/** The session of one transaction, which ends with it.
 *
 * In: a connection's session. Out: the same, until the transaction is over. Invariant: {@link OpenSession.end} returns
 * once no statement is under way, and none is taken afterwards.
 * Why: an ingest transaction sends statements without waiting for those before (write.ts). When one fails, the others
 * must be part of what is rolled back: one that came later would be committed by itself or in another transaction, and
 * once more by the retry. @module */

import type { Row, RowSource, Session, Value } from "./database.ts";

export class OpenSession implements Session {
  readonly #session: Session;
  readonly #underWay = new Set<Promise<unknown>>();
  #isOver = false;

  constructor(session: Session) {
    this.#session = session;
  }

  all(sql: string, values?: readonly Value[]): Promise<Row[]> {
    return this.#take(() => this.#session.all(sql, values));
  }

  run(sql: string, values?: readonly Value[]): Promise<number> {
    return this.#take(() => this.#session.run(sql, values));
  }

  batch(sql: string, rows: readonly (readonly Value[])[]): Promise<void> {
    return this.#take(() => this.#session.batch(sql, rows));
  }

  insert(table: string, columns: readonly string[], rows: RowSource): Promise<number> {
    return this.#take(() => this.#session.insert(table, columns, rows));
  }

  /** Before the commit or the rollback. */
  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.allSettled(this.#underWay);
  }

  async #take<Result>(ask: () => Promise<Result>): Promise<Result> {
    if (this.#isOver) throw new Error("Cannot run statement as its transaction is over");
    const asked = ask();
    this.#underWay.add(asked);
    try {
      return await asked;
    } finally {
      this.#underWay.delete(asked);
    }
  }
}
