/** The topic of upkeep: how large the store is, whether it is sound, and what keeps it fast.
 *
 * In: nothing but a day. Out: sizes, sums, problems in words. Invariant: nothing here changes a row or holds up ingest
 * for longer than one short statement; SQLite's `quick_check` reads alongside it. @module */

import { dayS, type StoredDay } from "../model/retention.ts";
import type { DaySums } from "../model/archived.ts";
import type { Database, Session } from "./database.ts";
import { within } from "./key_range.ts";
import type { UpkeepStore } from "./store.ts";

const hourS = 3_600;
const problemsMax = 20;

export function upkeepStore(database: Database): UpkeepStore {
  const isServer = database.dialect.name === "mariadb";
  const read = <Result>(work: (session: Session) => Promise<Result>) => database.read(work);
  return {
    readTableSizes: () => read((session) => tableSizes(session, isServer)),
    sumDay: (day) => sumDay(database, day),
    async readVersion() {
      const [row] = await read((session) =>
        session.all("SELECT MAX(version) AS version FROM schema_versions")
      );
      return row.version as number;
    },
    isEmpty: () =>
      read(async (session) => {
        for (const table of ["flows", "threats", "sensors", "ledger"]) {
          if ((await session.all(`SELECT 1 AS found FROM ${table} LIMIT 1`)).length > 0) return false;
        }
        return true;
      }),
    async optimize() {
      if (isServer) {
        const tables = await read((session) => tableSizes(session, true));
        for (const { name } of tables) {
          await database.transaction((session) => session.run(`ANALYZE TABLE ${name}`));
        }
      } else {
        await read((session) => session.all("PRAGMA analysis_limit = 1000"));
        await read((session) => session.all("PRAGMA optimize(0x10002)"));
        await read((session) => session.all("PRAGMA wal_checkpoint(PASSIVE)"));
      }
    },
    findProblems: (days) => findProblems(database, days),
  };
}

async function tableSizes(
  session: Session,
  isServer: boolean,
): Promise<{ name: string; octets: number; rows: number | null }[]> {
  const rows = await session.all(
    isServer
      ? "SELECT table_name AS name, data_length + index_length AS octets, table_rows AS number FROM " +
        "information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' ORDER BY octets DESC, name"
      : "SELECT COALESCE(tbl_name, stat.name) AS name, SUM(stat.pgsize) AS octets, NULL AS number FROM " +
        "(SELECT name, pgsize FROM dbstat WHERE aggregate = TRUE) AS stat LEFT JOIN sqlite_schema ON " +
        "sqlite_schema.name = stat.name GROUP BY 1 ORDER BY octets DESC, name",
  );
  return rows.map(({ name, octets, number }) => ({
    name: name as string,
    octets: Number(octets),
    // A server's own estimate.
    rows: number === null ? null : Number(number),
  }));
}

/** By hours, as no statement may take longer than a person's query. */
async function sumDay(
  database: Database,
  day: number,
): Promise<Pick<DaySums, "flows" | "packets" | "bytes">> {
  const sums = { flows: 0, packets: 0, bytes: 0 };
  for (let from = day; from < day + dayS; from += hourS) {
    const hour = { low: { us: from * 1e6, slot: 0 }, high: { us: (from + hourS) * 1e6, slot: 0 } };
    const range = within(database.dialect, "flows", hour);
    // As reals: sums of hostile counts may pass what an integer holds.
    const [row] = await database.read((session) =>
      session.all(
        "SELECT COUNT(*) AS flows, COALESCE(SUM((fwd_packets + bwd_packets) * 1e0), 0) AS packets, " +
          `COALESCE(SUM((fwd_bytes + bwd_bytes) * 1e0), 0) AS bytes FROM flows WHERE ${range.sql}`,
        range.values,
      )
    );
    sums.flows += row.flows as number;
    sums.packets += row.packets as number;
    sums.bytes += row.bytes as number;
  }
  return sums;
}

/** In words, at most {@link problemsMax} of each kind. */
async function findProblems(database: Database, days: readonly StoredDay[]): Promise<string[]> {
  const problems: string[] = [];
  if (database.dialect.name === "sqlite") {
    const found = await database.read((session) => session.all(`PRAGMA quick_check(${problemsMax})`));
    problems.push(
      ...found.map((row) => String(Object.values(row)[0])).filter((text) => text !== "ok")
        .map((text) => `database file: ${text}`),
    );
  }
  for (const { day, flows, gone } of days) {
    if (gone.includes("flows")) continue;
    const stored = await sumDay(database, day);
    if (stored.flows >= flows) continue;
    problems.push(
      `${
        new Date(day * 1e3).toISOString().slice(0, 10)
      }: ${flows} flows were stored, ${stored.flows} are there`,
    );
  }
  const wrong = await database.read((session) =>
    session.all(
      "SELECT sensor_id, epoch, bucket, batches, seq_max, (SELECT COUNT(*) FROM ledger WHERE " +
        "ledger.sensor_id = positions.sensor_id AND ledger.epoch = positions.epoch AND " +
        "ledger.bucket = positions.bucket) AS listed FROM positions WHERE batches > seq_max + 1 OR batches < " +
        "(SELECT COUNT(*) FROM ledger WHERE ledger.sensor_id = positions.sensor_id AND " +
        `ledger.epoch = positions.epoch AND ledger.bucket = positions.bucket) LIMIT ${problemsMax}`,
    )
  );
  for (const row of wrong) {
    problems.push(
      `ledger of ${row.sensor_id}, epoch ${row.epoch}, bucket ${row.bucket}: ${row.batches} batches were counted, ` +
        `${row.listed} are listed, the last is number ${row.seq_max}`,
    );
  }
  return problems;
}
