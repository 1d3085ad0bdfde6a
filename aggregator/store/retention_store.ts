/** The topic of retention: which days are stored, and how they are dropped.
 *
 * In: days, parts of them. Out: what is stored, in days and in octets. Invariant: a part of a day is dropped as a
 * whole: in MariaDB its partition is dropped; where a day has none of its own (a capture from long ago), and in SQLite,
 * a range of the key is deleted, at most {@link rowsPerDelete} rows a transaction, with a pause after each, so that
 * ingest goes on meanwhile: without it SQLite's calls would leave others no turn.
 * The ledger forgets batches that were stored long ago: positions and open gaps show that they were. Rows inside an
 * open gap stay, as a gap may name more batches than are missing. @module */

import { systemClock } from "../../shared/clock.ts";
import { type DayPart, dayParts, dayS, type StoredDay } from "../model/retention.ts";
import type { FlowRows } from "../model/flow_rows.ts";
import type { Database, Row, Session, Value } from "./database.ts";
import { pruneRecent } from "./recent.ts";
import type { RetentionStore } from "./store.ts";

const rowsPerDelete = 2_000;
/** Days that have partitions before they begin. */
const daysAhead = 2;
const daysMax = 10_000;
const lastPartition = "p_later";
const flowTables = ["flows", "sightings"] as const;
/** The series of each part, and rollups that live as long. */
const seriesOf: Record<Exclude<DayPart, "flows">, { step: number; tables: string[] }> = {
  seconds: { step: 1, tables: [] },
  tens: { step: 10, tables: [] },
  minutes: { step: 60, tables: ["talkers", "protocols"] },
  hours: { step: 3_600, tables: [] },
};

/** Notes under which days the new flows of a transaction are stored. */
export async function writeDays({ dialect }: Database, session: Session, flows: FlowRows): Promise<void> {
  const { isNew, idUs, updatedMs } = flows.columns;
  const days = new Map<number, { flows: number; storedMs: number }>();
  for (let i = 0; i < flows.size; i++) {
    const day = Math.floor(idUs[i] / (dayS * 1e6)) * dayS;
    const sum = days.get(day) ?? { flows: 0, storedMs: 0 };
    days.set(day, { flows: sum.flows + isNew[i], storedMs: Math.max(sum.storedMs, updatedMs[i]) });
  }
  const stored = (name: string) => dialect.stored("days", name), fresh = dialect.fresh;
  const sql = dialect.upsert("days", ["day", "flows", "stored_ms", "gone"], ["day"], {
    flows: `${stored("flows")} + ${fresh("flows")}`,
    stored_ms: dialect.greatest(stored("stored_ms"), fresh("stored_ms")),
    // What came late is there again, and leaves again.
    gone: "0",
  });
  await session.batch(
    sql,
    [...days].sort(([a], [b]) => a - b).map(([day, sum]) => [day, sum.flows, sum.storedMs, 0]),
  );
}

export function retentionStore(database: Database): RetentionStore {
  const isPartitioned = database.dialect.name === "mariadb";
  return {
    async prepareDays(nowMs) {
      if (isPartitioned) { for (const table of flowTables) await addPartitions(database, table, nowMs); }
    },
    async readDays() {
      const rows = await database.read((session) =>
        session.all(`SELECT day, flows, stored_ms, gone FROM days ORDER BY day LIMIT ${daysMax}`)
      );
      return rows.map((row): StoredDay => ({
        day: row.day as number,
        flows: row.flows as number,
        stored_ms: row.stored_ms as number,
        gone: dayParts.filter((_, bit) => (row.gone as number) >> bit & 1),
      }));
    },
    readSize: () => database.read((session) => readSize(session, isPartitioned)),
    async dropDay(day, part) {
      const [before] = await database.read((session) =>
        session.all("SELECT day, flows, stored_ms FROM days WHERE day = ?", [day])
      );
      if (part === "flows") {
        await dropFlows(database, day, isPartitioned);
        await dropHosts(database, day);
      } else {
        const { step, tables } = seriesOf[part];
        await deleteRange(database, "traffic", "second", day, day + dayS, `step = ${step} AND `);
        for (const table of tables) await deleteRange(database, table, "minute", day, day + dayS);
      }
      if (before !== undefined) await noteGone(database, part, before);
    },
    async forgetDay(day) {
      await database.transaction((session) => session.run("DELETE FROM days WHERE day = ?", [day]));
    },
    async pruneLedger(beforeMs) {
      await database.transaction(pruneRecent);
      return await pruneLedger(database, beforeMs);
    },
    pruneGaps: (beforeMs) =>
      database.transaction((session) => session.run("DELETE FROM gaps WHERE closed_ms < ?", [beforeMs])),
  };
}

/** A part to which something came while it left is not gone: what came leaves at the next turn. */
async function noteGone(database: Database, part: DayPart, { day, flows, stored_ms }: Row): Promise<void> {
  const left = part === "flows" ? `, flows = ${database.dialect.greatest("flows - ?", "0")}` : "";
  const bit = 1 << dayParts.indexOf(part);
  await database.transaction((session) =>
    session.run(
      `UPDATE days SET gone = CASE WHEN flows = ? AND stored_ms = ? THEN gone | ? ELSE gone END${left} WHERE day = ?`,
      [flows, stored_ms, bit, ...left === "" ? [] : [flows], day],
    )
  );
}

async function readSize(session: Session, isServer: boolean): Promise<number> {
  const [row] = await session.all(
    isServer
      ? "SELECT COALESCE(SUM(data_length + index_length), 0) AS octets FROM information_schema.tables " +
        "WHERE table_schema = DATABASE()"
      : "SELECT (page_count - freelist_count) * page_size AS octets " +
        "FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()",
  );
  return Number(row.octets);
}

function partitionOf(day: number): string {
  return `p_${new Date(day * 1e3).toISOString().slice(0, 10).replaceAll("-", "")}`;
}

async function partitionsOf(
  session: Session,
  table: string,
): Promise<{ name: string; before: number | null }[]> {
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

/** A partition for today and each of the next days; what is older than the first of them has one in common. */
async function addPartitions(database: Database, table: string, nowMs: number): Promise<void> {
  const today = Math.floor(nowMs / 1e3 / dayS) * dayS;
  const present = await database.read((session) => partitionsOf(session, table));
  const end = Math.max(0, ...present.map(({ before }) => before ?? 0));
  const added: string[] = [];
  if (end === 0) added.push(`PARTITION p_first VALUES LESS THAN (${today})`);
  for (let day = today; day <= today + daysAhead * dayS; day += dayS) {
    if (day + dayS > end) added.push(`PARTITION ${partitionOf(day)} VALUES LESS THAN (${day + dayS})`);
  }
  if (added.length === 0) return;
  const last = `PARTITION ${lastPartition} VALUES LESS THAN MAXVALUE`;
  await database.transaction((session) =>
    session.run(
      `ALTER TABLE ${table} REORGANIZE PARTITION ${lastPartition} INTO (${[...added, last].join(", ")})`,
    )
  );
}

async function dropFlows(database: Database, day: number, isPartitioned: boolean): Promise<void> {
  const { dialect } = database;
  for (const table of flowTables) {
    if (isPartitioned) {
      const present = await database.read((session) => partitionsOf(session, table));
      const name = partitionOf(day);
      if (present.some((one) => one.name === name && one.before === day + dayS)) {
        await database.transaction((session) => session.run(`ALTER TABLE ${table} DROP PARTITION ${name}`));
        continue;
      }
    }
    const column = dialect.flowKey[0];
    const from = dialect.keyValues(day * 1e6, 0), to = dialect.keyValues((day + dayS) * 1e6, 0);
    await deleteRange(database, table, column, from[0], to[0]);
  }
  const from = dialect.keyValues(day * 1e6, 0).at(-1)!, to = dialect.keyValues((day + dayS) * 1e6, 0).at(-1)!;
  await deleteRange(database, "threat_flows", "id", from, to);
}

/** What rollups of hosts have of a day, and what was seen last on it or on days before of which no flow is left. */
async function dropHosts(database: Database, day: number): Promise<void> {
  await deleteRange(database, "conversations", "day", day, day + dayS);
  await deleteRange(database, "host_hours", "hour", day, day + dayS);
  const [row] = await database.read((session) =>
    session.all("SELECT MAX(day) AS day FROM days WHERE day < ? AND gone & 1 = 0", [day])
  );
  const from = row.day === null ? 0 : (Number(row.day) + dayS) * 1e6;
  for (const table of ["hosts", "services", "neighbours", "host_names", "domains"]) {
    await deleteRange(database, table, "last_us", from, (day + dayS) * 1e6);
  }
}

/** Rows whose `column` is in a range, some thousand a transaction.
 * SQLite is asked for the keys, as its DELETE has no limit, and many rows may have one value of the column. */
async function deleteRange(
  database: Database,
  table: string,
  column: string,
  from: Value,
  to: Value,
  also = "",
): Promise<void> {
  const where = `${also}${column} >= ? AND ${column} < ?`;
  const some = `FROM ${table} WHERE ${where} LIMIT ${rowsPerDelete}`;
  const keys = database.dialect.name === "mariadb" ? null : await keysOf(database, table);
  const sql = keys === null
    ? `DELETE ${some}`
    : `DELETE FROM ${table} WHERE (${keys}) IN (SELECT ${keys} ${some})`;
  for (;;) {
    const deleted = await inTurn(() => database.transaction((session) => session.run(sql, [from, to])));
    if (deleted === 0) return;
  }
}

/** The columns of a table's primary key, in SQLite. */
async function keysOf(database: Database, table: string): Promise<string> {
  const rows = await database.read((session) =>
    session.all("SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", [table])
  );
  return rows.map(({ name }) => name).join(", ");
}

/** Does one piece of a long work, then rests for a quarter of the time it took. */
async function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
  const begunMs = systemClock.monotonicMs();
  const result = await work();
  await systemClock.sleep((systemClock.monotonicMs() - begunMs) / 4);
  return result;
}

/** Returns how many batches were forgotten. */
async function pruneLedger(database: Database, beforeMs: number): Promise<number> {
  let pruned = 0;
  for (let after = -1; after < beforeMs;) {
    const [row] = await database.read((session) =>
      session.all(
        `SELECT received_ms FROM ledger WHERE received_ms > ? AND received_ms < ? ORDER BY received_ms LIMIT 1 OFFSET ${rowsPerDelete}`,
        [after, beforeMs],
      )
    );
    const until = row === undefined ? beforeMs - 1 : row.received_ms as number;
    const remove = (session: Session) =>
      session.run(
        "DELETE FROM ledger WHERE received_ms > ? AND received_ms <= ? AND NOT EXISTS (SELECT 1 FROM gaps WHERE " +
          "gaps.sensor_id = ledger.sensor_id AND gaps.epoch = ledger.epoch AND gaps.bucket = ledger.bucket AND " +
          "gaps.closed_ms IS NULL AND ledger.seq >= gaps.from_seq AND ledger.seq <= gaps.to_seq)",
        [after, until],
      );
    pruned += await inTurn(() => database.transaction(remove));
    if (row === undefined) return pruned;
    after = until;
  }
  return pruned;
}
