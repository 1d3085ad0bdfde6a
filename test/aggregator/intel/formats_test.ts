/** Lists in their four forms: plain text, CSV, MISP and STIX. @module */

import { assertEquals, assertThrows } from "@std/assert";
import { LineReader, readJson } from "../../../aggregator/intel/formats.ts";

function readText(text: string): { found: string[]; skipped: Record<string, number> } {
  const found: string[] = [];
  const reader = new LineReader(({ kind, value }, note) => found.push(`${kind} ${value} (${note})`));
  for (const line of text.split("\n")) reader.read(line);
  return { found, skipped: reader.skipped };
}

Deno.test("plain lists may have comments, notes and the form of a hosts file", () => {
  const { found, skipped } = readText(`# Feed of today
203.0.113.7
198.51.100.0/24   # Example botnet
; another comment
0.0.0.0 tracker.example
127.0.0.1 localhost
this is prose`);
  assertEquals(found, [
    "ip 203.0.113.7 ()",
    "cidr 198.51.100.0/24 (Example botnet)",
    "domain tracker.example ()",
  ]);
  assertEquals(skipped, { too_broad: 2 });
});

Deno.test("CSV columns are found by their names, in a comment or in the first row", () => {
  assertEquals(
    readText(`# first_seen_utc,dst_ip,dst_port,c2_status,malware
"2026-01-02 03:04:05","203.0.113.9","443","online","Example, the ""bot"""`).found,
    ['ip 203.0.113.9 (Example, the "bot")'],
  );
  assertEquals(
    readText(`ja3_md5,Firstseen,Listingreason
e7d705a3286e19ea42f587b344ee6865,2020-01-01,Dridex`).found,
    ["ja3 e7d705a3286e19ea42f587b344ee6865 (Dridex)"],
  );
  assertEquals(
    readText(`id,dateadded,url,threat
1,2026-01-01,http://bad.example/a.exe,malware_download`).found,
    ["url bad.example/a.exe (malware_download)"],
  );
});

Deno.test("a CSV row without a header is about its first indicator", () => {
  assertEquals(readText("17,203.0.113.5,bad.example,note").found, ["ip 203.0.113.5 ()"]);
  assertEquals(readText("17,18,19").skipped, { not_an_indicator: 1 });
});

Deno.test("hashes of files are skipped by name: they are never seen on the wire", () => {
  const { found, skipped } = readText(`md5_hash,domain
d41d8cd98f00b204e9800998ecf8427e,bad.example`);
  assertEquals([found, skipped], [["domain bad.example ()"], { file_hash: 1 }]);
});

const stix = (patterns: string[]) =>
  JSON.stringify({
    type: "bundle",
    objects: patterns.map((pattern) => ({ type: "indicator", name: "C2 of an example", pattern })),
  });

function readAll(text: string): { found: string[]; skipped: Record<string, number> } {
  const found: string[] = [];
  const skipped = readJson(text, ({ kind, value }, note) => found.push(`${kind} ${value} (${note})`));
  return { found, skipped };
}

Deno.test("STIX patterns of equality, alone or joined by OR, are read; those that need all their parts are not", () => {
  const { found, skipped } = readAll(stix([
    "[ipv4-addr:value = '203.0.113.8']",
    "[domain-name:value = 'a.example' OR ipv4-addr:value = '198.51.100.0/24']",
    "[url:value = 'http://bad.example/x AND y']",
    "[domain-name:value = 'b.example' AND network-traffic:dst_port = 443]",
    "[file:hashes.'SHA-256' = '" + "a".repeat(64) + "']",
    "[x509-certificate:hashes.'SHA-1' = '" + "b".repeat(40) + "']",
    "[ipv4-addr:value = '10.0.0.0']",
  ]));
  assertEquals(found, [
    "ip 203.0.113.8 (C2 of an example)",
    "domain a.example (C2 of an example)",
    "cidr 198.51.100.0/24 (C2 of an example)",
    "url bad.example/x%20AND%20y (C2 of an example)",
    `certificate ${"b".repeat(40)} (C2 of an example)`,
  ]);
  assertEquals(skipped, { not_an_indicator: 1, file_hash: 1, own_address: 1 });
});

Deno.test("MISP attributes count where their author meant them for detection, in the event and in its objects", () => {
  const { found, skipped } = readAll(JSON.stringify({
    Event: {
      info: "An example campaign",
      Attribute: [
        { type: "ip-dst", value: "203.0.113.3", to_ids: true },
        { type: "domain|ip", value: "c.example|203.0.113.4", to_ids: true, comment: "stage two" },
        { type: "link", value: "https://report.example/", to_ids: false },
        { type: "sha256", value: "a".repeat(64), to_ids: true },
        { type: "filename", value: "x.exe", to_ids: true },
      ],
      Object: [{ name: "network", Attribute: [{ type: "hostname", value: "d.example", to_ids: true }] }],
    },
  }));
  assertEquals(found, [
    "ip 203.0.113.3 (An example campaign)",
    "domain c.example (stage two)",
    "domain d.example (An example campaign)",
  ]);
  assertEquals(skipped, { file_hash: 1, not_an_indicator: 1 });
});

Deno.test("JSON that is neither is refused, as is JSON that ends early", () => {
  assertThrows(() => readAll("[1, 2]"), SyntaxError, "neither a STIX bundle nor a MISP event");
  assertThrows(() => readAll('{"type": "bundle", "objects": [{"ty'), SyntaxError);
});

Deno.test("a note cannot carry control characters", () => {
  assertEquals(readText("203.0.113.7 # a\u001b[31mred").found, ["ip 203.0.113.7 (a [31mred)"]);
});
