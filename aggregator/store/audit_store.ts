/** The topic of the audit: who changed what, and who took packets.
 *
 * In: changes, each inside the transaction that makes it; acts that change nothing. Out: pages, newest first.
 * Invariant: a change and its row are stored together or not at all.
 * Bound: {@link rowsMax} rows, and the age that retention sets. @module */

import type { Actor, AuditAction, AuditRow } from "../model/audit.ts";
import type { PageRequest } from "../model/page.ts";
import { type Database, marks, type Session } from "./database.ts";
import { limitOf } from "./flow_query.ts";
import { type AuditStore, BadCursor } from "./store.ts";

const rowsMax = 1_000_000;
const subjectCharactersMax = 128;
const detailCharactersMax = 2_000;

/** Part of the transaction that does it; nothing is noted of what no person does. */
export async function writeAudit(
  session: Session,
  by: Actor | undefined,
  nowMs: number,
  action: AuditAction,
  subject: string,
  detail: string,
): Promise<void> {
  if (by === undefined) return;
  await session.run(
    `INSERT INTO audit (at_ms, made_by, key_id, action, subject, detail) VALUES (${marks(6)})`,
    [
      nowMs,
      by.name,
      by.keyId,
      action,
      subject.slice(0, subjectCharactersMax).toWellFormed(),
      detail.slice(0, detailCharactersMax).toWellFormed(),
    ],
  );
}

export function auditStore(database: Database): AuditStore {
  return {
    note: (by, nowMs, action, subject, detail) =>
      database.transaction((session) => writeAudit(session, by, nowMs, action, subject, detail)),
    readAudit: (page) => database.query((session) => selectAudit(session, page)),
    pruneDecisions: (beforeMs) => database.transaction((session) => prune(session, beforeMs)),
  };
}

async function selectAudit(session: Session, page: PageRequest) {
  const limit = limitOf(page.limit), before = readCursor(page.cursor);
  const rows = await session.all(
    "SELECT id, at_ms, made_by, key_id, action, subject, detail FROM audit " +
      `WHERE id < ? ORDER BY id DESC LIMIT ${limit + 1}`,
    [before],
  ) as unknown as AuditRow[];
  const shown = rows.slice(0, limit).map((row) => ({ ...row }));
  return rows.length > limit ? { rows: shown, next_cursor: String(shown[limit - 1].id) } : { rows: shown };
}

function readCursor(cursor: string | undefined): number {
  if (cursor === undefined) return Number.MAX_SAFE_INTEGER;
  if (/^[0-9]{1,15}$/.test(cursor)) return Number(cursor);
  throw new BadCursor(
    `Cannot read page as "cursor" must be one that a page gave: current value is "${cursor.slice(0, 64)}"`,
  );
}

async function prune(session: Session, beforeMs: number): Promise<void> {
  const [row] = await session.all("SELECT MAX(id) AS last FROM audit");
  await session.run("DELETE FROM audit WHERE at_ms < ? OR id <= ?", [
    beforeMs,
    Number(row.last ?? 0) - rowsMax,
  ]);
  await session.run(
    "DELETE FROM threat_suppressions WHERE suppression_id IN " +
      "(SELECT id FROM suppressions WHERE ended_ms < ?)",
    [beforeMs],
  );
  await session.run("DELETE FROM suppressions WHERE ended_ms < ?", [beforeMs]);
}
