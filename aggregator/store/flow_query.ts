/** Pages of flows, newest first, for any filter.
 *
 * In: a {@link FlowQuery}, a cursor, a limit. Out: rows and the next cursor.
 * Invariant: no value is ever in the SQL text; a page reads at most {@link sliceRowsMax} candidates a step and stops between steps
 * when its time is up, with a cursor to go on from. So a filter that matches nothing costs a bounded time, in SQLite too, which
 * cannot be interrupted. Candidates come from the narrowest index the filter has: an address, a threat, else time.
 * Why keyset: `flow_id` begins with the start time, so each page costs what it holds, however deep it is. @module */

import { Buffer } from "node:buffer";
import type { Flow } from "../model/flow.ts";
import type { Dialect, Session, Value } from "./database.ts";
import { flowFromRow, hexOf } from "./flow_columns.ts";
import { readSightings } from "./sightings.ts";
import { BadCursor } from "./store.ts";
import type { FlowQuery, Page, PageRequest } from "../model/page.ts";

export const rowsPerPageMax = 1_000;
const sliceRowsMax = 20_000;
export const queryTimeMsMax = 2_000;
const nameCharactersMax = 200;

interface Condition {
  sql: string;
  values: Value[];
}

/** Flow ids of starts from `seconds` on; also the first id after all earlier starts. */
export function flowIdAt(seconds: number): Uint8Array {
  const id = Buffer.alloc(16);
  const us = Math.min(Math.max(0, Math.ceil(seconds * 1e6)), Number.MAX_SAFE_INTEGER);
  id.writeUIntBE(Math.floor(us / 2 ** 32), 0, 3);
  id.writeUInt32BE(us % 2 ** 32, 3);
  return id;
}

export async function queryFlows(
  dialect: Dialect,
  session: Session,
  query: FlowQuery,
  page: PageRequest,
  monotonicMs: () => number,
): Promise<Page<Flow>> {
  const deadlineMs = monotonicMs() + queryTimeMsMax;
  const limit = limitOf(page.limit);
  const drivers = driversOf(dialect, query);
  const conditions = conditionsOf(dialect, query);
  const lowest: Value = query.from === undefined ? Buffer.alloc(16) : flowIdAt(query.from);
  const end: Value = query.to === undefined ? Buffer.alloc(16, 0xff) : flowIdAt(query.to + 1e-6);
  let before: Value = cursorId(page.cursor, end);
  const sliceRows = conditions.length > 0 ? sliceRowsMax : limit + 1;
  const rows: Flow[] = [];
  let next: string | undefined;
  for (;;) {
    const from = await sliceStart(session, drivers, lowest, before, sliceRows);
    const wanted = limit - rows.length + 1;
    const select = selectSlice(drivers, conditions, from ?? lowest, before, wanted);
    const found = await session.all(select.sql, select.values);
    rows.push(...found.map((row) => flowFromRow(dialect, row)));
    if (rows.length > limit) {
      rows.length = limit;
      next = rows[limit - 1].flow_id;
      break;
    }
    if (from === null) break;
    before = from;
    if (monotonicMs() >= deadlineMs) {
      next = hexOf(before);
      break;
    }
  }
  await readSightings(session, rows);
  return next === undefined ? { rows } : { rows, next_cursor: next };
}

export function limitOf(limit: number): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= rowsPerPageMax) return limit;
  throw new RangeError(
    `Cannot read page as "limit" must be 1 to ${rowsPerPageMax}: current value is ${limit}`,
  );
}

function cursorId(cursor: string | undefined, end: Value): Value {
  if (cursor === undefined) return end;
  if (!/^[0-9a-f]{32}$/.test(cursor)) {
    throw new BadCursor(
      `Cannot read page as "cursor" must be one that a page gave: current value is "${cursor.slice(0, 64)}"`,
    );
  }
  const id = Buffer.from(cursor, "hex");
  return Buffer.compare(id, end as Uint8Array) < 0 ? id : end;
}

/** Where candidates come from: sources whose union holds every match. */
function driversOf(dialect: Dialect, query: FlowQuery): Condition[] {
  const by = (column: string, ip: string) => ({
    sql: `SELECT flow_id FROM flows WHERE ${column} = ?`,
    values: [dialect.ipIn(ip)],
  });
  if (query.threat_id !== undefined) {
    return [{ sql: "SELECT flow_id FROM threat_flows WHERE threat_id = ?", values: [query.threat_id] }];
  }
  if (query.src_ip !== undefined) return [by("src_ip", query.src_ip)];
  if (query.dst_ip !== undefined) return [by("dst_ip", query.dst_ip)];
  if (query.ip !== undefined) return [by("src_ip", query.ip), by("dst_ip", query.ip)];
  return [];
}

/** The first id of the next slice of candidates; null = the rest is one slice. */
async function sliceStart(
  session: Session,
  drivers: Condition[],
  lowest: Value,
  before: Value,
  rows: number,
): Promise<Value | null> {
  const sources = drivers.length > 0
    ? drivers
    : [{ sql: "SELECT flow_id FROM flows WHERE 1 = 1", values: [] }];
  let start: Value | null = null;
  for (const { sql, values } of sources) {
    const [row] = await session.all(
      `${sql} AND flow_id >= ? AND flow_id < ? ORDER BY flow_id DESC LIMIT 1 OFFSET ${rows}`,
      [...values, lowest, before],
    );
    if (row && (start === null || Buffer.compare(row.flow_id as Uint8Array, start as Uint8Array) > 0)) {
      start = row.flow_id;
    }
  }
  return start;
}

function selectSlice(
  drivers: Condition[],
  conditions: Condition[],
  from: Value,
  before: Value,
  limit: number,
): Condition {
  const range = "flow_id >= ? AND flow_id < ?";
  const where = conditions.map(({ sql }) => ` AND ${sql}`).join("");
  const values = conditions.flatMap((condition) => condition.values);
  const end = `ORDER BY flows.flow_id DESC LIMIT ${limit}`;
  if (drivers.length === 0) {
    return {
      sql: `SELECT flows.* FROM flows WHERE flows.flow_id >= ? AND flows.flow_id < ?${where} ${end}`,
      values: [from, before, ...values],
    };
  }
  const found = drivers.map(({ sql }) => `${sql} AND ${range}`).join(" UNION ");
  return {
    sql:
      `SELECT flows.* FROM (${found}) AS found JOIN flows ON flows.flow_id = found.flow_id WHERE 1 = 1${where} ${end}`,
    values: [...drivers.flatMap((driver) => [...driver.values, from, before]), ...values],
  };
}

/** What candidates must fulfil beyond what chose them. */
function conditionsOf(dialect: Dialect, query: FlowQuery): Condition[] {
  const found: Condition[] = [];
  const add = (sql: string, ...values: Value[]) => found.push({ sql, values });
  const isDriven = (name: "ip" | "src_ip" | "dst_ip") => {
    if (query.threat_id !== undefined) return false;
    if (name === "src_ip") return true;
    if (name === "dst_ip") return query.src_ip === undefined;
    return query.src_ip === undefined && query.dst_ip === undefined;
  };
  const ip = (text: string) => dialect.ipIn(text);
  if (query.ip !== undefined && !isDriven("ip")) {
    add("(src_ip = ? OR dst_ip = ?)", ip(query.ip), ip(query.ip));
  }
  if (query.src_ip !== undefined && !isDriven("src_ip")) add("src_ip = ?", ip(query.src_ip));
  if (query.dst_ip !== undefined && !isDriven("dst_ip")) add("dst_ip = ?", ip(query.dst_ip));
  if (query.port !== undefined) add("(src_port = ? OR dst_port = ?)", query.port, query.port);
  if (query.dst_port !== undefined) add("dst_port = ?", query.dst_port);
  for (const name of ["protocol", "app_protocol", "community_id", "conn_state", "network"] as const) {
    const value = query[name];
    if (value !== undefined) add(`${name} = ?`, value);
  }
  if (query.min_bytes !== undefined) add("total_bytes >= ?", query.min_bytes);
  if (query.name !== undefined) add("names LIKE ? ESCAPE '!'", likePattern(query.name));
  if (query.sensor_id !== undefined) {
    add(
      "EXISTS (SELECT 1 FROM sightings WHERE sightings.flow_id = flows.flow_id AND sightings.sensor_id = ?)",
      query.sensor_id,
    );
  }
  return found;
}

/** A pattern that matches `part` anywhere, whatever characters it has. */
export function likePattern(part: string): string {
  const text = part.toWellFormed().toLowerCase().slice(0, nameCharactersMax);
  return `%${text.replace(/[!%_]/g, (character) => `!${character}`)}%`;
}
