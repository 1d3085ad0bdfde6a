/** Which days of flows are leaving: gone for readers, while their rows still go.
 *
 * In: the days in the store. Out: conditions that leave their flows out. Invariant: a day is hidden by one statement,
 * before its first row goes, and until its last one is gone; flows, conversations and hours of hosts go together. One
 * to which something is added meanwhile is shown again, and leaves again.
 * Not hidden: the views that analysts read, and ingest, which adds to a flow wherever it is. @module */

import { dayS } from "../model/retention.ts";
import type { Condition, Dialect, Row, Session } from "./database.ts";

const daysMax = 1_000;

export async function readLeaving(session: Session): Promise<number[]> {
  const rows = await session.all(
    `SELECT day FROM days WHERE gone & 1 = 1 AND flows > 0 ORDER BY day LIMIT ${daysMax}`,
  );
  return rows.map(({ day }: Row) => day as number);
}

/** Conditions on flows that leave out what is leaving; most of the time none. */
export async function hidden(dialect: Dialect, session: Session): Promise<Condition[]> {
  return (await readLeaving(session)).map((day) => ({
    sql: "NOT (flows.id >= ? AND flows.id < ?)",
    values: [dialect.keyValues(day * 1e6, 0).at(-1)!, dialect.keyValues((day + dayS) * 1e6, 0).at(-1)!],
  }));
}

/** Whether a flow that began then is of one of these days. */
export function isHidden(leaving: readonly number[], startS: number): boolean {
  return leaving.includes(Math.floor(startS / dayS) * dayS);
}
