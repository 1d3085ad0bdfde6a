/** Pages of hosts by any filter, and one host.
 *
 * In: a {@link HostQuery}, a cursor, a limit. Out: hosts with what is known of them, and the next cursor.
 * Invariant: no value is ever in the SQL text; with a filter a page reads {@link sliceRows} candidates a step, by the
 * index of its order, and stops between steps when its time is up, with a cursor to go on from. A filter that names one
 * address reads the rows of that address alone.
 * Why tests are selected: where memory must decide a part of a filter, the rest stays with the database, which knows
 * more names of a host than an answer shows. @module */

import { decide, meets, onlyAddressesOf, testsOf } from "../filter/evaluate.ts";
import { hostTable } from "../filter/host_table.ts";
import { macText } from "../model/flow_rows.ts";
import type { Filter } from "../model/filter.ts";
import type { AddressRange, Host, HostOrder, HostQuery } from "../model/host.ts";
import { readNetwork } from "../model/network.ts";
import type { Page, PageRequest } from "../model/page.ts";
import type { Places } from "../model/place.ts";
import { ipIn, ipOut } from "./addresses.ts";
import { marks, type Row, type Session, type Value } from "./database.ts";
import { type Clause, clauseOf } from "./filter_sql.ts";
import { limitOf, queryTimeMsMax } from "./flow_query.ts";
import { hostTests } from "./host_filter.ts";
import { cursorOf, Keyset, readCursor, wordNumber } from "./keyset.ts";
import type { Words } from "./words.ts";

const namesPerHostMax = 20;
const portsPerHostMax = 20;
const ipsPerQuery = 200;
const rowsPerQuery = 20_000;
const sliceRows = 5_000;
/** Read at once where only memory can tell whether a host is one. */
const inexactRows = 500;
const keys = ["ip", "network"] as const;
/** Each has an index. */
const orders: Readonly<Record<HostOrder, string>> = {
  last_seen: "last_us",
  first_seen: "first_us",
  bytes: "bytes",
};

export interface Asking {
  session: Session;
  words: Words;
}

const hostColumns = "ip, network, first_us, last_us, flows, packets, bytes";

export async function queryHosts(
  asking: Asking & { places: Places; monotonicMs: () => number },
  query: HostQuery,
  page: PageRequest,
): Promise<Page<Host>> {
  const limit = limitOf(page.limit), deadlineMs = asking.monotonicMs() + queryTimeMsMax;
  const order = orders[query.sort];
  const { isExact, isByKey, select, isAsked } = await asked(asking, query, order);
  let cursor = page.cursor === undefined ? null : readCursor(page.cursor);
  const shown: Row[] = [];
  for (;;) {
    const end = isByKey ? null : await sliceEnd(asking.session, order, cursor);
    for (;;) {
      const wanted = isExact ? limit + 1 - shown.length : inexactRows;
      const rows = await select(cursor, end, wanted);
      shown.push(...rows.filter(isAsked));
      if (shown.length > limit) {
        const rows = shown.slice(0, limit);
        const next_cursor = cursorOf(rows[limit - 1], order, keys);
        return { rows: await describeHosts(asking, rows), next_cursor };
      }
      if (rows.length < wanted) break;
      cursor = readCursor(cursorOf(rows[rows.length - 1], order, keys));
    }
    if (end === null) return { rows: await describeHosts(asking, shown) };
    cursor = end.cursor;
    if (page.signal?.aborted || asking.monotonicMs() >= deadlineMs) {
      return { rows: await describeHosts(asking, shown), next_cursor: end.text };
    }
  }
}

interface End {
  cursor: Value[];
  text: string;
}

/** The last candidate of the next slice; null = the rest is one slice. */
async function sliceEnd(session: Session, order: string, cursor: Value[] | null): Promise<End | null> {
  const keyset = new Keyset(order, keys);
  if (cursor !== null) keyset.addCursor(cursor);
  const [row] = await session.all(
    `SELECT ${order}, ip, network FROM hosts ${keyset.sql(false)} LIMIT 1 OFFSET ${sliceRows - 1}`,
    keyset.values,
  );
  if (row === undefined) return null;
  const text = cursorOf(row, order, keys);
  return { text, cursor: readCursor(text) };
}

/** How the rows of a query are read. */
async function asked(
  { session, words, places }: Asking & { places: Places },
  query: HostQuery,
  order: string,
) {
  const { filter } = query;
  if (filter !== undefined) await words.load(session);
  const tests = hostTests(words);
  const clause = filter === undefined ? null : clauseOf(filter, tests);
  const isExact = clause?.isExact ?? true;
  const range = query.range ?? (filter === undefined ? undefined : onlyRange(filter));
  const isByKey = filter === undefined ? true : range !== undefined && isOne(range);
  const network = query.network === undefined ? null : await wordNumber(session, words, query.network);
  const parts = isExact || filter === undefined
    ? []
    : testsOf(filter).map((test) => ({ test, clause: clauseOf(test, tests) }));
  const select = (cursor: Value[] | null, end: End | null, limit: number): Promise<Row[]> => {
    const keyset = new Keyset(order, keys);
    keyset.add("flows > 0");
    if (range !== undefined) keyset.addRange(range);
    if (network !== null) keyset.add("network = ?", network);
    if (query.seenSinceMs !== undefined) keyset.add("last_us >= ?", query.seenSinceMs * 1e3);
    if (clause !== null) keyset.add(clause.sql, ...clause.values);
    if (cursor !== null) keyset.addCursor(cursor);
    if (end !== null) keyset.addEnd(end.cursor);
    const told = parts.map(({ clause }, i) => `, (${clause.sql}) AS test_${i}`).join("");
    return session.all(
      `SELECT ${hostColumns}${told} FROM hosts ${keyset.sql(range !== undefined && isByKey)} LIMIT ${limit}`,
      [...parts.flatMap(({ clause }) => clause.values), ...keyset.values],
    );
  };
  return { isExact, isByKey, select, isAsked: (row: Row) => isMet(filter, parts, row, { words, places }) };
}

/** Whether a row that SQL found is one that was asked for. */
function isMet(
  filter: Filter | undefined,
  parts: readonly { test: Filter; clause: Clause }[],
  row: Row,
  { words, places }: { words: Words; places: Places },
): boolean {
  if (filter === undefined || parts.length === 0) return true;
  const host = hostOf(row, words);
  return decide(filter, (test) => {
    const i = parts.findIndex((part) => part.test === test);
    return parts[i].clause.isExact ? Number(row[`test_${i}`]) === 1 : meets(test, hostTable, host, places);
  });
}

function onlyRange(filter: Filter): AddressRange | undefined {
  const [only] = onlyAddressesOf(filter);
  if (only === undefined) return undefined;
  const { low, high } = readNetwork(only.ip)!;
  return { first: low, last: high };
}

function isOne({ first, last }: AddressRange): boolean {
  return first.every((octet, i) => octet === last[i]);
}

export async function selectHost(asking: Asking, ip: string, network?: string): Promise<Host | null> {
  const values: Value[] = [ipIn(ip)];
  if (network !== undefined) values.push(await wordNumber(asking.session, asking.words, network));
  const rows = await asking.session.all(
    `SELECT ${hostColumns} FROM hosts WHERE ip = ?${
      network === undefined ? "" : " AND network = ?"
    } AND flows > 0 ORDER BY last_us DESC LIMIT 1`,
    values,
  );
  return (await describeHosts(asking, rows))[0] ?? null;
}

/** Rows of the table as hosts, with their names, MACs, ports and number of threats. */
async function describeHosts({ session, words }: Asking, rows: readonly Row[]): Promise<Host[]> {
  if (rows.some(({ network }) => !words.isKnown(network as number))) await words.load(session);
  const hosts = rows.map((row) => hostOf(row, words));
  const byKey = new Map(hosts.map((host) => [`${host.ip}|${host.network}`, host]));
  const placeOf = (row: Row) => byKey.get(`${ipOut(row.ip)}|${words.wordOf(row.network as number)}`);
  for (let from = 0; from < rows.length; from += ipsPerQuery) {
    const ips = rows.slice(from, from + ipsPerQuery).map(({ ip }) => ip);
    const among = `ip IN (${marks(ips.length)})`;
    const named = await session.all(
      `SELECT ip, network, name FROM host_names WHERE ${among} ORDER BY last_us DESC, name LIMIT ${rowsPerQuery}`,
      ips,
    );
    for (const row of named) {
      const host = placeOf(row);
      if (host && host.names.length < namesPerHostMax) host.names.push(row.name as string);
    }
    const known = await session.all(
      `SELECT ip, network, mac FROM neighbours WHERE ${among} ORDER BY last_us DESC, mac LIMIT ${rowsPerQuery}`,
      ips,
    );
    for (const row of known) {
      const host = placeOf(row);
      if (host && host.macs.length < namesPerHostMax) host.macs.push(macText(row.mac as Uint8Array, 0));
    }
    const served = await session.all(
      `SELECT ip, network, port FROM services WHERE ${among} AND flows > 0 ORDER BY port LIMIT ${rowsPerQuery}`,
      ips,
    );
    for (const row of served) {
      const ports = placeOf(row)?.ports, port = row.port as number;
      if (ports && ports.length < portsPerHostMax && ports.at(-1) !== port) ports.push(port);
    }
    for (const { ip, network, threats } of await countThreats(session, ips)) {
      const host = byKey.get(`${ipOut(ip)}|${network}`);
      if (host) host.threats = Number(threats);
    }
  }
  return hosts;
}

/** By address and by the network of the threat. */
function countThreats(session: Session, ips: readonly Value[]): Promise<Row[]> {
  return session.all(
    `SELECT ip, network, COUNT(*) AS threats FROM (SELECT ip, network FROM threat_ips WHERE ip IN (${
      marks(ips.length)
    }) LIMIT ${rowsPerQuery}) AS found GROUP BY ip, network`,
    ips,
  );
}

/** Without what other tables know of it. */
function hostOf(row: Row, words: Words): Host {
  return {
    ip: ipOut(row.ip),
    network: words.wordOf(row.network as number),
    first_seen_ms: msOf(row.first_us),
    last_seen_ms: msOf(row.last_us),
    names: [],
    macs: [],
    ports: [],
    flows: row.flows as number,
    packets: row.packets as number,
    bytes: row.bytes as number,
    threats: 0,
  };
}

export function msOf(us: Value): number {
  return Math.floor((us as number) / 1e3);
}
