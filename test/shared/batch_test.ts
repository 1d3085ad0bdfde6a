/** Batches: sealed and opened again, and refused with the right reason when anything was changed. @module */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  type BatchHeader,
  batchLimits,
  decodeValue,
  keyId,
  keysFromSeed,
  publicKeyFromRaw,
  readHeader,
  sealBatch,
  signText,
  verifyBatch,
  verifyText,
  writeHeader,
} from "../../shared/batch.ts";
import { encodeValue } from "./columns.ts";
import { segmentColumnNames, segmentColumns, type SegmentTable } from "../../shared/segment.ts";

const { privateKey, publicKey } = keysFromSeed(new Uint8Array(32).fill(7));
const identity = { sensor: "s-1", key: keyId(publicKey), privateKey };
const position = { epoch: 3, bucket: 1, seq: 9, flows: 2, sealed: 1_700_000_000_000 };
const columns: SegmentTable = {
  start_us: [1_700_000_000_000_001, 1_700_000_000_000_002],
  protocol: ["udp", "tcp"],
  src_ip: ["10.0.0.1", "2001:db8::1"],
  dst_port: [53, 443],
  tcp_isn: [null, 4_294_967_295],
  facts: [{ dns: [{ name: "a.example", type: "A", rcode: "NXDOMAIN", unasked: true }] }, null],
  vlan: [0, 0],
};

Deno.test("a sealed batch opens to the same columns, with absent ones at their default", () => {
  const batch = sealBatch(encodeValue(columns), identity, position);
  assertEquals(verifyBatch(batch, publicKeyFromRaw(publicKey)), null);
  assert(!new TextDecoder().decode(batch.value).includes("vlan"), "a column of defaults does not travel");
  const table = decodeValue(batch.value, 2);
  assert(typeof table !== "string");
  for (const name of segmentColumnNames) {
    assertEquals(table[name], columns[name] ?? new Array(2).fill(segmentColumns[name].default), name);
  }
});

Deno.test("the header survives being written and read", () => {
  const { header } = sealBatch(encodeValue(columns), identity, position);
  const written = writeHeader(header);
  assertEquals(readHeader((name) => written[name]), header);
});

Deno.test("verifyBatch refuses every changed byte of the value and every changed header field", () => {
  const batch = sealBatch(encodeValue(columns), identity, position);
  const key = publicKeyFromRaw(publicKey);
  for (let i = 0; i < batch.value.length; i++) {
    const value = batch.value.slice();
    value[i] ^= 1;
    assertEquals(verifyBatch({ header: batch.header, value }, key), "sha256");
  }
  const changes: Partial<BatchHeader>[] = [
    { sensor: "s-2" },
    { epoch: 4 },
    { bucket: 2 },
    { seq: 10 },
    { flows: 1 },
    {
      sealed: 1,
    },
    { key: "0".repeat(16) },
    { signature: "A".repeat(86) + "==" },
  ];
  for (const change of changes) {
    assertEquals(
      verifyBatch({ header: { ...batch.header, ...change }, value: batch.value }, key),
      "signature",
    );
  }
  const other = keysFromSeed(new Uint8Array(32).fill(8));
  assertEquals(verifyBatch(batch, publicKeyFromRaw(other.publicKey)), "signature");
});

Deno.test("readHeader names what is wrong with a header", () => {
  const good = writeHeader(sealBatch(encodeValue(columns), identity, position).header);
  const read = (change: Record<string, string | undefined>) =>
    readHeader((name) => ({ ...good, ...change })[name]);
  assertEquals(read({ "picket-seq": undefined }), "header_missing");
  assertEquals(read({ "picket-seq": "-1" }), "header_malformed");
  assertEquals(read({ "picket-seq": "1e3" }), "header_malformed");
  assertEquals(read({ "picket-sensor": "a'; drop table flows; --" }), "header_malformed");
  assertEquals(read({ "picket-sensor": "x".repeat(500) }), "header_malformed");
  assertEquals(read({ "picket-flows": "0" }), "flow_count");
  assertEquals(read({ "picket-flows": String(batchLimits.flowsMax + 1) }), "flow_count");
});

Deno.test("decodeValue refuses values outside the format, each with its reason", () => {
  const encode = (value: unknown) =>
    new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
  assertEquals(decodeValue(encode("{"), 1), "not_json");
  assertEquals(decodeValue(encode("[1]"), 1), "not_json");
  assertEquals(decodeValue(new Uint8Array([0xff, 0xfe]), 1), "not_json");
  assertEquals(decodeValue(encode({ evil: [1] }), 1), "column_unknown");
  assertEquals(decodeValue(encode('{"__proto__":[1]}'), 1), "column_unknown");
  assertEquals(decodeValue(encode({ src_port: [1, 2] }), 1), "column_length");
  assertEquals(decodeValue(encode({ src_port: "1" }), 1), "column_length");
  const bad: Record<string, unknown> = {
    src_port: 65_536,
    src_ip: "10.0.0.1'--",
    fwd_bytes: -1,
    start_us: 1.5,
  };
  const worse = {
    src_mac: "zz",
    conn_state: "S9",
    protocol: "TCP ",
    tcp_isn: 2 ** 32,
    facts: { dns: 1, evil: 2 },
  };
  for (const [name, cell] of Object.entries({ ...bad, ...worse })) {
    assertEquals(decodeValue(encode({ [name]: [cell] }), 1), "column_value", name);
  }
  const dnsEntry = { name: "a.example", type: "A" };
  const odd = [
    { dns: 1 },
    { dns: [1] },
    { tls: [] },
    { http: ["x"] },
    { cut: "1" },
    { dns: [{ name: "a.example" }] },
    { dns: [{ ...dnsEntry, rcode: null }] },
    { dns: [{ ...dnsEntry, answers: [1] }] },
    { dns: [{ ...dnsEntry, unasked: true }] },
  ];
  for (const facts of odd) {
    assertEquals(decodeValue(encode({ facts: [facts] }), 1), "column_value", JSON.stringify(facts));
  }
  const deep = { other: { a: { b: { c: { d: { e: 1 } } } } } };
  assertEquals(decodeValue(encode({ facts: [deep] }), 1), "column_value");
  assertEquals(decodeValue(encode({ facts: [{ other: { a: "x".repeat(256) } }] }), 1), "column_value");
});

Deno.test("decodeValue bounds times, counts and their sums, so that all computed from them can be read back", () => {
  const read = (columns: Record<string, number[]>) => {
    const decoded = decodeValue(
      new TextEncoder().encode(JSON.stringify(columns)),
      Object.values(columns)[0].length,
    );
    return typeof decoded === "string" ? decoded : "read";
  };
  // The last microsecond is in 2112.
  const last = 4_503_599_627_370_496;
  assertEquals(read({ start_us: [last] }), "read");
  assertEquals(read({ start_us: [last + 1] }), "column_value");
  assertEquals(read({ start_us: [last - 60], duration_us: [60] }), "read");
  assertEquals(read({ start_us: [last - 60], duration_us: [61] }), "column_value");
  assertEquals(read({ start_us: [5], flow_age_us: [5] }), "read");
  assertEquals(read({ start_us: [5], flow_age_us: [6] }), "column_value");
  assertEquals(read({ start_us: [9_007_199_254_740_991], duration_us: [1] }), "column_value");
  assertEquals(read({ fwd_bytes: [17_592_186_044_416] }), "read");
  assertEquals(read({ fwd_bytes: [17_592_186_044_417] }), "column_value");
  assertEquals(read({ bwd_packets: [17_592_186_044_417] }), "column_value");
  assertEquals(read({ factor: [65_536] }), "read");
  assertEquals(read({ factor: [65_537] }), "column_value");
  assertEquals(read({ factor: [0] }), "column_value");
  // 2^46 octets, or packets, in a batch: two ways, several flows, times the factor.
  const quarter = 8_796_093_022_208;
  assertEquals(
    read({ fwd_bytes: [quarter, quarter], bwd_bytes: [quarter, quarter], factor: [2, 2] }),
    "read",
  );
  assertEquals(
    read({ fwd_bytes: [quarter, quarter], bwd_bytes: [quarter, quarter + 1], factor: [2, 2] }),
    "column_value",
  );
  assertEquals(read({ fwd_packets: [quarter], factor: [8] }), "read");
  assertEquals(read({ fwd_packets: [quarter], factor: [9] }), "column_value");
  assertEquals(read({ interarrival_us_max: [9_007_199_254_740_991] }), "read");
  assertEquals(read({ interarrival_us_max: [1e300] }), "column_value");
});

Deno.test("decodeValue never throws, whatever the bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(5), (bytes, flows) => {
    const result = decodeValue(bytes, flows);
    assert(typeof result === "string" || typeof result === "object");
  }));
  fc.assert(fc.property(fc.json({ maxDepth: 4 }), (json) => {
    decodeValue(new TextEncoder().encode(json), 1);
  }));
});

Deno.test("keys of another length are refused in words, texts are signed and checked", () => {
  assertThrows(() => publicKeyFromRaw(new Uint8Array(31)), RangeError, "current length is 31");
  assertThrows(() => keysFromSeed(new Uint8Array(33)), RangeError, "current length is 33");
  const signature = signText("hello", privateKey);
  assertEquals(verifyText("hello", signature, publicKeyFromRaw(publicKey)), true);
  assertEquals(verifyText("hellp", signature, publicKeyFromRaw(publicKey)), false);
  assertEquals(verifyText("hello", "short", publicKeyFromRaw(publicKey)), false);
});
