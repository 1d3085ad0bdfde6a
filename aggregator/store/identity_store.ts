/** The topic of identities: sensors, join tokens and API keys.
 *
 * In: hashes, never secrets. Out: rows. Invariant: of many redemptions at once of one token exactly as many enrol as it
 * has uses, as each is one transaction that reads the token for update; no two live sensors have one name. @module */

import { systemClock } from "../../shared/clock.ts";
import type { Database, Row, Session, Value } from "./database.ts";
import { marks } from "./database.ts";
import { writeAudit } from "./audit_store.ts";
import { checkInStore } from "./check_in_store.ts";
import type { ApiKeyRow } from "../model/access.ts";
import type { Actor } from "../model/audit.ts";
import {
  type JoinTokenRow,
  pendingReason,
  type RedeemOutcome,
  type SensorChange,
  type SensorChangeOutcome,
  type SensorRow,
} from "../model/sensor.ts";
import type { IdentityStore, KnownCheckIns } from "./store.ts";

const sensorsMax = 10_000;
const apiKeysMax = 10_000;
const joinTokensMax = 1_000;
/** What people call a token or a key by. */
const shownHash = 12;

type NewSensor = Pick<SensorRow, "sensor_id" | "name" | "key_id" | "public_key">;

export function identityStore(database: Database): IdentityStore {
  const write = async (sql: string, values: Value[]): Promise<void> => {
    await database.transaction((session) => session.run(sql, values));
  };
  return {
    addJoinToken: (row, by) =>
      database.transaction(async (session) => {
        await insertJoinToken(session, row);
        const subject = row.token_hash.slice(0, shownHash), detail = `site ${row.site}, uses ${row.uses_max}`;
        await writeAudit(session, by, row.created_ms, "token_made", subject, detail);
      }),
    async redeemJoinToken(tokenHash, sensor, nowMs) {
      try {
        return await database.transaction((session) => redeem(database, session, tokenHash, sensor, nowMs));
      } catch (error) {
        // Another token gave the same name or key to another sensor at the same moment.
        if (!database.isDuplicateKey(error)) throw error;
        return { outcome: "name_taken", sensor: null };
      }
    },
    readJoinTokens: () => database.read(selectJoinTokens),
    revokeJoinToken: (id, nowMs, by) =>
      database.transaction((session) => revokeToken(session, id, nowMs, by)),
    readSensors: (known) =>
      database.read((session) => known === undefined ? selectSensors(session) : selectBeside(session, known)),
    async changeSensor(sensorId, wanted, nowMs, by) {
      try {
        return await database.transaction(async (session) => {
          const outcome = await change(session, sensorId, wanted, nowMs);
          const { kind, ...detail } = wanted;
          if (outcome === "changed") {
            await writeAudit(session, by, nowMs, `sensor_${kind}`, sensorId, JSON.stringify(detail));
          }
          return outcome;
        });
      } catch (error) {
        if (!database.isDuplicateKey(error)) throw error;
        return "name_taken";
      }
    },
    ...checkInStore(database),
    revokeSensor: (sensorId, nowMs, by) =>
      database.transaction(async (session) => {
        const find = "SELECT 1 AS found FROM sensors WHERE sensor_id = ?";
        if ((await session.all(find, [sensorId])).length === 0) return false;
        await session.run(
          "UPDATE sensors SET revoked_ms = COALESCE(revoked_ms, ?), live_name = NULL WHERE sensor_id = ?",
          [nowMs, sensorId],
        );
        await writeAudit(session, by, nowMs, "sensor_revoke", sensorId, "");
        return true;
      }),
    quarantineSensor: (sensorId, reason, nowMs) =>
      write(
        "UPDATE sensors SET quarantined_ms = ?, quarantine_reason = ? WHERE sensor_id = ? AND quarantined_ms IS NULL",
        [nowMs, reason.toWellFormed().slice(0, 1_000), sensorId],
      ),
    ...keyStore(database),
  };
}

async function revokeToken(
  session: Session,
  id: string,
  nowMs: number,
  by: Actor | undefined,
): Promise<boolean> {
  const [row] = await session.all(
    "SELECT token_hash FROM join_tokens WHERE SUBSTR(token_hash, 1, ?) = ? LIMIT 1",
    [id.length, id],
  );
  if (!row) return false;
  await session.run("UPDATE join_tokens SET revoked_ms = COALESCE(revoked_ms, ?) WHERE token_hash = ?", [
    nowMs,
    row.token_hash,
  ]);
  await writeAudit(session, by, nowMs, "token_revoked", id, "");
  return true;
}

function keyStore(
  database: Database,
): Pick<IdentityStore, "addApiKey" | "readApiKeys" | "revokeApiKey"> {
  return {
    addApiKey: (row, by) =>
      database.transaction(async (session) => {
        await insertApiKey(session, row);
        const subject = row.key_hash.slice(0, shownHash), detail = `${row.role} ${row.name}`;
        await writeAudit(session, by, row.created_ms, "key_made", subject, detail);
      }),
    readApiKeys: () => database.read(selectApiKeys),
    revokeApiKey: (keyHash, nowMs, by) =>
      database.transaction(async (session) => {
        await session.run("UPDATE api_keys SET revoked_ms = COALESCE(revoked_ms, ?) WHERE key_hash = ?", [
          nowMs,
          keyHash,
        ]);
        await writeAudit(session, by, nowMs, "key_revoked", keyHash.slice(0, shownHash), "");
      }),
  };
}

const tokenColumns = [
  "token_hash",
  "site",
  "tags",
  "created_ms",
  "expires_ms",
  "uses_max",
  "uses",
  "needs_approval",
  "revoked_ms",
  "used_ms",
  "used_by",
] as const;

async function insertJoinToken(session: Session, row: JoinTokenRow): Promise<void> {
  await session.run(
    `INSERT INTO join_tokens (${tokenColumns.join(", ")}) VALUES (${marks(tokenColumns.length)})`,
    tokenColumns.map((column) =>
      column === "tags"
        ? JSON.stringify(row.tags)
        : column === "needs_approval"
        ? Number(row.needs_approval)
        : row[column]
    ),
  );
}

async function selectJoinTokens(session: Session): Promise<JoinTokenRow[]> {
  const rows = await session.all(
    `SELECT * FROM join_tokens ORDER BY created_ms DESC, token_hash LIMIT ${joinTokensMax}`,
  );
  return rows.map((row) => ({
    ...row as unknown as JoinTokenRow,
    tags: JSON.parse(row.tags as string),
    needs_approval: row.needs_approval === 1,
  }));
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
  const [known] = await session.all("SELECT * FROM sensors WHERE public_key = ? LIMIT 1", [
    sensor.public_key,
  ]);
  const isSame = known !== undefined && known.name === sensor.name && known.revoked_ms === null;
  // Asked again, as the answer was lost: whatever became of the token since.
  if (isSame && known.join_token === tokenHash) {
    return { outcome: "same_sensor", sensor: sensorFromRow(known) };
  }
  if (token.revoked_ms !== null) return { outcome: "revoked_token", sensor: null };
  if ((token.uses as number) >= (token.uses_max as number)) return { outcome: "used_token", sensor: null };
  if ((token.expires_ms as number) <= nowMs) return { outcome: "expired_token", sensor: null };
  if (known && !isSame) return { outcome: "key_taken", sensor: null };
  if (!known && !await freeName(session, sensor.name)) return { outcome: "name_taken", sensor: null };
  const enrolled = known ? sensorFromRow(known) : await insertSensor(session, token, sensor, nowMs);
  await session.run("UPDATE sensors SET join_token = ? WHERE sensor_id = ?", [tokenHash, enrolled.sensor_id]);
  await session.run("UPDATE join_tokens SET uses = uses + 1, used_ms = ?, used_by = ? WHERE token_hash = ?", [
    nowMs,
    enrolled.sensor_id,
    tokenHash,
  ]);
  return { outcome: known ? "same_sensor" : "enrolled", sensor: { ...enrolled, join_token: tokenHash } };
}

/** Takes the name from a quarantined sensor, whose place the new one takes. False = a live one has it. */
async function freeName(session: Session, name: string): Promise<boolean> {
  const [holder] = await session.all("SELECT * FROM sensors WHERE live_name = ?", [name]);
  if (!holder) return true;
  if (holder.quarantined_ms === null || holder.approved_ms === null) return false;
  await session.run("UPDATE sensors SET live_name = NULL WHERE sensor_id = ?", [holder.sensor_id as string]);
  return true;
}

async function insertSensor(
  session: Session,
  token: Row,
  sensor: NewSensor,
  nowMs: number,
): Promise<SensorRow> {
  const isPending = token.needs_approval === 1;
  const row = {
    ...sensor,
    live_name: sensor.name,
    site: token.site,
    tags: token.tags,
    enrolled_ms: nowMs,
    approved_ms: isPending ? null : nowMs,
    quarantined_ms: isPending ? nowMs : null,
    quarantine_reason: isPending ? pendingReason : null,
  };
  const columns = Object.keys(row);
  await session.run(
    `INSERT INTO sensors (${columns.join(", ")}) VALUES (${marks(columns.length)})`,
    Object.values(row),
  );
  const [inserted] = await session.all("SELECT * FROM sensors WHERE sensor_id = ?", [sensor.sensor_id]);
  return sensorFromRow(inserted);
}

async function change(
  session: Session,
  sensorId: string,
  wanted: SensorChange,
  nowMs: number,
): Promise<SensorChangeOutcome> {
  const [row] = await session.all("SELECT * FROM sensors WHERE sensor_id = ?", [sensorId]);
  if (!row) return "unknown_sensor";
  const set = (sql: string, ...values: Value[]) =>
    session.run(`UPDATE sensors SET ${sql} WHERE sensor_id = ?`, [...values, sensorId]);
  switch (wanted.kind) {
    case "approve":
      await set("approved_ms = COALESCE(approved_ms, ?)", nowMs);
      if (row.quarantine_reason === pendingReason) {
        await set("quarantined_ms = NULL, quarantine_reason = NULL");
      }
      break;
    case "release":
      if (row.quarantine_reason === pendingReason) break; // Approval is another decision.
      // A revoked one stays revoked, and its name free.
      if (row.revoked_ms === null && !await holdName(session, sensorId, row.name as string)) {
        return "name_taken";
      }
      await set("quarantined_ms = NULL, quarantine_reason = NULL");
      break;
    case "rename":
      if (row.revoked_ms === null && !await holdName(session, sensorId, wanted.name)) return "name_taken";
      await set("name = ?", wanted.name);
      break;
    case "tag":
      await set("tags = ?", JSON.stringify(wanted.tags));
      break;
    case "remove":
      await session.run("DELETE FROM sensors WHERE sensor_id = ?", [sensorId]);
      await session.run("DELETE FROM ended_epochs WHERE sensor_id = ?", [sensorId]);
  }
  return "changed";
}

async function holdName(session: Session, sensorId: string, name: string): Promise<boolean> {
  const others = await session.all("SELECT 1 AS found FROM sensors WHERE live_name = ? AND sensor_id <> ?", [
    name,
    sensorId,
  ]);
  if (others.length > 0) return false;
  await session.run("UPDATE sensors SET live_name = ? WHERE sensor_id = ?", [name, sensorId]);
  return true;
}

async function selectSensors(session: Session): Promise<SensorRow[]> {
  return (await session.all(`SELECT * FROM sensors ORDER BY name LIMIT ${sensorsMax}`)).map(sensorFromRow);
}

const sensorColumns = [
  "sensor_id",
  "name",
  "site",
  "tags",
  "key_id",
  "public_key",
  "enrolled_ms",
  "approved_ms",
  "join_token",
  "revoked_ms",
  "quarantined_ms",
  "quarantine_reason",
  "last_check_in_ms",
  "last_batch_ms",
  "clock_offset_ms",
  "canary",
  "canary_asked_ms",
] as const;
const checkInsAtOnce = 100;
const rowsPerTurn = 500;

/** All but the check-ins, which are most of a row; and those that are newer than the known ones. */
async function selectBeside(session: Session, known: KnownCheckIns | null): Promise<SensorRow[]> {
  const rows = await selectInTurns(session);
  if (known === null) return rows;
  const newer: SensorRow[] = [];
  for (const row of rows) {
    const has = known.get(row.sensor_id);
    if ((has?.last_check_in_ms ?? -Infinity) < (row.last_check_in_ms ?? -Infinity)) newer.push(row);
    else row.check_in = has?.check_in ?? null;
  }
  for (let at = 0; at < newer.length; at += checkInsAtOnce) {
    const part = new Map(newer.slice(at, at + checkInsAtOnce).map((row) => [row.sensor_id, row]));
    const texts = await session.all(
      `SELECT sensor_id, check_in FROM sensors WHERE sensor_id IN (${marks(part.size)})`,
      [...part.keys()],
    );
    for (const { sensor_id, check_in } of texts) {
      part.get(sensor_id as string)!.check_in = check_in === null ? null : JSON.parse(check_in as string);
    }
  }
  return rows;
}

/** Without check-ins, by name. */
async function selectInTurns(session: Session): Promise<SensorRow[]> {
  const rows: SensorRow[] = [];
  for (let after = ""; rows.length < sensorsMax;) {
    // Ten thousand rows at once would hold up those who check in meanwhile.
    if (rows.length > 0) await systemClock.sleep(0);
    const found = await session.all(
      `SELECT ${
        sensorColumns.join(", ")
      } FROM sensors WHERE sensor_id > ? ORDER BY sensor_id LIMIT ${rowsPerTurn}`,
      [after],
    );
    for (const row of found) rows.push(sensorFromRow({ ...row, live_name: null, check_in: null }));
    if (found.length < rowsPerTurn) break;
    after = rows[rows.length - 1].sensor_id;
  }
  return rows.sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
}

function sensorFromRow({ live_name: _, ...row }: Row): SensorRow {
  return {
    ...row as unknown as SensorRow,
    tags: JSON.parse(row.tags as string),
    check_in: row.check_in === null ? null : JSON.parse(row.check_in as string),
    canary: row.canary === null ? null : JSON.parse(row.canary as string),
  };
}

async function insertApiKey(session: Session, row: ApiKeyRow): Promise<void> {
  await session.run(
    `INSERT INTO api_keys (key_hash, name, role, created_ms, revoked_ms, expires_ms) VALUES (${marks(6)})`,
    [row.key_hash, row.name, row.role, row.created_ms, row.revoked_ms, row.expires_ms],
  );
}

async function selectApiKeys(session: Session): Promise<ApiKeyRow[]> {
  const rows = await session.all(`SELECT * FROM api_keys ORDER BY created_ms, key_hash LIMIT ${apiKeysMax}`);
  return rows.map((row) => ({ ...row }) as unknown as ApiKeyRow);
}
