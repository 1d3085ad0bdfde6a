/** No text of a CSV is taken for a formula, and none makes a cell or a line of its own. @module */

import { assert, assertEquals } from "@std/assert";
import { parseCsv } from "./parse_csv.ts";
import { csvCell, csvHead, csvLines } from "../../../aggregator/archive/csv.ts";

const hostile = [
  "=cmd|' /C calc'!A1",
  "+1+1",
  "-2+3",
  "@SUM(A1:A9)",
  "\t=1",
  "\r=1",
  "\n=1",
  "  =1",
  "\u00a0=1",
  "＝1",
  "＋1",
  "－1",
  "＠x",
  '",=1',
  '"\r\n=1',
  ";=1",
  "a;=1",
  "a\t=1",
  "\u0000=1",
  "\u200b=1",
  "\ufeff=1",
  "x\u0007y",
];

Deno.test("what begins a formula is neutralised, in text and in JSON", () => {
  for (const text of hostile) {
    const written = csvCell(text, "text");
    const [[cell]] = parseCsv(`${written}\r\n`);
    assert(!/^[\s\ufffd]*[=+\-@\t\r\n＝＋－＠]/.test(cell), JSON.stringify([text, cell]));
    assert(written.startsWith('"') && written.endsWith('"'), `${JSON.stringify(text)} stands in quotes`);
    assertEquals(csvCell(JSON.stringify([text]), "json").slice(0, 2), '"[');
  }
  assertEquals(csvCell("=1", "text"), `"'=1"`);
  assertEquals(csvCell("x\u0007y", "text"), '"x\ufffdy"');
});

Deno.test("numbers, times, flags and plain text stand as they are", () => {
  assertEquals(csvCell(-5, "real"), "-5");
  assertEquals(csvCell(9_007_199_254_740_991, "integer"), "9007199254740991");
  assertEquals(csvCell(true, "flag"), "true");
  assertEquals(csvCell(null, "json"), "");
  assertEquals(csvCell("", "text"), "");
  for (const text of ["10.0.0.5", "2001:db8::1", "tcp", "site-a", "00:1b:44:11:3a:b7"]) {
    assertEquals(csvCell(text, "text"), text);
  }
  assertEquals(csvCell(1_768_478_400.000_001, "time"), "2026-01-15T12:00:00.000001Z");
  assertEquals(csvCell(0, "time"), "1970-01-01T00:00:00.000000Z");
});

Deno.test("a table keeps its rows and columns, whatever its texts hold", () => {
  const table = { id: "integer", text: "text", more: "json" } as const;
  const rows = hostile.map((text, id) => ({ id, text, more: JSON.stringify({ text }) }));
  const lines = parseCsv(csvHead(table) + csvLines(table, rows));
  assertEquals(lines[0], ["id", "text", "more"]);
  assertEquals(lines.length, hostile.length + 1);
  for (const [i, [id, , more]] of lines.slice(1).entries()) {
    assertEquals([id, JSON.parse(more).text], [String(i), hostile[i]]);
  }
});
