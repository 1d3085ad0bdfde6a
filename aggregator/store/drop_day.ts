/** Lets a part of a day leave: its flows with everything that belongs to them, or one of its series.
 *
 * In: a day, a part of it. Out: nothing of it. Invariant: flows are gone for readers by one statement, however many
 * they are (leaving.ts), and everybody else goes on while their rows leave; a drop that broke off is begun again.
 * MariaDB: the partitions of the day are taken out. Where a day has none of its own (a capture from long ago), in
 * tables that hold what was seen last, and in SQLite: the rows are deleted in slices that take about {@link sliceMs},
 * with a rest after each.
 * Why not one table or one file a day in SQLite: a commit over several files is not atomic after a power cut, which
 * would store a flow and not its batch; and the rows of a day are a few pages that lie together (version 12), whose
 * space the next day takes. @module */

import { systemClock } from "../../shared/clock.ts";
import { type DayPart, dayParts, dayS } from "../model/retention.ts";
import type { Database, Row, Value } from "./database.ts";
import { dropTaken, takeDay } from "./day_partitions.ts";

/** Fewer than the least would cost more for their commit than for themselves. */
const rowsPerDelete = { min: 500, max: 2_000 };
const sliceMs = 10;
/** The series of each part, and rollups that live as long. */
const seriesOf: Record<Exclude<DayPart, "flows">, { step: number; tables: string[] }> = {
  seconds: { step: 1, tables: [] },
  tens: { step: 10, tables: [] },
  minutes: { step: 60, tables: ["talkers", "protocols"] },
  hours: { step: 3_600, tables: [] },
};

export async function dropDay(database: Database, day: number, part: DayPart): Promise<void> {
  if (part === "flows") return await dropFlows(database, day);
  const [before] = await database.read((session) =>
    session.all("SELECT day, flows, stored_ms FROM days WHERE day = ?", [day])
  );
  const { step, tables } = seriesOf[part];
  await deleteRange(database, "traffic", "second", day, day + dayS, `step = ${step} AND `);
  for (const table of tables) await deleteRange(database, table, "minute", day, day + dayS);
  if (part === "hours") await deleteRange(database, "talker_hours", "hour", day, day + dayS);
  if (before !== undefined) await noteGone(database, part, before);
}

/** A series to which something came while it left is not gone: what came leaves at the next turn. */
async function noteGone(database: Database, part: DayPart, { day, flows, stored_ms }: Row): Promise<void> {
  await database.transaction((session) =>
    session.run(
      `UPDATE days SET gone = gone | ${
        1 << dayParts.indexOf(part)
      } WHERE day = ? AND flows = ? AND stored_ms = ?`,
      [day, flows, stored_ms],
    )
  );
}

async function dropFlows(database: Database, day: number): Promise<void> {
  const hiddenFlows = await hide(database, day);
  const isServer = database.dialect.name === "mariadb";
  const taken = isServer ? await takeDay(database, day) : new Set<string>();
  await sweepFlows(database, day, taken);
  await sweepHosts(database, day, taken);
  if (isServer) await dropTaken(database);
  // Flows that came meanwhile have shown the day again, and are left.
  await database.transaction((session) =>
    session.run(`UPDATE days SET flows = ${database.dialect.greatest("flows - ?", "0")} WHERE day = ?`, [
      hiddenFlows,
      day,
    ])
  );
}

/** How many flows were hidden. */
function hide(database: Database, day: number): Promise<number> {
  return database.transaction(async (session) => {
    const [row] = await session.all(`SELECT flows FROM days WHERE day = ?${database.dialect.forUpdate}`, [
      day,
    ]);
    await session.run("UPDATE days SET gone = gone | 1 WHERE day = ?", [day]);
    return Number(row?.flows ?? 0);
  });
}

async function sweepFlows(database: Database, day: number, taken: Set<string>): Promise<void> {
  const { dialect } = database;
  const from = dialect.keyValues(day * 1e6, 0), to = dialect.keyValues((day + dayS) * 1e6, 0);
  for (const table of ["flows", "sightings"]) {
    if (!taken.has(table)) await deleteRange(database, table, dialect.flowKey[0], from[0], to[0]);
  }
  await deleteRange(database, "threat_flows", "id", from.at(-1)!, to.at(-1)!);
}

/** What rollups of hosts have of a day, and what was seen last on it or on days before of which no flow is left. */
async function sweepHosts(database: Database, day: number, taken: Set<string>): Promise<void> {
  for (const [table, column] of [["conversations", "day"], ["host_hours", "hour"]]) {
    if (!taken.has(table)) await deleteRange(database, table, column, day, day + dayS);
  }
  const [row] = await database.read((session) =>
    session.all("SELECT MAX(day) AS day FROM days WHERE day < ? AND gone & 1 = 0", [day])
  );
  const from = row.day === null ? 0 : (Number(row.day) + dayS) * 1e6;
  for (const table of ["hosts", "services", "neighbours", "host_names", "domains"]) {
    await deleteRange(database, table, "last_us", from, (day + dayS) * 1e6);
  }
}

/** Rows whose `column` is in a range.
 * SQLite is asked for the keys, as its DELETE has no limit, and many rows may have one value of the column. */
async function deleteRange(
  database: Database,
  table: string,
  column: string,
  from: Value,
  to: Value,
  also = "",
): Promise<void> {
  const keys = database.dialect.name === "mariadb" ? null : await keysOf(database, table);
  let rows = rowsPerDelete.min;
  for (;;) {
    const some = `FROM ${table} WHERE ${also}${column} >= ? AND ${column} < ? LIMIT ${rows}`;
    const sql = keys === null
      ? `DELETE ${some}`
      : `DELETE FROM ${table} WHERE (${keys}) IN (SELECT ${keys} ${some})`;
    const begunMs = systemClock.monotonicMs();
    // What a power cut brings back leaves again.
    const deleted = await database.transaction((session) => session.run(sql, [from, to]), {
      isDurable: false,
    });
    const tookMs = systemClock.monotonicMs() - begunMs;
    await systemClock.sleep(tookMs / 4);
    if (deleted < rows) return;
    rows = sizeOfNext(rows, tookMs);
  }
}

/** Grows slowly, as one slice of many may be a light one. */
export function sizeOfNext(rows: number, tookMs: number): number {
  const fitting = rows * Math.min(1.5, Math.max(0.5, sliceMs / Math.max(tookMs, 0.1)));
  return Math.min(rowsPerDelete.max, Math.max(rowsPerDelete.min, Math.round(fitting)));
}

/** The columns of a table's primary key, in SQLite. */
export async function keysOf(database: Database, table: string): Promise<string> {
  const rows = await database.read((session) =>
    session.all("SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", [table])
  );
  return rows.map(({ name }) => name).join(", ");
}
