/** The topic of flows: one by its id, pages of them, and those that changed last.
 *
 * In: ids, filters. Out: flows with who saw them. Invariant: nothing here writes; ingest does. @module */

import { Buffer } from "node:buffer";
import type { Clock } from "../../shared/clock.ts";
import type { Database } from "./database.ts";
import { flowFromRow } from "./flow_columns.ts";
import { queryFlows } from "./flow_query.ts";
import { readSightings } from "./sightings.ts";
import type { FlowStore } from "./store.ts";

const recentRowsMax = 100_000;

export function flowStore(database: Database, clock: Clock): FlowStore {
  const { dialect } = database;
  return {
    async readFlow(flowId) {
      if (!/^[0-9a-f]{32}$/.test(flowId)) return null;
      return await database.read(async (session) => {
        const rows = await session.all("SELECT * FROM flows WHERE flow_id = ?", [Buffer.from(flowId, "hex")]);
        const flows = rows.map((row) => flowFromRow(dialect, row));
        return (await readSightings(session, flows))[0] ?? null;
      });
    },
    readFlows: (query, page) =>
      database.query((session) => queryFlows(dialect, session, query, page, () => clock.monotonicMs())),
    readRecentFlows: (sinceMs, limit) =>
      database.read(async (session) => {
        const rows = await session.all(
          `SELECT * FROM flows WHERE updated_ms >= ? ORDER BY updated_ms DESC, flow_id DESC LIMIT ?`,
          [sinceMs, Math.min(limit, recentRowsMax)],
        );
        const flows = rows.reverse().map((row) => flowFromRow(dialect, row));
        return await readSightings(session, flows);
      }),
  };
}
