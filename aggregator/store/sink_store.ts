/** The topic of sinks: which threats they have not seen, what they were notified of,
 * and the messages that wait for them.
 *
 * In: what one turn decided for all sinks. Out: messages that are due. Invariant: marking changes as handled and
 * writing told rows and messages is one transaction, and only under the lease of the turn: two aggregators never send
 * the same twice, and no change is marked without its message. @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { OutboxMessage, SinkCounts, SinkMessage, ToldRow } from "../model/message.ts";
import { type Database, type Dialect, marks, type Row, type Session } from "./database.ts";
import type { Lease, SinkChange, SinkStore } from "./store.ts";
import { selected, threatFromRow, withFeedback } from "./threat_store.ts";

const reasonCharactersMax = 400;
const subjectsPerQuery = 400;
const toldColumns = ["sink", "subject", "severity_rank", "until_s", "told_ms"] as const;
const messageColumns = ["sink", "id", "state", "made_ms", "due_ms", "attempts", "reason", "body"] as const;
const selection = `SELECT ${messageColumns.join(", ")} FROM sink_messages`;

interface Deps {
  reporter: Reporter;
  clock: Clock;
}

export function sinkStore(database: Database, { reporter, clock }: Deps): SinkStore {
  const { dialect } = database;
  const run = async (sql: string, values: readonly (string | number)[]) => {
    await database.transaction((session) => session.run(sql, values));
  };
  return {
    readSinkChanges: (limit) => database.read((session) => readChanges(session, { reporter, clock }, limit)),
    readTold: (sink, subjects) => database.read((session) => readTold(session, sink, subjects)),
    readOpenDigest: (sink, afterMs) =>
      database.read(async (session) => {
        const rows = await session.all(
          `${selection} WHERE sink = ? AND state = 'waiting' AND due_ms > ? AND id LIKE 'digest-%' ORDER BY due_ms LIMIT 1`,
          [sink, afterMs],
        );
        return messagesOf(rows, reporter)[0] ?? null;
      }),
    noteForSinks: (name, lease, write, changes) =>
      database.transaction(async (session) => {
        if (!await isHeld(session, dialect, name, lease)) return false;
        await session.run("UPDATE leases SET position = ? WHERE name = ?", [write.position, name]);
        await writeTold(session, dialect, write.told);
        await writeMessages(session, dialect, write.messages);
        await session.batch(
          // What changed meanwhile stays pending.
          "UPDATE sink_changes SET told = ?, pending = CASE WHEN changes = ? THEN 0 ELSE 1 END WHERE threat_id = ?",
          changes.map(({ id, changes }) => [changes, changes, id]),
        );
        return true;
      }),
    readDueMessages: (sink, nowMs, limit) =>
      database.read(async (session) =>
        messagesOf(
          await session.all(
            `${selection} WHERE sink = ? AND state = 'waiting' AND due_ms <= ? ORDER BY due_ms, id LIMIT ${limit}`,
            [sink, nowMs],
          ),
          reporter,
        )
      ),
    forgetMessage: (sink, id) => run("DELETE FROM sink_messages WHERE sink = ? AND id = ?", [sink, id]),
    postponeMessage: (sink, id, dueMs, reason) =>
      run(
        "UPDATE sink_messages SET attempts = attempts + 1, due_ms = ?, reason = ? WHERE sink = ? AND id = ?",
        [
          dueMs,
          reason.slice(0, reasonCharactersMax),
          sink,
          id,
        ],
      ),
    giveUpMessage: (sink, id, reason, deadMax) =>
      database.transaction((session) => giveUp(session, sink, id, reason, deadMax)),
    readDeadMessages: (sink, limit) =>
      database.read(async (session) =>
        messagesOf(
          await session.all(
            `${selection} WHERE sink = ? AND state = 'dead' ORDER BY due_ms DESC, id LIMIT ${limit}`,
            [sink],
          ),
          reporter,
        )
      ),
    countMessages: () => database.read(countMessages),
    pruneTold: (beforeMs) => run("DELETE FROM sink_told WHERE told_ms < ?", [beforeMs]),
  };
}

async function readChanges(
  session: Session,
  { reporter, clock }: Deps,
  limit: number,
): Promise<SinkChange[]> {
  const rows = await session.all(
    `SELECT sink_changes.threat_id AS changed_id, changes, told, ${selected} FROM sink_changes ` +
      `LEFT JOIN threats ON threats.id = sink_changes.threat_id ${withFeedback} WHERE pending = 1 ` +
      `ORDER BY sink_changes.threat_id LIMIT ${limit}`,
    [clock.nowMs()],
  );
  return rows.map((row) => ({
    id: row.changed_id as string,
    changes: row.changes as number,
    threat: row.id === null ? null : threatFromRow(row, reporter),
    isNew: row.told === 0,
  }));
}

async function readTold(session: Session, sink: string, subjects: readonly string[]): Promise<ToldRow[]> {
  const found: Row[] = [];
  for (let i = 0; i < subjects.length; i += subjectsPerQuery) {
    const some = subjects.slice(i, i + subjectsPerQuery);
    found.push(
      ...await session.all(
        `SELECT ${toldColumns.join(", ")} FROM sink_told WHERE sink = ? AND subject IN (${
          marks(some.length)
        })`,
        [sink, ...some],
      ),
    );
  }
  return found.map((row) => ({ ...row }) as unknown as ToldRow);
}

async function isHeld(session: Session, dialect: Dialect, name: string, lease: Lease): Promise<boolean> {
  const [held] = await session.all(
    `SELECT holder, generation FROM leases WHERE name = ?${dialect.forUpdate}`,
    [name],
  );
  return held?.holder === lease.holder && held.generation === lease.generation;
}

async function writeTold(session: Session, dialect: Dialect, told: readonly ToldRow[]): Promise<void> {
  const changes = Object.fromEntries(
    ["severity_rank", "until_s", "told_ms"].map((name) => [name, dialect.fresh(name)]),
  );
  const sql = dialect.upsert("sink_told", toldColumns, ["sink", "subject"], changes);
  await session.batch(sql, told.map((row) => toldColumns.map((column) => row[column])));
}

async function writeMessages(
  session: Session,
  dialect: Dialect,
  messages: readonly OutboxMessage[],
): Promise<void> {
  const sql = dialect.upsert("sink_messages", messageColumns, ["sink", "id"], {
    body: dialect.fresh("body"),
  });
  await session.batch(
    sql,
    messages.map(({ message, ...row }) =>
      messageColumns.map((column) => column === "body" ? JSON.stringify(message) : row[column])
    ),
  );
}

async function giveUp(
  session: Session,
  sink: string,
  id: string,
  reason: string,
  deadMax: number,
): Promise<number> {
  await session.run(
    "UPDATE sink_messages SET state = 'dead', attempts = attempts + 1, reason = ? WHERE sink = ? AND id = ?",
    [reason.slice(0, reasonCharactersMax), sink, id],
  );
  const old = await session.all(
    `SELECT id FROM sink_messages WHERE sink = ? AND state = 'dead' ORDER BY due_ms DESC, id LIMIT 100 OFFSET ${deadMax}`,
    [sink],
  );
  await session.batch(
    "DELETE FROM sink_messages WHERE sink = ? AND id = ?",
    old.map((row) => [sink, row.id]),
  );
  return old.length;
}

async function countMessages(session: Session): Promise<SinkCounts[]> {
  const rows = await session.all(
    "SELECT sink, state, COUNT(*) AS messages, MIN(made_ms) AS oldest_ms, MAX(reason) AS reason " +
      "FROM sink_messages GROUP BY sink, state",
  );
  const bySink = new Map<string, SinkCounts>();
  const countsOf = (sink: string) => {
    const counts = bySink.get(sink) ??
      { sink, waiting: 0, dead: 0, oldest_ms: null, last_sent_ms: null, reason: "" };
    bySink.set(sink, counts);
    return counts;
  };
  for (const row of await session.all("SELECT name, position FROM leases WHERE name LIKE 'sink.%'")) {
    const sentMs = row.position === "" ? null : Number(row.position);
    countsOf((row.name as string).slice("sink.".length)).last_sent_ms = sentMs;
  }
  for (const row of rows) {
    const counts = countsOf(row.sink as string);
    if (row.state === "dead") counts.dead = row.messages as number;
    else {
      counts.waiting = row.messages as number;
      counts.oldest_ms = row.oldest_ms as number;
      counts.reason = row.reason as string;
    }
  }
  return [...bySink.values()];
}

/** One that cannot be read is left out and counted. */
function messagesOf(rows: readonly Row[], reporter: Reporter): OutboxMessage[] {
  return rows.flatMap(({ body, ...row }) => {
    try {
      return [{ ...row, message: JSON.parse(body as string) as SinkMessage } as unknown as OutboxMessage];
    } catch {
      reporter.count("stored_rows_unreadable_total", { table: "sink_messages" });
      return [];
    }
  });
}
