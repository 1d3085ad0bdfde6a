/** The topic of feedback: what people say about threats, and what that says about detectors.
 * Invariant: one verdict per threat, the last one. @module */

import type { Feedback, Verdict } from "../model/threat.ts";
import { writeAudit } from "./audit_store.ts";
import type { Database, Row } from "./database.ts";
import type { FeedbackStore } from "./store.ts";
import { noteChanges } from "./threat_store.ts";

const detectorsMax = 1_000;
const columns = ["threat_id", "verdict", "note", "given_by", "given_ms"] as const;

/** Of a row with the columns of feedback beside those of a threat; null = none was given. */
export function feedbackOf({ verdict, note, given_by, given_ms }: Row): Feedback | null {
  if (verdict === null) return null;
  return {
    verdict: verdict as Verdict,
    note: note as string,
    by: given_by as string,
    at_ms: given_ms as number,
  };
}

export function feedbackStore(database: Database): FeedbackStore {
  const { dialect } = database;
  return {
    giveFeedback: (threatId, { verdict, note, by: name, at_ms }, by) =>
      database.transaction(async (session) => {
        const known = await session.all("SELECT 1 AS found FROM threats WHERE id = ?", [threatId]);
        if (known.length === 0) return false;
        const [key, ...changed] = columns;
        const changes = Object.fromEntries(changed.map((column) => [column, dialect.fresh(column)]));
        await session.run(dialect.upsert("threat_feedback", columns, [key], changes), [
          threatId,
          verdict,
          note.toWellFormed(),
          name,
          at_ms,
        ]);
        const detail = note === "" ? verdict : `${verdict}: ${note}`;
        await writeAudit(session, by, at_ms, "threat_feedback", threatId, detail);
        await noteChanges(dialect, session, [{ id: threatId }]);
        return true;
      }),
    countFeedback: () =>
      database.query(async (session) => {
        const sum = (verdict: Verdict) =>
          `COALESCE(SUM(CASE WHEN verdict = '${verdict}' THEN 1 ELSE 0 END), 0)`;
        const rows = await session.all(
          `SELECT detector, COUNT(*) AS findings, ${sum("true")} AS is_true, ${sum("benign")} AS is_benign, ${
            sum("false")
          } AS is_false FROM threats LEFT JOIN threat_feedback ON ` +
            `threat_feedback.threat_id = threats.id GROUP BY detector ORDER BY detector LIMIT ${detectorsMax}`,
        );
        return rows.map((row) => ({
          detector: row.detector as string,
          findings: Number(row.findings),
          true: Number(row.is_true),
          benign: Number(row.is_benign),
          false: Number(row.is_false),
        }));
      }),
  };
}
