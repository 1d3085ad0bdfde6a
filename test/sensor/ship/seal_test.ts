/** Tests of sealing and of the packed form: every row once, in its bucket, by time, within the limits. @module */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { zstdDecompressSync } from "node:zlib";
import { batchLimits, publicKeyFromRaw, verifyBatch } from "../../../shared/batch.ts";
import { decodeValue } from "../../shared/columns.ts";
import { bucketOf, flowDigest } from "../../../shared/community_id.ts";
import { packBatch, packValue, unpackBatch, valueOf } from "../../../sensor/ship/packed_batch.ts";
import { Sealer, type SealOptions } from "../../../sensor/ship/seal.ts";
import { pageOf, type RowOfPage } from "../flow/pages.ts";
import { batchOf, prng, publicKey, sealableOf, signer } from "./helpers.ts";

const rowsOf = (rows: RowOfPage[]) => sealableOf(pageOf(rows));

function sealer(options: Partial<SealOptions> = {}) {
  return new Sealer({ buckets: 4, epoch: 3, ...options }, signer);
}

const flow = (i: number) => ({
  start_us: 1_000_000 - i,
  src_ip: `10.0.${i >> 8}.${i & 255}`,
  dst_ip: "192.0.2.1",
  src_port: 1_024 + i,
  dst_port: 443,
});

Deno.test("sealer puts every row into one batch of its bucket, signed, seq from 1", () => {
  const it = sealer();
  const rows = rowsOf(Array.from({ length: 300 }, (_, i) => flow(i)));
  assertEquals(it.add(rows, 5_000), []);
  assertEquals(it.openRows, 300);
  const batches = it.seal(5_000, true);
  assertEquals(batches.length, 4);
  const ports = new Set<unknown>();
  for (const batch of batches) {
    assertEquals(verifyBatch(batch, publicKeyFromRaw(publicKey)), null);
    assertEquals([batch.header.epoch, batch.header.seq, batch.header.sealed], [3, 1, 5_000]);
    const table = decodeValue(batch.value, batch.header.flows);
    assert(typeof table !== "string");
    for (let row = 0; row < batch.header.flows; row++) {
      const [src_ip, dst_ip] = [table.src_ip[row] as string, table.dst_ip[row] as string];
      const [src_port, dst_port] = [table.src_port[row] as number, table.dst_port[row] as number];
      const digest = flowDigest({ protocol: "tcp", src_ip, dst_ip, src_port, dst_port })!;
      assertEquals(bucketOf(digest, 4), batch.header.bucket);
      ports.add(src_port);
    }
  }
  assertEquals(ports.size, 300);
  assertEquals(it.openRows, 0);
});

const end = (i: number, end_reason: "fin" | "rst" = "fin") => ({ ...flow(i), end_reason });

Deno.test("sealer seals the end of a connection by its age, and with it what waits in its bucket", () => {
  const it = sealer({ buckets: 1, sealAgeMs: 400 });
  it.add(rowsOf([flow(1)]), 10_000);
  it.add(rowsOf([end(2)]), 11_000);
  it.add(rowsOf([end(3, "rst"), flow(4)]), 11_100);
  assertEquals(it.seal(11_399), []);
  assertEquals(it.seal(11_400)[0].header.flows, 4);
  assertEquals(it.seal(60_000), []);
  it.add(rowsOf([end(5)]), 60_000);
  assertEquals(it.seal(60_399), []);
  assertEquals(it.seal(60_400).length, 1);
});

Deno.test("sealer lets what nobody waits for gather twelve times as long", () => {
  for (const end_reason of ["idle", "active", "evicted", "reused", "stopped"] as const) {
    const it = sealer({ buckets: 1, sealAgeMs: 400 });
    it.add(rowsOf([{ ...flow(1), end_reason }]), 10_000);
    it.add(rowsOf([{ ...flow(2), end_reason }]), 12_000);
    assertEquals(it.seal(14_799), []);
    assertEquals(it.seal(14_800)[0].header.flows, 2);
  }
});

Deno.test("sealer seals no bucket for the sake of another", () => {
  const it = sealer({ buckets: 4, sealAgeMs: 400 });
  it.add(rowsOf(Array.from({ length: 100 }, (_, i) => flow(i))), 0);
  it.add(rowsOf([end(1)]), 0);
  assertEquals(it.seal(400).length, 1);
  assertEquals(it.seal(4_799), []);
  assertEquals(it.seal(4_800).length, 3);
});

Deno.test("sealer of a replay lets every row gather for twice the seal age", () => {
  for (const row of [end(1), flow(1)]) {
    const it = sealer({ buckets: 1, sealAgeMs: 400, isPrompt: false });
    it.add(rowsOf([row]), 0);
    assertEquals(it.seal(799), []);
    assertEquals(it.seal(800).length, 1);
  }
});

Deno.test("sealer seals at once when the clock was set back", () => {
  const it = sealer({ buckets: 1 });
  it.add(rowsOf([flow(3)]), 20_000);
  assertEquals(it.seal(15_000).length, 1);
  // Back to before the end of a connection came, but not to before the row that came first.
  it.add(rowsOf([flow(4)]), 20_000);
  it.add(rowsOf([end(5)]), 22_000);
  assertEquals(it.seal(21_000).length, 1);
});

Deno.test("sealer closes a bucket that is full", () => {
  const it = sealer({ buckets: 1, batchFlowsMax: 10 });
  const full = it.add(rowsOf(Array.from({ length: 25 }, (_, i) => flow(i))), 0);
  assertEquals(full.map((batch) => [batch.header.seq, batch.header.flows]), [[1, 10], [2, 10]]);
  assertEquals(it.openRows, 5);
});

Deno.test("sealer splits what is too many octets, and leaves out facts that are too many alone", () => {
  const it = sealer({ buckets: 1, batchBytesMax: 2_000 });
  const text = "a".repeat(200);
  it.add(
    rowsOf(Array.from({ length: 30 }, (_, i) => ({ ...flow(i), facts: { other: { "http.host": text } } }))),
    0,
  );
  const batches = it.seal(0, true);
  assert(batches.length > 3);
  assertEquals(batches.reduce((sum, batch) => sum + batch.header.flows, 0), 30);
  for (const batch of batches) assert(batch.value.length <= 2_000);
  assertEquals(batches.map((batch) => batch.header.seq), batches.map((_, i) => i + 1));
  it.add(
    rowsOf([{
      ...flow(1),
      facts: { other: Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`${i}`, text])) },
    }]),
    0,
  );
  const [alone] = it.seal(0, true);
  assertEquals((decodeValue(alone.value, 1) as { facts: unknown[] }).facts, [null]);
  assertEquals(it.factsCut, 1);
});

Deno.test("sealer closes the fullest bucket when the open rows hold too many facts", () => {
  const it = sealer({ buckets: 1 });
  const text = "a".repeat(80_000);
  const rows = rowsOf(Array.from({ length: 500 }, (_, i) => ({ ...flow(i), facts: { other: { text } } })));
  const batches = it.add(rows, 0);
  assert(it.openRows > 0 && it.openRows <= 201, `${it.openRows} rows of 80 kB are open`);
  assertEquals(batches.reduce((sum, batch) => sum + batch.header.flows, 0) + it.openRows, 500);
  batches.push(...it.seal(0, true));
  assertEquals(it.add(rowsOf(Array.from({ length: 100 }, (_, i) => flow(i))), 0), [], "room is room again");
});

Deno.test("sealer gives ARP, which has no Community ID, a bucket from its addresses", () => {
  const it = sealer({ buckets: 1_024 });
  const arp = { protocol: "arp", src_ip: "10.0.0.1", dst_ip: "10.0.0.2" };
  // A question and its answer.
  it.add(
    rowsOf([{ ...arp, src_port: 1 }, { ...arp, src_ip: arp.dst_ip, dst_ip: arp.src_ip, src_port: 2 }]),
    0,
  );
  const digest = flowDigest({ ...arp, src_port: 1, dst_port: 0 })!;
  assertEquals(it.seal(0, true).map(({ header }) => header.bucket), [bucketOf(digest, 1_024)]);
});

Deno.test("sealer says which limit is wrong", () => {
  assertThrows(
    () => sealer({ batchFlowsMax: 0 }),
    RangeError,
    'Cannot seal batches as "batchFlowsMax" must be 1 to 20000: current value is 0',
  );
});

Deno.test("packing and unpacking gives the batch back; any flipped octet gives a reason", () => {
  const batch = batchOf(1, 2, 3, 40);
  const packed = packBatch(batch).bytes;
  const back = unpackBatch(packed);
  assert(typeof back !== "string");
  assertEquals({ header: back.header, value: valueOf(back) }, batch);
  for (let i = 0; i < packed.length; i++) {
    const other = unpackBatch(packed.with(i, packed[i] ^ 1));
    if (typeof other === "string") continue;
    // A header may still read as one, and only the aggregator, who checks the signature, can tell.
    // The body is never another one.
    assert(JSON.stringify(other.header) !== JSON.stringify(batch.header));
    assertEquals(other.body, back.body);
  }
});

Deno.test("packed value never looks like a bomb, however alike its rows are", () => {
  for (const size of [0, 100, 200_000, 900_000]) {
    const alike = new Uint8Array(size).fill(65);
    const packed = packValue(alike);
    assert(alike.length <= packed.length * batchLimits.ratioMax, `${size}: ${packed.length}`);
    assertEquals(new Uint8Array(zstdDecompressSync(packed)), alike);
  }
  const random = prng(1);
  const ordinary = new TextEncoder().encode(
    JSON.stringify(Array.from({ length: 20_000 }, () => Math.floor(random() * 1e6))),
  );
  assert(packValue(ordinary).length < ordinary.length);
});
