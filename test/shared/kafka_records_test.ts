/** Tests of the reader of record sets: what is whole is read, what is not is one fault that can be gone past.
 * @module */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { decodeFetch } from "../../shared/kafka_fetch.ts";
import { readRecordSets } from "../../shared/kafka_records.ts";
import { fetchAnswer, recordOf, recordSet, type SetParts, varint } from "./record_sets.ts";

const read = (...sets: SetParts[]) => readRecordSets(Buffer.concat(sets.map(recordSet)));
/** "offset:value", "offset!fault", "offset~" for what a consumer is not shown. */
const shown = (...sets: SetParts[]) =>
  read(...sets).map(({ offset, value, fault, isControlRecord }) =>
    fault ? `${offset}!${fault}` : isControlRecord ? `${offset}~` : `${offset}:${value}`
  );
const good = (base: number): SetParts => ({ base, records: [recordOf(0, { value: "good" })] });

Deno.test("record set is read with key, value, headers and times, plain or packed", () => {
  const records = [
    recordOf(0, { key: "3", value: "a", headers: [["picket-seq", "1"], ["picket-seq", "2"]] }),
    recordOf(1),
  ];
  for (
    const parts of [
      { records },
      { records, attributes: 1, pack: (octets: Uint8Array) => gzipSync(octets) },
      { records, attributes: 4, pack: (octets: Uint8Array) => zstdCompressSync(octets) },
    ]
  ) {
    const [first, second, ...none] = read({ base: 40, ...parts });
    assertEquals([first.offset, String(first.key), String(first.value)], ["40", "3", "a"]);
    assertEquals(String(first.headers["picket-seq"]), "1");
    assertEquals(first.timestamp, "1700000000005");
    assertEquals([second.offset, second.key, second.value], ["41", null, null]);
    assertEquals(none, []);
  }
  assertEquals(read({ records, attributes: 8 })[0].timestamp, "1700000000999");
  assertEquals(read({ records, attributes: 16 })[0].batchContext, { producerId: "77", inTransaction: true });
});

Deno.test("set that cannot be read is one fault at its last offset, and what follows is read", () => {
  const many = { records: [], count: 3, lastDelta: 2 };
  const bomb = (octets: Uint8Array) => zstdCompressSync(Buffer.concat([octets, new Uint8Array(16_777_217)]));
  const cases: [SetParts, string][] = [
    [{ ...many, attributes: 2, pack: () => Buffer.from("garbage") }, "compression"],
    [{ ...many, attributes: 4, pack: () => Buffer.from("garbage") }, "compression"],
    [{ ...many, attributes: 6 }, "compression"],
    [{ ...many, attributes: 4, pack: bomb }, "too_large"],
    [{ ...many, count: 10_001 }, "too_large"],
    [{ ...many, magic: 3 }, "record_version"],
    [{ ...many, count: -5 }, "record_malformed"],
    [many, "record_malformed"],
  ];
  for (const [parts, fault] of cases) {
    const base = parts.magic === 3 ? 12 : 10;
    assertEquals(shown({ ...parts, base }, good(13)), [`12!${fault}`, "13:good"]);
  }
  assertEquals(read({ ...many, count: 10_001 })[0].value?.length, 61);
  const text = "x".repeat(9_000);
  assertEquals(read({ records: [recordOf(0, { value: text })], count: 10_001 })[0].value?.length, 4_096);
});

Deno.test("10,000 records a set are read, one more is a fault", () => {
  const records = Array.from({ length: 10_000 }, (_, i) => recordOf(i));
  assertEquals(read({ records }).length, 10_000);
  assertEquals(shown({ records: [...records, recordOf(10_000)] }), ["10000!too_large"]);
});

Deno.test("records before a malformed one are read", () => {
  const first = recordOf(0, { value: "first" });
  for (
    const broken of [
      Buffer.from([0xff, 0xff, 0xff]),
      Buffer.concat([varint(400), Buffer.from([0, 0])]),
      Buffer.concat([varint(6), Buffer.from([0, 0, 2, 0x7e, 1, 0])]), // A key longer than its record.
      recordOf(9, { value: "offset beyond the set" }),
      recordOf(-1, { value: "offset before the set" }),
      Buffer.alloc(12, 0xff),
    ]
  ) {
    const set = { base: 5, records: [first, broken], count: 2, lastDelta: 1 };
    assertEquals(shown(set, good(7)), ["5:first", "6!record_malformed", "7:good"]);
  }
});

Deno.test("headers beyond their bounds are left out, and cost no time", () => {
  const named = (count: number) => Array.from({ length: count }, (_, i): [string, string] => [`h${i}`, "v"]);
  const headersOf = (headers: [string, string][]) =>
    Object.keys(read({ records: [recordOf(0, { headers })] })[0].headers);
  assertEquals(headersOf(named(64)).length, 64);
  assertEquals(headersOf(named(65)), []);
  assertEquals(headersOf(named(200_000)), []);
  assertEquals(headersOf([["n".repeat(256), "v"], ["m".repeat(257), "v"], ["ok", "v"]]), [
    "n".repeat(256),
    "ok",
  ]);
  assertEquals(headersOf([["__proto__", "v"]]), ["__proto__"]);
});

Deno.test("control sets, emptied sets and offsets left out by compaction are gone past", () => {
  assertEquals(shown({ records: [recordOf(0, { value: "x" })], attributes: 32, base: 4 }), ["4~"]);
  assertEquals(shown({ records: [], count: 0, lastDelta: 6, base: 4 }, good(11)), ["10~", "11:good"]);
  assertEquals(shown({ records: [recordOf(1, { value: "x" })], lastDelta: 3, base: 4 }), ["5:x", "7~"]);
});

Deno.test("what is cut off at the end, or would unpack to more than 32 MiB, is left for the next fetch", () => {
  const whole = Buffer.concat([recordSet(good(0)), recordSet(good(1))]);
  for (let length = 0; length <= whole.length; length++) {
    const expected = length === whole.length ? 2 : length >= whole.length / 2 ? 1 : 0;
    assertEquals(readRecordSets(whole.subarray(0, length)).length, expected);
  }
  const large = (base: number): SetParts => ({
    base,
    records: [recordOf(0, { value: new Uint8Array(15 * 1024 * 1024) })],
    attributes: 4,
    pack: (octets) => zstdCompressSync(octets),
  });
  assertEquals(read(large(0), large(1), large(2)).length, 2);
});

Deno.test("no octet changed anywhere makes the reader throw", () => {
  const set = recordSet({
    base: 3,
    records: [recordOf(0, { key: "k", value: "v", headers: [["a", "b"]] }), recordOf(1, { value: "w" })],
  });
  for (let at = 0; at < set.length; at++) {
    for (const octet of [0, 1, 0x7f, 0x80, 0xff]) {
      const changed = Buffer.from(set);
      changed[at] = octet;
      assert(readRecordSets(changed).length <= 8);
    }
  }
});

Deno.test("10,000 sets changed at random give records and faults within the set, never an exception", () => {
  let state = 7;
  const below = (max: number) => {
    state = Math.imul(state, 1_664_525) + 1_013_904_223 >>> 0;
    return Math.floor(state / 2 ** 32 * max);
  };
  const records = Array.from(
    { length: 5 },
    (_, i) => recordOf(i, { key: "1", value: "value ".repeat(9), headers: [["picket-seq", "1"]] }),
  );
  const sets = [
    recordSet({ base: 100, records }),
    recordSet({ base: 100, records, attributes: 1, pack: (octets) => gzipSync(octets) }),
    recordSet({ base: 100, records, attributes: 4, pack: (octets) => zstdCompressSync(octets) }),
    recordSet({ base: 100, records, attributes: 2, pack: (octets) => octets }),
    recordSet({ base: 100, records, attributes: 3, pack: (octets) => octets }),
  ];
  for (let i = 0; i < 10_000; i++) {
    const changed = Buffer.from(sets[i % sets.length]);
    // Not the length in front: what a broker hands on is framed right.
    for (let n = below(4); n >= 0; n--) {
      const at = below(changed.length);
      if (at < 8 || at >= 12) changed[at] = below(256);
    }
    const read = readRecordSets(Buffer.concat([changed, recordSet({ base: 900, records })]));
    assertEquals(read.slice(-5).map(({ offset, fault }) => `${offset}${fault ?? ""}`), [
      "900",
      "901",
      "902",
      "903",
      "904",
    ]);
  }
});

Deno.test("fetch answer is read whole, and one that ends early is an error of the connection", () => {
  const octets = fetchAnswer("picket", 2, recordSet(good(20)));
  const { sessionId, clientSideThrottleTime, responses: [{ topicName, partitions: [part] }] } = decodeFetch(
    octets,
  );
  assertEquals([sessionId, clientSideThrottleTime, topicName], [99, 7, "picket"]);
  const { messages, ...rest } = part;
  assertEquals(messages.map(({ offset }) => offset), ["20"]);
  assertEquals(rest, {
    partition: 2,
    errorCode: 0,
    highWatermark: "50",
    lastStableOffset: "49",
    lastStartOffset: "3",
    abortedTransactions: [],
    preferredReadReplica: -1,
  });
  for (let length = 0; length < octets.length; length++) {
    assertThrows(() => decodeFetch(octets.subarray(0, length)), RangeError, "ends too early");
  }
});
