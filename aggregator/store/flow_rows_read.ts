/** Rows of the table `flows` as flows with who saw them.
 *
 * In: rows selected with {@link flowSelection}. Out: flows. Invariant: a row that cannot be read is left out and
 * counted; the others are still read.
 * A flow that only one vantage saw has no sighting in the store: it follows from the flow. @module */

import type { Reporter } from "../../shared/reporter.ts";
import { communityId } from "../../shared/community_id.ts";
import type { Flow, Sighting } from "../model/flow.ts";
import { FlowRows } from "../model/flow_rows.ts";
import { type Dialect, marks, type Row, type Session, type Value } from "./database.ts";
import { readFlow, wordColumns } from "./flow_record.ts";
import type { Key } from "./key_range.ts";
import type { Words } from "./words.ts";

const keysPerQuery = 200;
/** A flow that more vantages saw shows that many; all of them are stored. */
const sightingsPerFlowMax = 64;

export interface Reading {
  dialect: Dialect;
  session: Session;
  words: Words;
  reporter: Reporter;
}

/** A condition that holds for rows of `table` with one of these keys. */
export function isAnyKey(
  dialect: Dialect,
  table: string,
  keys: readonly Key[],
): { sql: string; values: Value[] } {
  const values = keys.flatMap(({ us, slot }) => dialect.keyValues(us, slot));
  if (dialect.flowKey.length === 1) return { sql: `${table}.id IN (${marks(keys.length)})`, values };
  const one = `(${dialect.flowKey.map((column) => `${table}.${column} = ?`).join(" AND ")})`;
  return { sql: `(${new Array(keys.length).fill(one).join(" OR ")})`, values };
}

/** Reads the words of rows that mean words not known here yet. */
export async function knowWords(session: Session, words: Words, rows: readonly Row[]): Promise<void> {
  for (const row of rows) {
    for (const column of wordColumns) {
      if (!words.isKnown(row[column] as number)) return await words.load(session);
    }
  }
}

/** In the order of `found`. */
export async function readFlowRows(reading: Reading, found: readonly Row[]): Promise<Flow[]> {
  const { session, words, reporter } = reading;
  await knowWords(session, words, found);
  const rows = new FlowRows(Math.max(1, found.length));
  for (const row of found) {
    try {
      readFlow(row, rows, words);
    } catch (error) {
      reporter.count("stored_rows_unreadable_total", { table: "flows" });
      reporter.warn("stored flow cannot be read, left out", { id_us: row.id_us, slot: row.slot, error });
    }
  }
  const sightings = await readSightings(reading, rows);
  return Array.from({ length: rows.size }, (_, i) => {
    const flow = rows.flowAt(i);
    const seen_by = sightings.get(flow.flow_id) ?? onlySighting(rows, i, flow);
    const community_id = rows.columns.community[i] === 0 ? "" : communityId(flow);
    return { ...flow, community_id, seen_by };
  });
}

async function readSightings(
  { dialect, session, words }: Reading,
  rows: FlowRows,
): Promise<Map<string, Sighting[]>> {
  const found = new Map<string, Sighting[]>();
  const { idUs, slot } = rows.columns;
  const idOf = new Map(Array.from({ length: rows.size }, (_, i) => [`${idUs[i]}|${slot[i]}`, i]));
  for (let from = 0; from < rows.size; from += keysPerQuery) {
    const keys = Array.from({ length: Math.min(keysPerQuery, rows.size - from) }, (_, i) => ({
      us: idUs[from + i],
      slot: slot[from + i],
    }));
    const { sql, values } = isAnyKey(dialect, "sightings", keys);
    const stored = await session.all(
      `SELECT id >> 11 AS id_us, id & 2047 AS slot, sensor, vlan, ip_depth, start_us, end_us, fwd_packets, ` +
        `fwd_bytes, bwd_packets, bwd_bytes, segments, offset_us FROM sightings WHERE ${sql} ` +
        `ORDER BY id, sensor, vlan, ip_depth LIMIT ${keysPerQuery * sightingsPerFlowMax}`,
      values,
    );
    if (stored.some(({ sensor }) => !words.isKnown(sensor as number))) await words.load(session);
    for (const row of stored) {
      const flowId = rows.flowIdAt(idOf.get(`${row.id_us}|${row.slot}`)!);
      found.set(flowId, [...found.get(flowId) ?? [], sightingOf(row, words)]);
    }
  }
  for (const list of found.values()) list.sort((a, b) => a.sensor_id < b.sensor_id ? -1 : 1);
  return found;
}

export function sightingOf(row: Row, words: Words): Sighting {
  const number = (name: string) => row[name] as number;
  return {
    sensor_id: words.wordOf(number("sensor")),
    vlan: number("vlan"),
    ip_depth: number("ip_depth"),
    start: number("start_us") / 1e6,
    end: number("end_us") / 1e6,
    fwd_packets: number("fwd_packets"),
    fwd_bytes: number("fwd_bytes"),
    bwd_packets: number("bwd_packets"),
    bwd_bytes: number("bwd_bytes"),
    segments: number("segments"),
    clock_offset_ms: number("offset_us") / 1e3,
  };
}

function onlySighting({ columns: c }: FlowRows, i: number, flow: Omit<Flow, "seen_by">): Sighting[] {
  const sensor_id = flow.fwd_sensor || flow.bwd_sensor;
  if (sensor_id === "") return [];
  const { vlan, ip_depth, fwd_packets, fwd_bytes, bwd_packets, bwd_bytes } = flow;
  return [{
    sensor_id,
    vlan,
    ip_depth,
    start: (c.startUs[i] - c.offsetUs[i]) / 1e6,
    end: (c.endUs[i] - c.offsetUs[i]) / 1e6,
    fwd_packets,
    fwd_bytes,
    bwd_packets,
    bwd_bytes,
    segments: c.segments[i],
    clock_offset_ms: c.offsetUs[i] / 1e3,
  }];
}
