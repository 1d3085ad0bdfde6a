/** The sums of one ingest transaction: traffic by second and minute, busiest addresses, protocols, totals.
 *
 * In: traffic rows, and rows of flows whose counts are increments. Out: rows that are added to. Invariant: part of the
 * transaction that writes the flows. Bound: {@link talkersPerMinuteMax} addresses per minute and write, the busiest:
 * the others are in the flows but not in this list, and are counted; {@link talkersPerHourMax} addresses per hour that
 * is over. No sum passes 2^53 - 1. @module */

import type { Reporter } from "../../shared/reporter.ts";
import type { FlowRows } from "../model/flow_rows.ts";
import { SumTable } from "../model/sum_table.ts";
import type { TrafficRow } from "../model/traffic.ts";
import type { Database, Session, Value } from "./database.ts";
import type { HostSums } from "./host_sums.ts";
import { seriesSteps } from "./traffic_store.ts";
import { saturated } from "./write_flows.ts";

export const talkersPerMinuteMax = 128;
const talkersPerHourMax = 250;
/** Hours to which flows may still come. */
const hoursOpen = 2;
const hoursPerPruneMax = 1_000;

interface Target {
  database: Database;
  session: Session;
}

export async function writeTraffic(
  { database, session }: Target,
  traffic: readonly TrafficRow[],
): Promise<void> {
  const keys = ["step", "second", "sensor_id", "protocol"], counts = ["flows", "packets", "bytes"];
  const rows = seriesSteps.flatMap((step) =>
    (step === 1 ? traffic : coarser(traffic, step)).map((row): Value[] => [
      step,
      row.second,
      row.sensor_id,
      row.protocol,
      row.flows,
      row.packets,
      row.bytes,
    ]).sort(byKey)
  );
  await session.batch(addingUpsert(database, "traffic", keys, counts), rows);
}

/** The same traffic in longer steps. */
function coarser(traffic: readonly TrafficRow[], stepS: number): TrafficRow[] {
  const sums = new Map<string, TrafficRow>();
  for (const row of traffic) {
    const second = row.second - row.second % stepS;
    const key = `${second}|${row.sensor_id}|${row.protocol}`;
    const sum = sums.get(key) ?? { ...row, second, flows: 0, packets: 0, bytes: 0 };
    sum.flows = bounded(sum.flows + row.flows);
    sum.packets = bounded(sum.packets + row.packets);
    sum.bytes = bounded(sum.bytes + row.bytes);
    sums.set(key, sum);
  }
  return [...sums.values()];
}

export async function writeTalkers(
  { database, session }: Target,
  flows: FlowRows,
  { addresses, ends }: Pick<HostSums, "addresses" | "ends">,
  reporter: Reporter,
): Promise<void> {
  const sums = new SumTable(4);
  const c = flows.columns;
  for (let i = 0; i < flows.size; i++) {
    const minute = minuteOf(c.idUs[i]), factor = c.factor[i];
    const counted = c.isNew[i] === 1 ? factor : 0;
    const fwd = c.fwdBytes[i] * factor, bwd = c.bwdBytes[i] * factor;
    const packets = (c.fwdPackets[i] + c.bwdPackets[i]) * factor;
    const source = ends[2 * i], target = ends[2 * i + 1];
    addTalker(sums, sums.row(minute, source), counted, fwd, bwd, packets);
    if (target !== source) addTalker(sums, sums.row(minute, target), counted, bwd, fwd, packets);
  }
  const busiest = heaviest(sums, talkersPerMinuteMax);
  reporter.count("talkers_left_out_total", undefined, sums.size - busiest.length);
  const hours = new SumTable(4);
  for (const row of busiest) {
    const hour = hours.row(Math.floor(sums.first[row] / 60), sums.second[row]);
    addTalker(hours, hour, sums.get(row, 0), sums.get(row, 1), sums.get(row, 2), sums.get(row, 3));
  }
  const rowsOf = (table: SumTable, places: readonly number[], stepS: number) =>
    places.map((row): Value[] => [
      table.first[row] * stepS,
      addresses.address(table.second[row]),
      ...[0, 1, 2, 3].map((column) => bounded(table.get(row, column))),
    ]);
  const counts = ["flows", "sent_bytes", "received_bytes", "packets"];
  const byMinute = addingUpsert(database, "talkers", ["minute", "ip"], counts);
  await session.batch(byMinute, rowsOf(sums, busiest, 60));
  const byHour = addingUpsert(database, "talker_hours", ["hour", "ip"], counts);
  await session.batch(byHour, rowsOf(hours, heaviest(hours, Infinity), 3_600));
}

/** Of each hour that is over, the busiest stay: what was never among them is not in the sums of long ranges. */
export async function pruneTalkers(database: Database, nowMs: number): Promise<void> {
  const before = Math.floor(nowMs / 3_600_000 - hoursOpen) * 3_600;
  const hours = await database.read((session) =>
    session.all(
      "SELECT hour FROM days JOIN talker_hours ON hour >= day AND hour < day + 86400 WHERE stored_ms >= ? AND " +
        `hour < ? GROUP BY hour HAVING COUNT(*) > ${talkersPerHourMax} ORDER BY hour LIMIT ${hoursPerPruneMax}`,
      [nowMs - 2 * 86_400_000, before],
    )
  );
  for (const { hour } of hours) {
    await database.transaction(async (session) => {
      const [least] = await session.all(
        "SELECT sent_bytes + received_bytes AS bytes FROM talker_hours WHERE hour = ? ORDER BY bytes DESC LIMIT 1 " +
          `OFFSET ${talkersPerHourMax - 1}`,
        [hour],
      );
      await session.run("DELETE FROM talker_hours WHERE hour = ? AND sent_bytes + received_bytes < ?", [
        hour,
        least.bytes,
      ]);
    });
  }
}

function addTalker(
  sums: SumTable,
  row: number,
  flows: number,
  sent: number,
  received: number,
  packets: number,
): void {
  sums.add(row, 0, flows);
  sums.add(row, 1, sent);
  sums.add(row, 2, received);
  sums.add(row, 3, packets);
}

/** The busiest rows of each step, in the order of step and address number. */
function heaviest(sums: SumTable, max: number): number[] {
  const rows = Array.from({ length: sums.size }, (_, row) => row);
  if (rows.length > max) {
    const weight = (row: number) => sums.get(row, 1) + sums.get(row, 2);
    const taken = new Map<number, number>();
    rows.sort((a, b) => weight(b) - weight(a));
    return rows.filter((row) => {
      const before = taken.get(sums.first[row]) ?? 0;
      taken.set(sums.first[row], before + 1);
      return before < max;
    }).sort((a, b) => sums.first[a] - sums.first[b] || a - b);
  }
  return rows.sort((a, b) => sums.first[a] - sums.first[b] || a - b);
}

export async function writeProtocols({ database, session }: Target, flows: FlowRows): Promise<void> {
  const numbers = new Map<string, Map<string, number>>();
  const pairs: [string, string][] = [];
  const sums = new SumTable(3);
  const c = flows.columns;
  for (let i = 0; i < flows.size; i++) {
    let apps = numbers.get(flows.protocol[i]);
    if (!apps) numbers.set(flows.protocol[i], apps = new Map());
    let pair = apps.get(flows.app[i]);
    if (pair === undefined) {
      pair = pairs.push([flows.protocol[i], flows.app[i]]) - 1;
      apps.set(flows.app[i], pair);
    }
    const row = sums.row(minuteOf(c.idUs[i]), pair);
    sums.add(row, 0, c.isNew[i] === 1 ? c.factor[i] : 0);
    sums.add(row, 1, (c.fwdPackets[i] + c.bwdPackets[i]) * c.factor[i]);
    sums.add(row, 2, (c.fwdBytes[i] + c.bwdBytes[i]) * c.factor[i]);
  }
  const rows = Array.from({ length: sums.size }, (_, row): Value[] => [
    sums.first[row] * 60,
    ...pairs[sums.second[row]],
    sums.get(row, 0),
    sums.get(row, 1),
    sums.get(row, 2),
  ]).sort(byKey);
  const keys = ["minute", "protocol", "app_protocol"], counts = ["flows", "packets", "bytes"];
  await session.batch(addingUpsert(database, "protocols", keys, counts), rows);
}

export async function writeTotals(
  { database, session }: Target,
  flows: FlowRows,
  sightings: number,
): Promise<void> {
  if (flows.size === 0 && sightings === 0) return;
  const { dialect } = database;
  const c = flows.columns;
  let count = 0, packets = 0, bytes = 0, first = Infinity, last = -Infinity;
  for (let i = 0; i < flows.size; i++) {
    if (c.isNew[i] === 1) count += c.factor[i];
    packets += (c.fwdPackets[i] + c.bwdPackets[i]) * c.factor[i];
    bytes += (c.fwdBytes[i] + c.bwdBytes[i]) * c.factor[i];
    if (c.isSuspect[i] === 1) continue;
    first = Math.min(first, c.startUs[i]);
    last = Math.max(last, c.endUs[i]);
  }
  const columns = ["name", "flows", "packets", "bytes", "sightings", "first_us", "last_us"];
  const add = (name: string) =>
    saturated(dialect, `${dialect.stored("totals", name)} + ${dialect.fresh(name)}`);
  const pick = (choose: (a: string, b: string) => string, name: string) => {
    const old = dialect.stored("totals", name), fresh = dialect.fresh(name);
    return choose(`COALESCE(${old}, ${fresh})`, `COALESCE(${fresh}, ${old})`);
  };
  const sql = dialect.upsert("totals", columns, ["name"], {
    flows: add("flows"),
    packets: add("packets"),
    bytes: add("bytes"),
    sightings: add("sightings"),
    first_us: pick(dialect.least, "first_us"),
    last_us: pick(dialect.greatest, "last_us"),
  });
  const time = (us: number) => Number.isFinite(us) ? us : null;
  const sums = [count, packets, bytes, sightings].map(bounded);
  await session.run(sql, ["all", ...sums, time(first), time(last)]);
}

/** Inserts a row, or adds its counts to the one that is there. */
function addingUpsert({ dialect }: Database, table: string, keys: string[], counts: string[]): string {
  const changes = counts.map((name) => [
    name,
    saturated(dialect, `${dialect.stored(table, name)} + ${dialect.fresh(name)}`),
  ]);
  return dialect.upsert(table, [...keys, ...counts], keys, Object.fromEntries(changes));
}

function bounded(sum: number): number {
  return Math.min(Number.MAX_SAFE_INTEGER, sum);
}

/** In minutes since 1970, by the time that the flow is listed under. */
function minuteOf(us: number): number {
  return Math.floor(us / 60e6);
}

function byKey(a: Value[], b: Value[]): number {
  for (let i = 0; i < 4; i++) {
    if (a[i] !== b[i]) return a[i]! < b[i]! ? -1 : 1;
  }
  return 0;
}
