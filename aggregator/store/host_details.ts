/** One host in depth: what it offers, uses and talks to, its traffic by the hour, and which sensors see it.
 *
 * In: an address and its network. Out: bounded lists. Invariant: the newest {@link conversationsMax} conversations of
 * each direction are read, and the newest {@link flowsMax} flows for the sensors, each by an index;
 * sums cover only those. @module */

import type { HostDetails, OfferedService, Peer, Service, UsedService } from "../model/host.ts";
import { ipIn, ipOut } from "./addresses.ts";
import { hasAddress, keyOfAddress } from "./by_address.ts";
import type { Dialect, Row, Session, Value } from "./database.ts";
import { allKeys } from "./key_range.ts";
import { wordNumber } from "./keyset.ts";
import type { Words } from "./words.ts";

const conversationsMax = 2_000;
const flowsMax = 500;
const listMax = 100;
const hoursMax = 720;
/** The newest hours in which any host did something: more than a host is asked for, as it may have been quiet. */
const newestHours = "WITH RECURSIVE hours(hour) AS (SELECT MAX(hour) FROM host_hours UNION ALL " +
  "SELECT (SELECT MAX(hour) FROM host_hours WHERE hour < hours.hour) FROM hours WHERE hour IS NOT NULL " +
  `LIMIT ${4 * hoursMax}) SELECT hour FROM hours`;

interface Asking {
  session: Session;
  words: Words;
}

export async function readHostDetails(
  { session, words }: Asking,
  dialect: Dialect,
  ip: string,
  network: string,
): Promise<HostDetails> {
  const key: Value[] = [ipIn(ip), await wordNumber(session, words, network)];
  await words.load(session);
  // SQLite's keys begin with the hour; MariaDB looks into each day by itself.
  const someHours = dialect.name === "sqlite" ? `hour IN (${newestHours}) AND ` : "";
  const newest = (end: "src_ip" | "dst_ip") =>
    `(SELECT * FROM conversations WHERE ${end} = ? AND network = ? AND flows > 0 ORDER BY day DESC ` +
    `LIMIT ${conversationsMax}) AS newest`;
  const offered = await session.all(
    "SELECT protocol, port, app, first_us, last_us, flows FROM services WHERE ip = ? AND network = ? AND flows > 0 " +
      `ORDER BY flows DESC, protocol, port LIMIT ${listMax}`,
    key,
  );
  const clients = await session.all(
    `SELECT protocol, port, COUNT(DISTINCT src_ip) AS clients FROM ${
      newest("dst_ip")
    } GROUP BY protocol, port`,
    key,
  );
  const used = await session.all(
    "SELECT dst_ip AS ip, protocol, port, MAX(app) AS app, MIN(first_us) AS first_us, MAX(last_us) AS last_us, " +
      `SUM(flows) AS flows FROM ${
        newest("src_ip")
      } WHERE port > 0 GROUP BY dst_ip, protocol, port ORDER BY flows DESC, ` +
      `dst_ip LIMIT ${listMax}`,
    key,
  );
  const peers = async (end: "src_ip" | "dst_ip", other: "src_ip" | "dst_ip") =>
    await session.all(
      `SELECT ${other} AS ip, SUM(flows) AS flows, SUM(bytes) AS bytes FROM ${
        newest(end)
      } GROUP BY ${other} ORDER BY bytes DESC LIMIT ${2 * listMax}`,
      key,
    );
  const hours = await session.all(
    `SELECT hour, packets, bytes FROM host_hours WHERE ${someHours}ip = ? AND network = ? ` +
      `ORDER BY hour DESC LIMIT ${hoursMax}`,
    key,
  );
  return {
    services: offered.map((row): OfferedService => ({
      ...serviceOf(row, words),
      clients: Number(clients.find((one) => isSame(one, row))?.clients ?? 0),
    })),
    uses: used.map((row): UsedService => ({ ip: ipOut(row.ip), ...serviceOf(row, words) })),
    peers: joined([...await peers("src_ip", "dst_ip"), ...await peers("dst_ip", "src_ip")]),
    series: hours.reverse().map((row) => ({
      at_ms: (row.hour as number) * 1_000,
      bytes: Math.max(0, row.bytes as number),
      packets: Math.max(0, row.packets as number),
    })),
    sensors: await sensorsOf({ session, words }, dialect, key),
  };
}

function serviceOf(row: Row, words: Words): Service {
  return {
    protocol: words.wordOf(row.protocol as number),
    port: row.port as number,
    app: words.wordOf(Number(row.app)),
    first_seen_ms: Math.floor(Number(row.first_us) / 1e3),
    last_seen_ms: Math.floor(Number(row.last_us) / 1e3),
    flows: Number(row.flows),
  };
}

function isSame(a: Row, b: Row): boolean {
  return a.protocol === b.protocol && a.port === b.port;
}

/** Both directions as one, the largest first. */
function joined(rows: readonly Row[]): Peer[] {
  const peers = new Map<string, Peer>();
  for (const row of rows) {
    const ip = ipOut(row.ip);
    const peer = peers.get(ip) ?? { ip, flows: 0, bytes: 0 };
    peer.flows += Number(row.flows);
    peer.bytes += Number(row.bytes);
    peers.set(ip, peer);
  }
  return [...peers.values()].sort((a, b) => b.bytes - a.bytes || (a.ip < b.ip ? -1 : 1)).slice(0, listMax);
}

async function sensorsOf({ session, words }: Asking, dialect: Dialect, key: Value[]): Promise<string[]> {
  const [ip, network] = key as [Uint8Array, Value];
  const seen = new Set<string>();
  for (const column of ["src_ip", "dst_ip"] as const) {
    const end = { column, ip };
    const low = await keyOfAddress({ dialect, session }, end, allKeys, { rows: flowsMax, isUp: false });
    const { sql, values } = hasAddress(dialect, end, { ...allKeys, low: low ?? allKeys.low });
    const rows = await session.all(
      `SELECT DISTINCT fwd_sensor, bwd_sensor FROM flows WHERE ${sql} AND network = ?`,
      [...values, network],
    );
    for (const row of rows) {
      seen.add(words.wordOf(row.fwd_sensor as number)).add(words.wordOf(row.bwd_sensor as number));
    }
  }
  seen.delete("");
  return [...seen].sort();
}
