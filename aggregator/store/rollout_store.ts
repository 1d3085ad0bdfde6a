/** The topic of rollouts: which version the sensors are to run, and how far it has come.
 *
 * In: a rollout, a change of one. Out: the newest ones. Invariant: no rollout begins while another one runs or is
 * paused; a change is made only to what it was decided about, so that of two aggregators that decide the same one does
 * it. The oldest beyond {@link rolloutLimits.rolloutsMax} are forgotten. @module */

import type { Actor, AuditAction } from "../model/audit.ts";
import { type RolloutChange, rolloutLimits, type RolloutRow } from "../model/upgrade.ts";
import { writeAudit } from "./audit_store.ts";
import { type Database, marks, type Row, type Session } from "./database.ts";
import type { RolloutStore } from "./store.ts";

const columns = [
  "version",
  "canary",
  "canary_ms",
  "step_percent",
  "step_ms",
  "allow_older",
  "state",
  "percent",
  "stage_ms",
  "attempt",
  "reason",
  "created_ms",
  "created_by",
] as const;
const changeable = ["state", "percent", "stage_ms", "attempt", "reason"] as const;

export function rolloutStore(database: Database): RolloutStore {
  return {
    addRollout: (row, by) =>
      database.transaction((session) => add(session, row, by, database.dialect.forUpdate)),
    readRollouts: (limit) =>
      database.read(async (session) =>
        (await session.all(
          `SELECT id, ${columns.join(", ")} FROM rollouts ORDER BY id DESC LIMIT ${
            Math.min(limit, rolloutLimits.rolloutsMax)
          }`,
        )).map(fromRow)
      ),
    changeRollout: (was, to, by) => database.transaction((session) => change(session, was, to, by)),
  };
}

async function add(
  session: Session,
  row: Omit<RolloutRow, "id">,
  by: Actor,
  forUpdate: string,
): Promise<number | null> {
  const [newest] = await session.all(
    `SELECT id, state FROM rollouts ORDER BY id DESC LIMIT 1${forUpdate}`,
  );
  if (newest?.state === "running" || newest?.state === "paused") return null;
  await session.run(
    `INSERT INTO rollouts (${columns.join(", ")}) VALUES (${marks(columns.length)})`,
    columns.map((name) =>
      name === "allow_older" ? Number(row[name]) : name === "created_by" ? row[name].slice(0, 64) : row[name]
    ),
  );
  const [{ id }] = await session.all("SELECT MAX(id) AS id FROM rollouts");
  await session.run("DELETE FROM rollouts WHERE id <= ?", [Number(id) - rolloutLimits.rolloutsMax]);
  const detail = { version: row.version, canary: row.canary, allow_older: row.allow_older };
  await writeAudit(session, by, row.created_ms, "upgrade_start", String(id), JSON.stringify(detail));
  return Number(id);
}

async function change(
  session: Session,
  was: Pick<RolloutRow, "id" | "state" | "percent" | "attempt">,
  to: RolloutChange,
  by: { actor: Actor; action: AuditAction; nowMs: number } | null,
): Promise<boolean> {
  const names = changeable.filter((name) => Object.hasOwn(to, name));
  const values = names.map((name) =>
    name === "reason" ? to.reason?.slice(0, rolloutLimits.reasonCharactersMax) ?? null : to[name]!
  );
  const changed = await session.run(
    `UPDATE rollouts SET ${names.map((name) => `${name} = ?`).join(", ")} ` +
      "WHERE id = ? AND state = ? AND percent = ? AND attempt = ?",
    [...values, was.id, was.state, was.percent, was.attempt],
  );
  if (changed === 0) return false;
  if (by) await writeAudit(session, by.actor, by.nowMs, by.action, String(was.id), to.state ?? "");
  return true;
}

function fromRow(row: Row): RolloutRow {
  const { reason, version, canary, state, created_by } = row as unknown as RolloutRow;
  const number = (name: string) => Number(row[name]);
  return {
    id: number("id"),
    version,
    canary,
    canary_ms: number("canary_ms"),
    step_percent: number("step_percent"),
    step_ms: number("step_ms"),
    allow_older: number("allow_older") === 1,
    state,
    percent: number("percent"),
    stage_ms: number("stage_ms"),
    attempt: number("attempt"),
    reason,
    created_ms: number("created_ms"),
    created_by,
  };
}
