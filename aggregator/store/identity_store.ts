/** The topic of identities: sensors, join tokens and API keys.
 *
 * In: hashes, never secrets. Out: rows. Invariant: of many redemptions at once of one token exactly one enrols, as each is one
 * transaction that reads the token for update. @module */

import type { CheckInRequest } from "../../shared/control.ts";
import type { Database, Row, Session, Value } from "./database.ts";
import { marks } from "./database.ts";
import type { ApiKeyRow } from "../model/access.ts";
import type { JoinTokenRow, RedeemOutcome, SensorRow } from "../model/sensor.ts";
import type { IdentityStore } from "./store.ts";

const sensorsMax = 10_000;
const apiKeysMax = 10_000;

type NewSensor = Pick<SensorRow, "sensor_id" | "name" | "key_id" | "public_key">;

export function identityStore(database: Database): IdentityStore {
  const change = async (sql: string, values: Value[]): Promise<void> => {
    await database.transaction((session) => session.run(sql, values));
  };
  return {
    addJoinToken: (row) => database.transaction((session) => insertJoinToken(session, row)),
    async redeemJoinToken(tokenHash, sensor, nowMs) {
      try {
        return await database.transaction((session) => redeem(database, session, tokenHash, sensor, nowMs));
      } catch (error) {
        // Another token gave the same name or key to another sensor at the same moment.
        if (!database.isDuplicateKey(error)) throw error;
        return { outcome: "name_taken", sensor: null };
      }
    },
    readSensors: () => database.read(selectSensors),
    saveCheckIn: (sensorId: string, checkIn: CheckInRequest, nowMs: number, clockOffsetMs: number) =>
      change(
        "UPDATE sensors SET last_check_in_ms = ?, clock_offset_ms = ?, check_in = ? WHERE sensor_id = ?",
        [
          nowMs,
          clockOffsetMs,
          JSON.stringify(checkIn),
          sensorId,
        ],
      ),
    async revokeSensor(sensorId, nowMs) {
      await change("UPDATE sensors SET revoked_ms = COALESCE(revoked_ms, ?) WHERE sensor_id = ?", [
        nowMs,
        sensorId,
      ]);
      const find = "SELECT 1 AS found FROM sensors WHERE sensor_id = ?";
      return (await database.read((session) => session.all(find, [sensorId]))).length > 0;
    },
    quarantineSensor: (sensorId, reason, nowMs) =>
      change(
        "UPDATE sensors SET quarantined_ms = ?, quarantine_reason = ? WHERE sensor_id = ? AND quarantined_ms IS NULL",
        [nowMs, reason.toWellFormed().slice(0, 1_000), sensorId],
      ),
    addApiKey: (row) => database.transaction((session) => insertApiKey(session, row)),
    readApiKeys: () => database.read(selectApiKeys),
  };
}

async function insertJoinToken(session: Session, row: JoinTokenRow): Promise<void> {
  const columns = ["token_hash", "site", "tags", "created_ms", "expires_ms", "used_ms", "used_by"] as const;
  await session.run(
    `INSERT INTO join_tokens (${columns.join(", ")}) VALUES (${marks(columns.length)})`,
    columns.map((column) => column === "tags" ? JSON.stringify(row.tags) : row[column]),
  );
}

async function redeem(
  { dialect }: Database,
  session: Session,
  tokenHash: string,
  sensor: NewSensor,
  nowMs: number,
): Promise<{ outcome: RedeemOutcome; sensor: SensorRow | null }> {
  const [token] = await session.all(
    `SELECT * FROM join_tokens WHERE token_hash = ?${dialect.forUpdate}`,
    [tokenHash],
  );
  if (!token) return { outcome: "unknown_token", sensor: null };
  if (token.used_by !== null) {
    const [user] = await session.all("SELECT * FROM sensors WHERE sensor_id = ?", [token.used_by]);
    const isSame = user !== undefined && user.public_key === sensor.public_key && user.name === sensor.name;
    return isSame
      ? { outcome: "same_sensor", sensor: sensorFromRow(user) }
      : { outcome: "used_token", sensor: null };
  }
  if ((token.expires_ms as number) <= nowMs) return { outcome: "expired_token", sensor: null };
  const [taken] = await session.all(
    "SELECT * FROM sensors WHERE name = ? OR public_key = ? OR sensor_id = ? LIMIT 1",
    [sensor.name, sensor.public_key, sensor.sensor_id],
  );
  const isSame = taken !== undefined && taken.name === sensor.name &&
    taken.public_key === sensor.public_key &&
    taken.revoked_ms === null;
  if (taken && !isSame) return { outcome: "name_taken", sensor: null };
  const enrolled = taken ? sensorFromRow(taken) : await insertSensor(session, token, sensor, nowMs);
  await session.run("UPDATE join_tokens SET used_ms = ?, used_by = ? WHERE token_hash = ?", [
    nowMs,
    enrolled.sensor_id,
    tokenHash,
  ]);
  return { outcome: taken ? "same_sensor" : "enrolled", sensor: enrolled };
}

async function insertSensor(
  session: Session,
  token: Row,
  sensor: NewSensor,
  nowMs: number,
): Promise<SensorRow> {
  const columns = ["sensor_id", "name", "site", "tags", "key_id", "public_key", "enrolled_ms"];
  const { sensor_id, name, key_id, public_key } = sensor;
  await session.run(
    `INSERT INTO sensors (${columns.join(", ")}) VALUES (${marks(columns.length)})`,
    [sensor_id, name, token.site, token.tags, key_id, public_key, nowMs],
  );
  const [row] = await session.all("SELECT * FROM sensors WHERE sensor_id = ?", [sensor_id]);
  return sensorFromRow(row);
}

async function selectSensors(session: Session): Promise<SensorRow[]> {
  return (await session.all(`SELECT * FROM sensors ORDER BY name LIMIT ${sensorsMax}`)).map(sensorFromRow);
}

function sensorFromRow(row: Row): SensorRow {
  return {
    ...row as unknown as SensorRow,
    tags: JSON.parse(row.tags as string),
    check_in: row.check_in === null ? null : JSON.parse(row.check_in as string),
  };
}

async function insertApiKey(session: Session, row: ApiKeyRow): Promise<void> {
  await session.run(
    `INSERT INTO api_keys (key_hash, name, role, created_ms, revoked_ms) VALUES (${marks(5)})`,
    [row.key_hash, row.name, row.role, row.created_ms, row.revoked_ms],
  );
}

async function selectApiKeys(session: Session): Promise<ApiKeyRow[]> {
  const rows = await session.all(`SELECT * FROM api_keys ORDER BY created_ms, key_hash LIMIT ${apiKeysMax}`);
  return rows.map((row) => ({ ...row }) as unknown as ApiKeyRow);
}
