/** The language of filters: what it means, where it points when it is wrong, and what it never does. @module */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { notesOf, operatorsOf } from "../../../aggregator/filter/columns.ts";
import { boundsOf, meets, testsOf } from "../../../aggregator/filter/evaluate.ts";
import { flowTable } from "../../../aggregator/filter/flow_table.ts";
import { parseFilter } from "../../../aggregator/filter/parse.ts";
import { threatTable } from "../../../aggregator/filter/threat_table.ts";
import { FilterError } from "../../../aggregator/filter/tokens.ts";
import { sampleFlow, sampleThreat } from "../api/samples.ts";
import { dieOf, madeNonsense } from "./made.ts";

const nowMs = 1_800_000_000_000;
const flow = sampleFlow(0, {
  src_ip: "10.0.0.5",
  dst_ip: "2001:db8::1",
  src_port: 40_000,
  dst_port: 22,
  fwd_bytes: 600_000,
  bwd_bytes: 400_001,
  facts: { tls: { sni: "Files.Example.com" }, dns: [{ name: "b.test", type: "A" }] },
});
const holds = (text: string) => meets(parseFilter(text, flowTable, nowMs), flowTable, flow);

Deno.test("a filter means what it says", () => {
  const cases: [string, boolean][] = [
    ['src_ip in 10.0.0.0/8 and dst_port in (22, 3389) and bytes > 1MB and name ~ "example"', true],
    ["bytes > 1000000", true],
    ["bytes > 1000001", false],
    ["bytes >= 1000001", true],
    ["bytes = 1000001", true],
    ["bytes < 1MiB", true],
    ["fwd_bytes = 600kb", true],
    ["ip = 10.0.0.5", true],
    ["ip = 2001:DB8:0::1", true],
    ["ip != 10.0.0.5", false],
    ["ip not in (10.9.0.0/16, ::1)", true],
    ["src_ip = 2001:db8::1", false],
    ["port = 22 and port = 40000", true],
    ["port > 30000 and not port > 50000", true],
    ["not port = 22", false],
    ["! (port == 22)", false],
    ["protocol = TCP && app = tls", true],
    ["app_protocol = tls", true],
    ["protocol = udp || app ~ 'TL'", true],
    ["protocol = udp or app = tls and dst_port = 23", false],
    ["(protocol = udp or app = tls) and dst_port = 22", true],
    ["state = sf", true],
    ["state in (S0, REJ)", false],
    ["duration >= 4s and duration < 4001ms", true],
    ["start >= 2027-01-15T07:26:40Z", true],
    ["start > 2027-01-15T07:26:40Z", false],
    ["start < now-1h", false],
    ["start > today", true],
    ['name = "files.example.com"', true],
    ['name = "example.com"', false],
    ['name != "b.test"', false],
    ["name ~ FILES", true],
    ['name ~ "com b"', false],
    ['sensor = "s1" and network = lab', true],
    ["sensor = S1", false],
    ["vlan = 0", true],
  ];
  for (const [text, expected] of cases) assertEquals(holds(text), expected, text);
  const threat = sampleThreat();
  const isMet = (text: string) => meets(parseFilter(text, threatTable, nowMs), threatTable, threat);
  assertEquals(
    [
      "severity >= high",
      "severity > High",
      "severity in (low, high)",
      "kind = Port_Scan_Vertical",
      "status = closed",
    ]
      .map(isMet),
    [true, false, true, true, false],
  );
  assertEquals(["ip in 10.0.0.0/24", "src_ip = 10.0.0.9", "title ~ SCAN", "port = 22"].map(isMet), [
    true,
    false,
    true,
    false,
  ]);
});

Deno.test("an error points at the place and says what must stand there", () => {
  const cases: [string, number, string][] = [
    ["", 1, "a filter must have a test"],
    ["dst_port = 22 and sport = 1", 19, 'unknown column "sport": known are ip, src_ip'],
    ["dst_port = 22 and ", 19, "expected a column, found the end"],
    ["dst_port 22", 10, 'expected one of = != in < <= > >= after "dst_port", found "22"'],
    ["dst_port ~ 22", 10, "expected one of"],
    [
      "dst_port = 70000",
      12,
      'the value of "dst_port" must be a whole number from 0 to 65535: current value is "70000"',
    ],
    ["dst_port = 1.5", 12, "a whole number"],
    ["ip = 10.0.0", 6, "must be an address or CIDR"],
    ["bytes > 1XB", 9, "must be a size, like 1500"],
    ["duration > 1y", 12, "a span of time"],
    ["start > later", 9, "a time: RFC 3339"],
    ["state = XX", 9, "one of S0, S1"],
    ["(dst_port = 22", 15, 'expected "and", "or" or ")", found the end'],
    ["dst_port = 22)", 14, 'expected "and", "or" or the end, found ")"'],
    ["dst_port in (22 23)", 17, 'expected "," or ")", found "23"'],
    ["dst_port in ()", 14, 'expected a value for "dst_port"'],
    ['name ~ "abc', 8, "the text that begins here must end with"],
    ["dst_port = 22 dst_port = 23", 15, 'expected "and", "or" or the end'],
    ["dst_port not = 22", 14, 'expected "in" after "dst_port"'],
    ["dst_port = 22 & dst_port = 23", 15, 'unexpected "&"'],
    ["constructor = 1", 1, "unknown column"],
    ["__proto__ = 1", 1, "unknown column"],
    ['"dst_port" = 22', 1, "expected a column"],
  ];
  for (const [text, at, words] of cases) {
    const error = assertThrows(() => parseFilter(text, flowTable, nowMs), FilterError, words);
    assertEquals([error.at, error.message.startsWith(`column ${at}: `)], [at, true], text);
  }
});

Deno.test("a filter is bounded in characters, levels and values, at the limit and beyond", () => {
  const parse = (text: string) => parseFilter(text, flowTable, nowMs);
  const beyond = (text: string, words: string) => assertThrows(() => parse(text), FilterError, words);
  parse(`${"(".repeat(15)}port = 1${")".repeat(15)}`);
  beyond(`${"(".repeat(16)}port = 1${")".repeat(16)}`, "<= 16 levels");
  beyond("not ".repeat(400) + "port = 1", "<= 16 levels");
  const list = (length: number) => `port in (${new Array(length).fill("1").join(",")})`;
  assertEquals(testsOf(parse(list(100)))[0].values.length, 100);
  beyond(list(101), "<= 100 values");
  beyond(new Array(101).fill("port = 1").join(" or "), "<= 100 values");
  assertEquals(parse("port = 1".padEnd(2_000)).op, "=");
  beyond("port = 1".padEnd(2_001), "<= 2000 characters");
  parse(`name ~ ${"x".repeat(200)}`);
  beyond(`name ~ ${"x".repeat(201)}`, "<= 200 characters");
  beyond('name ~ "a\0"', "without NUL");
});

Deno.test("bounds are those that every match keeps", () => {
  const bounds = (text: string) => boundsOf(parseFilter(text, flowTable, nowMs), "start");
  assertEquals(bounds("start >= 1000 and (port = 1 or port = 2) and start < 2000"), { from: 1e9, to: 2e9 });
  assertEquals(bounds("start in (1000, 3000)"), { from: 1e9, to: 3e9 });
  assertEquals(bounds("start > 1000 or port = 1"), {});
  assertEquals(bounds("not start > 1000"), {});
});

Deno.test("20,000 pieces of nonsense are a filter or an error with a place, and nothing else", () => {
  const die = dieOf(20_260_131);
  let filters = 0;
  for (let i = 0; i < 20_000; i++) {
    const table = i % 2 === 0 ? flowTable : threatTable;
    const text = madeNonsense(die, table as typeof flowTable);
    try {
      parseFilter(text, table as typeof flowTable, nowMs);
      filters++;
    } catch (error) {
      assert(error instanceof FilterError, `${JSON.stringify(text)}: ${error}`);
      assert(error.at >= 1 && error.at <= text.length + 1, JSON.stringify(text));
    }
  }
  assert(filters > 300 && filters < 10_000, `${filters} were filters`);
});

Deno.test("every column tells what completes it, and its examples are values of it", () => {
  for (const table of [flowTable, threatTable]) {
    for (const note of notesOf(table as typeof flowTable)) {
      assert(note.about !== "" && note.examples.length > 0, note.name);
      for (const example of note.examples) {
        for (const operator of note.operators) {
          parseFilter(`${note.name} ${operator} ${example}`, table as typeof flowTable, nowMs);
        }
      }
    }
  }
  assertEquals(operatorsOf(flowTable.columns.name), ["=", "!=", "in", "~"]);
});
