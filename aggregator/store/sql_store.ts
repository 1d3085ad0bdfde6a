/** The store over a database: which session each question gets, and the migrations.
 *
 * In: a {@link Database}. Out: a {@link Store}. Invariant: whatever writes runs in one transaction; whatever only reads never waits
 * for a writer (SQLite in memory excepted). A database made by a newer version is refused, not guessed at. @module */

import { Buffer } from "node:buffer";
import type { CheckInRequest } from "../../shared/control.ts";
import { type Clock, systemClock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { Threat, ThreatStatus } from "../model/threat.ts";
import type { Flow } from "../model/flow.ts";
import type { ApiKeyRow } from "../model/access.ts";
import type {
  DeadLetter,
  EpochRow,
  Gap,
  IngestWrite,
  LedgerKey,
  LedgerRow,
  OffsetRow,
} from "../model/ledger.ts";
import type { FlowQuery, Page, PageRequest, ThreatQuery } from "../model/page.ts";
import type { JoinTokenRow, SensorRow } from "../model/sensor.ts";
import type { ProtocolTotal, SeriesPoint, TopTalker, Totals } from "../model/traffic.ts";
import type { Database, Row, Value } from "./database.ts";
import { flowFromRow } from "./flow_columns.ts";
import { queryFlows } from "./flow_query.ts";
import { insertApiKey, insertJoinToken, redeem, selectApiKeys, selectSensors } from "./identities.ts";
import { migrations, versionTable } from "./schema.ts";
import { readSightings } from "./sightings.ts";
import { queryProtocols, querySeries, queryTopTalkers, queryTotals } from "./stats.ts";
import { queryThreats, selectThreat, updateStatus, writeThreats } from "./threats.ts";
import { writeIngest } from "./write.ts";
import { type Store, StoreUnavailable } from "./store.ts";

const keysPerQuery = 200;
const epochsMax = 16;
const pingMsMax = 3_000;
const rowsMax = 100_000;

export class SqlStore implements Store {
  #database: Database;
  #reporter: Reporter;
  #clock: Clock;

  constructor(database: Database, deps: { reporter: Reporter; clock?: Clock }) {
    this.#database = database;
    this.#reporter = deps.reporter;
    this.#clock = deps.clock ?? systemClock;
  }

  async start(): Promise<void> {
    await this.#database.open();
    try {
      await this.#migrate();
    } catch (error) {
      await this.#database.close();
      throw error;
    }
  }

  stop(): Promise<void> {
    return this.#database.close();
  }

  async ping(): Promise<void> {
    const given = new AbortController();
    // The database's time is real, whatever clock the statements get.
    const late = systemClock.sleep(pingMsMax, given.signal).then(() => {
      if (!given.signal.aborted) {
        throw new StoreUnavailable(`the database did not answer within ${pingMsMax / 1_000} s`);
      }
    });
    try {
      await Promise.race([this.#database.ping(), late]);
    } finally {
      given.abort();
    }
  }

  async #migrate(): Promise<void> {
    const steps = migrations(this.#database.dialect);
    const at = await this.#database.transaction(async (session) => {
      await session.run(versionTable);
      const [row] = await session.all("SELECT MAX(version) AS version FROM schema_versions");
      return (row?.version ?? 0) as number;
    });
    if (at > steps.length) {
      throw new Error(
        `Cannot open store as its schema must be <= version ${steps.length}: current version is ${at}, made by a newer Picket`,
      );
    }
    for (let version = at + 1; version <= steps.length; version++) {
      await this.#database.transaction(async (session) => {
        for (const statement of steps[version - 1]) await session.run(statement);
        const { dialect } = this.#database;
        await session.run(dialect.insertMissing("schema_versions", ["version", "applied_ms"]), [
          version,
          this.#clock.nowMs(),
        ]);
      });
      this.#reporter.info("store migrated", { version });
    }
  }

  // Ingest.

  async readLedger(keys: LedgerKey[]): Promise<LedgerRow[]> {
    const found: LedgerRow[] = [];
    for (let from = 0; from < keys.length; from += keysPerQuery) {
      const part = keys.slice(from, from + keysPerQuery);
      const tuples = part.map(() => "(sensor_id = ? AND epoch = ? AND bucket = ? AND seq = ?)").join(" OR ");
      found.push(
        ...await this.#rows<LedgerRow>(
          `SELECT * FROM ledger WHERE ${tuples}`,
          part.flatMap((key) => [key.sensor_id, key.epoch, key.bucket, key.seq]),
        ),
      );
    }
    return found;
  }

  readPositions(sensorId: string, epoch: number) {
    return this.#rows<{ bucket: number; seq_max: number; batches: number }>(
      "SELECT bucket, seq_max, batches FROM positions WHERE sensor_id = ? AND epoch = ? ORDER BY bucket LIMIT 1024",
      [sensorId, epoch],
    );
  }

  async readEpochs(sensorId: string): Promise<EpochRow[]> {
    const rows = await this.#rows<EpochRow>(
      `SELECT epoch, first_sealed_ms, first_received_ms, last_sealed_ms FROM epochs WHERE sensor_id = ? ` +
        `ORDER BY epoch DESC LIMIT ${epochsMax}`,
      [sensorId],
    );
    return rows.reverse();
  }

  ingest(write: IngestWrite): Promise<void> {
    return this.#database.transaction((session) =>
      writeIngest(this.#database, session, write, this.#reporter)
    );
  }

  async readOffsets(topic: string): Promise<OffsetRow[]> {
    const rows = await this.#rows<Row>(
      "SELECT topic, partition_number, next_offset, mark FROM offsets WHERE topic = ? ORDER BY partition_number LIMIT 10000",
      [topic],
    );
    return rows.map((row) => ({
      topic: row.topic as string,
      partition: row.partition_number as number,
      next_offset: row.next_offset as string,
      mark: row.mark as string,
    }));
  }

  readRecentFlows(sinceMs: number, limit: number): Promise<Flow[]> {
    return this.#database.read(async (session) => {
      const rows = await session.all(
        `SELECT * FROM flows WHERE updated_ms >= ? ORDER BY updated_ms DESC, flow_id DESC LIMIT ?`,
        [sinceMs, Math.min(limit, rowsMax)],
      );
      const flows = rows.reverse().map((row) => flowFromRow(this.#database.dialect, row));
      return await readSightings(session, flows);
    });
  }

  readGaps(query: { sensor_id?: string; open?: boolean }, limit: number): Promise<Gap[]> {
    const where = ["1 = 1"];
    const values: Value[] = [];
    if (query.sensor_id !== undefined) {
      where.push("sensor_id = ?");
      values.push(query.sensor_id);
    }
    if (query.open !== undefined) where.push(`closed_ms IS ${query.open ? "" : "NOT "}NULL`);
    return this.#rows(
      `SELECT * FROM gaps WHERE ${
        where.join(" AND ")
      } ORDER BY found_ms DESC, sensor_id, epoch, bucket, from_seq LIMIT ?`,
      [...values, Math.min(limit, rowsMax)],
    );
  }

  async readDeadLetters(limit: number): Promise<DeadLetter[]> {
    const rows = await this.#rows<Row>(
      "SELECT received_ms, reason, origin, sensor_id, sample FROM dead_letters ORDER BY id DESC LIMIT ?",
      [Math.min(limit, rowsMax)],
    );
    return rows.map((row) => ({ ...row, sample: new Uint8Array(row.sample as Uint8Array) }) as DeadLetter);
  }

  // Identity.

  addJoinToken(row: JoinTokenRow): Promise<void> {
    return this.#database.transaction((session) => insertJoinToken(session, row));
  }

  async redeemJoinToken(
    tokenHash: string,
    sensor: Pick<SensorRow, "sensor_id" | "name" | "key_id" | "public_key">,
    nowMs: number,
  ) {
    try {
      return await this.#database.transaction((session) =>
        redeem(this.#database, session, tokenHash, sensor, nowMs)
      );
    } catch (error) {
      // Another token gave the same name or key to another sensor at the same moment.
      if (!this.#database.isDuplicateKey(error)) throw error;
      return { outcome: "name_taken" as const, sensor: null };
    }
  }

  readSensors(): Promise<SensorRow[]> {
    return this.#database.read(selectSensors);
  }

  async saveCheckIn(
    sensorId: string,
    checkIn: CheckInRequest,
    nowMs: number,
    clockOffsetMs: number,
  ): Promise<void> {
    await this.#change(
      "UPDATE sensors SET last_check_in_ms = ?, clock_offset_ms = ?, check_in = ? WHERE sensor_id = ?",
      [nowMs, clockOffsetMs, JSON.stringify(checkIn), sensorId],
    );
  }

  async revokeSensor(sensorId: string, nowMs: number): Promise<boolean> {
    await this.#change("UPDATE sensors SET revoked_ms = COALESCE(revoked_ms, ?) WHERE sensor_id = ?", [
      nowMs,
      sensorId,
    ]);
    return (await this.#rows("SELECT 1 AS found FROM sensors WHERE sensor_id = ?", [sensorId])).length > 0;
  }

  async quarantineSensor(sensorId: string, reason: string, nowMs: number): Promise<void> {
    await this.#change(
      "UPDATE sensors SET quarantined_ms = ?, quarantine_reason = ? WHERE sensor_id = ? AND quarantined_ms IS NULL",
      [nowMs, reason.toWellFormed().slice(0, 1_000), sensorId],
    );
  }

  addApiKey(row: ApiKeyRow): Promise<void> {
    return this.#database.transaction((session) => insertApiKey(session, row));
  }

  readApiKeys(): Promise<ApiKeyRow[]> {
    return this.#database.read(selectApiKeys);
  }

  // Threats.

  saveThreats(threats: Threat[]): Promise<void> {
    return this.#database.transaction((session) => writeThreats(this.#database.dialect, session, threats));
  }

  readThreat(id: string): Promise<Threat | null> {
    return this.#database.read((session) => selectThreat(session, id));
  }

  readThreats(query: ThreatQuery, page: PageRequest): Promise<Page<Threat>> {
    return this.#database.query((session) => queryThreats(this.#database.dialect, session, query, page));
  }

  setThreatStatus(id: string, status: ThreatStatus, nowMs: number): Promise<boolean> {
    return this.#database.transaction((session) => updateStatus(session, id, status, nowMs));
  }

  // Queries.

  async readFlow(flowId: string): Promise<Flow | null> {
    if (!/^[0-9a-f]{32}$/.test(flowId)) return null;
    return await this.#database.read(async (session) => {
      const rows = await session.all("SELECT * FROM flows WHERE flow_id = ?", [Buffer.from(flowId, "hex")]);
      const flows = rows.map((row) => flowFromRow(this.#database.dialect, row));
      return (await readSightings(session, flows))[0] ?? null;
    });
  }

  readFlows(query: FlowQuery, page: PageRequest): Promise<Page<Flow>> {
    const { dialect } = this.#database;
    return this.#database.query((session) =>
      queryFlows(dialect, session, query, page, () => this.#clock.monotonicMs())
    );
  }

  readTopTalkers(range: { from?: number; to?: number }, limit: number): Promise<TopTalker[]> {
    return this.#database.query((session) => queryTopTalkers(this.#database.dialect, session, range, limit));
  }

  readProtocols(range: { from?: number; to?: number }): Promise<ProtocolTotal[]> {
    return this.#database.query((session) => queryProtocols(session, range));
  }

  readSeries(
    range: { from: number; to: number },
    stepS: number,
    sensorId?: string,
  ): Promise<SeriesPoint[]> {
    return this.#database.query((session) => querySeries(session, range, stepS, sensorId));
  }

  readTotals(): Promise<Totals> {
    return this.#database.read(queryTotals);
  }

  /** Rows whose columns are the fields of `Result`. */
  async #rows<Result>(sql: string, values: Value[]): Promise<Result[]> {
    const rows = await this.#database.read((session) => session.all(sql, values));
    return rows.map((row) => ({ ...row }) as Result);
  }

  async #change(sql: string, values: Value[]): Promise<void> {
    await this.#database.transaction((session) => session.run(sql, values));
  }
}
