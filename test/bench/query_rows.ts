/** Days of rows for `test/bench/query.ts`: one day goes in as ingest writes it, and SQL copies it into the days before.
 *
 * In: an open store over the same database, a number of flows. Out: a store that is full, and what to ask it for.
 * Invariant: the copies have the rollups that belong to their flows, so pages show what they would after that many
 * flows had come. Hosts return on each day; each day has the same services and names.
 * The day: inside machines that ask a busy server and the outside, which few reach often and most once; a third of the
 * flows has names, a tenth was seen by two sensors. @module */

import type { Database } from "../../aggregator/store/database.ts";
import type { Store } from "../../aggregator/store/store.ts";
import { flowIdText } from "../../aggregator/model/flow_id.ts";
import { flowsOf, flowWrite, nothing, sighting, threat } from "../aggregator/store/rows.ts";

const dayS = 86_400;
const flowsPerWrite = 5_000;
const threatsPerWrite = 500;
export const busiest = "10.0.0.1";
export const quiet = "10.3.0.77";
const detectors = ["port_scan_vertical", "password_guessing", "beacon", "flood", "obsolete_tls"];
const levels = ["info", "low", "medium", "high", "critical"] as const;

/** `day` is the newest, seconds since 1970. */
export async function fill(
  { store, database, day }: { store: Store; database: Database; day: number },
  { flows, days, threats }: { flows: number; days: number; threats: number },
): Promise<void> {
  for (let k = days; k >= 0; k--) await store.prepareDays((day - k * dayS) * 1e3);
  const ofDay = Math.ceil(flows / days);
  for (let from = 0; from < ofDay; from += flowsPerWrite) {
    const count = Math.min(flowsPerWrite, ofDay - from);
    const writes = Array.from({ length: count }, (_, i) => flowOf(day, from + i, ofDay));
    await store.ingest({
      ...nothing(),
      ...flowsOf(writes),
      traffic: writes.map(({ flow }) => ({
        second: Math.floor(flow.start),
        sensor_id: "s-one",
        protocol: flow.protocol,
        flows: 1,
        packets: flow.total_packets,
        bytes: flow.total_bytes,
      })),
    });
  }
  for (let k = 1; k < days; k++) await copyDay(database, day, k);
  await database.transaction(async (session) => {
    for (const table of ["hosts", "services"]) {
      await session.run(
        `UPDATE ${table} SET flows = flows * ${days}, bytes = bytes * ${days}, first_us = first_us - ${
          (days - 1) * dayS * 1e6
        }`,
      );
    }
    await session.run(
      `UPDATE totals SET flows = flows * ${days}, packets = packets * ${days}, bytes = bytes * ${days}, first_us = first_us - ${
        (days - 1) * dayS * 1e6
      }`,
    );
  });
  await fillThreats(store, { day, days, count: threats, ofDay });
}

/** Number `n` of a day. */
function flowOf(day: number, n: number, ofDay: number) {
  const start = day + Math.floor(n / ofDay * dayS * 1e6) / 1e6;
  const inside = `10.${n % 4}.${n % 7}.${1 + n * 31 % 251}`;
  // One in five asks the busy server; of the others half go to 200 servers, half to one of many.
  const outside = n % 2 === 0
    ? `198.51.100.${1 + n * 7 % 200}`
    : `${64 + n % 60}.${n * 13 % 256}.${n * 29 % 256}.9`;
  const isBusy = n % 5 === 0, isSeenTwice = n % 10 === 0;
  const write = flowWrite(0, {
    flow_id: flowIdText(Math.round(start * 1e6), n % 2_048),
    start,
    end: start + n % 977 / 10,
    protocol: isBusy ? "udp" : "tcp",
    src_ip: n % 9_973 === 1 ? quiet : inside,
    dst_ip: isBusy ? busiest : outside,
    src_port: 1_024 + n * 7_919 % 48_000,
    dst_port: isBusy ? 53 : n % 3 === 0 ? 80 : n % 997 === 0 ? 22 : 443,
    app_protocol: isBusy ? "dns" : "tls",
    fwd_bytes: 60 + n * 31 % 100_000,
    bwd_bytes: 60 + n * 17 % 1_000_000,
    facts: n % 3 !== 0
      ? null
      : isBusy
      ? { dns: [{ name: `host-${n % 503}.site-${n % 5_003}.com`, type: "A", rcode: "NOERROR" }] }
      : { tls: { sni: `www.site-${n % 5_003}.com` } },
    stored_ms: start * 1e3,
    updated_ms: start * 1e3,
  });
  return isSeenTwice ? { ...write, sightings: [sighting("s-one"), sighting("s-two")] } : write;
}

/** Columns that hold a time, by table: what one day is in their unit. A flow's key holds microseconds times 2,048. */
const timesOf: Readonly<Record<string, Readonly<Record<string, bigint>>>> = {
  flows: { id: 176_947_200_000_000n },
  sightings: { id: 176_947_200_000_000n, start_us: 86_400_000_000n, end_us: 86_400_000_000n },
  traffic: { second: 86_400n },
  talkers: { minute: 86_400n },
  talker_hours: { hour: 86_400n },
  protocols: { minute: 86_400n },
  conversations: { day: 86_400n, first_us: 86_400_000_000n, last_us: 86_400_000_000n },
  host_hours: { hour: 86_400n },
  days: { day: 86_400n },
};

async function copyDay(database: Database, day: number, k: number): Promise<void> {
  for (const [table, times] of Object.entries(timesOf)) {
    await database.transaction(async (session) => {
      const named = await session.all(
        database.dialect.name === "sqlite"
          ? `SELECT name FROM pragma_table_info('${table}')`
          : "SELECT column_name AS name FROM information_schema.columns WHERE table_schema = DATABASE() " +
            `AND table_name = '${table}' ORDER BY ordinal_position`,
      );
      const columns = named.map(({ name }) => name as string);
      const [key, unit] = Object.entries(times)[0];
      const from = key === "id" ? BigInt(day) * 2_048_000_000n : BigInt(day);
      const copied = columns.map((column) =>
        column === "seen"
          ? `seen - INTERVAL ${k} DAY`
          : column in times
          ? `${column} - ${times[column] * BigInt(k)}`
          : column
      );
      const isLater = columns.includes("seen") ? `seen >= FROM_UNIXTIME(${day}) AND ` : "";
      await session.run(
        `INSERT INTO ${table} (${columns}) SELECT ${copied} FROM ${table} ` +
          `WHERE ${isLater}${key} >= ${from} AND ${key} < ${from + unit}`,
      );
    });
  }
}

async function fillThreats(
  store: Store,
  { day, days, count, ofDay }: { day: number; days: number; count: number; ofDay: number },
): Promise<void> {
  for (let from = 0; from < count; from += threatsPerWrite) {
    await store.saveThreats(
      Array.from({ length: Math.min(threatsPerWrite, count - from) }, (_, i) => {
        const n = from + i, last_seen = day + dayS - Math.floor(n / count * days * dayS) - 1;
        const flows = Array.from(
          { length: 50 },
          (_, j) => flowOf(day, (n * 50 + j) % ofDay, ofDay).flow.flow_id,
        );
        return threat(idOfThreat(n), {
          detector: detectors[n % detectors.length],
          severity: levels[n % 7 % levels.length],
          src_ips: [`10.${n % 4}.${n % 7}.${1 + n * 31 % 251}`],
          dst_ips: [n % 10 === 0 ? busiest : `198.51.100.${1 + n % 200}`],
          first_seen: last_seen - 600,
          last_seen,
          flow_ids: flows,
        });
      }),
    );
  }
}

/** The n-th threat, the newest first. */
export function idOfThreat(n: number): string {
  return (n + 1).toString(16).padStart(16, "0");
}
