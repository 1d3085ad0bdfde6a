/** Days as partitions of MariaDB: made before they begin, and taken out as a whole.
 *
 * In: tables whose rows belong to a day. Out: partitions. Invariant: nobody waits while rows are thrown away, and no
 * row goes that was not in the day when it was taken out.
 * Why a day is exchanged for an empty table, which is dropped afterwards: DROP PARTITION holds the lock of its table
 * until the file is gone, and the file system takes seconds to release one of compressed pages, which is full of
 * holes. Measured at 300,000 flows: writers waited 5 s; with the exchange 0.2 s.
 * Why what is left of a day joins the partition before it, and is not dropped though it was empty a moment ago: nothing
 * keeps a late flow from coming between the look and the drop. A join keeps its rows, and copies at most
 * {@link joinedRowsMax} and those of that moment. @module */

import { dayS } from "../model/retention.ts";
import type { Database, Session } from "./database.ts";

/** Tables that have a partition for each day. */
export const dayTables = ["flows", "sightings", "conversations", "host_hours"] as const;
export type DayTable = typeof dayTables[number];

/** Days that have partitions before they begin. */
const daysAhead = 2;
const firstPartition = "p_first", lastPartition = "p_later";
const joinedRowsMax = 1_000;

interface Partition {
  name: string;
  /** The second before which its rows lie; null = the last one, of all that is later. */
  before: number | null;
}

/** A partition for today and each of the next days; what is older than the first of them has one in common. */
export async function addPartitions(database: Database, table: DayTable, nowMs: number): Promise<void> {
  const today = Math.floor(nowMs / 1e3 / dayS) * dayS;
  const present = await database.read((session) => partitionsOf(session, table));
  const end = Math.max(0, ...present.map(({ before }) => before ?? 0));
  const added: string[] = [];
  if (end === 0) added.push(`PARTITION ${firstPartition} VALUES LESS THAN (${today})`);
  for (let day = today; day <= today + daysAhead * dayS; day += dayS) {
    if (day + dayS > end) added.push(`PARTITION ${nameOf(day)} VALUES LESS THAN (${day + dayS})`);
  }
  if (added.length === 0) return;
  const last = `PARTITION ${lastPartition} VALUES LESS THAN MAXVALUE`;
  await database.define(
    `ALTER TABLE ${table} REORGANIZE PARTITION ${lastPartition} INTO (${[...added, last].join(", ")})`,
  );
}

/** Takes the rows of a day out of its tables at once; they are thrown away by {@link dropTaken}. Returns from which;
 * what comes to one of these meanwhile stays. */
export async function takeDay(database: Database, day: number): Promise<Set<string>> {
  const taken = new Set<string>();
  for (const table of dayTables) {
    await database.define(`DROP TABLE IF EXISTS leaving_${table}`);
    const present = await database.read((session) => partitionsOf(session, table));
    const name = nameOf(day);
    if (present.some((one) => one.name === name && one.before === day + dayS)) {
      await database.define(`CREATE TABLE leaving_${table} LIKE ${table}`);
      await database.define(`ALTER TABLE leaving_${table} REMOVE PARTITIONING`);
      await database.define(`ALTER TABLE ${table} EXCHANGE PARTITION ${name} WITH TABLE leaving_${table}`);
      taken.add(table);
    }
    await joinFirst(database, table, present, day + dayS);
  }
  return taken;
}

/** Joins the first partition and those after it that end by `before`, while they hold few rows. */
async function joinFirst(
  database: Database,
  table: DayTable,
  present: readonly Partition[],
  before: number,
): Promise<void> {
  if (present[0]?.name !== firstPartition) return;
  let joined = [firstPartition], end = 0;
  for (const one of present.slice(1)) {
    if (one.before === null || one.before > before) break;
    const names = [...joined, one.name];
    const [more] = await database.read((session) =>
      session.all(`SELECT 1 AS found FROM ${table} PARTITION (${names}) LIMIT 1 OFFSET ${joinedRowsMax}`)
    );
    if (more !== undefined) break;
    [joined, end] = [names, one.before];
  }
  if (joined.length === 1) return;
  await database.define(
    `ALTER TABLE ${table} REORGANIZE PARTITION ${joined} INTO ` +
      `(PARTITION ${firstPartition} VALUES LESS THAN (${end}))`,
  );
}

export async function dropTaken(database: Database): Promise<void> {
  for (const table of dayTables) await database.define(`DROP TABLE IF EXISTS leaving_${table}`);
}

function nameOf(day: number): string {
  return `p_${new Date(day * 1e3).toISOString().slice(0, 10).replaceAll("-", "")}`;
}

async function partitionsOf(session: Session, table: string): Promise<Partition[]> {
  const rows = await session.all(
    "SELECT partition_name AS name, partition_description AS before_second FROM information_schema.partitions " +
      "WHERE table_schema = DATABASE() AND table_name = ? ORDER BY partition_ordinal_position",
    [table],
  );
  return rows.map(({ name, before_second }) => ({
    name: name as string,
    before: before_second === "MAXVALUE" ? null : Number(before_second),
  }));
}
