/** The topic of packets as evidence: requests to sensors, and their outcomes.
 *
 * In: requests and their outcomes. Out: those of a subject, those that are waited for, those whose files are stored.
 * Invariant: one request per subject and sensor;
 * one that is pending or has arrived is never replaced, and only a pending one gets an outcome. @module */

import type { WantedFlow } from "../../shared/packets.ts";
import type { PacketRequestRow, PacketState, StoredPackets } from "../model/packets.ts";
import type { Database, Dialect, Row, Session } from "./database.ts";
import type { PacketStore } from "./store.ts";

/** Files that are stored at once; each is bounded, and so is their sum. */
const storedMax = 100_000;
const perSubjectMax = 64;
const reasonCharactersMax = 400;
const columns = [
  "id",
  "subject",
  "sensor_id",
  "state",
  "reason",
  "flows",
  "asked_by",
  "expires_ms",
  "at_ms",
  "packets",
  "bytes",
  "sha256",
  "flow_us",
] as const;
const selection = `SELECT ${columns.join(", ")} FROM packet_requests`;

export function packetStore(database: Database): PacketStore {
  const { dialect } = database;
  const run = (sql: string, values: readonly (string | number)[]) =>
    database.transaction((session) => session.run(sql, values));
  return {
    addPacketRequests: (rows) => database.transaction((session) => add(dialect, session, rows)),
    readPacketRequests: (subject) =>
      database.read(async (session) =>
        (await session.all(`${selection} WHERE subject = ? ORDER BY sensor_id LIMIT ${perSubjectMax}`, [
          subject,
        ])).map(fromRow)
      ),
    readPacketRequest: (id) =>
      database.read(async (session) => {
        const [row] = await session.all(`${selection} WHERE id = ?`, [id]);
        return row ? fromRow(row) : null;
      }),
    readAskedPackets: (limit) =>
      database.read(async (session) =>
        (await session.all(`${selection} WHERE state = 'asked' ORDER BY at_ms, id LIMIT ${limit}`)).map(
          fromRow,
        )
      ),
    async settlePacketRequest(id, { state, reason, at_ms, packets, bytes, sha256 }) {
      const changed = await run(
        "UPDATE packet_requests SET state = ?, reason = ?, at_ms = ?, packets = ?, bytes = ?, sha256 = ? WHERE id = ? AND state = 'asked'",
        [state, reason.slice(0, reasonCharactersMax), at_ms, packets, bytes, sha256, id],
      );
      return changed > 0;
    },
    expirePacketRequests: (nowMs, reason) =>
      run(
        "UPDATE packet_requests SET state = 'gone', reason = CASE WHEN reason = '' THEN ? ELSE reason END, at_ms = ? WHERE state = 'asked' AND expires_ms <= ?",
        [reason, nowMs, nowMs],
      ),
    readStoredPackets: () =>
      database.read(async (session) =>
        (await session.all(
          `SELECT id, bytes, at_ms FROM packet_requests WHERE state = 'arrived' ORDER BY at_ms, id LIMIT ${storedMax}`,
        )) as unknown as StoredPackets[]
      ),
    async losePackets(id, reason, nowMs) {
      await run(
        "UPDATE packet_requests SET state = 'gone', reason = ?, at_ms = ?, bytes = 0, packets = 0, sha256 = '' WHERE id = ?",
        [reason, nowMs, id],
      );
    },
    prunePacketRequests: (those) => database.transaction((session) => prune(session, those)),
  };
}

async function add(dialect: Dialect, session: Session, rows: readonly PacketRequestRow[]): Promise<void> {
  await session.batch(
    "DELETE FROM packet_requests WHERE subject = ? AND sensor_id = ? AND state IN ('gone', 'refused')",
    rows.map(({ subject, sensor_id }) => [subject, sensor_id]),
  );
  await session.batch(
    dialect.insertMissing("packet_requests", columns),
    rows.map((row) => {
      const values = {
        ...row,
        reason: row.reason.slice(0, reasonCharactersMax),
        flows: JSON.stringify(row.flows),
      };
      return columns.map((column) => values[column]);
    }),
  );
}

async function prune(
  session: Session,
  { changedBeforeMs, flowsFromUs, flowsToUs }: Parameters<PacketStore["prunePacketRequests"]>[0],
): Promise<string[]> {
  const rows = await session.all(
    `SELECT id FROM packet_requests WHERE at_ms < ? OR (flow_us >= ? AND flow_us < ?) LIMIT ${storedMax}`,
    [changedBeforeMs, flowsFromUs, flowsToUs],
  );
  await session.batch("DELETE FROM packet_requests WHERE id = ?", rows.map(({ id }) => [id]));
  return rows.map(({ id }) => id as string);
}

function fromRow(row: Row): PacketRequestRow {
  return {
    ...row as unknown as PacketRequestRow,
    state: row.state as PacketState,
    flows: JSON.parse(row.flows as string) as WantedFlow[],
  };
}
