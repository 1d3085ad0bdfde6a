/** The flows and sightings of one ingest transaction.
 *
 * In: rows of {@link FlowRows}: new flows, and increments to stored ones. Out: rows of the database.
 * Invariant: a new flow never overwrites one whose id it shares: everything is rolled back and {@link FlowConflict}
 * says which ids, so that memory learns those flows and the group is merged again. An increment meets its flow in
 * {@link FlowRows.add}, read for update.
 * Rows are written in key order: two writers then lock in one order, and a new row goes to the end of the tree.
 * @module */

import { systemClock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { FlowRows } from "../model/flow_rows.ts";
import type { SightingRows } from "../model/sighting_rows.ts";
import type { Database, RowSink, Session, Value } from "./database.ts";
import { flowColumns, flowSelection, readFlow, writeFlow } from "./flow_record.ts";
import { isAnyKey, knowWords } from "./flow_rows_read.ts";
import type { HostSums } from "./host_sums.ts";
import { FlowConflict } from "./store.ts";
import { ValueList } from "./values.ts";
import type { Words } from "./words.ts";

const keysPerQuery = 250;
/** Summed without letting others run: some 3 ms. */
const rowsPerTurn = 2_000;

interface Target {
  database: Database;
  session: Session;
  words: Words;
  reporter: Reporter;
}

/** `hosts` learns what each flow was and is; `meanwhile` is called while the database inserts. */
export async function writeFlows(
  target: Target,
  rows: FlowRows,
  hosts: HostSums,
  meanwhile: (i: number) => void,
): Promise<void> {
  const { columns } = rows;
  const order = Array.from({ length: rows.size }, (_, i) => i).sort((a, b) =>
    columns.idUs[a] - columns.idUs[b] || columns.slot[a] - columns.slot[b]
  );
  const fresh = order.filter((i) => columns.isNew[i] === 1);
  const changed = order.filter((i) => columns.isNew[i] === 0);
  const inserting = insertFlows(target, rows, fresh);
  // The sums are made while the database works; both are over when either fails, as the next try makes its own.
  await bothEnd(
    inserting,
    inTurns(order, (i) => {
      if (columns.isNew[i] === 1) hosts.add(rows, i, i);
      meanwhile(i);
    }),
  );
  for (let from = 0; from < changed.length; from += keysPerQuery) {
    await updateFlows(target, rows, changed.slice(from, from + keysPerQuery), hosts);
  }
}

async function insertFlows(
  { database, session, words }: Target,
  rows: FlowRows,
  fresh: number[],
): Promise<void> {
  if (fresh.length === 0) return;
  const { columns } = rows;
  const write = (row: number, sink: RowSink) => {
    const i = fresh[row];
    sink.key(columns.idUs[i], columns.slot[i]);
    writeFlow(rows, i, words, sink);
  };
  const all = [...database.dialect.flowKey, ...flowColumns];
  const inserted = await session.insert("flows", all, { count: fresh.length, write });
  if (inserted === fresh.length) return;
  const keys = fresh.map((i) => ({ us: columns.idUs[i], slot: columns.slot[i] }));
  const twice = keys.filter(({ us, slot }, at) => us === keys[at - 1]?.us && slot === keys[at - 1]?.slot);
  throw new FlowConflict(keys, twice);
}

async function updateFlows(
  target: Target,
  rows: FlowRows,
  changed: number[],
  hosts: HostSums,
): Promise<void> {
  const { database: { dialect }, session, words, reporter } = target;
  const { columns } = rows;
  const keys = changed.map((i) => ({ us: columns.idUs[i], slot: columns.slot[i] }));
  const { sql, values } = isAnyKey(dialect, "flows", keys);
  const found = await session.all(
    `SELECT ${flowSelection} FROM flows WHERE ${sql}${dialect.forUpdate}`,
    values,
  );
  await knowWords(session, words, found);
  const stored = new FlowRows(keysPerQuery);
  const places = new Map<string, number>();
  for (const row of found) {
    try {
      places.set(`${row.id_us}|${row.slot}`, readFlow(row, stored, words));
    } catch {
      // What cannot be read cannot be added to: the increment takes its place.
      places.set(`${row.id_us}|${row.slot}`, -1);
      reporter.count("stored_rows_unreadable_total", { table: "flows" });
    }
  }
  const lists: Value[][] = [];
  const gone: number[] = [];
  for (const i of changed) {
    const place = places.get(`${columns.idUs[i]}|${columns.slot[i]}`);
    if (place === undefined) {
      gone.push(i);
      continue;
    }
    if (place >= 0) {
      hosts.subtract(stored, place, i);
      stored.add(place, rows, i);
    }
    hosts.add(place < 0 ? rows : stored, place < 0 ? i : place, i);
    const sink = new ValueList(dialect);
    writeFlow(place < 0 ? rows : stored, place < 0 ? i : place, words, sink);
    sink.key(columns.idUs[i], columns.slot[i]);
    lists.push(sink.list);
  }
  const sets = flowColumns.map((column) => `${column} = ?`).join(", ");
  const where = dialect.flowKey.map((column) => `${column} = ?`).join(" AND ");
  await session.batch(`UPDATE flows SET ${sets} WHERE ${where}`, lists);
  // Retention took them: what came since is a flow of its own.
  for (const i of gone) hosts.add(rows, i, i);
  await insertFlows(target, rows, gone);
}

/** Calls `work` for each, and lets others run now and then. */
async function inTurns(all: readonly number[], work: (i: number) => void): Promise<void> {
  for (let at = 0; at < all.length; at++) {
    if (at > 0 && at % rowsPerTurn === 0) await systemClock.sleep(0);
    work(all[at]);
  }
}

async function bothEnd(one: Promise<void>, other: Promise<void>): Promise<void> {
  for (const ended of await Promise.allSettled([one, other])) {
    if (ended.status === "rejected") throw ended.reason;
  }
}

const sightingCounts = ["fwd_packets", "fwd_bytes", "bwd_packets", "bwd_bytes", "segments"] as const;
/** After the key of the flow. */
export const sightingColumns = [
  "sensor",
  "vlan",
  "ip_depth",
  "start_us",
  "end_us",
  ...sightingCounts,
  "offset_us",
] as const;

/** Writes row `i` in the order of key and {@link sightingColumns}. */
export function sightingWriter(rows: SightingRows, words: Words): (i: number, sink: RowSink) => void {
  const c = rows.columns;
  return (i, sink) => {
    sink.key(c.idUs[i], c.slot[i]);
    for (const value of [words.numberOf(rows.sensor[i]), c.vlan[i], c.ipDepth[i], c.startUs[i], c.endUs[i]]) {
      sink.integer(value);
    }
    for (const value of [c.fwdPackets[i], c.fwdBytes[i], c.bwdPackets[i], c.bwdBytes[i], c.segments[i]]) {
      sink.integer(value);
    }
    sink.integer(c.offsetUs[i]);
  };
}

export async function writeSightings(
  { database, session, words }: Target,
  rows: SightingRows,
): Promise<void> {
  if (rows.size === 0) return;
  const { dialect } = database;
  const c = rows.columns;
  const write = sightingWriter(rows, words);
  const keys = [...dialect.flowKey, ...sightingColumns.slice(0, 3)];
  const all = [...dialect.flowKey, ...sightingColumns];
  const order = Array.from({ length: rows.size }, (_, i) => i).sort((a, b) =>
    c.idUs[a] - c.idUs[b] || c.slot[a] - c.slot[b]
  );
  const fresh = order.filter((i) => c.isNew[i] === 1);
  const inserted = await session.insert("sightings", all, {
    count: fresh.length,
    write: (row, sink) => write(fresh[row], sink),
  });
  // Somebody else wrote of these flows: memory does not have all of their sightings.
  if (inserted !== fresh.length) {
    throw new FlowConflict(fresh.map((i) => ({ us: c.idUs[i], slot: c.slot[i] })));
  }
  const added = order.filter((i) => c.isNew[i] === 0);
  const old = (name: string) => dialect.stored("sightings", name);
  const changes: Record<string, string> = {
    start_us: dialect.least(old("start_us"), dialect.fresh("start_us")),
    end_us: dialect.greatest(old("end_us"), dialect.fresh("end_us")),
    offset_us: dialect.fresh("offset_us"),
  };
  for (const name of sightingCounts) {
    changes[name] = saturated(dialect, `${old(name)} + ${dialect.fresh(name)}`);
  }
  await session.batch(
    dialect.upsert("sightings", all, keys, changes),
    added.map((i) => {
      const sink = new ValueList(dialect);
      write(i, sink);
      return sink.list;
    }),
  );
}

/** No sum passes what can be read back. */
export function saturated(dialect: Database["dialect"], sum: string): string {
  return dialect.least(sum, String(Number.MAX_SAFE_INTEGER));
}
