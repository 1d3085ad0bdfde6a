/** The topic of threats: as rows, the columns that lists filter by, and the whole threat as JSON beside them.
 *
 * In: threats of the engine. Out: pages of them. Invariant: the status is the column's, set by people; saving a threat
 * again never touches it, nor the time it was first stored.
 * Which suppressions a threat meets is noted when it is saved. @module */

import type { Places } from "../model/place.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { meets } from "../filter/evaluate.ts";
import { threatTable } from "../filter/threat_table.ts";
import { flowIdNumber, readFlowId } from "../model/flow_id.ts";
import { severities, type Threat, type ThreatLinks, type ThreatStatus } from "../model/threat.ts";
import { ipIn, isAddressIn } from "./addresses.ts";
import { writeAudit } from "./audit_store.ts";
import {
  type Condition,
  type Database,
  type Dialect,
  marks,
  type Row,
  type Session,
  type Value,
} from "./database.ts";
import { clauseOf } from "./filter_sql.ts";
import { feedbackOf } from "./feedback_store.ts";
import { limitOf, queryTimeMsMax } from "./flow_query.ts";
import { BadCursor, type ThreatChange, type ThreatMark, type ThreatStore } from "./store.ts";
import { hiding, noteSuppressed } from "./suppressed.ts";
import { threatTests } from "./threat_filter.ts";
import type { Page, PageRequest, ThreatQuery } from "../model/page.ts";

/** Flows of one threat linked by one save. */
const flowsPerThreatMax = 100_000;
const ipsPerThreatMax = 1_000;
const sliceRowsMax = 500;
const idsPerQuery = 500;
const columns = [
  "id",
  "detector",
  "severity",
  "severity_rank",
  "status",
  "first_seen_us",
  "last_seen_us",
  "stored_ms",
  "updated_ms",
  "first_flow",
  "explanation",
  "suggested_action",
  "body",
] as const;
const kept = ["id", "status", "stored_ms"];
/** Of a threat as it is read; the first mark is the time. */
export const selected =
  `threats.id, body, status, stored_ms, (${hiding("MIN(suppressions.id)")}) AS suppressed_by, ` +
  "verdict, note, given_by, given_ms";
export const withFeedback = "LEFT JOIN threat_feedback ON threat_feedback.threat_id = threats.id";

interface Deps {
  reporter: Reporter;
  clock: Clock;
}

export function threatStore(
  database: Database,
  { reporter, clock, places }: Deps & { places: Places },
): ThreatStore {
  const { dialect } = database;
  return {
    saveThreats: (threats, links = []) =>
      database.transaction((session) => writeThreats(dialect, session, threats, links, clock.nowMs())),
    readThreat: (id) => database.read((session) => selectThreat(session, id, { reporter, clock })),
    readThreats: (query, page) =>
      database.query((session) => queryThreats({ session, reporter, clock, places }, query, page)),
    readThreatMarks: (range, limit) =>
      database.query((session) => queryMarks(session, range, limit, clock.nowMs())),
    readThreatsById: (ids) =>
      database.query(async (session) => {
        const rows = await session.all(
          `SELECT ${selected} FROM threats ${withFeedback} WHERE threats.id IN (${marks(ids.length)})`,
          [clock.nowMs(), ...ids],
        );
        return rows.map((row) => threatFromRow(row, reporter)).filter((threat) => threat !== null);
      }),
    countFlows: (id) =>
      database.query(async (session) => {
        const [row] = await session.all("SELECT COUNT(*) AS flows FROM threat_flows WHERE threat_id = ?", [
          id,
        ]);
        return row.flows as number;
      }),
    setThreatStatus: (id, status, nowMs, by) =>
      database.transaction(async (session) => {
        const [found] = await updateStatus(dialect, session, [id], status, nowMs);
        if (found !== undefined) await writeAudit(session, by, nowMs, "threat_status", id, status);
        return found !== undefined;
      }),
    setIncidentStatus: ({ id, threatIds }, status, nowMs, by) =>
      database.transaction(async (session) => {
        const found = await updateStatus(dialect, session, threatIds, status, nowMs);
        await writeAudit(session, by, nowMs, "incident_status", id, `${status}: ${found.length} threats`);
        return found;
      }),
    readThreatStatuses: (ids) => database.read((session) => readStatuses(session, ids)),
    readThreatChanges: (limit) =>
      database.read((session) => readChanges(session, { reporter, clock }, limit)),
    forgetThreatChanges: (changes) =>
      database.transaction((session) =>
        session.batch(
          "DELETE FROM threat_changes WHERE threat_id = ? AND changes = ?",
          changes.map(({ id, changes }) => [id, changes]),
        )
      ),
  };
}

async function writeThreats(
  dialect: Dialect,
  session: Session,
  threats: Threat[],
  links: readonly ThreatLinks[],
  nowMs: number,
): Promise<void> {
  const changes = columns.filter((column) => !kept.includes(column));
  const sql = dialect.upsert(
    "threats",
    columns,
    ["id"],
    Object.fromEntries(changes.map((c) => [c, dialect.fresh(c)])),
  );
  await session.batch(sql, threats.map(threatValues));
  const ids = threats.map(({ id }) => [id]);
  // The addresses are those of the newest finding: older ones would add up without end.
  await session.batch("DELETE FROM threat_ips WHERE threat_id = ?", ids);
  const flows = [...threats.map(({ id, flow_ids }) => ({ threat_id: id, flow_ids })), ...links]
    .flatMap(({ threat_id, flow_ids }) =>
      flow_ids.slice(0, flowsPerThreatMax).map(readFlowId).filter((key) => key !== null)
        .map(({ us, slot }) => [threat_id, ...dialect.keyValues(us, slot)])
    );
  await session.batch(dialect.insertMissing("threat_flows", ["threat_id", ...dialect.flowKey]), flows);
  const ips = threats.flatMap(({ id, network, src_ips, dst_ips }) =>
    [...new Set([...src_ips, ...dst_ips])].slice(0, ipsPerThreatMax).map((ip) => [id, ipIn(ip), network])
  );
  await session.batch(dialect.insertMissing("threat_ips", ["threat_id", "ip", "network"]), ips);
  await noteSuppressed(dialect, session, threats, nowMs);
  await noteChanges(dialect, session, threats);
}

/** Part of the transaction that changes them. */
export async function noteChanges(
  dialect: Dialect,
  session: Session,
  threats: readonly { id: string }[],
): Promise<void> {
  const sql = dialect.upsert("threat_changes", ["threat_id", "changes"], ["threat_id"], {
    changes: `${dialect.stored("threat_changes", "changes")} + 1`,
  });
  await session.batch(sql, threats.map(({ id }) => [id, 1]));
  const forSinks = dialect.upsert(
    "sink_changes",
    ["threat_id", "changes", "told", "pending"],
    ["threat_id"],
    {
      changes: `${dialect.stored("sink_changes", "changes")} + 1`,
      pending: dialect.fresh("pending"),
    },
  );
  await session.batch(forSinks, threats.map(({ id }) => [id, 1, 0, 1]));
}

async function readChanges(
  session: Session,
  { reporter, clock }: Deps,
  limit: number,
): Promise<ThreatChange[]> {
  const rows = await session.all(
    `SELECT threat_changes.threat_id AS changed_id, changes, ${selected} FROM threat_changes ` +
      `LEFT JOIN threats ON threats.id = threat_changes.threat_id ${withFeedback} ` +
      `ORDER BY threat_changes.threat_id LIMIT ${limitOf(limit)}`,
    [clock.nowMs()],
  );
  return rows.map((row) => ({
    id: row.changed_id as string,
    changes: row.changes as number,
    threat: row.id === null ? null : threatFromRow(row, reporter),
  }));
}

function threatValues(threat: Threat): Value[] {
  const row = {
    ...threat,
    severity_rank: severities.indexOf(threat.severity),
    first_seen_us: Math.round(threat.first_seen * 1e6),
    last_seen_us: Math.round(threat.last_seen * 1e6),
    first_flow: firstFlow(threat.flow_ids),
    explanation: threat.explanation.toWellFormed(),
    suggested_action: threat.suggested_action.toWellFormed(),
    body: JSON.stringify(threat),
  };
  return columns.map((column) => row[column]);
}

/** Ids sort by time. */
function firstFlow(flowIds: readonly string[]): bigint | null {
  const first = readFlowId([...flowIds].sort()[0] ?? "");
  return first === null ? null : flowIdNumber(first.us, first.slot);
}

/** Null when the row cannot be read: it is left out and counted, and keeps nobody from reading the others. */
export function threatFromRow(row: Row, reporter: Reporter): Threat | null {
  try {
    return readThreat(row);
  } catch (error) {
    reporter.count("stored_rows_unreadable_total", { table: "threats" });
    reporter.warn("stored threat cannot be read, left out", { id: row.id, error });
    return null;
  }
}

function readThreat(row: Row): Threat {
  const threat = JSON.parse(row.body as string) as Threat;
  return {
    ...threat,
    status: row.status as ThreatStatus,
    stored_ms: row.stored_ms as number,
    suppressed_by: row.suppressed_by as string | null,
    feedback: feedbackOf(row),
  };
}

async function readStatuses(session: Session, ids: readonly string[]): Promise<Map<string, ThreatStatus>> {
  const found = new Map<string, ThreatStatus>();
  for (let from = 0; from < ids.length; from += idsPerQuery) {
    const some = ids.slice(from, from + idsPerQuery);
    const rows = await session.all(
      `SELECT id, status FROM threats WHERE id IN (${marks(some.length)})`,
      some,
    );
    for (const { id, status } of rows) found.set(id as string, status as ThreatStatus);
  }
  return found;
}

async function selectThreat(session: Session, id: string, { reporter, clock }: Deps): Promise<Threat | null> {
  const sql = `SELECT ${selected} FROM threats ${withFeedback} WHERE threats.id = ?`;
  const [row] = await session.all(sql, [clock.nowMs(), id]);
  return row ? threatFromRow(row, reporter) : null;
}

/** By last sight, the newest first unless asked otherwise.
 * What SQL cannot answer is asked of each threat, a slice at a time. */
async function queryThreats(
  { session, reporter, clock, places }: Deps & { session: Session; places: Places },
  query: ThreatQuery,
  page: PageRequest,
): Promise<Page<Threat>> {
  const limit = limitOf(page.limit), deadlineMs = clock.monotonicMs() + queryTimeMsMax;
  const nowMs = clock.nowMs();
  const { where, isExact } = conditionsOf(query, nowMs);
  const sliceRows = isExact ? limit + 1 : sliceRowsMax;
  const isAsked = (threat: Threat) =>
    isExact || query.filter === undefined || meets(query.filter, threatTable, threat, places);
  const shown: { threat: Threat; cursor: string }[] = [];
  let cursor = page.cursor;
  for (;;) {
    const rows = await selectSlice({ session, nowMs }, where, { ...page, limit: sliceRows }, cursor);
    for (const row of rows) {
      cursor = `${row.last_seen_us}-${row.id}`;
      const threat = threatFromRow(row, reporter);
      if (threat !== null && isAsked(threat)) shown.push({ threat, cursor });
      if (shown.length > limit) break;
    }
    const found = shown.slice(0, limit).map(({ threat }) => threat);
    if (shown.length > limit) return { rows: found, next_cursor: shown[limit - 1].cursor };
    if (rows.length < sliceRows) return { rows: found };
    if (page.signal?.aborted || clock.monotonicMs() >= deadlineMs) {
      return { rows: found, next_cursor: cursor! };
    }
  }
}

async function queryMarks(
  session: Session,
  range: Pick<ThreatQuery, "from" | "to">,
  limit: number,
  nowMs: number,
): Promise<ThreatMark[]> {
  const where = ["1 = 1"], values: Value[] = [];
  for (const { sql, values: bound } of conditionsOf({ ...range, isShown: true }, nowMs).where) {
    where.push(sql);
    values.push(...bound);
  }
  const rows = await session.all(
    `SELECT id, updated_ms, last_seen_us, severity_rank, status FROM threats WHERE ${where.join(" AND ")} ` +
      `ORDER BY last_seen_us DESC, id DESC LIMIT ${Math.trunc(limit)}`,
    values,
  );
  return rows.map(({ id, updated_ms, last_seen_us, severity_rank, status }) => ({
    id: id as string,
    mark: `${id} ${updated_ms} ${last_seen_us} ${severity_rank} ${status}`,
  }));
}

function conditionsOf(query: ThreatQuery, nowMs: number): { where: Condition[]; isExact: boolean } {
  const where: Condition[] = [];
  const add = (sql: string, ...values: Value[]) => where.push({ sql, values });
  if (query.from !== undefined) add("last_seen_us >= ?", Math.round(query.from * 1e6));
  if (query.to !== undefined) add("first_seen_us <= ?", Math.round(query.to * 1e6));
  if (query.detector !== undefined) add("detector = ?", query.detector);
  if (query.status !== undefined) add("status = ?", query.status);
  if (query.severity_min !== undefined) {
    add("severity_rank >= ?", (severities as readonly string[]).indexOf(query.severity_min));
  }
  if (query.ip !== undefined) {
    const { sql, values } = isAddressIn("ip", query.ip);
    add(`id IN (SELECT threat_id FROM threat_ips WHERE ${sql})`, ...values);
  }
  if (query.isShown) add(`NOT EXISTS (${hiding("1 AS found")})`, nowMs);
  const clause = query.filter === undefined ? null : clauseOf(query.filter, threatTests);
  if (clause !== null) where.push(clause);
  return { where, isExact: clause?.isExact ?? true };
}

async function selectSlice(
  { session, nowMs }: { session: Session; nowMs: number },
  conditions: readonly Condition[],
  { limit, isOldestFirst }: PageRequest,
  cursor: string | undefined,
): Promise<Row[]> {
  const where = [...conditions];
  if (cursor !== undefined) {
    const { lastSeenUs, id } = readCursor(cursor), than = isOldestFirst ? ">" : "<";
    where.push({
      sql: `(last_seen_us ${than} ? OR (last_seen_us = ? AND id ${than} ?))`,
      values: [lastSeenUs, lastSeenUs, id],
    });
  }
  const order = isOldestFirst ? "ASC" : "DESC";
  return await session.all(
    `SELECT ${selected}, last_seen_us FROM threats ${withFeedback} WHERE ${
      ["1 = 1", ...where.map(({ sql }) => sql)].join(" AND ")
    } ORDER BY last_seen_us ${order}, id ${order} LIMIT ${limit}`,
    [nowMs, ...where.flatMap(({ values }) => values)],
  );
}

function readCursor(cursor: string): { lastSeenUs: number; id: string } {
  const match = /^([0-9]{1,16})-([0-9A-Za-z_-]{1,64})$/.exec(cursor);
  if (!match) {
    throw new BadCursor(
      `Cannot read page as "cursor" must be one that a page gave: current value is "${cursor.slice(0, 64)}"`,
    );
  }
  return { lastSeenUs: Number(match[1]), id: match[2] };
}

async function updateStatus(
  dialect: Dialect,
  session: Session,
  ids: readonly string[],
  status: ThreatStatus,
  nowMs: number,
): Promise<string[]> {
  const found: string[] = [];
  for (const id of ids) {
    if ((await session.all("SELECT 1 AS found FROM threats WHERE id = ?", [id])).length === 0) continue;
    await session.run("UPDATE threats SET status = ?, updated_ms = ? WHERE id = ?", [status, nowMs, id]);
    found.push(id);
  }
  await noteChanges(dialect, session, found.map((id) => ({ id })));
  return found;
}
