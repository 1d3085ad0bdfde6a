/** Compressed captures: gzip, zstd and LZ4 in all the ways they are put together, cut and damaged. @module */

import { assertEquals } from "@std/assert";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { FileSource } from "../../../sensor/capture/file_source.ts";
import { readBlock } from "../../../sensor/capture/lz4.ts";
import { pump } from "../../../sensor/capture/pump.ts";
import { packingOf } from "../../../sensor/capture/unpack.ts";
import { bytes, pcap, u32 } from "../frames.ts";

const capture = pcap(
  Array.from({ length: 5_000 }, (_, i) => ({ timeUs: i, frame: new Uint8Array(100).fill(i) })),
);
const halves = [capture.subarray(0, 200_000), capture.subarray(200_000)];
const little = (value: number) => u32(value).reverse();
const skippable = bytes(little(0x184d2a53), little(5), [1, 2, 3, 4, 5]);

/** Octets as an LZ4 block of literals, or as one that says "the last octet, again and again". */
function literals(octets: Uint8Array): Uint8Array {
  const rest = octets.length - 15;
  const lengths = rest < 0 ? [] : [...new Array(Math.floor(rest / 255)).fill(255), rest % 255];
  return bytes(Math.min(15, octets.length) << 4, lengths, octets);
}

/** An LZ4 frame: blocks of 60,000 octets, packed, plain, packed, ...; with or without checksums. */
function lz4(octets: Uint8Array, hasChecksums = false): Uint8Array {
  const parts: Uint8Array[] = [bytes(little(0x184d2204), hasChecksums ? 0x74 : 0x60, 0x40, 0)];
  for (let at = 0; at < octets.length; at += 60_000) {
    const block = octets.subarray(at, at + 60_000);
    const isPlain = at / 60_000 % 2 === 1;
    const packed = isPlain ? block : literals(block);
    parts.push(bytes(little(isPlain ? (packed.length | 0x80000000) >>> 0 : packed.length)), packed);
    if (hasChecksums) parts.push(new Uint8Array(4));
  }
  return bytes(...parts, new Uint8Array(hasChecksums ? 8 : 4));
}

function oldLz4(octets: Uint8Array): Uint8Array {
  const packed = literals(octets);
  return bytes(little(0x184c2102), little(packed.length), packed);
}

async function run(content: Uint8Array, viaPipe = false) {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/a`;
  let writing: Promise<void> | null = null;
  if (viaPipe) {
    await new Deno.Command("mkfifo", { args: [path] }).output();
    writing = Deno.writeFile(path, content);
  } else await Deno.writeFile(path, content);
  try {
    const source = new FileSource(path);
    await source.start();
    let packets = 0;
    const { error } = await pump(source, { packet: () => void packets++ }, () => Promise.resolve());
    await source.stop();
    await writing?.catch(() => {});
    return [packets, error];
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const whole = [5_000, null];

Deno.test("captures of several gzip members, zstd and LZ4 frames are read whole, from disk and from a pipe", async () => {
  const cases: Record<string, Uint8Array> = {
    gzip: gzipSync(capture),
    members: bytes(...halves.map((half) => gzipSync(half))),
    "members and zeros": bytes(...halves.map((half) => gzipSync(half)), new Uint8Array(512)),
    "an empty member": bytes(gzipSync(bytes()), gzipSync(capture)),
    zstd: zstdCompressSync(capture),
    "zstd frames": bytes(zstdCompressSync(halves[0]), skippable, zstdCompressSync(halves[1])),
    lz4: lz4(capture),
    "lz4 frames": bytes(skippable, lz4(halves[0], true), skippable, lz4(halves[1])),
    "old lz4, then new": bytes(oldLz4(halves[0]), lz4(halves[1])),
    "both kinds": bytes(lz4(halves[0]), zstdCompressSync(halves[1])),
    none: capture,
  };
  for (const [name, content] of Object.entries(cases)) {
    assertEquals(await run(content), whole, name);
    assertEquals(await run(content, true), whole, `${name} from a pipe`);
  }
});

Deno.test("compressed captures that are cut or damaged give what came before, and say which", async () => {
  for (const packed of [gzipSync(capture), zstdCompressSync(capture), lz4(capture), oldLz4(capture)]) {
    assertEquals((await run(packed.subarray(0, packed.length - 3)))[1], "cut_capture");
    assertEquals(await run(packed.subarray(0, 7)), [0, "cut_capture"]);
  }
  const cut = await run(bytes(gzipSync(halves[0]), gzipSync(halves[1]).subarray(0, 12)));
  assertEquals(cut, [1_723, "cut_capture"]);
  assertEquals(await run(bytes(zstdCompressSync(capture), [1, 2, 3, 4])), [5_000, "bad_compression"]);
  const damaged = gzipSync(capture);
  // The checksum at the end: all packets were there, but for those in the last piece.
  damaged[damaged.length - 6] ^= 255;
  const [packets, error] = await run(damaged);
  assertEquals([error, packets! as number > 4_000], ["bad_compression", true]);
  const wrongWindow = bytes([0x28, 0xb5, 0x2f, 0xfd, 0, 0xff], new Uint8Array(9));
  assertEquals(await run(wrongWindow), [0, "bad_compression"]);
});

Deno.test("captures packed in other ways, and empty files, are called what they are", async () => {
  for (
    const start of [
      [0x42, 0x5a, 0x68, 0x39],
      [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0],
      [0x1f, 0x9d],
      [0x50, 0x4b, 3, 4],
    ]
  ) assertEquals(await run(bytes(start, new Uint8Array(60))), [0, "unknown_compression"]);
  assertEquals(await run(bytes()), [0, "empty_file"]);
  assertEquals(await run(gzipSync(bytes())), [0, "empty_file"]);
  assertEquals(await run(capture.subarray(0, 24)), [0, null]);
  assertEquals(await run(gzipSync(capture.subarray(0, 24))), [0, null]);
  assertEquals(packingOf(bytes(0x1f, 0x8b)), "gzip");
  assertEquals(packingOf(bytes(0x28, 0xb5, 0x2f)), "none");
});

Deno.test("LZ4 blocks repeat what stands before them, and never reach outside", () => {
  const unpacked = (packed: number[], room = 32) => {
    const out = new Uint8Array(room);
    const end = readBlock(Uint8Array.from(packed), out, 0);
    return end < 0 ? end : [...out.subarray(0, end)].join("");
  };
  assertEquals(unpacked([0x24, 7, 8, 2, 0, 0x10, 9]), "78787878789");
  assertEquals(unpacked([0x1f, 5, 1, 0, 3, 0x10, 6]), "5".repeat(23) + "6");
  assertEquals(unpacked([0x1f, 5, 1, 0, 3, 0x10, 6], 23), -1);
  assertEquals(unpacked([0x24, 7, 8, 3, 0, 0x10, 9]), -1);
  assertEquals(unpacked([0x24, 7, 8, 0, 0, 0x10, 9]), -1);
  for (const cut of [[0xf0], [0xf0, 255], [0x20, 7], [0x24, 7, 8, 2], [0x2f, 7, 8, 2, 0]]) {
    assertEquals(unpacked(cut), -1);
  }
});
