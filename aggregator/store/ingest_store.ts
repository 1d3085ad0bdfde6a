/** The topic of ingest: the write of a transaction, and the books that say what was taken in.
 *
 * In: one {@link IngestWrite} a transaction. Out: ledger, epochs, positions, offsets, gaps, dead letters.
 * Invariant: what `ingest` writes is one database transaction; see write.ts. @module */

import type { Reporter } from "../../shared/reporter.ts";
import type { DeadLetter, EpochRow, Gap, GapQuery, LedgerKey, LedgerRow } from "../model/ledger.ts";
import type { Database, Row, Value } from "./database.ts";
import type { RowCaps } from "./row_caps.ts";
import { WrittenNames } from "./written_names.ts";
import type { IngestStore } from "./store.ts";
import type { Words } from "./words.ts";
import { writeIngest } from "./write.ts";

const keysPerQuery = 200;
const epochsMax = 16;
const rowsMax = 100_000;

export function ingestStore(
  database: Database,
  deps: { words: Words; reporter: Reporter; caps: RowCaps },
): IngestStore {
  const written = new WrittenNames();
  /** Rows whose columns are the fields of `Result`. */
  const select = async <Result>(sql: string, values: Value[]): Promise<Result[]> => {
    const rows = await database.read((session) => session.all(sql, values));
    return rows.map((row) => ({ ...row }) as Result);
  };
  return {
    async ingest(write) {
      await deps.words.need(write.flows, write.sightings);
      await deps.caps.room();
      written.begin();
      await database.transaction((session) => writeIngest(database, session, write, { ...deps, written }));
      written.commit();
      deps.caps.trim();
    },
    readLedger: (keys) => readLedger(keys, select),
    readPositions: (sensorId, epoch) =>
      select(
        "SELECT bucket, seq_max, batches FROM positions WHERE sensor_id = ? AND epoch = ? ORDER BY bucket LIMIT 1024",
        [
          sensorId,
          epoch,
        ],
      ),
    async readEpochPackets(sensorId, epoch) {
      const sum = "SELECT COALESCE(SUM(packets), 0) AS packets FROM ledger WHERE sensor_id = ? AND epoch = ?";
      const [row] = await select<Row>(sum, [sensorId, epoch]);
      return Number(row.packets);
    },
    async readEpochs(sensorId) {
      const rows = await select<EpochRow>(
        `SELECT epoch, first_sealed_ms, first_received_ms, last_sealed_ms FROM epochs WHERE sensor_id = ? ` +
          `ORDER BY epoch DESC LIMIT ${epochsMax}`,
        [sensorId],
      );
      return rows.reverse();
    },
    async readOffsets(topic) {
      const rows = await select<Row>(
        "SELECT topic, partition_number, next_offset, mark FROM offsets WHERE topic = ? ORDER BY partition_number LIMIT 10000",
        [topic],
      );
      return rows.map((row) => ({
        topic: row.topic as string,
        partition: row.partition_number as number,
        next_offset: row.next_offset as string,
        mark: row.mark as string,
      }));
    },
    readGaps: (query, limit) => readGaps(query, limit, select),
    async readDeadLetters(limit) {
      const rows = await select<Row>(
        "SELECT received_ms, reason, origin, sensor_id, sample FROM dead_letters ORDER BY id DESC LIMIT ?",
        [Math.min(limit, rowsMax)],
      );
      return rows.map((row) => ({ ...row, sample: new Uint8Array(row.sample as Uint8Array) }) as DeadLetter);
    },
  };
}

type Select = <Result>(sql: string, values: Value[]) => Promise<Result[]>;

async function readLedger(keys: readonly LedgerKey[], select: Select): Promise<LedgerRow[]> {
  const found: LedgerRow[] = [];
  for (let from = 0; from < keys.length; from += keysPerQuery) {
    const part = keys.slice(from, from + keysPerQuery);
    const tuples = part.map(() => "(sensor_id = ? AND epoch = ? AND bucket = ? AND seq = ?)").join(" OR ");
    const values = part.flatMap((key) => [key.sensor_id, key.epoch, key.bucket, key.seq]);
    found.push(...await select<LedgerRow>(`SELECT * FROM ledger WHERE ${tuples}`, values));
  }
  return found;
}

function readGaps(
  query: GapQuery,
  limit: number,
  select: Select,
): Promise<Gap[]> {
  const where = ["1 = 1"];
  const values: Value[] = [];
  if (query.sensor_id !== undefined) {
    where.push("sensor_id = ?");
    values.push(query.sensor_id);
  }
  if (query.open !== undefined) where.push(`closed_ms IS ${query.open ? "" : "NOT "}NULL`);
  if (query.untilMs !== undefined) {
    where.push("found_ms < ?");
    values.push(query.untilMs);
  }
  if (query.fromMs !== undefined) {
    where.push("(closed_ms IS NULL OR closed_ms >= ?)");
    values.push(query.fromMs);
  }
  return select(
    `SELECT * FROM gaps WHERE ${
      where.join(" AND ")
    } ORDER BY found_ms DESC, sensor_id, epoch, bucket, from_seq LIMIT ?`,
    [...values, Math.min(limit, rowsMax)],
  );
}
