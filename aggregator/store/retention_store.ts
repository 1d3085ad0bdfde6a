/** The topic of retention: which days are stored, how large the store is, and what is forgotten.
 *
 * In: days, parts of them. Out: what is stored, in days and in octets. Invariant: what is long is done in pieces, with
 * a rest after each, so that ingest goes on meanwhile: without it SQLite's calls would leave others no turn. How a part
 * of a day leaves is in drop_day.ts.
 * The ledger forgets batches that were stored long ago: positions and open gaps show that they were. Rows inside an
 * open gap stay, as a gap may name more batches than are missing. @module */

import { systemClock } from "../../shared/clock.ts";
import { dayParts, dayS, type StoredDay } from "../model/retention.ts";
import type { FlowRows } from "../model/flow_rows.ts";
import type { Database, Session } from "./database.ts";
import { addPartitions, dayTables } from "./day_partitions.ts";
import { dropDay } from "./drop_day.ts";
import { pruneRecent } from "./recent.ts";
import type { RetentionStore } from "./store.ts";
import { pruneTalkers } from "./write_rollups.ts";

const rowsPerDelete = 2_000;
const daysMax = 10_000;

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
      if (isPartitioned) { for (const table of dayTables) await addPartitions(database, table, nowMs); }
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
    dropDay: (day, part) => dropDay(database, day, part),
    async forgetDay(day) {
      await database.transaction((session) => session.run("DELETE FROM days WHERE day = ?", [day]));
    },
    async pruneLedger(beforeMs) {
      await database.transaction(pruneRecent);
      return await pruneLedger(database, beforeMs);
    },
    pruneTalkers: (nowMs) => pruneTalkers(database, nowMs),
    pruneGaps: (beforeMs) =>
      database.transaction((session) => session.run("DELETE FROM gaps WHERE closed_ms < ?", [beforeMs])),
  };
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
