/** Pages of flows by time, for any filter.
 *
 * In: a {@link FlowQuery}, a cursor, a limit. Out: rows and the next cursor.
 * Invariant: no value is ever in the SQL text; a page reads at most {@link sliceRowsMax} candidates a step and stops
 * between steps when its time is up, with a cursor to go on from. So a filter that matches nothing costs a bounded
 * time, in SQLite too, which cannot be interrupted.
 * Candidates come from the narrowest index the filter has: an address, a threat, else time.
 * Why keyset: an id begins with the start time, so each page costs what it holds, however deep it is.
 * Why some filters are asked twice: SQL finds what may match a name or a Community ID, and the flow itself tells.
 * @module */

import type { Flow } from "../model/flow.ts";
import { flowIdText, idUsMax, readFlowId, slots } from "../model/flow_id.ts";
import type { FlowQuery, Page, PageRequest } from "../model/page.ts";
import { connStates } from "../../shared/segment.ts";
import { boundsOf, meets, onlyAddressesOf, testsOf } from "../filter/evaluate.ts";
import { flowTable } from "../filter/flow_table.ts";
import type { Places } from "../model/place.ts";
import { onlyAddress } from "../model/network.ts";
import { ipIn, isAddressIn } from "./addresses.ts";
import type { Condition, Dialect, Session, Value } from "./database.ts";
import { namesOf } from "../model/fact_names.ts";
import { flowSelection } from "./flow_record.ts";
import { type AddressEnd, hasAddress, keyOfAddress } from "./by_address.ts";
import { readFlowRows, type Reading } from "./flow_rows_read.ts";
import { allKeys, type Key, type Range, within } from "./key_range.ts";
import { hidden } from "./leaving.ts";
import { type Clause, clauseOf } from "./filter_sql.ts";
import { flowTests } from "./flow_filter.ts";
import { likePattern, namePart } from "./like_pattern.ts";
import { BadCursor } from "./store.ts";

export const rowsPerPageMax = 1_000;
const sliceRowsMax = 20_000;
/** Most filters fill their page from few candidates; those that do not look at more and more. */
const sliceRowsFirst = 1_000;
/** Read at once where only memory can tell whether a row is one. */
const inexactRows = 500;
export const queryTimeMsMax = 2_000;

/** First key of starts from `seconds` on. */
function keyAt(seconds: number): Key {
  return { us: Math.min(Math.max(0, Math.ceil(seconds * 1e6)), idUsMax), slot: 0 };
}

export async function queryFlows(
  reading: Reading & { places: Places },
  given: FlowQuery,
  page: PageRequest,
  monotonicMs: () => number,
): Promise<Page<Flow>> {
  const { isOldestFirst: isUp = false } = page;
  const query = narrowed(given);
  const deadlineMs = monotonicMs() + queryTimeMsMax;
  const limit = limitOf(page.limit);
  const { dialect, session } = reading;
  const asked = { dialect, session, isUp, drivers: driversOf(query) };
  const conditions = await conditionsOf(reading, query);
  if (conditions === null) return { rows: [] };
  const isExact = conditions.every(({ isExact }) => isExact ?? true);
  const matches = matcherOf(query, isExact, reading.places);
  let sliceRows = conditions.length > 0 ? Math.max(sliceRowsFirst, limit + 1) : limit + 1;
  const rows: Flow[] = [];
  let left = rangeOf(query, page);
  for (;;) {
    const cut = await sliceEnd(asked, left, sliceRows);
    const slice = cut === null ? left : isUp ? { ...left, high: cut } : { ...left, low: cut };
    const wanted = isExact ? limit - rows.length + 1 : inexactRows;
    const select = selectSlice(asked, conditions, slice, wanted);
    const found = await session.all(select.sql, select.values);
    rows.push(...(await readFlowRows(reading, found)).filter(matches));
    if (rows.length > limit) {
      const next_cursor = rows[isUp ? limit : limit - 1].flow_id;
      rows.length = limit;
      return { rows, next_cursor };
    }
    if (found.length === wanted) {
      // Some of them were left out, and there may be more in this slice.
      const last = found[found.length - 1];
      left = beyond(left, { us: last.id_us as number, slot: last.slot as number }, isUp);
    } else if (cut === null) return { rows };
    else {
      left = isUp ? { ...left, low: cut } : { ...left, high: cut };
      sliceRows = Math.min(sliceRows * 4, sliceRowsMax);
    }
    const { us, slot } = isUp ? left.low : left.high;
    if (page.signal?.aborted || monotonicMs() >= deadlineMs) {
      return { rows, next_cursor: flowIdText(us, slot) };
    }
  }
}

interface Asked {
  dialect: Dialect;
  session: Session;
  drivers: Driver[];
  isUp: boolean;
}

/** What is left of a range when the rows up to `key`, itself included, are done. */
function beyond({ low, high }: Range, key: Key, isUp: boolean): Range {
  if (!isUp) return { low, high: key };
  return { low: key.slot + 1 < slots ? { ...key, slot: key.slot + 1 } : { us: key.us + 1, slot: 0 }, high };
}

/** What the query and the cursor leave. A cursor is the end of what comes, or, oldest first, its beginning. */
function rangeOf({ from, to }: FlowQuery, { cursor, isOldestFirst }: PageRequest): Range {
  const low = from === undefined ? allKeys.low : keyAt(from);
  const high = to === undefined ? allKeys.high : keyAt(to + 1e-6);
  if (cursor === undefined) return { low, high };
  const key = cursorKey(cursor);
  if (isOldestFirst) return { low: isBefore(low, key) ? key : low, high };
  return { low, high: isBefore(key, high) ? key : high };
}

export function limitOf(limit: number): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= rowsPerPageMax) return limit;
  throw new RangeError(
    `Cannot read page as "limit" must be 1 to ${rowsPerPageMax}: current value is ${limit}`,
  );
}

function cursorKey(cursor: string): Key {
  const key = readFlowId(cursor);
  if (key !== null) return key;
  throw new BadCursor(
    `Cannot read page as "cursor" must be one that a page gave: current value is "${cursor.slice(0, 64)}"`,
  );
}

function isBefore(a: Key, b: Key): boolean {
  return a.us < b.us || (a.us === b.us && a.slot < b.slot);
}

/** Where candidates come from: sources whose union holds every match.
 * A range of addresses is none: its rows are not in order. */
function driversOf(query: FlowQuery): Driver[] {
  if (query.threat_id !== undefined) return [{ threat: query.threat_id }];
  const only = (text: string | undefined) => text === undefined ? null : onlyAddress(text);
  const src = only(query.src_ip), dst = only(query.dst_ip), either = only(query.ip);
  if (src !== null) return [{ column: "src_ip", ip: ipIn(src) }];
  if (dst !== null) return [{ column: "dst_ip", ip: ipIn(dst) }];
  if (either === null) return [];
  return [{ column: "src_ip", ip: ipIn(either) }, { column: "dst_ip", ip: ipIn(either) }];
}

type Driver = AddressEnd | { threat: string };

/** The key that ends the next slice of candidates, or begins it when the newest come first;
 * null = the rest is one slice. */
async function sliceEnd(asked: Asked, left: Range, rows: number): Promise<Key | null> {
  const { drivers, isUp } = asked;
  if (drivers.length === 0) return await keyAfter(asked, "flows", within(asked.dialect, "", left), rows);
  let end: Key | null = null;
  for (const driver of drivers) {
    const key = "threat" in driver
      ? await keyAfter(asked, "threat_flows", ofThreat(asked.dialect, driver.threat, left), rows)
      : await keyOfAddress(asked, driver, left, { rows, isUp });
    if (key && (end === null || (isUp ? isBefore(key, end) : isBefore(end, key)))) end = key;
  }
  return end;
}

function ofThreat(dialect: Dialect, threat: string, range: Range): Condition {
  const { sql, values } = within(dialect, "", range);
  return { sql: `threat_id = ? AND ${sql}`, values: [threat, ...values] };
}

async function keyAfter(
  { dialect, session, isUp }: Asked,
  table: string,
  where: Condition,
  rows: number,
): Promise<Key | null> {
  const order = dialect.flowKey.map((column) => `${column} ${isUp ? "ASC" : "DESC"}`).join(", ");
  const [row] = await session.all(
    `SELECT id >> 11 AS id_us, id & 2047 AS slot FROM ${table} WHERE ${where.sql} ` +
      `ORDER BY ${order} LIMIT 1 OFFSET ${rows}`,
    where.values,
  );
  return row === undefined ? null : { us: row.id_us as number, slot: row.slot as number };
}

function selectSlice(
  { dialect, drivers, isUp }: Asked,
  conditions: Condition[],
  slice: Range,
  limit: number,
): Condition {
  const where = conditions.map(({ sql }) => ` AND ${sql}`).join("");
  const values = conditions.flatMap((condition) => condition.values);
  const order = dialect.flowKey.map((column) => `flows.${column} ${isUp ? "ASC" : "DESC"}`).join(", ");
  const end = `ORDER BY ${order} LIMIT ${limit}`;
  if (drivers.length === 0) {
    const range = within(dialect, "flows", slice);
    return {
      sql: `SELECT ${flowSelection} FROM flows WHERE ${range.sql}${where} ${end}`,
      values: [...range.values, ...values],
    };
  }
  const keys = dialect.flowKey.join(", ");
  const found = drivers.map((one) => {
    const isThreat = "threat" in one;
    const { sql, values } = isThreat ? ofThreat(dialect, one.threat, slice) : hasAddress(dialect, one, slice);
    return { sql: `SELECT ${keys} FROM ${isThreat ? "threat_flows" : "flows"} WHERE ${sql}`, values };
  });
  const joined = dialect.flowKey.map((column) => `flows.${column} = found.${column}`).join(" AND ");
  return {
    sql: `SELECT ${flowSelection} FROM (${found.map(({ sql }) => sql).join(" UNION ")}) AS found ` +
      `JOIN flows ON ${joined} WHERE 1 = 1${where} ${end}`,
    values: [...found.flatMap((one) => one.values), ...values],
  };
}

/** What candidates must fulfil beyond what chose them; null = nothing can. */
async function conditionsOf(
  { dialect, session, words }: Reading,
  query: FlowQuery,
): Promise<(Condition & Partial<Clause>)[] | null> {
  const found: (Condition & Partial<Clause>)[] = await hidden(dialect, session);
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
  if (query.filter !== undefined) {
    if (testsOf(query.filter).some(({ column }) => isWord(column))) await words.load(session);
    found.push(clauseOf(query.filter, flowTests(dialect, words)));
  }
  return found;
}

/** Asked also of what chose the candidates: an address and a threat may be given at once,
 * and a range is never what chose. */
function addAddresses(query: FlowQuery, add: (sql: string, ...values: Value[]) => void): void {
  const test = (column: string, text: string) => isAddressIn(`flows.${column}`, text);
  const drivers = driversOf(query);
  const isDriven = (columns: string[]) =>
    drivers.length === columns.length &&
    columns.every((column, i) => "column" in drivers[i] && drivers[i].column === column);
  for (const column of ["src_ip", "dst_ip"] as const) {
    if (query[column] === undefined || isDriven([column])) continue;
    const { sql, values } = test(column, query[column]);
    add(sql, ...values);
  }
  if (query.ip === undefined || isDriven(["src_ip", "dst_ip"])) return;
  const src = test("src_ip", query.ip), dst = test("dst_ip", query.ip);
  add(`(${src.sql} OR ${dst.sql})`, ...src.values, ...dst.values);
}

/** The first four octets of the digest in a Community ID; null when the text is none. */
export function communityOf(text: string): number | null {
  if (!/^1:[A-Za-z0-9+/]{27}=$/.test(text)) return null;
  const octets = atob(text.slice(2, 10));
  return (octets.charCodeAt(0) << 24 | octets.charCodeAt(1) << 16 | octets.charCodeAt(2) << 8 |
    octets.charCodeAt(3)) >>> 0;
}

function isWord(column: string): boolean {
  return flowTable.columns[column].type === "word";
}

/** What a filter says of times and single addresses chooses candidates too.
 * A microsecond more does no harm: the filter is asked. */
function narrowed(query: FlowQuery): FlowQuery {
  if (query.filter === undefined) return query;
  const narrow = { ...query };
  const { from, to } = boundsOf(query.filter, "start");
  if (from !== undefined) narrow.from = Math.max(query.from ?? 0, from / 1e6 - 1e-6);
  if (to !== undefined) narrow.to = Math.min(query.to ?? Infinity, to / 1e6 + 1e-6);
  for (const { column, ip } of onlyAddressesOf(query.filter)) narrow[column] ??= ip;
  return narrow;
}

/** Whether a flow that SQL found is one that was asked for. `isExact`: SQL has answered the filter already. */
function matcherOf(
  { name, community_id, filter }: FlowQuery,
  isExact: boolean,
  places: Places,
): (flow: Flow) => boolean {
  const asked = isExact ? undefined : filter;
  if (name === undefined && community_id === undefined && asked === undefined) return () => true;
  const part = name === undefined ? undefined : namePart(name);
  return (flow) =>
    (part === undefined || (flow.facts !== null && namesOf(flow.facts).includes(part))) &&
    (community_id === undefined || flow.community_id === community_id) &&
    (asked === undefined || meets(asked, flowTable, flow, places));
}
