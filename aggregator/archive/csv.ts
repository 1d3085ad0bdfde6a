/** CSV (RFC 4180) that is safe to open in a spreadsheet: nothing in it is read as a formula.
 *
 * In: rows of cells. Out: lines, the first with the names of the columns. Invariant: a text that begins like a formula,
 * invisible characters aside, gets an apostrophe before it; each text that is not plain is quoted, so that no quote,
 * line end or separator of any locale in it starts a new cell. Numbers are written as they are. Control characters
 * other than tab and line ends become U+FFFD. @module */

import type { Cell, Cells, Kind, Table } from "./parquet.ts";

/** Also the full-width forms, which some spreadsheets read as the plain ones. */
const formula = /^[\s\u200b-\u200f\u2060\ufffd]*[=+\-@\t\r\n＝＋－＠]/;
const plain = /^[A-Za-z0-9][A-Za-z0-9 ._:/-]*$/;
// deno-lint-ignore no-control-regex
const control = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g;

export function csvHead(table: Table): string {
  return `${Object.keys(table).join(",")}\r\n`;
}

export function csvLines(table: Table, rows: readonly Cells[]): string {
  const columns = Object.entries(table);
  let text = "";
  for (const row of rows) text += `${columns.map(([name, kind]) => csvCell(row[name], kind)).join(",")}\r\n`;
  return text;
}

export function csvCell(cell: Cell, kind: Kind): string {
  if (cell === null) return "";
  if (kind === "time") return isoTime(cell as number);
  if (typeof cell !== "string") return String(cell);
  if (cell === "" || plain.test(cell)) return cell;
  const shown = cell.replace(control, "\ufffd");
  return `"${formula.test(shown) ? "'" : ""}${shown.replaceAll('"', '""')}"`;
}

/** To the microsecond, UTC. */
function isoTime(seconds: number): string {
  const us = Math.round(seconds * 1e6), whole = Math.floor(us / 1e6);
  const date = new Date(whole * 1e3);
  if (Number.isNaN(date.getTime())) return String(seconds);
  return `${date.toISOString().slice(0, -5)}.${String(us - whole * 1e6).padStart(6, "0")}Z`;
}
