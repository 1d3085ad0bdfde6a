/** Which flows an address has, from an index.
 *
 * In: one end of flows and its address, a range of keys. Out: a condition for SQL, and where a slice of candidates
 * ends. Invariant: a statement reads at most the rows asked for, and one entry for each hour that holds flows.
 * MariaDB has an index of addresses for each day. SQLite has one of all days, which begins with the hour: flows come
 * and leave in the order of time, so that both touch the few pages of an hour, not one page for each flow. Readers walk
 * from hour to hour; hours without a flow cost nothing. @module */

import type { Condition, Dialect, Session, Value } from "./database.ts";
import { type Key, type Range, within } from "./key_range.ts";

export interface AddressEnd {
  column: "src_ip" | "dst_ip";
  ip: Uint8Array;
}

const hour = "7372800000000";
const keySelection = "id >> 11 AS id_us, id & 2047 AS slot";

/** Holds for the flows of an address whose keys are in a range. */
export function hasAddress(dialect: Dialect, { column, ip }: AddressEnd, range: Range): Condition {
  const keys = within(dialect, "", range);
  if (dialect.name === "mariadb") {
    return { sql: `${column} = ? AND ${keys.sql}`, values: [ip, ...keys.values] };
  }
  const hours = `WITH RECURSIVE hours(hour) AS (SELECT ${newest("id < ?")} UNION ALL ` +
    `SELECT ${newest(`id < hours.hour * ${hour}`)} FROM hours WHERE hour IS NOT NULL) SELECT hour FROM hours`;
  const [low, high] = keys.values;
  return {
    // The plus signs keep the planner from reading all flows of the range.
    sql: `${column} = ? AND id / ${hour} IN (${hours}) AND +id >= ? AND +id < ?`,
    values: [ip, low, high, low, low, high],
  };
}

/** The key of the flow `rows` places after the first one, from the end of the range, or from its beginning;
 * null = it has no more than that. */
export async function keyOfAddress(
  { dialect, session }: { dialect: Dialect; session: Session },
  end: AddressEnd,
  range: Range,
  { rows, isUp }: { rows: number; isUp: boolean },
): Promise<Key | null> {
  const order = dialect.flowKey.map((column) => `${column} ${isUp ? "ASC" : "DESC"}`).join(", ");
  const keyed = (where: Condition, offset: number) =>
    session.all(
      `SELECT ${keySelection} FROM flows WHERE ${where.sql} ORDER BY ${order} LIMIT 1 OFFSET ${offset}`,
      where.values,
    );
  if (dialect.name === "mariadb") return keyOf(await keyed(hasAddress(dialect, end, range), rows));
  const found = await session.all(...walk(dialect, end, range, rows, isUp));
  if (found.length === 0) return null;
  const [{ at, before }] = found;
  const { values } = within(dialect, "", range);
  const where = `id / ${hour} = ? AND ${end.column} = ? AND +id >= ? AND +id < ?`;
  return keyOf(await keyed({ sql: where, values: [at, end.ip, ...values] }, rows - Number(before)));
}

/** From hour to hour until more than `rows` flows of the address were counted: the last hour, and how many there were
 * before it. */
function walk(
  dialect: Dialect,
  { column, ip }: AddressEnd,
  range: Range,
  rows: number,
  isUp: boolean,
): [string, Value[]] {
  const [low, high] = within(dialect, "", range).values;
  const count =
    `(SELECT COUNT(*) FROM (SELECT 1 FROM flows WHERE id / ${hour} = walk.next AND ${column} = ? AND ` +
    `+id >= ? AND +id < ? LIMIT ${rows + 1}))`;
  const first = isUp ? oldest("id >= ?", "id < ?") : newest("id < ?");
  const next = isUp
    ? oldest(`id >= (walk.next + 1) * ${hour}`, "id < ?")
    : newest(`id < walk.next * ${hour}`);
  return [
    `WITH RECURSIVE walk(at, before, here, next) AS (SELECT NULL, 0, 0, ${first} UNION ALL ` +
    `SELECT next, before + here, ${count}, ${next} FROM walk WHERE next IS NOT NULL AND before + here <= ${rows}) ` +
    `SELECT at, before FROM walk WHERE before + here > ${rows}`,
    [low, high, ip, low, high, isUp ? high : low],
  ];
}

/** The hour of the last flow of the range before a key; its bound is bound first. */
function newest(before: string): string {
  return `(SELECT id FROM flows WHERE id >= ? AND ${before} ORDER BY id DESC LIMIT 1) / ${hour}`;
}

function oldest(from: string, before: string): string {
  return `(SELECT id FROM flows WHERE ${from} AND ${before} ORDER BY id LIMIT 1) / ${hour}`;
}

function keyOf(rows: readonly Record<string, Value>[]): Key | null {
  return rows.length === 0 ? null : { us: rows[0].id_us as number, slot: rows[0].slot as number };
}
