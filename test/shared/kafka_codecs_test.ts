/** Tests of what unpacks Kafka's codecs: streams made by the reference libraries, bombs, and octets that are no stream.
 * The vectors were made by lz4 4.4.5 and Google's Snappy over 228 octets of text. @module */

import { assert, assertEquals } from "@std/assert";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { unpackWith } from "../../shared/kafka_codecs.ts";

const text = `${"flow 203.0.113.7 segment ".repeat(9)}end`;
const snappy = {
  raw: "5AFgZmxvdyAyMDMuMC4xMTMuNyBzZWdtZW50IP4ZAP4ZAP4ZABEZCGVuZA==",
  framed:
    "glNOQVBQWQAAAAABAAAAAQAAACBkYGZsb3cgMjAzLjAuMTEzLjcgc2VnbWVudCD+GQAdGQAAACBkYGZsb3cgMjAzLjAuMTEzLjcgc2VnbWVudCD+GQAd" +
    "GQAAAB4cbGZsb3cgMjAzLjAuMTEzLjcgc2VnbWVudCBlbmQ=",
};
const lz4 = {
  "linked blocks, content checksum and size":
    "BCJNGGxA5AAAAAAAAADaJAAAAP8KZmxvdyAyMDMuMC4xMTMuNyBzZWdtZW50IBkAs1B0IGVuZAAAAAB60ejg",
  "independent blocks with checksums":
    "BCJNGHBArSQAAAD/CmZsb3cgMjAzLjAuMTEzLjcgc2VnbWVudCAZALNQdCBlbmQIyIdvAAAAAA==",
  "two frames and a skippable one":
    "BCJNGGBAgiQAAAD/CmZsb3cgMjAzLjAuMTEzLjcgc2VnbWVudCAZADNQbWVudCAAAAAAUCpNGAMAAABhYmMEIk0YYECCJAAAAP8KZmxvdyAyMDMuMC4x" +
    "MTMuNyBzZWdtZW50IBkAT1B0IGVuZAAAAAA=",
};
const octets = (base64: string) => Uint8Array.fromBase64(base64);
const gzip = 1, snappyCodec = 2, lz4Codec = 3, zstd = 4;

function read(codec: number, packed: Uint8Array, bytesMax = 1_000): string {
  const unpacked = unpackWith(codec, packed, bytesMax);
  return typeof unpacked === "string" ? unpacked : new TextDecoder().decode(unpacked);
}

Deno.test("every codec of a stock producer is read, up to exactly its limit", () => {
  const bytes = new TextEncoder().encode(text);
  const streams: [number, Uint8Array][] = [
    [gzip, gzipSync(bytes)],
    [snappyCodec, octets(snappy.raw)],
    [snappyCodec, octets(snappy.framed)],
    ...Object.values(lz4).map((stream): [number, Uint8Array] => [lz4Codec, octets(stream)]),
    [zstd, zstdCompressSync(bytes)],
  ];
  for (const [codec, packed] of streams) {
    assertEquals(read(codec, packed), text);
    assertEquals(read(codec, packed, 228), text);
    assertEquals(read(codec, packed, 227), "too_large");
  }
  assertEquals(read(0, bytes, 228), text);
  assertEquals(read(0, bytes, 227), "too_large");
});

Deno.test("a bomb of any codec is refused without its memory", () => {
  const zeros = new Uint8Array(8_000_000);
  // A literal zero, then copies of 64 octets; the preamble claims 4 GiB, or what follows.
  const copies = new Uint8Array(3 * 20_000).map((_, i) => [0xfe, 1, 0][i % 3]);
  const honest = new Uint8Array([0x81, 0x90, 0x4e, 0, 0, ...copies]);
  const liar = new Uint8Array([0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, ...copies]);
  const block = new Uint8Array([0x1f, 0, 1, 0, ...new Uint8Array(9_000).fill(255), 0]);
  const frame = new Uint8Array([
    4,
    0x22,
    0x4d,
    0x18,
    0x60,
    0x70,
    0x73,
    0x2d,
    0x23,
    0,
    0,
    ...block,
    0,
    0,
    0,
    0,
  ]);
  for (
    const [codec, bomb] of [
      [gzip, gzipSync(zeros)],
      [zstd, zstdCompressSync(zeros)],
      [snappyCodec, honest],
      [snappyCodec, liar],
      [lz4Codec, frame],
    ] as const
  ) {
    assertEquals(read(codec, new Uint8Array(bomb), 1_000_000), "too_large", `codec ${codec}`);
  }
});

Deno.test("octets that are no stream are a fault, never an exception", () => {
  const good = [gzipSync(text), octets(snappy.raw), octets(lz4["two frames and a skippable one"])];
  for (const codec of [1, 2, 3, 4, 5, 6, 7]) {
    for (const hostile of ["garbage of some length", "\u0000\u0000\u0000\u0000"]) {
      assertEquals(read(codec, new TextEncoder().encode(hostile)), "compression");
    }
  }
  good.forEach((stream, i) => {
    for (let length = 1; length < stream.length; length++) {
      const cut = read(i + 1, new Uint8Array(stream.subarray(0, length)));
      assert(cut === "compression" || text.startsWith(cut), `codec ${i + 1}, ${length} octets: ${cut}`);
    }
    for (let at = 0; at < stream.length; at++) {
      const changed = new Uint8Array(stream);
      changed[at] ^= 0x55;
      assert(read(i + 1, changed).length <= 1_000);
    }
  });
  // A copy from before the stream's own start.
  assertEquals(read(snappyCodec, new Uint8Array([5, 0, 65, 1, 2])), "compression");
  assertEquals(
    read(
      lz4Codec,
      new Uint8Array([4, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82, 5, 0, 0, 0, 0x10, 65, 2, 0, 0, 0, 0, 0, 0]),
    ),
    "compression",
  );
});
