/** The topic of traffic, summed up: talkers, protocols, series, totals.
 *
 * In: a range of packet time. Out: rows. Invariant: only roll-ups are read, never flows; at most {@link rollupRowsMax}
 * rows of them, the newest ones. @module */

import { type Database, type Dialect, marks, type Session, type Value } from "./database.ts";
import { ipOut } from "./addresses.ts";
import { limitOf, rowsPerPageMax } from "./flow_query.ts";
import { queryOutside } from "./outside_traffic.ts";
import type { TrafficStore } from "./store.ts";
import type { ProtocolTotal, SeriesPoint, SeriesStack, TopTalker, Totals } from "../model/traffic.ts";

const rollupRowsMax = 500_000;
const pointsMax = 5_000;
const stacksMax = 10;
/** From here on talkers are summed up by the hour in which their flows began, not by the minute. */
const longRangeS = 6 * 3_600;

/** Seconds of each series, from fine to coarse; the finer ones live shorter. */
export const seriesSteps = [1, 10, 60, 3_600] as const;

interface Range {
  from?: number;
  to?: number;
}

export function trafficStore(database: Database): TrafficStore {
  return {
    readTopTalkers: (range, limit) =>
      database.query((session) => queryTopTalkers(database.dialect, session, range, limit)),
    readProtocols: (range) => database.query((session) => queryProtocols(database.dialect, session, range)),
    readSeries: (range, stepS, sensorId) =>
      database.query((session) => querySeries(database.dialect, session, range, stepS, sensorId)),
    readStacks: (range, stepS, by, sensorId) =>
      database.query((session) => queryStacks(database.dialect, session, range, stepS, by, sensorId)),
    readOutside: (range, stepS) => database.query((session) => queryOutside(session, range, stepS)),
    readTotals: () => database.read(queryTotals),
  };
}

/** Bounds of `column`, which counts in steps of `stepS`. */
function within(column: string, { from, to }: Range, stepS: number): { sql: string; values: Value[] } {
  const low = from === undefined ? 0 : Math.floor(from / stepS) * stepS;
  const high = to === undefined ? Number.MAX_SAFE_INTEGER : Math.floor(to);
  return { sql: `${column} >= ? AND ${column} <= ?`, values: [low, high] };
}

async function queryTopTalkers(
  dialect: Dialect,
  session: Session,
  range: Range,
  limit: number,
): Promise<TopTalker[]> {
  const isLong = await isLongRange(session, range);
  const { sql, values } = isLong ? within("hour", range, 3_600) : within("minute", range, 60);
  const [table, time] = isLong ? ["talker_hours", "hour"] : ["talkers", "minute"];
  const sum = (what: string) => boundedSum(dialect, what);
  const rows = await session.all(
    `SELECT ip, ${sum("flows")} AS flows, ${sum("sent_bytes")} AS sent_bytes, ${
      sum("received_bytes")
    } AS received_bytes, ` +
      `${sum("sent_bytes + received_bytes")} AS total_bytes, ${sum("packets")} AS total_packets ` +
      `FROM (SELECT * FROM ${table} WHERE ${sql} ORDER BY ${time} DESC LIMIT ${rollupRowsMax}) AS newest ` +
      `GROUP BY ip ORDER BY total_bytes DESC, ip LIMIT ${limitOf(limit)}`,
    values,
  );
  return rows.map((row) => ({ ...row, ip: ipOut(row.ip) }) as unknown as TopTalker);
}

/** Whether whole hours are precise enough. */
async function isLongRange(session: Session, { from = 0, to }: Range): Promise<boolean> {
  if (to !== undefined) return to - from >= longRangeS;
  const [{ last }] = await session.all("SELECT MAX(hour) AS last FROM talker_hours");
  return last !== null && (last as number) + 3_600 - from >= longRangeS;
}

async function queryProtocols(
  dialect: Dialect,
  session: Session,
  range: Range,
): Promise<ProtocolTotal[]> {
  const { sql, values } = within("minute", range, 60);
  const sum = (what: string) => boundedSum(dialect, what);
  const rows = await session.all(
    `SELECT protocol, app_protocol, ${sum("flows")} AS flows, ${sum("packets")} AS packets, ${
      sum("bytes")
    } AS bytes ` +
      `FROM (SELECT * FROM protocols WHERE ${sql} ORDER BY minute DESC LIMIT ${rollupRowsMax}) AS newest ` +
      `GROUP BY protocol, app_protocol ORDER BY bytes DESC, protocol, app_protocol LIMIT ${rowsPerPageMax}`,
    values,
  );
  return rows.map((row) => ({ ...row }) as unknown as ProtocolTotal);
}

/** @throws {RangeError} when the step is no whole second, or gives too many points. */
async function querySeries(
  dialect: Dialect,
  session: Session,
  range: { from: number; to: number },
  stepS: number,
  sensorId?: string,
): Promise<SeriesPoint[]> {
  const { newest, values } = seriesOf(range, stepS, sensorId);
  const rows = await session.all(
    `SELECT second - second % ${stepS} AS time, ${sumsOf(dialect)} FROM ${newest} ` +
      `GROUP BY second - second % ${stepS} ORDER BY time LIMIT ${pointsMax + 1}`,
    values,
  );
  return rows.map((row) => ({ ...row }) as unknown as SeriesPoint);
}

/** @throws {RangeError} as {@link querySeries}. */
async function queryStacks(
  dialect: Dialect,
  session: Session,
  range: { from: number; to: number },
  stepS: number,
  by: "protocol" | "sensor",
  sensorId?: string,
): Promise<SeriesStack[]> {
  const { newest, values } = seriesOf(range, stepS, sensorId);
  const column = by === "protocol" ? "protocol" : "sensor_id";
  const largest = await session.all(
    `SELECT ${column} AS name, ${boundedSum(dialect, "bytes")} AS bytes FROM ${newest} GROUP BY ${column} ` +
      `ORDER BY bytes DESC, name LIMIT ${stacksMax}`,
    values,
  );
  const first = range.from - range.from % stepS;
  const points = Math.floor((range.to - first) / stepS) + 1;
  const zeros = () => new Array<number>(points).fill(0);
  const stacks = [...largest.map(({ name }) => name as string), ""].map((name): SeriesStack => ({
    name,
    flows: zeros(),
    packets: zeros(),
    bytes: zeros(),
  }));
  const named = largest.length === 0
    ? "''"
    : `CASE WHEN ${column} IN (${marks(largest.length)}) THEN ${column} ELSE '' END`;
  const rows = await session.all(
    `SELECT time, name, ${
      sumsOf(dialect)
    } FROM (SELECT second - second % ${stepS} AS time, ${named} AS name, ` +
      `flows, packets, bytes FROM ${newest}) AS parts GROUP BY time, name LIMIT ${
        (pointsMax + 1) * (stacksMax + 1)
      }`,
    [...largest.map(({ name }) => name), ...values],
  );
  for (const row of rows) {
    const stack = stacks.find(({ name }) => name === row.name)!;
    const at = Math.round(((row.time as number) - first) / stepS);
    for (const sum of ["flows", "packets", "bytes"] as const) stack[sum][at] = row[sum] as number;
  }
  return stacks.filter(({ name, flows, bytes }) =>
    name !== "" || [...flows, ...bytes].some((sum) => sum > 0)
  );
}

/** The rows of a series. @throws {RangeError} when the step is no whole second, or gives too many points. */
function seriesOf(
  range: { from: number; to: number },
  stepS: number,
  sensorId?: string,
): { newest: string; values: Value[] } {
  if (!Number.isInteger(stepS) || stepS < 1 || stepS > 86_400) {
    throw new RangeError(`Cannot read series as "stepS" must be 1 to 86400: current value is ${stepS}`);
  }
  if ((range.to - range.from) / stepS > pointsMax) {
    const points = Math.ceil((range.to - range.from) / stepS);
    throw new RangeError(
      `Cannot read series as it must have <= ${pointsMax} points: current value is ${points}`,
    );
  }
  const series = seriesSteps.findLast((step) => stepS % step === 0)!;
  const { sql, values } = within("second", range, stepS);
  const bySensor = sensorId === undefined ? "" : " AND sensor_id = ?";
  return {
    newest:
      `(SELECT * FROM traffic WHERE step = ${series} AND ${sql}${bySensor} ORDER BY second DESC LIMIT ${rollupRowsMax}) AS newest`,
    values: sensorId === undefined ? values : [...values, sensorId],
  };
}

function sumsOf(dialect: Dialect): string {
  return ["flows", "packets", "bytes"].map((name) => `${boundedSum(dialect, name)} AS ${name}`).join(", ");
}

/** A sum that can be read as a number. */
function boundedSum(dialect: Dialect, what: string): string {
  return dialect.least(`SUM(${what})`, String(Number.MAX_SAFE_INTEGER));
}

async function queryTotals(session: Session): Promise<Totals> {
  const [row] = await session.all(
    "SELECT flows, packets, bytes, sightings, first_us, last_us FROM totals WHERE name = 'all'",
  );
  const [{ threats }] = await session.all("SELECT COUNT(*) AS threats FROM threats");
  const seconds = (us: Value | undefined) => us === null || us === undefined ? null : (us as number) / 1e6;
  return {
    flows: (row?.flows ?? 0) as number,
    packets: (row?.packets ?? 0) as number,
    bytes: (row?.bytes ?? 0) as number,
    sightings: (row?.sightings ?? 0) as number,
    threats: threats as number,
    first: seconds(row?.first_us),
    last: seconds(row?.last_us),
  };
}
