/** Which suppressions a threat meets, as rows: noted when a threat is saved and when a suppression is made.
 *
 * Invariant: a threat is hidden while one of those it meets is in force, so that ending or expiring needs no work to
 * take effect. An ended suppression keeps its rows: they are its count. @module */

import {
  conditionNames,
  matcherOf,
  type Suppression,
  type SuppressionConditions,
} from "../model/suppression.ts";
import type { Threat } from "../model/threat.ts";
import type { Dialect, Row, Session } from "./database.ts";

/** Of the threat at hand, the suppressions that hide it at the time bound to the mark. */
export function hiding(what: string): string {
  return `SELECT ${what} FROM threat_suppressions JOIN suppressions ON ` +
    "suppressions.id = threat_suppressions.suppression_id WHERE threat_suppressions.threat_id = threats.id " +
    "AND suppressions.ended_ms IS NULL AND suppressions.expires_ms > ?";
}

export const inForce = "ended_ms IS NULL AND expires_ms > ?";

export async function selectInForce(session: Session, nowMs: number, lock = ""): Promise<Suppression[]> {
  const rows = await session.all(`SELECT * FROM suppressions WHERE ${inForce} ORDER BY id${lock}`, [nowMs]);
  return rows.map(suppressionOf);
}

export function suppressionOf({ conditions, ...row }: Row): Suppression {
  const given = JSON.parse(conditions as string) as SuppressionConditions;
  return { ...row as unknown as Suppression, ...given };
}

/** As they are stored. */
export function conditionsText(suppression: SuppressionConditions): string {
  return JSON.stringify(Object.fromEntries(conditionNames.map((name) => [name, suppression[name]])));
}

/** Part of the transaction that saves `threats`: one that grew may meet others than before. */
export async function noteSuppressed(
  dialect: Dialect,
  session: Session,
  threats: readonly Threat[],
  nowMs: number,
): Promise<void> {
  if (threats.length === 0) return;
  const suppressions = await selectInForce(session, nowMs);
  if (suppressions.length === 0) return;
  const rules = suppressions.map((suppression) => ({ id: suppression.id, meets: matcherOf(suppression) }));
  const met = threats.flatMap((threat) =>
    rules.filter(({ meets }) => meets(threat)).map(({ id }) => [threat.id, id])
  );
  await session.batch(
    `DELETE FROM threat_suppressions WHERE threat_id = ? AND suppression_id IN ` +
      `(SELECT id FROM suppressions WHERE ${inForce})`,
    threats.map(({ id }) => [id, nowMs]),
  );
  if (met.length > 0) await link(dialect, session, met);
}

/** Pairs of a threat and a suppression. */
export async function link(dialect: Dialect, session: Session, pairs: readonly string[][]): Promise<void> {
  const columns = ["threat_id", "suppression_id"];
  await session.batch(dialect.insertMissing("threat_suppressions", columns), pairs);
}
