/** A batch as columns: what is refused and why, and that octets say what the text said. @module */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { createHash } from "node:crypto";
import { readColumns } from "../../../aggregator/ingest/columns.ts";
import { isPrivate, readIp } from "../../../aggregator/ingest/read_ip.ts";
import { isPrivateIp, parseIp } from "../../../shared/ip.ts";
import { segmentColumnNames } from "../../../shared/segment.ts";
import { sha1Into, sha1OctetsMax } from "../../../shared/sha1.ts";
import { decodeValue } from "../../shared/columns.ts";

const encode = (value: unknown) =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));

Deno.test("readColumns refuses values outside the format, each with its reason", () => {
  assertEquals(readColumns(encode("{"), 1), "not_json");
  assertEquals(readColumns(encode("[1]"), 1), "not_json");
  assertEquals(readColumns(new Uint8Array([0xff, 0xfe]), 1), "not_json");
  assertEquals(readColumns(encode({ evil: [1] }), 1), "column_unknown");
  assertEquals(readColumns(encode('{"__proto__":[1]}'), 1), "column_unknown");
  assertEquals(readColumns(encode({ src_port: [1, 2] }), 1), "column_length");
  assertEquals(readColumns(encode({ src_port: "1" }), 1), "column_length");
  const bad = {
    src_port: 65_536,
    src_ip: "10.0.0.1'--",
    fwd_bytes: -1,
    start_us: 1.5,
    src_mac: "zz",
    conn_state: "S9",
    protocol: "TCP ",
    tcp_isn: 2 ** 32,
    fwd_ttl: 256,
    vlan: 4_096,
    packet_length_deviation: "1",
    facts: { dns: 1, evil: 2 },
  };
  for (const [name, cell] of Object.entries(bad)) {
    assertEquals(readColumns(encode({ [name]: [cell] }), 1), "column_value", name);
  }
});

Deno.test("readColumns refuses facts of another shape, too deep or too long", () => {
  const entry = { name: "a.example", type: "A" };
  const odd = [
    { dns: 1 },
    { dns: [1] },
    { tls: [] },
    { http: ["x"] },
    { cut: "1" },
    { dns: [{ name: "a.example" }] },
    { dns: [{ ...entry, rcode: null }] },
    { dns: [{ ...entry, answers: [1] }] },
    { dns: [{ ...entry, unasked: true }] },
    { other: { a: { b: { c: { d: { e: 1 } } } } } },
    { other: { a: "x".repeat(256) } },
  ];
  for (const facts of odd) {
    assertEquals(readColumns(encode({ facts: [facts] }), 1), "column_value", JSON.stringify(facts));
  }
  const good = { dns: [entry], other: { a: "x".repeat(255) } };
  assert(typeof readColumns(encode({ facts: [good] }), 1) !== "string");
});

Deno.test("readColumns bounds times, factors and sums, so that all computed from them can be read back", () => {
  const read = (columns: Record<string, number[]>) => {
    const found = readColumns(encode(columns), Object.values(columns)[0].length);
    return typeof found === "string" ? found : "read";
  };
  // The last microsecond is in 2112.
  const last = 4_503_599_627_370_496;
  assertEquals(read({ start_us: [last - 60], duration_us: [60] }), "read");
  assertEquals(read({ start_us: [last - 60], duration_us: [61] }), "column_value");
  assertEquals(read({ start_us: [5], flow_age_us: [5] }), "read");
  assertEquals(read({ start_us: [5], flow_age_us: [6] }), "column_value");
  assertEquals(read({ start_us: [last] }), "read");
  assertEquals(read({ start_us: [last + 1] }), "column_value");
  assertEquals(read({ fwd_bytes: [17_592_186_044_416] }), "read");
  assertEquals(read({ fwd_bytes: [17_592_186_044_417] }), "column_value");
  assertEquals(read({ bwd_packets: [17_592_186_044_417] }), "column_value");
  assertEquals(read({ interarrival_us_max: [9_007_199_254_740_991] }), "read");
  assertEquals(read({ interarrival_us_max: [1e300] }), "column_value");
  assertEquals(read({ factor: [1] }), "read");
  assertEquals(read({ factor: [0] }), "column_value");
  assertEquals(read({ factor: [65_536] }), "read");
  assertEquals(read({ factor: [65_537] }), "column_value");
  const quarter = 8_796_093_022_208;
  assertEquals(read({ fwd_packets: [quarter], factor: [8] }), "read");
  assertEquals(read({ fwd_packets: [quarter], factor: [9] }), "column_value");
  assertEquals(read({ bwd_bytes: [quarter, quarter], factor: [4, 4] }), "read");
  assertEquals(read({ bwd_bytes: [quarter, quarter + 1], factor: [4, 4] }), "column_value");
});

Deno.test("readColumns takes and refuses what the format takes and refuses, whatever the cell", () => {
  const cell = fc.oneof(
    fc.integer(),
    fc.double(),
    fc.constantFrom(
      0,
      255,
      256,
      4_095,
      4_096,
      65_535,
      65_536,
      2 ** 32 - 1,
      2 ** 32,
      2 ** 53 - 1,
      2 ** 53,
      null,
      "",
    ),
    fc.constantFrom("tcp", "S0", "SF", "fin", "active", "02:00:00:00:00:01", "02:00:00:00:00:0G", "10.0.0.1"),
    fc.constantFrom(
      "01.2.3.4",
      "1.2.3",
      "1.2.3.4.",
      "256.1.1.1",
      "::1",
      "1::2::3",
      "::ffff:1.2.3.4",
      "a".repeat(33),
    ),
    fc.json(),
  );
  fc.assert(
    fc.property(fc.constantFrom(...segmentColumnNames), cell, (name, value) => {
      const bytes = encode({ [name]: [value] });
      const expected = decodeValue(bytes, 1), found = readColumns(bytes, 1);
      assertEquals(
        typeof found === "string" ? found : "good",
        typeof expected === "string" ? expected : "good",
      );
    }),
    { numRuns: 3_000 },
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(5), (bytes, rows) => {
    readColumns(bytes, rows);
  }));
});

Deno.test("readIp writes the octets that parseIp reads, and knows private addresses as isPrivateIp does", () => {
  const texts = fc.oneof(fc.ipV4(), fc.ipV6(), fc.string(), fc.stringMatching(/^[0-9.]{1,16}$/));
  fc.assert(
    fc.property(texts, (text) => {
      const into = new Uint8Array(20);
      const length = readIp(text, into, 2), expected = parseIp(text);
      assertEquals(length, expected?.length ?? 0, text);
      if (expected === null) return;
      assertEquals(into.subarray(2, 2 + length), expected, text);
      assertEquals(isPrivate(into, 2, length), isPrivateIp(text), text);
    }),
    { numRuns: 3_000 },
  );
  for (
    const text of ["172.15.0.1", "172.16.0.1", "172.32.0.1", "100.63.0.1", "100.64.0.1", "::ffff:10.0.0.1"]
  ) {
    const into = new Uint8Array(16);
    assertEquals(isPrivate(into, 0, readIp(text, into, 0)), isPrivateIp(text), text);
  }
});

Deno.test("sha1Into gives the digest that everyone gives, up to the longest message of one block", () => {
  for (let length = 0; length <= 55; length++) {
    const message = Uint8Array.from({ length }, (_, i) => i * 37 + length);
    const out = new Uint8Array(24);
    sha1Into(message, length, out, 3);
    const expected = new Uint8Array(createHash("sha1").update(message).digest());
    assertEquals(out.slice(3, 23), expected, `${length} octets`);
  }
  assertEquals(sha1OctetsMax, 55);
  let isRefused = false;
  try {
    sha1Into(new Uint8Array(56), 56, new Uint8Array(20), 0);
  } catch (error) {
    isRefused = error instanceof RangeError;
  }
  assert(isRefused);
});
