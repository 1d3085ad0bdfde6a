/** Pages of flows, newest first, for any filter.
 *
 * In: a {@link FlowQuery}, a cursor, a limit. Out: rows and the next cursor.
 * Invariant: no value is ever in the SQL text; a page reads at most {@link sliceRowsMax} candidates a step and stops between steps
 * when its time is up, with a cursor to go on from. So a filter that matches nothing costs a bounded time, in SQLite too, which
 * cannot be interrupted. Candidates come from the narrowest index the filter has: an address, a threat, else time.
 * Why keyset: an id begins with the start time, so each page costs what it holds, however deep it is.
 * Why some filters are asked twice: SQL finds what may match a name or a Community ID, and the flow itself tells. @module */

import type { Flow } from "../model/flow.ts";
import { flowIdText, idUsMax, readFlowId, slots } from "../model/flow_id.ts";
import type { FlowQuery, Page, PageRequest } from "../model/page.ts";
import { connStates } from "../../shared/segment.ts";
import { ipIn } from "./addresses.ts";
import type { Dialect, Session, Value } from "./database.ts";
import { namesOf } from "./fact_names.ts";
import { flowSelection } from "./flow_record.ts";
import { type Key, readFlowRows, type Reading } from "./flow_rows_read.ts";
import { BadCursor } from "./store.ts";

export const rowsPerPageMax = 1_000;
const sliceRowsMax = 20_000;
export const queryTimeMsMax = 2_000;
const nameCharactersMax = 200;

interface Condition {
  sql: string;
  values: Value[];
}

/** First key of starts from `seconds` on. */
function keyAt(seconds: number): Key {
  return { us: Math.min(Math.max(0, Math.ceil(seconds * 1e6)), idUsMax), slot: 0 };
}

/** Keys of `table` from one on and before another. */
export function within(dialect: Dialect, table: string, from: Key, before: Key): Condition {
  const low = dialect.keyValues(from.us, from.slot), high = dialect.keyValues(before.us, before.slot);
  const at = (column: string) => table === "" ? column : `${table}.${column}`;
  const id = `${at("id")} >= ? AND ${at("id")} < ?`;
  if (dialect.flowKey.length === 1) return { sql: id, values: [...low, ...high] };
  const seen = at("seen");
  return { sql: `${seen} >= ? AND ${seen} <= ? AND ${id}`, values: [low[0], high[0], low[1], high[1]] };
}

export async function queryFlows(
  reading: Reading,
  query: FlowQuery,
  page: PageRequest,
  monotonicMs: () => number,
): Promise<Page<Flow>> {
  const { dialect, session } = reading;
  const deadlineMs = monotonicMs() + queryTimeMsMax;
  const limit = limitOf(page.limit);
  const end = query.to === undefined ? { us: idUsMax, slot: slots - 1 } : keyAt(query.to + 1e-6);
  let before = cursorKey(page.cursor, end);
  const lowest = query.from === undefined ? { us: 0, slot: 0 } : keyAt(query.from);
  const drivers = driversOf(query);
  const conditions = await conditionsOf(reading, query);
  if (conditions === null) return { rows: [] };
  const matches = matcherOf(query);
  const sliceRows = conditions.length > 0 ? sliceRowsMax : limit + 1;
  const rows: Flow[] = [];
  for (;;) {
    const from = await sliceStart(dialect, session, drivers, lowest, before, sliceRows);
    const wanted = limit - rows.length + 1;
    const select = selectSlice(dialect, drivers, conditions, from ?? lowest, before, wanted);
    const found = await session.all(select.sql, select.values);
    rows.push(...(await readFlowRows(reading, found)).filter(matches));
    if (rows.length > limit) {
      rows.length = limit;
      return { rows, next_cursor: rows[limit - 1].flow_id };
    }
    if (found.length === wanted) {
      // Some of them were left out, and there may be more in this slice.
      const last = found[found.length - 1];
      before = { us: last.id_us as number, slot: last.slot as number };
    } else if (from === null) return { rows };
    else before = from;
    if (monotonicMs() >= deadlineMs) return { rows, next_cursor: flowIdText(before.us, before.slot) };
  }
}

export function limitOf(limit: number): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= rowsPerPageMax) return limit;
  throw new RangeError(
    `Cannot read page as "limit" must be 1 to ${rowsPerPageMax}: current value is ${limit}`,
  );
}

function cursorKey(cursor: string | undefined, end: Key): Key {
  if (cursor === undefined) return end;
  const key = readFlowId(cursor);
  if (key === null) {
    throw new BadCursor(
      `Cannot read page as "cursor" must be one that a page gave: current value is "${cursor.slice(0, 64)}"`,
    );
  }
  return isBefore(key, end) ? key : end;
}

function isBefore(a: Key, b: Key): boolean {
  return a.us < b.us || (a.us === b.us && a.slot < b.slot);
}

/** Where candidates come from: sources whose union holds every match. */
function driversOf(query: FlowQuery): { table: string; where: string; value: Value }[] {
  const by = (column: string, ip: string) => ({ table: "flows", where: `${column} = ?`, value: ipIn(ip) });
  if (query.threat_id !== undefined) {
    return [{ table: "threat_flows", where: "threat_id = ?", value: query.threat_id }];
  }
  if (query.src_ip !== undefined) return [by("src_ip", query.src_ip)];
  if (query.dst_ip !== undefined) return [by("dst_ip", query.dst_ip)];
  if (query.ip !== undefined) return [by("src_ip", query.ip), by("dst_ip", query.ip)];
  return [];
}

type Drivers = ReturnType<typeof driversOf>;

/** The first key of the next slice of candidates; null = the rest is one slice. */
async function sliceStart(
  dialect: Dialect,
  session: Session,
  drivers: Drivers,
  lowest: Key,
  before: Key,
  rows: number,
): Promise<Key | null> {
  const sources = drivers.length > 0 ? drivers : [{ table: "flows", where: "", value: null }];
  const range = within(dialect, "", lowest, before);
  const order = dialect.flowKey.map((column) => `${column} DESC`).join(", ");
  let start: Key | null = null;
  for (const { table, where, value } of sources) {
    const [row] = await session.all(
      `SELECT id >> 11 AS id_us, id & 2047 AS slot FROM ${table} WHERE ${
        where === "" ? "" : `${where} AND `
      }${range.sql} ` +
        `ORDER BY ${order} LIMIT 1 OFFSET ${rows}`,
      where === "" ? range.values : [value, ...range.values],
    );
    const key = row && { us: row.id_us as number, slot: row.slot as number };
    if (key && (start === null || isBefore(start, key))) start = key;
  }
  return start;
}

function selectSlice(
  dialect: Dialect,
  drivers: Drivers,
  conditions: Condition[],
  from: Key,
  before: Key,
  limit: number,
): Condition {
  const where = conditions.map(({ sql }) => ` AND ${sql}`).join("");
  const values = conditions.flatMap((condition) => condition.values);
  const order = dialect.flowKey.map((column) => `flows.${column} DESC`).join(", ");
  const end = `ORDER BY ${order} LIMIT ${limit}`;
  if (drivers.length === 0) {
    const range = within(dialect, "flows", from, before);
    return {
      sql: `SELECT ${flowSelection} FROM flows WHERE ${range.sql}${where} ${end}`,
      values: [...range.values, ...values],
    };
  }
  const range = within(dialect, "", from, before);
  const keys = dialect.flowKey.join(", ");
  const found = drivers.map((one) => `SELECT ${keys} FROM ${one.table} WHERE ${one.where} AND ${range.sql}`);
  const joined = dialect.flowKey.map((column) => `flows.${column} = found.${column}`).join(" AND ");
  return {
    sql: `SELECT ${flowSelection} FROM (${found.join(" UNION ")}) AS found JOIN flows ON ${joined} ` +
      `WHERE 1 = 1${where} ${end}`,
    values: [...drivers.flatMap(({ value }) => [value, ...range.values]), ...values],
  };
}

/** What candidates must fulfil beyond what chose them; null = nothing can. */
async function conditionsOf(
  { dialect, session, words }: Reading,
  query: FlowQuery,
): Promise<Condition[] | null> {
  const found: Condition[] = [];
  const add = (sql: string, ...values: Value[]) => found.push({ sql, values });
  addAddresses(query, add);
  if (query.port !== undefined) add("(src_port = ? OR dst_port = ?)", query.port, query.port);
  if (query.dst_port !== undefined) add("dst_port = ?", query.dst_port);
  if (query.min_bytes !== undefined) add("fwd_bytes + bwd_bytes >= ?", query.min_bytes);
  if (query.name !== undefined) add("facts LIKE ? ESCAPE '!'", likePattern(query.name));
  if (query.conn_state !== undefined) {
    const place = (connStates as readonly string[]).indexOf(query.conn_state);
    if (place < 0) return null;
    add("conn_state + 0 = ?", place + 1);
  }
  if (query.community_id !== undefined) {
    const first = communityOf(query.community_id);
    if (first === null) return null;
    add("community = ?", first);
  }
  const named = [["protocol", query.protocol], ["app", query.app_protocol], [
    "network",
    query.network,
  ]] as const;
  const asked = [...named.map(([, word]) => word), query.sensor_id].filter((word) => word !== undefined);
  if (asked.some((word) => words.find(word) === null)) await words.load(session);
  for (const [column, word] of named) if (word !== undefined) add(`${column} = ?`, words.find(word) ?? -1);
  if (query.sensor_id !== undefined) {
    const sensor = words.find(query.sensor_id) ?? -1;
    const joined = dialect.flowKey.map((column) => `sightings.${column} = flows.${column}`).join(" AND ");
    add(
      "(fwd_sensor = ? OR bwd_sensor = ? OR EXISTS " +
        `(SELECT 1 FROM sightings WHERE ${joined} AND sightings.sensor = ?))`,
      sensor,
      sensor,
      sensor,
    );
  }
  return found;
}

function addAddresses(query: FlowQuery, add: (sql: string, ...values: Value[]) => void): void {
  const isByThreat = query.threat_id !== undefined;
  if (query.ip !== undefined && (isByThreat || query.src_ip !== undefined || query.dst_ip !== undefined)) {
    add("(src_ip = ? OR dst_ip = ?)", ipIn(query.ip), ipIn(query.ip));
  }
  if (query.src_ip !== undefined && isByThreat) add("src_ip = ?", ipIn(query.src_ip));
  if (query.dst_ip !== undefined && (isByThreat || query.src_ip !== undefined)) {
    add("dst_ip = ?", ipIn(query.dst_ip));
  }
}

/** The first four octets of the digest in a Community ID; null when the text is none. */
export function communityOf(text: string): number | null {
  if (!/^1:[A-Za-z0-9+/]{27}=$/.test(text)) return null;
  const octets = atob(text.slice(2, 10));
  return (octets.charCodeAt(0) << 24 | octets.charCodeAt(1) << 16 | octets.charCodeAt(2) << 8 |
    octets.charCodeAt(3)) >>> 0;
}

/** Whether a flow that SQL found is one that was asked for. */
function matcherOf({ name, community_id }: FlowQuery): (flow: Flow) => boolean {
  if (name === undefined && community_id === undefined) return () => true;
  const part = name?.toWellFormed().toLowerCase().slice(0, nameCharactersMax);
  return (flow) =>
    (part === undefined || (flow.facts !== null && namesOf(flow.facts).includes(part))) &&
    (community_id === undefined || flow.community_id === community_id);
}

/** A pattern that the facts match whose names have `part` anywhere. Where names have "_", facts may have a control character. */
export function likePattern(part: string): string {
  const text = JSON.stringify(part.toWellFormed().toLowerCase().slice(0, nameCharactersMax)).slice(1, -1);
  return `%${text.replace(/[!%]/g, (character) => `!${character}`).replace(/[_ ]/g, "%")}%`;
}
