/** The topic of how sensors were, over time.
 *
 * In: rows, each once. Out: those of one sensor, newest first; the last of each sensor.
 * Invariant: what is not of a change, nor the first of its hour, leaves first. @module */

import type { HealthRow } from "../model/sensor_health.ts";
import type { Database, Row } from "./database.ts";
import type { HealthStore } from "./store.ts";

const numbers = [
  "epoch",
  "packets",
  "in_flows",
  "left_out",
  "dropped",
  "card_dropped",
  "spooled_batches",
  "missing_batches",
  "missing_packets",
  "clock_offset_ms",
] as const;
const columns = ["sensor_id", "at_ms", "weight", "status", "kinds", "reasons", ...numbers];
const sensorsMax = 20_000, rowsPerDelete = 2_000;

export function healthStore(database: Database): HealthStore {
  return {
    async saveHealth(rows) {
      if (rows.length === 0) return;
      const insert = database.dialect.insertMissing("sensor_health", columns);
      // As with check-ins: a power cut may take a moment of it.
      await database.transaction((session) => session.batch(insert, rows.map(valuesOf)), {
        isDurable: false,
      });
    },
    async readHealth({ sensorId, fromMs, beforeMs, changes }, limit) {
      const rows = await database.query((session) =>
        session.all(
          `SELECT ${
            columns.join(", ")
          } FROM sensor_health WHERE sensor_id = ? AND at_ms >= ? AND at_ms < ? ` +
            `${changes ? "AND weight = 2 " : ""}ORDER BY at_ms DESC LIMIT ${Math.floor(limit)}`,
          [sensorId, fromMs, beforeMs],
        )
      );
      return rows.map(rowOf);
    },
    async readLastHealth(sinceMs) {
      const rows = await database.read((session) =>
        session.all(
          `SELECT ${columns.map((column) => `h.${column}`).join(", ")} FROM sensor_health h JOIN ` +
            "(SELECT sensor_id, MAX(at_ms) AS last_ms FROM sensor_health WHERE at_ms >= ? GROUP BY sensor_id) l " +
            `ON l.sensor_id = h.sensor_id AND l.last_ms = h.at_ms LIMIT ${sensorsMax}`,
          [sinceMs],
        )
      );
      return rows.map(rowOf);
    },
    pruneHealth: async ({ beforeMs, thinBeforeMs }) =>
      await prune(database, "", beforeMs) + await prune(database, " AND weight = 0", thinBeforeMs),
  };
}

/** A slice at a time, so that ingest has its turn between them. */
async function prune(database: Database, which: string, beforeMs: number): Promise<number> {
  let pruned = 0;
  for (;;) {
    const [row] = await database.read((session) =>
      session.all(
        `SELECT at_ms FROM sensor_health WHERE at_ms < ?${which} ORDER BY at_ms LIMIT 1 OFFSET ${rowsPerDelete}`,
        [beforeMs],
      )
    );
    const untilMs = row === undefined ? beforeMs : row.at_ms as number + 1;
    pruned += await database.transaction((session) =>
      session.run(`DELETE FROM sensor_health WHERE at_ms < ?${which}`, [untilMs])
    );
    if (row === undefined) return pruned;
  }
}

function valuesOf(row: HealthRow) {
  const { sensor_id, at_ms, weight, status, kinds, reasons } = row;
  return [
    sensor_id,
    at_ms,
    weight,
    status,
    kinds.join(","),
    JSON.stringify(reasons),
    ...numbers.map((name) => row[name]),
  ];
}

function rowOf(row: Row): HealthRow {
  const kinds = row.kinds as string;
  return {
    ...row,
    kinds: kinds === "" ? [] : kinds.split(","),
    reasons: JSON.parse(row.reasons as string),
  } as unknown as HealthRow;
}
