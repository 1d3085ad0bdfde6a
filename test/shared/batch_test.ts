/** Batches: sealed and opened again, and refused with the right reason when anything was changed. @module */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type BatchHeader,
  batchLimits,
  checkHeader,
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
import { decodeValue, encodeValue } from "./columns.ts";
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

Deno.test("keys of another length are refused in words, texts are signed and checked", () => {
  assertThrows(() => publicKeyFromRaw(new Uint8Array(31)), RangeError, "current length is 31");
  assertThrows(() => keysFromSeed(new Uint8Array(33)), RangeError, "current length is 33");
  const signature = signText("hello", privateKey);
  assertEquals(verifyText("hello", signature, publicKeyFromRaw(publicKey)), true);
  assertEquals(verifyText("hellp", signature, publicKeyFromRaw(publicKey)), false);
  assertEquals(verifyText("hello", "short", publicKeyFromRaw(publicKey)), false);
});

function checkedSample() {
  const other = publicKeyFromRaw(keysFromSeed(new Uint8Array(32).fill(8)).publicKey);
  return {
    batch: sealBatch(encodeValue(columns), identity, position),
    key: publicKeyFromRaw(publicKey),
    other,
  };
}

Deno.test("a checked header stands for its signature: for that header, by that key, and not for the value", () => {
  const { batch, key, other } = checkedSample();
  const checked = checkHeader(batch.header, key)!;
  const { header } = checked;
  assertEquals(header, batch.header);
  assertThrows(() => Object.assign(header, { seq: 9 }), TypeError);
  assertEquals(verifyBatch({ header, value: batch.value }, key, checked), null);
  const again = publicKeyFromRaw(keysFromSeed(new Uint8Array(32).fill(7)).publicKey);
  assert(checked.isBy(again) && !checked.isBy(other));
  assertEquals(verifyBatch({ header, value: batch.value }, other, checked), "signature");
  assertEquals(verifyBatch({ header, value: new Uint8Array([1]) }, key, checked), "sha256");
  const changed = { ...header, seq: header.seq + 1 };
  assertEquals(verifyBatch({ header: changed, value: batch.value }, key, checked), "signature");
});

Deno.test("checkHeader() refuses another signature, another key and another field", () => {
  const { batch: { header }, key, other } = checkedSample();
  const bad = [
    { ...header, signature: "AAAA" },
    { ...header, signature: `${header.signature.slice(0, -4)}AA==` },
    { ...header, bucket: header.bucket + 1 },
    { ...header, sha256: "0".repeat(64) },
  ];
  assertEquals(bad.map((one) => checkHeader(one, key)), [null, null, null, null]);
  assertEquals(checkHeader(header, other), null);
});
