/** The topic of hosts: pages of hosts, services, domains and conversations, one host in depth, and how many there were.
 *
 * In: filters. Out: rows. Invariant: only rollups are read; every query uses an index. A host is shown while
 * a flow of it is counted.
 * Why keyset: a page costs what it contains, however deep it is. @module */

import type {
  Conversation,
  ConversationQuery,
  Domain,
  DomainQuery,
  Host,
  HostQuery,
  ServiceQuery,
  ServiceRow,
} from "../model/host.ts";
import { macText } from "../model/flow_rows.ts";
import type { Page, PageRequest } from "../model/page.ts";
import { ipIn, ipOut } from "./addresses.ts";
import { type Database, marks, type Row, type Session, type Value } from "./database.ts";
import { limitOf } from "./flow_query.ts";
import { readHostDetails } from "./host_details.ts";
import { cursorOf, Keyset, readCursor, wordNumber } from "./keyset.ts";
import { estimateAskers } from "./name_sums.ts";
import type { HostStore } from "./store.ts";
import type { Words } from "./words.ts";

const namesPerHostMax = 20;
const ipsPerQuery = 200;
const rowsPerQuery = 20_000;

interface Asking {
  session: Session;
  words: Words;
}

export function hostStore(database: Database, { words }: { words: Words }): HostStore {
  const ask = <Result>(work: (asking: Asking) => Promise<Result>) =>
    database.query((session) => work({ session, words }));
  return {
    readHosts: (query, page) => ask((asking) => queryHosts(asking, query, page)),
    readHost: (ip, network) => ask((asking) => selectHost(asking, ip, network)),
    readHostDetails: (ip, network) => ask((asking) => readHostDetails(asking, database.dialect, ip, network)),
    readServices: (query, page) => ask((asking) => queryServices(asking, query, page)),
    readDomains: (query, page) => ask((asking) => queryDomains(asking, query, page)),
    readConversations: (query, limit) => ask((asking) => queryConversations(asking, query, limit)),
    countHosts: (range) => ask((asking) => queryCount(asking, range)),
  };
}

const hostColumns = "ip, network, first_us, last_us, flows, packets, bytes";

async function queryHosts(asking: Asking, query: HostQuery, page: PageRequest): Promise<Page<Host>> {
  const limit = limitOf(page.limit);
  const value = query.sort === "bytes" ? "bytes" : "last_us";
  const keyset = new Keyset(value, ["ip", "network"]);
  keyset.add("flows > 0");
  if (query.range) keyset.addRange(query.range);
  if (query.network !== undefined) {
    keyset.add("network = ?", await wordNumber(asking.session, asking.words, query.network));
  }
  if (query.seenSinceMs !== undefined) keyset.add("last_us >= ?", query.seenSinceMs * 1e3);
  if (page.cursor !== undefined) keyset.addCursor(readCursor(page.cursor));
  const rows = await asking.session.all(
    `SELECT ${hostColumns} FROM hosts ${keyset.sql(query.range !== undefined)} LIMIT ${limit + 1}`,
    keyset.values,
  );
  const shown = rows.slice(0, limit);
  const hosts = await describeHosts(asking, shown);
  return rows.length > limit
    ? { rows: hosts, next_cursor: cursorOf(shown[limit - 1], value, ["ip", "network"]) }
    : { rows: hosts };
}

async function selectHost(asking: Asking, ip: string, network?: string): Promise<Host | null> {
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

/** Rows of the table as hosts, with their names, MACs and number of threats. */
async function describeHosts({ session, words }: Asking, rows: readonly Row[]): Promise<Host[]> {
  if (rows.some(({ network }) => !words.isKnown(network as number))) await words.load(session);
  const hosts = rows.map((row): Host => ({
    ip: ipOut(row.ip),
    network: words.wordOf(row.network as number),
    first_seen_ms: msOf(row.first_us),
    last_seen_ms: msOf(row.last_us),
    names: [],
    macs: [],
    flows: row.flows as number,
    packets: row.packets as number,
    bytes: row.bytes as number,
    threats: 0,
  }));
  const places = new Map(hosts.map((host) => [`${host.ip}|${host.network}`, host]));
  const placeOf = (row: Row) => places.get(`${ipOut(row.ip)}|${words.wordOf(row.network as number)}`);
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
    for (const { ip, network, threats } of await countThreats(session, ips)) {
      const host = places.get(`${ipOut(ip)}|${network}`);
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

async function queryServices(
  { session, words }: Asking,
  query: ServiceQuery,
  page: PageRequest,
): Promise<Page<ServiceRow>> {
  const limit = limitOf(page.limit);
  const keys = ["ip", "network", "protocol", "port"];
  const keyset = new Keyset("last_us", keys);
  keyset.add("flows > 0");
  if (query.range) keyset.addRange(query.range);
  if (query.network !== undefined) {
    keyset.add("network = ?", await wordNumber(session, words, query.network));
  }
  if (query.protocol !== undefined) {
    keyset.add("protocol = ?", await wordNumber(session, words, query.protocol));
  }
  if (query.port !== undefined) keyset.add("port = ?", query.port);
  if (page.cursor !== undefined) keyset.addCursor(readCursor(page.cursor));
  const found = await session.all(
    `SELECT ip, network, protocol, port, app, first_us, last_us, flows, bytes FROM services ` +
      `${keyset.sql(query.range !== undefined)} LIMIT ${limit + 1}`,
    keyset.values,
  );
  await words.load(session);
  const rows = found.slice(0, limit).map((row): ServiceRow => ({
    ip: ipOut(row.ip),
    network: words.wordOf(row.network as number),
    protocol: words.wordOf(row.protocol as number),
    port: row.port as number,
    app: words.wordOf(row.app as number),
    first_seen_ms: msOf(row.first_us),
    last_seen_ms: msOf(row.last_us),
    flows: row.flows as number,
    bytes: row.bytes as number,
  }));
  return found.length > limit ? { rows, next_cursor: cursorOf(found[limit - 1], "last_us", keys) } : { rows };
}

async function queryDomains(
  { session, words }: Asking,
  query: DomainQuery,
  page: PageRequest,
): Promise<Page<Domain>> {
  const limit = limitOf(page.limit);
  const keyset = new Keyset("last_us", ["name", "network"]);
  if (query.network !== undefined) {
    keyset.add("network = ?", await wordNumber(session, words, query.network));
  }
  if (query.seenSinceMs !== undefined) keyset.add("last_us >= ?", query.seenSinceMs * 1e3);
  if (query.name !== undefined) {
    keyset.add("name >= ? AND name < ?", query.name, `${query.name}\u{10ffff}`);
  }
  if (page.cursor !== undefined) keyset.addCursor(readCursor(page.cursor));
  const found = await session.all(
    "SELECT name, network, first_us, last_us, queries, askers_0, askers_1, askers_2, askers_3 FROM domains " +
      `${keyset.sql(query.name !== undefined)} LIMIT ${limit + 1}`,
    keyset.values,
  );
  await words.load(session);
  const rows = found.slice(0, limit).map((row): Domain => ({
    name: row.name as string,
    network: words.wordOf(row.network as number),
    first_seen_ms: msOf(row.first_us),
    last_seen_ms: msOf(row.last_us),
    queries: row.queries as number,
    hosts: estimateAskers([0, 1, 2, 3].map((word) => row[`askers_${word}`] as number)),
  }));
  return found.length > limit
    ? { rows, next_cursor: cursorOf(found[limit - 1], "last_us", ["name", "network"]) }
    : { rows };
}

/** Of one day, the largest first. */
async function queryConversations(
  { session, words }: Asking,
  query: ConversationQuery,
  limit: number,
): Promise<Conversation[]> {
  const rest: Value[] = [query.day];
  let network = "";
  if (query.network !== undefined) {
    rest.push(await wordNumber(session, words, query.network));
    network = " AND network = ?";
  }
  const columns =
    "src_ip, dst_ip, network, protocol, port, app, first_us, last_us, flows, packets, bytes, sent_bytes";
  const from = (end: string) =>
    `SELECT ${columns} FROM conversations WHERE ${end}day = ?${network} AND flows > 0`;
  const end = `ORDER BY bytes DESC LIMIT ${limitOf(limit)}`;
  // The largest of each direction first: all of a busy host would be compared with each other.
  const largest = (column: string, name: string) =>
    `SELECT * FROM (SELECT * FROM (${
      from(`${column} = ? AND `)
    } LIMIT ${rowsPerQuery}) AS all_${name} ${end}) AS ${name}`;
  const found = query.ip === undefined ? await session.all(`${from("")} ${end}`, rest) : await session.all(
    `SELECT * FROM (${largest("src_ip", "sent")} UNION ${largest("dst_ip", "received")}) AS both_ways ${end}`,
    [ipIn(query.ip), ...rest, ipIn(query.ip), ...rest],
  );
  await words.load(session);
  return found.map((row) => ({
    src_ip: ipOut(row.src_ip),
    dst_ip: ipOut(row.dst_ip),
    network: words.wordOf(row.network as number),
    protocol: words.wordOf(row.protocol as number),
    port: row.port as number,
    app: words.wordOf(row.app as number),
    first_seen_ms: msOf(row.first_us),
    last_seen_ms: msOf(row.last_us),
    flows: row.flows as number,
    packets: row.packets as number,
    bytes: row.bytes as number,
    sent_bytes: row.sent_bytes as number,
  }));
}

/** Private ranges of single hosts, first and last address. */
const insideRanges = [
  ["10.0.0.0", "10.255.255.255"],
  ["100.64.0.0", "100.127.255.255"],
  ["169.254.0.0", "169.254.255.255"],
  ["172.16.0.0", "172.31.255.255"],
  ["192.168.0.0", "192.168.255.255"],
  ["fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
] as const;

/** Exact, by the hours in which flows began. */
async function queryCount(
  { session }: Asking,
  { fromMs, toMs }: { fromMs: number; toMs: number },
): Promise<{ hosts: number; inside: number }> {
  const hour = (ms: number) => Math.floor(ms / 3_600_000) * 3_600;
  const among = insideRanges.map(() => "(LENGTH(ip) = ? AND ip >= ? AND ip <= ?)").join(" OR ");
  const ranges = insideRanges.flatMap(([first, last]) => [ipIn(first).length, ipIn(first), ipIn(last)]);
  const [row] = await session.all(
    `SELECT COUNT(*) AS hosts, SUM(CASE WHEN ${among} THEN 1 ELSE 0 END) AS inside FROM ` +
      "(SELECT DISTINCT ip, network FROM host_hours WHERE hour >= ? AND hour <= ?) AS seen",
    [...ranges, hour(fromMs), hour(toMs)],
  );
  return { hosts: Number(row.hosts), inside: Number(row.inside ?? 0) };
}

export function msOf(us: Value): number {
  return Math.floor((us as number) / 1e3);
}
