/** Which flows were written last: to rebuild memory without an index over the times of all flows,
 * and to publish what changed.
 *
 * In: the rows of a transaction. Out: keys, the newest first, or those behind a position in order. Invariant: part of
 * the transaction that writes the flows.
 * Bound: about {@link flowsNamedMax} keys in all; the oldest are removed by retention. @module */

import { Buffer } from "node:buffer";
import type { FlowRows } from "../model/flow_rows.ts";
import type { Row, Session } from "./database.ts";
import type { Key } from "./key_range.ts";

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
      addKeys(found, row.flow_ids as Uint8Array);
      if (found.size >= limit) break;
      before = row.id as number;
    }
    if (rows.length < rowsPerQuery) break;
  }
  return [...found.values()];
}

function addKeys(found: Map<string, Key>, octets: Uint8Array): void {
  const ids = Buffer.from(octets);
  for (let at = 0; at + 8 <= ids.length; at += 8) {
    const low = ids.readUInt32BE(at + 4);
    const key = { us: ids.readUInt32BE(at) * 2 ** 21 + Math.floor(low / 2_048), slot: low % 2_048 };
    found.set(`${key.us}|${key.slot}`, key);
  }
}

/** Keys named after `position`: whole transactions, until there are `limit`. A position is the id of the last row read
 * and how many flows had been named up to its end.
 * Transactions are named in the order of their commits: see write.ts. */
export async function readChanges(
  session: Session,
  position: string,
  limit: number,
): Promise<{ keys: Key[]; position: string; missed: number; behind: number }> {
  const [, idText, namedText] = /^([0-9]{1,16}):([0-9]{1,16})$/.exec(position) ?? [];
  let id = Number(idText ?? 0), named = Number(namedText ?? -1), missed = 0, rows: Row[];
  const found = new Map<string, Key>();
  do {
    rows = await session.all(
      `SELECT id, flows_before, flow_ids FROM recent WHERE id > ? ORDER BY id LIMIT ${rowsPerQuery}`,
      [id],
    );
    for (const row of rows) {
      if (found.size >= limit) break;
      const octets = row.flow_ids as Uint8Array, before = row.flows_before as number;
      if (named >= 0) missed += Math.max(0, before - named);
      addKeys(found, octets);
      id = row.id as number;
      named = before + octets.length / 8;
    }
  } while (rows.length === rowsPerQuery && found.size < limit);
  const [last] = await session.all(
    "SELECT flows_before + LENGTH(flow_ids) / 8 AS named FROM recent ORDER BY id DESC LIMIT 1",
  );
  return {
    keys: [...found.values()],
    position: id === 0 ? position : `${id}:${named}`,
    missed,
    behind: Math.max(0, Number(last?.named ?? 0) - Math.max(0, named)),
  };
}
