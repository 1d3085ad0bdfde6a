/** The topic of suppressions: made, listed with what each hides, ended.
 *
 * In: suppressions that were checked. Out: rows. Invariant: a new one applies to stored threats by the time its creator
 * gets the answer; ending one shows at once what nothing else hides, and marks it as changed,
 * so that subscribers see it.
 * Bound: {@link suppressionLimits.activeMax} in force; stored threats are searched {@link sliceRows} per transaction.
 * @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { filterOf, matcherOf, type Suppression, suppressionLimits } from "../model/suppression.ts";
import type { Threat } from "../model/threat.ts";
import { writeAudit } from "./audit_store.ts";
import { type Database, marks, type Row, type Session } from "./database.ts";
import { always, clauseOf } from "./filter_sql.ts";
import type { SuppressionStore } from "./store.ts";
import { conditionsText, inForce, link, selectInForce, suppressionOf } from "./suppressed.ts";
import { threatTests } from "./threat_filter.ts";
import { noteChanges } from "./threat_store.ts";

const sliceRows = 500;
const listMax = 1_000;

export function suppressionStore(
  database: Database,
  { reporter }: { reporter: Reporter; clock: Clock },
): SuppressionStore {
  const { dialect } = database;
  return {
    async addSuppression(row, by) {
      const isRoom = await database.transaction(async (session) => {
        const present = await selectInForce(session, row.made_ms, dialect.forUpdate);
        if (present.length >= suppressionLimits.activeMax) return false;
        await insert(session, row);
        const detail = `${conditionsText(row)} ${row.reason}`;
        await writeAudit(session, by, row.made_ms, "suppression_made", row.id, detail);
        return true;
      });
      if (isRoom) await applyToStored(database, reporter, row);
      return isRoom;
    },
    readSuppressions: (inForceMs) => database.read((session) => selectAll(session, inForceMs)),
    endSuppression: (id, nowMs, by) =>
      database.transaction(async (session) => {
        const sql = `UPDATE suppressions SET ended_ms = ? WHERE id = ? AND ${inForce}`;
        if (await session.run(sql, [nowMs, id, nowMs]) === 0) return false;
        await writeAudit(session, by, nowMs, "suppression_ended", id, "");
        await noteShown(database, session, id);
        return true;
      }),
    endExpired: (nowMs) =>
      database.transaction(async (session) => {
        const rows = await session.all(
          "SELECT id FROM suppressions WHERE ended_ms IS NULL AND expires_ms <= ? " +
            `LIMIT ${listMax}${dialect.forUpdate}`,
          [nowMs],
        );
        for (const { id } of rows) {
          await session.run("UPDATE suppressions SET ended_ms = expires_ms WHERE id = ?", [id]);
          await noteShown(database, session, id as string);
        }
        return rows.length;
      }),
  };
}

async function insert(session: Session, row: Suppression): Promise<void> {
  const columns = ["id", "conditions", "reason", "made_by", "made_ms", "expires_ms", "ended_ms"] as const;
  const values = { ...row, reason: row.reason.toWellFormed(), conditions: conditionsText(row) };
  await session.run(
    `INSERT INTO suppressions (${columns.join(", ")}) VALUES (${marks(columns.length)})`,
    columns.map((column) => values[column]),
  );
}

async function applyToStored(database: Database, reporter: Reporter, row: Suppression): Promise<void> {
  const filter = filterOf(row), meets = matcherOf(row);
  const { sql, values } = filter === undefined ? always : clauseOf(filter, threatTests);
  for (let after = "";;) {
    const next = await database.transaction(async (session) => {
      const rows = await session.all(
        `SELECT id, body FROM threats WHERE id > ? AND ${sql} ORDER BY id LIMIT ${sliceRows}`,
        [after, ...values],
      );
      const met = rows.filter((one) => isMet(one, meets, reporter)).map(({ id }) => [id as string, row.id]);
      if (met.length > 0) await link(database.dialect, session, met);
      return rows.length < sliceRows ? null : rows.at(-1)!.id as string;
    });
    if (next === null) return;
    after = next;
  }
}

function isMet({ id, body }: Row, meets: (threat: Threat) => boolean, reporter: Reporter): boolean {
  try {
    return meets(JSON.parse(body as string) as Threat);
  } catch (error) {
    reporter.count("stored_rows_unreadable_total", { table: "threats" });
    reporter.warn("stored threat cannot be read, left out", { id, error });
    return false;
  }
}

async function selectAll(session: Session, inForceMs: number | undefined) {
  const where = inForceMs === undefined ? "1 = 1" : inForce;
  const rows = await session.all(
    "SELECT suppressions.*, (SELECT COUNT(*) FROM threat_suppressions WHERE suppression_id = suppressions.id) " +
      `AS hidden FROM suppressions WHERE ${where} ORDER BY made_ms DESC, id DESC LIMIT ${listMax}`,
    inForceMs === undefined ? [] : [inForceMs],
  );
  return rows.map((row) => ({ ...suppressionOf(row), hidden: Number(row.hidden) }));
}

/** What it hid has changed for those who follow changes. */
async function noteShown({ dialect }: Database, session: Session, id: string): Promise<void> {
  const rows = await session.all("SELECT threat_id FROM threat_suppressions WHERE suppression_id = ?", [id]);
  for (let from = 0; from < rows.length; from += sliceRows) {
    const some = rows.slice(from, from + sliceRows);
    await noteChanges(dialect, session, some.map(({ threat_id }) => ({ id: threat_id as string })));
  }
}
