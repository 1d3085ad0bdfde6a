/** The topic of policies: every version of each.
 *
 * In: a new version. Out: all of them, or those of one name. Invariant: rows are added, never changed; version numbers
 * come from the database, so that no two are alike.
 * Names, and versions of a name, have a limit; what exceeds it is refused. @module */

import type { Actor } from "../model/audit.ts";
import { policyLimits, type PolicyRow } from "../model/policy.ts";
import { writeAudit } from "./audit_store.ts";
import type { Database, Row, Session } from "./database.ts";
import type { PolicyStore } from "./store.ts";

const columns = "version, name, target, settings, created_ms, created_by";

export function policyStore(database: Database): PolicyStore {
  return {
    addPolicy: (row, by) => database.transaction((session) => add(session, row, by)),
    readPolicies: () =>
      database.read(async (session) =>
        (await session.all(
          `SELECT ${columns} FROM policies ORDER BY version LIMIT ${
            policyLimits.versionsMax * policyLimits.namesMax
          }`,
        )).map(fromRow)
      ),
  };
}

async function add(
  session: Session,
  row: Omit<PolicyRow, "version">,
  by: Actor | undefined,
): Promise<number | null> {
  const [{ versions }] = await session.all("SELECT COUNT(*) AS versions FROM policies WHERE name = ?", [
    row.name,
  ]);
  if (Number(versions) >= policyLimits.versionsMax) return null;
  if (Number(versions) === 0) {
    const [{ names }] = await session.all("SELECT COUNT(DISTINCT name) AS names FROM policies");
    if (Number(names) >= policyLimits.namesMax) return null;
  }
  await session.run(
    "INSERT INTO policies (name, target, settings, created_ms, created_by) VALUES (?, ?, ?, ?, ?)",
    [
      row.name,
      row.target,
      row.settings === null ? null : JSON.stringify(row.settings),
      row.created_ms,
      row.created_by.slice(0, 64),
    ],
  );
  const [{ version }] = await session.all("SELECT MAX(version) AS version FROM policies WHERE name = ?", [
    row.name,
  ]);
  const { name, target, settings, created_ms } = row;
  const detail = JSON.stringify({ version: Number(version), to: target, settings });
  await writeAudit(session, by, created_ms, settings === null ? "policy_end" : "policy_set", name, detail);
  return Number(version);
}

function fromRow(row: Row): PolicyRow {
  return {
    ...row as unknown as PolicyRow,
    version: Number(row.version),
    settings: row.settings === null ? null : JSON.parse(row.settings as string),
  };
}
