/** Bounds of the tables that grow with what the network shows: hosts, services, names and the like.
 *
 * In: how many rows a transaction wrote to a table. Out: rows deleted, counted. Invariant: no table has more rows than
 * its limit plus those written since it was last counted, at most {@link countEvery}.
 * Part of the transaction that wrote them.
 * Deleted first: what was seen in only one flow, as the inventions of a flood are; then the oldest.
 * What is seen again later starts over.
 * Why counted now and then: counting costs a scan. @module */

import type { Reporter } from "../../shared/reporter.ts";
import type { Session } from "./database.ts";

interface Bound {
  rowsMax: number;
  /** Oldest first; the names of indexed columns. */
  order: readonly [string] | readonly [string, string];
  /** What goes before all else. */
  weak?: string;
}

export const rowBounds = {
  hosts: { rowsMax: 100_000, order: ["last_us"], weak: "flows < 2" },
  host_hours: { rowsMax: 1_000_000, order: ["hour"] },
  services: { rowsMax: 100_000, order: ["last_us"], weak: "flows < 2" },
  conversations: { rowsMax: 500_000, order: ["day", "bytes"] },
  neighbours: { rowsMax: 100_000, order: ["last_us"] },
  host_names: { rowsMax: 200_000, order: ["last_us"] },
  domains: { rowsMax: 100_000, order: ["last_us"], weak: "queries < 2" },
} as const satisfies Record<string, Bound>;
export type BoundTable = keyof typeof rowBounds;
export type RowBounds = Record<BoundTable, Bound>;

const countEvery = 20_000;
/** Of a full table so much stays. */
const lowWatermark = 0.9;

export class RowCaps {
  readonly #reporter: Reporter;
  readonly #bounds: RowBounds;
  /** Rows that may be written before a table is counted again. */
  readonly #left = new Map<BoundTable, number>();

  constructor(reporter: Reporter, bounds: RowBounds = rowBounds) {
    this.#reporter = reporter;
    this.#bounds = bounds;
  }

  async wrote(session: Session, table: BoundTable, rows: number): Promise<void> {
    const left = (this.#left.get(table) ?? 0) - rows;
    this.#left.set(table, left);
    if (rows === 0 || left > 0) return;
    const { rowsMax, order, weak } = this.#bounds[table];
    const [{ present }] = await session.all(`SELECT COUNT(*) AS present FROM ${table}`);
    let room = rowsMax - Number(present);
    if (room < 0) {
      room = rowsMax - Math.floor(rowsMax * lowWatermark);
      let over = Number(present) - rowsMax + room;
      if (weak !== undefined) over -= await this.#drop(session, table, over, order, weak);
      if (over > 0) await this.#drop(session, table, over, order, "1 = 1");
    }
    this.#left.set(table, Math.min(countEvery, Math.max(1, room)));
  }

  /** Rows dropped. */
  async #drop(
    session: Session,
    table: BoundTable,
    count: number,
    order: Bound["order"],
    where: string,
  ): Promise<number> {
    const [last] = await session.all(
      `SELECT ${order.join(", ")} FROM ${table} WHERE ${where} ORDER BY ${order.join(", ")} LIMIT 1 OFFSET ${
        count - 1
      }`,
    );
    const [first, second] = order;
    const dropped = last === undefined
      ? await session.run(`DELETE FROM ${table} WHERE ${where}`)
      : second === undefined
      ? await session.run(`DELETE FROM ${table} WHERE ${where} AND ${first} <= ?`, [last[first]])
      : await session.run(
        `DELETE FROM ${table} WHERE ${where} AND (${first} < ? OR (${first} = ? AND ${second} <= ?))`,
        [last[first], last[first], last[second]],
      );
    this.#reporter.count("rollup_rows_dropped_total", { table }, dropped);
    return dropped;
  }
}
