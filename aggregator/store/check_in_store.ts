/** Check-ins: the last one of each sensor, what became of its canaries, and the counts in the last check-in of each
 * epoch that ended.
 *
 * In: check-ins, and what was found to be missing since. Out: rows.
 * Invariant: a check-in and the epoch it ends are one transaction; at most {@link endedMax} epochs of a sensor are
 * stored, the newest; storing one again changes nothing.
 * Why a power cut may take them: every sensor checks in again ten seconds later, and an epoch that ended shows again
 * then. @module */

import type { CheckInWrite, EndedEpoch } from "../model/sensor.ts";
import type { Database, Session } from "./database.ts";
import { writeAudit } from "./audit_store.ts";
import type { IdentityStore } from "./store.ts";

const endedMax = 8;
const rowsMax = 80_000;

type CheckInStore = Pick<
  IdentityStore,
  "saveCheckIns" | "readEndedEpochs" | "noteMissing" | "forgetEndedEpoch" | "askCanary" | "saveCanaries"
>;

export function checkInStore(database: Database): CheckInStore {
  const write = (sql: string, values: (string | number)[]) =>
    database.transaction((session) => session.run(sql, values)).then(() => undefined);
  return {
    saveCheckIns: (writes) =>
      database.transaction(async (session) => {
        for (const { sensorId, checkIn, nowMs, clockOffsetMs, ended } of writes) {
          await session.run(
            "UPDATE sensors SET last_check_in_ms = ?, clock_offset_ms = ?, check_in = ? WHERE sensor_id = ?",
            [nowMs, clockOffsetMs, JSON.stringify(checkIn), sensorId],
          );
          await insertEnded(database, session, sensorId, ended);
        }
      }, { isDurable: false }),
    askCanary: (sensorId, nowMs, by) =>
      database.transaction(async (session) => {
        const find = "SELECT 1 AS found FROM sensors WHERE sensor_id = ?";
        if ((await session.all(find, [sensorId])).length === 0) return false;
        await session.run("UPDATE sensors SET canary_asked_ms = ? WHERE sensor_id = ?", [nowMs, sensorId]);
        await writeAudit(session, by, nowMs, "sensor_canary", sensorId, "");
        return true;
      }),
    saveCanaries: (states) =>
      database.transaction(async (session) => {
        for (const [sensorId, state] of states) {
          await session.run("UPDATE sensors SET canary = ? WHERE sensor_id = ?", [
            JSON.stringify(state),
            sensorId,
          ]);
        }
      }, { isDurable: false }),
    async readEndedEpochs(sensorId) {
      const [where, values] = sensorId === undefined ? ["", []] : ["WHERE sensor_id = ?", [sensorId]];
      const rows = await database.read((session) =>
        session.all(
          `SELECT * FROM ended_epochs ${where} ORDER BY sensor_id, epoch LIMIT ${rowsMax}`,
          values,
        )
      );
      return rows.map((row) => ({ ...row }) as unknown as EndedEpoch);
    },
    noteMissing: (sensorId, epoch, missing, nowMs) =>
      write(
        "UPDATE ended_epochs SET missing = ?, found_ms = COALESCE(found_ms, ?) WHERE sensor_id = ? AND epoch = ?",
        [missing, nowMs, sensorId, epoch],
      ),
    forgetEndedEpoch: (sensorId, epoch) =>
      write("DELETE FROM ended_epochs WHERE sensor_id = ? AND epoch = ?", [sensorId, epoch]),
  };
}

async function insertEnded(
  { dialect }: Database,
  session: Session,
  sensorId: string,
  ended: CheckInWrite["ended"],
): Promise<void> {
  for (const { epoch, in_flows, last_ms } of ended) {
    const insert = dialect.insertMissing("ended_epochs", ["sensor_id", "epoch", "in_flows", "last_ms"]);
    await session.run(insert, [sensorId, epoch, in_flows, last_ms]);
  }
  if (ended.length === 0) return;
  const newest = "SELECT epoch FROM ended_epochs WHERE sensor_id = ? ORDER BY epoch DESC LIMIT 1 OFFSET ?";
  const [old] = await session.all(newest, [sensorId, endedMax]);
  if (!old) return;
  await session.run("DELETE FROM ended_epochs WHERE sensor_id = ? AND epoch <= ?", [
    sensorId,
    old.epoch as number,
  ]);
}
