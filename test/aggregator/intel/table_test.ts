/** The table of indicators: what is on it is found, what is not is not, and networks and parents of names count.
 * @module */

import { assertEquals } from "@std/assert";
import { readIndicator } from "../../../aggregator/intel/indicator.ts";
import { IndicatorTable } from "../../../aggregator/intel/table.ts";
import { parseIp } from "../../../shared/ip.ts";

function tableOf(...words: string[]): IndicatorTable {
  const table = new IndicatorTable([1, 2]);
  for (const word of words) {
    const found = readIndicator(word);
    if (typeof found === "string") throw new Error(`${word}: ${found}`);
    table.add(found, word);
  }
  return table;
}

const noteOf = (table: IndicatorTable, note: number) => note < 0 ? null : table.notes[note];

Deno.test("an address is found by itself and by its longest network", () => {
  const table = tableOf("203.0.113.7", "203.0.113.0/24", "203.0.112.0/20", "2a00:1::/32", "2a00:1::5");
  const find = (ip: string) => noteOf(table, table.findAddress(parseIp(ip)!));
  assertEquals(find("203.0.113.7"), "203.0.113.7");
  assertEquals(find("203.0.113.8"), "203.0.113.0/24");
  assertEquals(find("203.0.112.8"), "203.0.112.0/20");
  assertEquals(find("203.0.128.8"), null);
  assertEquals(find("2a00:1::5"), "2a00:1::5");
  assertEquals(find("2a00:1:ffff::5"), "2a00:1::/32");
  assertEquals(find("2a00:2::5"), null);
});

Deno.test("a name is found by itself and by any parent, never by half a label", () => {
  const table = tableOf("bad.example", "worse.bad.example");
  const find = (name: string) => noteOf(table, table.findDomain(name));
  assertEquals(find("bad.example"), "bad.example");
  assertEquals(find("A.BAD.example."), "bad.example");
  assertEquals(find("x.worse.bad.example"), "worse.bad.example");
  assertEquals(find("notbad.example"), null);
  assertEquals(find("example"), null);
  assertEquals(find("bad.example.net"), null);
  assertEquals(find(""), null);
});

Deno.test("URLs, fingerprints and certificates are found whole, and one kind never stands for another", () => {
  const hash = "a".repeat(40), ja3 = "b".repeat(32);
  const table = tableOf("http://bad.example:8080/a?b=1", hash, ja3);
  assertEquals(table.findUrl("Bad.Example:8080", "/a?b=1") >= 0, true);
  assertEquals(table.findUrl("bad.example", "/a?b=1"), -1);
  assertEquals(table.findUrl("bad.example:8080", "/A?b=1"), -1);
  assertEquals(table.findText("certificate", hash.toUpperCase()) >= 0, true);
  assertEquals(table.findText("ja3", ja3) >= 0, true);
  assertEquals(table.findText("ja3", hash), -1);
  assertEquals(table.findText("ja4", ja3), -1);
});

Deno.test("growing keeps every entry, and an entry that comes again counts once", () => {
  const table = new IndicatorTable([3, 4]);
  const ip = (i: number) => `${1 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.1`;
  for (let i = 0; i < 50_000; i++) table.add({ kind: "ip", value: ip(i) }, "");
  for (let i = 0; i < 50_000; i++) table.add({ kind: "ip", value: ip(i) }, "again");
  assertEquals([table.size, table.countOf("ip"), table.notes], [50_000, 50_000, ["", "again"]]);
  let found = 0;
  for (let i = 0; i < 50_000; i++) if (table.findAddress(parseIp(ip(i))!) === 0) found++;
  assertEquals(found, 50_000);
  assertEquals(table.findAddress(parseIp("9.9.9.9")!), -1);
});
