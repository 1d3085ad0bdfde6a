/** Ranges of the keys of flows, which are ranges of time.
 *
 * In: two keys. Out: a condition for SQL that the primary key answers; in MariaDB it also names the days. @module */

import { idUsMax, slots } from "../model/flow_id.ts";
import type { Condition, Dialect } from "./database.ts";

export interface Key {
  us: number;
  slot: number;
}

/** Keys from `low` on and before `high`. */
export interface Range {
  low: Key;
  high: Key;
}

export const allKeys: Range = { low: { us: 0, slot: 0 }, high: { us: idUsMax, slot: slots - 1 } };

/** Keys of `table` in a range. */
export function within(dialect: Dialect, table: string, { low, high }: Range): Condition {
  const first = dialect.keyValues(low.us, low.slot), end = dialect.keyValues(high.us, high.slot);
  const at = (column: string) => table === "" ? column : `${table}.${column}`;
  const id = `${at("id")} >= ? AND ${at("id")} < ?`;
  if (dialect.flowKey.length === 1) return { sql: id, values: [...first, ...end] };
  const seen = at("seen");
  return { sql: `${seen} >= ? AND ${seen} <= ? AND ${id}`, values: [first[0], end[0], first[1], end[1]] };
}
