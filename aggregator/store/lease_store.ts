/** The topic of leases: work that only one of several aggregators on a database does, and how far it has got.
 *
 * In: a name, a holder. Out: a lease, or null while another one has it. Invariant: of two successive holders the
 * earlier one can no longer move anything, whatever its clock says:
 * a position moves only under the generation of the last holder.
 * Why the database's clock: those of the machines differ.
 * A lease that ends later than any could shows a clock that was set back. @module */

import type { Database, Session } from "./database.ts";
import type { Lease, LeaseStore } from "./store.ts";

const sqliteNowMs = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";
const mariadbNowMs = "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS INTEGER)";

export function leaseStore(database: Database): LeaseStore {
  const { dialect } = database;
  const nowMs = dialect.name === "sqlite" ? sqliteNowMs : mariadbNowMs;
  const columns = ["name", "holder", "generation", "expires_ms", "position"];
  return {
    takeLease: (name, holder, ttlMs) =>
      database.transaction(async (session): Promise<Lease | null> => {
        const held = await readLease(session, name, dialect.forUpdate);
        if (held === null) {
          await session.run(dialect.insertMissing("leases", columns), [name, "", 0, 0, ""]);
        }
        const taken = await session.run(
          // The generation first: MariaDB uses a column's new value further right.
          `UPDATE leases SET generation = generation + CASE WHEN holder = ? THEN 0 ELSE 1 END, holder = ?, ` +
            `expires_ms = ${nowMs} + ? WHERE name = ? AND ` +
            `(holder = ? OR expires_ms <= ${nowMs} OR expires_ms > ${nowMs} + 2 * ?)`,
          [holder, holder, ttlMs, name, holder, ttlMs],
        );
        const now = await readLease(session, name, "");
        // Renewed within one millisecond, nothing changes; it is ours all the same.
        return taken > 0 || now?.holder === holder ? now : null;
      }),
    moveLease: (name, { holder, generation }, position) =>
      database.transaction(async (session) => {
        const held = await readLease(session, name, dialect.forUpdate);
        if (held?.holder !== holder || held.generation !== generation) return false;
        await session.run("UPDATE leases SET position = ? WHERE name = ?", [position, name]);
        return true;
      }),
    releaseLease: (name, holder) =>
      database.transaction(async (session) => {
        await session.run("UPDATE leases SET holder = '', expires_ms = 0 WHERE name = ? AND holder = ?", [
          name,
          holder,
        ]);
      }),
  };
}

async function readLease(session: Session, name: string, end: string): Promise<Lease | null> {
  const [row] = await session.all(
    `SELECT holder, generation, position FROM leases WHERE name = ?${end}`,
    [name],
  );
  return row === undefined ? null : { ...row } as unknown as Lease;
}
