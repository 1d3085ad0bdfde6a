/** The value of a batch, written and read in the plainest way; a sensor writes its own from the words of its flows, and
 * ingest reads it with readers of its own.
 *
 * In: arrays of one length. Out: octets, columns of nothing but defaults left out as a sensor does; and back.
 * @module */

import type { Refusal } from "../../shared/batch.ts";
import { areFacts } from "../../shared/facts.ts";
import { parseIp } from "../../shared/ip.ts";
import {
  connStates,
  endReasons,
  segmentColumnNames,
  segmentColumns,
  segmentLimits,
  type SegmentTable,
} from "../../shared/segment.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });

export function encodeValue(columns: SegmentTable): Uint8Array {
  const kept = segmentColumnNames.flatMap((name) => {
    const rows = columns[name];
    const isStandard = name !== "start_us" && rows?.every((value) => value === segmentColumns[name].default);
    return rows === undefined || isStandard ? [] : [[name, rows] as const];
  });
  return new TextEncoder().encode(JSON.stringify(Object.fromEntries(kept)));
}

/** Reads what {@link encodeValue}, or a sensor, wrote: every column known, of `flows` rows, every cell of its kind;
 * absent ones with their default. Slow and plain, so that ingest's own reader can be compared with it. */
export function decodeValue(value: Uint8Array, flows: number): Required<SegmentTable> | Refusal {
  let parsed: unknown;
  try {
    parsed = JSON.parse(decoder.decode(value));
  } catch {
    return "not_json";
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return "not_json";
  const given = parsed as Record<string, unknown>;
  for (const name of Object.keys(given)) if (!Object.hasOwn(segmentColumns, name)) return "column_unknown";
  const table = {} as Required<SegmentTable>;
  for (const name of segmentColumnNames) {
    const { kind, default: standard } = segmentColumns[name];
    const rows = given[name];
    if (rows === undefined) {
      table[name] = new Array(flows).fill(standard);
      continue;
    }
    if (!Array.isArray(rows) || rows.length !== flows) return "column_length";
    if (!rows.every(checks[kind])) return "column_value";
    table[name] = rows;
  }
  return areSumsBounded(table as Required<NumberTable>, flows) ? table : "column_value";
}

type NumberTable = { [name in keyof SegmentTable]: number[] };

/** Whether what is computed from a table can be stored and read back; every cell has been checked before. */
function areSumsBounded(table: Required<NumberTable>, flows: number): boolean {
  const { timeUsMax, batchSumMax } = segmentLimits;
  let packets = 0, bytes = 0;
  for (let row = 0; row < flows; row++) {
    if (table.start_us[row] + table.duration_us[row] > timeUsMax) return false;
    if (table.flow_age_us[row] > table.start_us[row]) return false;
    packets += (table.fwd_packets[row] + table.bwd_packets[row]) * table.factor[row];
    bytes += (table.fwd_bytes[row] + table.bwd_bytes[row]) * table.factor[row];
  }
  return packets <= batchSumMax && bytes <= batchSumMax;
}

const isInteger = (value: unknown, max: number): boolean =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= max;

const checks: Record<string, (value: unknown) => boolean> = {
  time: (value) => isInteger(value, segmentLimits.timeUsMax),
  count: (value) => isInteger(value, segmentLimits.countMax),
  number: (value) => typeof value === "number" && value >= 0 && value <= Number.MAX_SAFE_INTEGER,
  factor: (value) => isInteger(value, segmentLimits.factorMax) && value !== 0,
  port: (value) => isInteger(value, 65_535),
  octet: (value) => isInteger(value, 255),
  vlan: (value) => isInteger(value, 4_095),
  isn: (value) => value === null || isInteger(value, 0xffff_ffff),
  ip: (value) => typeof value === "string" && parseIp(value) !== null,
  mac: (value) => typeof value === "string" && /^(([0-9a-f]{2}:){5}[0-9a-f]{2})?$/.test(value),
  name: (value) => typeof value === "string" && /^[a-z0-9._-]{0,32}$/.test(value),
  conn_state: (value) => (connStates as readonly unknown[]).includes(value),
  end_reason: (value) => (endReasons as readonly unknown[]).includes(value),
  facts: (value) => value === null || areFacts(value),
};
