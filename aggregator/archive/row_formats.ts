/** Rows as a file to export: NDJSON, CSV or Parquet, in pieces.
 *
 * In: rows, a page at a time; at the end whether there are more. Out: octets.
 * Invariant: a file says at its end that it is complete, or where it was cut; one without that end was broken off.
 * NDJSON and CSV say so in a last line, `{"picket_export": {...}}` or a row that begins with `#`; Parquet, which marks
 * its end anyway, in its metadata. @module */

import type { Flow } from "../model/flow.ts";
import type { Host } from "../model/host.ts";
import type { Place, PlacedAddress, PlacedEnds } from "../model/place.ts";
import type { Threat } from "../model/threat.ts";
import { csvHead, csvLines } from "./csv.ts";
import { cellsOfPlacedFlow, placedFlowTable } from "./flow_table.ts";
import { cellsOfHost, hostTable } from "./host_table.ts";
import { type Cells, ParquetEncoder, type Table } from "./parquet.ts";
import { cellsOfThreat, threatTable } from "./threat_table.ts";

export const formats = ["ndjson", "csv", "parquet"] as const;
export type Format = typeof formats[number];

export const mediaTypes: Record<Format, string> = {
  ndjson: "application/x-ndjson",
  csv: "text/csv; charset=utf-8",
  parquet: "application/vnd.apache.parquet",
};

/** How an export ended. */
export interface End {
  rows: number;
  /** False = there are more. */
  complete: boolean;
  /** What to go on with. */
  next_cursor: string | null;
}

export interface RowWriter<Row> {
  start(): Uint8Array;
  rows(rows: readonly Row[]): Uint8Array;
  end(end: End): Uint8Array;
}

interface Shape<Row> {
  table: Table;
  cellsOf: (row: Row) => Cells;
}

export const flowShape: Shape<Flow & PlacedEnds> = { table: placedFlowTable, cellsOf: cellsOfPlacedFlow };
export const threatShape: Shape<Threat & { outside?: PlacedAddress[] }> = {
  table: threatTable,
  cellsOf: cellsOfThreat,
};
export const hostShape: Shape<Host & { inside: boolean; place?: Place }> = {
  table: hostTable,
  cellsOf: cellsOfHost,
};

const encode = (text: string) => new TextEncoder().encode(text);

export function rowWriter<Row>(format: Format, { table, cellsOf }: Shape<Row>): RowWriter<Row> {
  if (format === "ndjson") {
    return {
      start: () => encode(""),
      rows: (rows) => encode(rows.map((row) => `${JSON.stringify(row)}\n`).join("")),
      end: (end) => encode(`${JSON.stringify({ picket_export: end })}\n`),
    };
  }
  if (format === "csv") {
    return {
      start: () => encode(csvHead(table)),
      rows: (rows) => encode(csvLines(table, rows.map(cellsOf))),
      end: ({ rows, complete, next_cursor }) =>
        encode(`# ${rows} rows: ${complete ? "complete" : `cut; go on with cursor=${next_cursor}`}\r\n`),
    };
  }
  const encoder = new ParquetEncoder(table);
  return {
    start: () => encode(""),
    rows: (rows) => encoder.rows(rows.map(cellsOf)),
    end: (end) => encoder.end({ "picket.export": JSON.stringify(end) }),
  };
}
