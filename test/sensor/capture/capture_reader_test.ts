/** Capture reader: formats, byte orders, resolutions, cuts and damage. @module */

import { assertEquals, assertThrows } from "@std/assert";
import { CaptureReader } from "../../../sensor/capture/capture_reader.ts";
import { block, bytes, enhancedPacket, fields, interfaceBlock, pcap, sectionHeader } from "../frames.ts";

interface Seen {
  text: string;
  wire: number;
  timeUs: number;
  link: number;
}

/** Feeds `capture` in chunks of `chunkBytes`. */
function read(capture: Uint8Array, chunkBytes = capture.length) {
  const seen: Seen[] = [];
  const reader = new CaptureReader({
    packet(buffer, offset, captured, wire, timeUs, link) {
      seen.push({ text: String(buffer.subarray(offset, offset + captured)), wire, timeUs, link });
    },
  });
  for (let at = 0; at < capture.length; at += chunkBytes) {
    const part = capture.subarray(at, at + chunkBytes);
    reader.space().set(part);
    reader.commit(part.length);
  }
  return { seen, error: reader.end(), drops: reader.drops };
}

const two = [
  { timeUs: 1_700_000_000_123_456, frame: bytes(1, 2, 3) },
  { timeUs: 1_700_000_001_000_007, frame: bytes(4, 5), wireLength: 90 },
];
const expected = [
  { text: "1,2,3", wire: 3, timeUs: 1_700_000_000_123_456, link: 1 },
  { text: "4,5", wire: 90, timeUs: 1_700_000_001_000_007, link: 1 },
];

Deno.test("reader reads pcap of both byte orders and resolutions", () => {
  for (const bigEndian of [false, true]) {
    for (const nano of [false, true]) {
      assertEquals(read(pcap(two, { bigEndian, nano })), { seen: expected, error: null, drops: 0 });
    }
  }
});

Deno.test("reader gives the same packets however the bytes are cut", () => {
  const classic = pcap(two);
  const blocks = bytes(
    sectionHeader(),
    block(0x0bad, new Uint8Array(40)),
    interfaceBlock(1),
    enhancedPacket(0, 1_700_000_000_123_456n, bytes(1, 2, 3)),
    enhancedPacket(0, 1_700_000_001_000_007n, bytes(4, 5), false, 90),
  );
  for (const capture of [classic, blocks]) {
    for (let chunkBytes = 1; chunkBytes < 40; chunkBytes++) {
      assertEquals(read(capture, chunkBytes).seen, expected, `chunks of ${chunkBytes}`);
    }
  }
});

Deno.test("reader reads several interfaces, each with its link type and clock, in both byte orders", () => {
  for (const big of [false, true]) {
    const capture = bytes(
      sectionHeader(big),
      interfaceBlock(1, { bigEndian: big }),
      interfaceBlock(101, { resolution: 9, bigEndian: big }),
      interfaceBlock(113, { resolution: 0x80 | 10, offsetSeconds: 100, bigEndian: big }),
      interfaceBlock(276, { resolution: 3, bigEndian: big }),
      enhancedPacket(1, 1_767_663_089_500_330_999n, bytes(1), big),
      enhancedPacket(2, 1536n, bytes(2), big),
      enhancedPacket(3, 5_250n, bytes(3), big),
      enhancedPacket(0, 9n, bytes(4), big),
    );
    const { seen, error } = read(capture, 50);
    assertEquals(error, null);
    assertEquals(seen.map(({ timeUs, link }) => [timeUs, link]), [
      [1_767_663_089_500_330, 101],
      [101_500_000, 113],
      [5_250_000, 276],
      [9, 1],
    ]);
  }
});

Deno.test("reader forgets interfaces at a new section, and takes its byte order", () => {
  const capture = bytes(
    sectionHeader(false),
    interfaceBlock(1),
    enhancedPacket(0, 5n, bytes(1)),
    sectionHeader(true),
    interfaceBlock(101, { bigEndian: true }),
    enhancedPacket(0, 6n, bytes(2), true),
  );
  assertEquals(read(capture).seen.map(({ timeUs, link }) => [timeUs, link]), [[5, 1], [6, 101]]);
  const orphan = bytes(capture, sectionHeader(false), enhancedPacket(0, 7n, bytes(3)));
  assertEquals(read(orphan).error, "bad_block");
  assertEquals(read(orphan).seen.length, 2);
});

Deno.test("reader reads simple and obsolete packet blocks", () => {
  const simple = block(3, bytes(fields(false, [4, 60]), new Uint8Array(8).fill(9)));
  const old = block(
    2,
    bytes(fields(false, [2, 0], [2, 65_535], [4, 0], [4, 77], [4, 2], [4, 2]), bytes(8, 8)),
  );
  const { seen, error } = read(bytes(sectionHeader(), interfaceBlock(1, { snapLength: 4 }), old, simple));
  assertEquals(error, null);
  assertEquals(seen.map(({ text, wire, timeUs }) => [text, wire, timeUs]), [["8,8", 2, 77], [
    "9,9,9,9",
    60,
    NaN,
  ]]);
});

Deno.test("reader rounds up a block length that is no multiple of four", () => {
  for (const big of [false, true]) {
    for (const missing of [1, 2, 3]) {
      /** Says fewer octets than the block has, in front and behind. */
      const short = (whole: Uint8Array) => {
        const view = new DataView(whole.buffer, whole.byteOffset, whole.length);
        view.setUint32(4, whole.length - missing, !big);
        view.setUint32(whole.length - 4, whole.length - missing, !big);
        return whole;
      };
      const frame = new Uint8Array(8 - missing).fill(7);
      const capture = bytes(
        sectionHeader(big),
        short(block(0x0bad, new Uint8Array(8), big)),
        interfaceBlock(1, { bigEndian: big }),
        short(enhancedPacket(0, 5n, frame, big)),
        short(enhancedPacket(0, 6n, frame, big)),
      );
      for (const chunkBytes of [capture.length, 5]) {
        const { seen, error } = read(capture, chunkBytes);
        assertEquals([error, seen.map(({ text, timeUs }) => [text, timeUs])], [
          null,
          [[String(frame), 5], [String(frame), 6]],
        ]);
      }
      const odd = capture.slice();
      odd[odd.length - (big ? 1 : 4)] ^= 1;
      assertEquals([read(odd).error, read(odd).seen.length], ["bad_block", 1]);
    }
  }
});

Deno.test("reader reports drops of interface statistics, the last block of each interface", () => {
  const statistics = (index: number, drops: number) =>
    block(5, fields(false, [4, index], [4, 0], [4, 0], [2, 5], [2, 8], [8, drops], [2, 0], [2, 0]));
  const capture = bytes(
    sectionHeader(),
    interfaceBlock(1),
    interfaceBlock(1),
    statistics(0, 3),
    statistics(1, 10),
    statistics(0, 5),
  );
  assertEquals(read(capture).drops, 15);
});

Deno.test("reader steps over a block far longer than its buffer", () => {
  const long = block(0x0bad, new Uint8Array(3_000_000));
  const capture = bytes(sectionHeader(), interfaceBlock(1), long, enhancedPacket(0, 5n, bytes(1)));
  assertEquals(read(capture, 100_000).seen.length, 1);
  assertEquals(read(capture.subarray(0, 1_000_000), 100_000).error, "cut_capture");
});

Deno.test("reader says what is wrong, and keeps what came before", () => {
  const whole = pcap(two);
  assertEquals(read(bytes()).error, "empty_file");
  assertEquals(
    read(new TextEncoder().encode("this is no capture, but it is long enough")).error,
    "not_a_capture",
  );
  assertEquals(read(whole.subarray(0, 10)).error, "cut_capture");
  for (let length = 24; length < whole.length; length++) {
    const { seen, error } = read(whole.subarray(0, length));
    const isBetween = length === 24 || length === 24 + 16 + 3;
    assertEquals(error, isBetween ? null : "cut_capture", `${length} octets`);
    assertEquals(seen.length, length >= 24 + 16 + 3 ? 1 : 0);
  }
  const insane = whole.slice();
  new DataView(insane.buffer).setUint32(24 + 16 + 3 + 8, 4_000_000, true);
  assertEquals([read(insane).seen.length, read(insane).error], [1, "bad_record"]);
  const torn = bytes(
    sectionHeader(),
    interfaceBlock(1),
    enhancedPacket(0, 5n, bytes(1)),
    bytes(6, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0),
  );
  assertEquals([read(torn).seen.length, read(torn).error], [1, "bad_block"]);
});

Deno.test("reader refuses a buffer that could not hold the longest packet", () => {
  assertThrows(() => new CaptureReader({ packet() {} }, { bufferBytes: 1000 }), RangeError, "bufferBytes");
});

Deno.test("reader survives captures with flipped bits, and never hands on more than it has", () => {
  const capture = bytes(
    sectionHeader(),
    interfaceBlock(1, { resolution: 9 }),
    ...Array.from({ length: 8 }, (_, i) => enhancedPacket(0, BigInt(i), new Uint8Array(60).fill(i))),
  );
  for (const original of [capture, pcap(Array.from({ length: 8 }, () => two[0]))]) {
    for (let bit = 0; bit < original.length * 8; bit++) {
      const mutant = original.slice();
      mutant[bit >> 3] ^= 1 << (bit & 7);
      const { seen } = read(mutant, 97);
      assertEquals(seen.length <= 12, true, `bit ${bit}`);
    }
  }
});
