/** Which flows were written last, so that memory can be rebuilt without an index over the times of all flows.
 *
 * In: the rows of a transaction. Out: keys, the newest first. Invariant: part of the transaction that writes the flows.
 * Bound: about {@link flowsNamedMax} names in all; the oldest are removed by retention. @module */

import { Buffer } from "node:buffer";
import type { FlowRows } from "../model/flow_rows.ts";
import type { Session } from "./database.ts";
import type { Key } from "./flow_rows_read.ts";

export const flowsNamedMax = 500_000;
const rowsPerQuery = 50;

export async function writeRecent(session: Session, flows: FlowRows): Promise<void> {
  if (flows.size === 0) return;
  const { idUs, slot, updatedMs } = flows.columns;
  const ids = Buffer.alloc(8 * flows.size);
  let updated = 0;
  for (let i = 0; i < flows.size; i++) {
    ids.writeUInt32BE(Math.floor(idUs[i] / 2 ** 21), 8 * i);
    ids.writeUInt32BE(idUs[i] % 2 ** 21 * 2_048 + slot[i], 8 * i + 4);
    updated = Math.max(updated, updatedMs[i]);
  }
  const before =
    "COALESCE((SELECT flows_before + LENGTH(flow_ids) / 8 FROM recent ORDER BY id DESC LIMIT 1), 0)";
  await session.run(`INSERT INTO recent (updated_ms, flows_before, flow_ids) SELECT ?, ${before}, ?`, [
    updated,
    ids,
  ]);
}

/** Removes the oldest names. */
export async function pruneRecent(session: Session): Promise<void> {
  const [last] = await session.all("SELECT MAX(flows_before) AS named FROM recent");
  await session.run("DELETE FROM recent WHERE flows_before < ?", [
    ((last.named ?? 0) as number) - flowsNamedMax,
  ]);
}

/** Keys of at least `limit` flows, if there are so many, in the order in which they were written last. */
export async function readRecent(session: Session, sinceMs: number, limit: number): Promise<Key[]> {
  const found = new Map<string, Key>();
  let before = Number.MAX_SAFE_INTEGER;
  while (found.size < limit) {
    const rows = await session.all(
      `SELECT id, flow_ids FROM recent WHERE updated_ms >= ? AND id < ? ORDER BY id DESC LIMIT ${rowsPerQuery}`,
      [sinceMs, before],
    );
    for (const row of rows) {
      const ids = Buffer.from(row.flow_ids as Uint8Array);
      for (let at = 0; at + 8 <= ids.length; at += 8) {
        const low = ids.readUInt32BE(at + 4);
        const key = { us: ids.readUInt32BE(at) * 2 ** 21 + Math.floor(low / 2_048), slot: low % 2_048 };
        found.set(`${key.us}|${key.slot}`, key);
      }
      if (found.size >= limit) break;
      before = row.id as number;
    }
    if (rows.length < rowsPerQuery) break;
  }
  return [...found.values()];
}
