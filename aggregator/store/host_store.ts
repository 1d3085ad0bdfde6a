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
  ServiceQuery,
  ServiceRow,
} from "../model/host.ts";
import type { Clock } from "../../shared/clock.ts";
import { insideRanges } from "../model/inside.ts";
import type { Page, PageRequest } from "../model/page.ts";
import type { Places } from "../model/place.ts";
import { dayS } from "../model/retention.ts";
import { ipIn, ipOut, isAddressOf } from "./addresses.ts";
import type { Database, Value } from "./database.ts";
import { limitOf } from "./flow_query.ts";
import { readHostDetails } from "./host_details.ts";
import { type Asking, msOf, queryHosts, selectHost } from "./host_query.ts";
import { cursorOf, Keyset, readCursor, wordNumber } from "./keyset.ts";
import { readLeaving } from "./leaving.ts";
import { estimateAskers } from "./name_sums.ts";
import type { HostStore } from "./store.ts";
import type { Words } from "./words.ts";

const rowsPerQuery = 20_000;

export function hostStore(
  database: Database,
  { words, clock, places }: { words: Words; clock: Clock; places: Places },
): HostStore {
  const ask = <Result>(work: (asking: Asking) => Promise<Result>) =>
    database.query((session) => work({ session, words }));
  return {
    readHosts: (query, page) =>
      ask((asking) => queryHosts({ ...asking, places, monotonicMs: () => clock.monotonicMs() }, query, page)),
    readHost: (ip, network) => ask((asking) => selectHost(asking, ip, network)),
    readHostDetails: (ip, network) => ask((asking) => readHostDetails(asking, database.dialect, ip, network)),
    readServices: (query, page) => ask((asking) => queryServices(asking, query, page)),
    readDomains: (query, page) => ask((asking) => queryDomains(asking, query, page)),
    readConversations: (query, limit) => ask((asking) => queryConversations(asking, query, limit)),
    countHosts: (range) => ask((asking) => queryCount(asking, range)),
  };
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
  if ((await readLeaving(session)).includes(query.day)) return [];
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

/** Exact, by the hours in which flows began. */
async function queryCount(
  { session }: Asking,
  { fromMs, toMs }: { fromMs: number; toMs: number },
): Promise<{ hosts: number; inside: number }> {
  const hour = (ms: number) => Math.floor(ms / 3_600_000) * 3_600;
  const inside = insideRanges.map((range) => isAddressOf("ip", range));
  const leaving = await readLeaving(session);
  const left = leaving.map(() => " AND NOT (hour >= ? AND hour < ?)").join("");
  const [row] = await session.all(
    `SELECT COUNT(*) AS hosts, SUM(CASE WHEN ${
      inside.map(({ sql }) => sql).join(" OR ")
    } THEN 1 ELSE 0 END) AS inside FROM ` +
      `(SELECT DISTINCT ip, network FROM host_hours WHERE hour >= ? AND hour <= ?${left}) AS seen`,
    [
      ...inside.flatMap(({ values }) => values),
      hour(fromMs),
      hour(toMs),
      ...leaving.flatMap((day) => [day, day + dayS]),
    ],
  );
  return { hosts: Number(row.hosts), inside: Number(row.inside ?? 0) };
}
