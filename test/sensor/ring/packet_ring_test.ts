/** The ring of recent packets, against a plain list that forgets from its front. @module */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { PacketRing } from "../../../sensor/ring/packet_ring.ts";
import { prng } from "../ship/helpers.ts";

/** Stamps and first octets of all packets held. */
function contents(ring: PacketRing): string[] {
  const found: string[] = [];
  const walk = ring.walk(-Infinity, Infinity, 1_000, ({ timeUs, bytes, wireLength }) => {
    found.push(`${timeUs}: ${bytes.length} of ${wireLength}, ${bytes[0]}..${bytes[bytes.length - 1]}`);
    return true;
  });
  for (const _ of walk);
  return found;
}

Deno.test("the ring holds the newest packets, whole and in their order, whatever their sizes", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = prng(seed);
    const ring = new PacketRing({ bytesMax: 1024 * 1024, payload: "full", snapBytes: 65_535 });
    const model: string[] = [];
    for (let i = 0; i < 3_000; i++) {
      const length = random() < 0.05 ? 9_000 + Math.floor(random() * 50_000) : 1 + Math.floor(random() * 600);
      const frame = new Uint8Array(length + 10).fill(i & 255);
      ring.add(frame, 10, length, length + 3, i, 1, 0);
      model.push(`${i}: ${length} of ${length + 3}, ${i & 255}..${i & 255}`);
      if (i % 97 !== 0) continue;
      const held = contents(ring);
      assertEquals(held, model.slice(model.length - held.length), `seed ${seed}, packet ${i}`);
      assertEquals([ring.count, ring.added, ring.overwritten], [held.length, i + 1, i + 1 - held.length]);
    }
    // Packets of up to 59 kB may leave that much unused in each page of 128 KiB.
    const bytes = contents(ring).reduce((sum, line) => sum + Number(/: (\d+)/.exec(line)![1]) + 16, 0);
    assert(bytes > 500_000, `seed ${seed}: only ${bytes} octets are in use`);
  }
});

Deno.test("small packets fill the ring but for the page that is being overwritten; none is lost uncounted", () => {
  const ring = new PacketRing({ bytesMax: 1024 * 1024, payload: "full" });
  const frame = new Uint8Array(120).fill(9);
  for (let i = 0; i < 50_000; i++) {
    ring.add(frame, 0, 112, 112, i, 1, 0);
    assertEquals(ring.added, ring.count + ring.overwritten);
    // 1,024 records of 128 octets are a page; seven pages are whole at any time.
    if (i >= 8_192) assert(ring.count > 7_168 && ring.count <= 8_192, `${ring.count} after ${i}`);
    assertEquals(ring.oldestUs, i + 1 - ring.count);
  }
  assertEquals(ring.overwritten, 41 * 1_024);
});

Deno.test("a packet at the very end of a reader's buffer is kept whole, and so is one of the next buffer", () => {
  const ring = new PacketRing({ bytesMax: 1024 * 1024, payload: "full" });
  const buffers = [1, 2].map((value) => new Uint8Array(61).fill(value));
  for (const buffer of [buffers[0], buffers[1], buffers[0]]) ring.add(buffer, 4, 57, 57, 1, 1, 0);
  assertEquals(contents(ring), ["1: 57 of 57, 1..1", "1: 57 of 57, 2..2", "1: 57 of 57, 1..1"]);
});

Deno.test("the payload policy says what is kept: headers, headers and 64 octets, everything", () => {
  const frame = new Uint8Array(1_500).fill(7);
  const lengthBy = (payload: "headers" | "start" | "full", payloadAt: number) => {
    const ring = new PacketRing({ bytesMax: 1024 * 1024, payload });
    ring.add(frame, 100, 1_400, 1_400, 1, 1, payloadAt);
    let length = -1;
    for (const _ of ring.walk(0, 2, 10, ({ bytes }) => (length = bytes.length, true)));
    return length;
  };
  assertEquals(lengthBy("headers", 154), 54);
  assertEquals(lengthBy("start", 154), 118);
  assertEquals(lengthBy("full", 154), 1_400);
  assertEquals(lengthBy("start", 1_490), 1_400);
  assertEquals(lengthBy("headers", 0), 1_400);
  const ring = new PacketRing({ bytesMax: 1024 * 1024, payload: "full" });
  const lengths: number[] = [];
  for (const [at, payload] of (["headers", "start", "full"] as const).entries()) {
    ring.keep(payload);
    ring.add(frame, 100, 1_400, 1_400, at + 1, 1, 154);
  }
  for (const _ of ring.walk(0, 9, 10, ({ bytes }) => lengths.push(bytes.length) > 0));
  assertEquals([lengths, ring.payload], [[54, 118, 1_400], "full"], "changed while it holds packets");
});

Deno.test("a walk looks at one span, ends when told, and survives packets that come meanwhile", () => {
  const ring = new PacketRing({ bytesMax: 1024 * 1024, payload: "full" });
  const frame = new Uint8Array(1_000);
  for (let i = 0; i < 500; i++) ring.add(frame, 0, 1_000, 1_000, i, 1, 0);
  const seen: number[] = [];
  for (const _ of ring.walk(100, 199, 10, ({ timeUs }) => seen.push(timeUs) < 50));
  assertEquals([seen[0], seen.at(-1), seen.length], [100, 149, 50]);
  const late: number[] = [];
  for (const _ of ring.walk(0, Infinity, 100, ({ timeUs }) => late.push(timeUs) > 0)) {
    for (let i = 0; i < 200; i++) ring.add(frame, 0, 1_000, 1_000, 1_000 + i, 1, 0);
  }
  assertEquals(late, [...late].sort((a, b) => a - b));
  assertEquals(new Set(late).size, late.length);
  assert(late.every((timeUs) => timeUs < 500), "packets that came after the walk began are not of it");
});

Deno.test("a walk that is overtaken by new packets leaves out what was overwritten, and reads none of the new ones", () => {
  const ring = new PacketRing({ bytesMax: 1024 * 1024, payload: "full" });
  const frame = new Uint8Array(1_000);
  const add = (count: number) => {
    for (let i = 0; i < count; i++) ring.add(frame, 0, 1_000, 1_000, ring.added, 1, 0);
  };
  add(1_000);
  const seen: number[] = [];
  const walk = ring.walk(0, Infinity, 50, ({ timeUs, bytes }) => {
    assertEquals(bytes.length, 1_000);
    return seen.push(timeUs) > 0;
  });
  for (const _ of walk) add(130);
  assertEquals(seen, [...new Set(seen)].sort((a, b) => a - b));
  assert(seen.length < 1_000 && seen.at(-1)! < 1_000, `${seen.length} packets, the last ${seen.at(-1)}`);
});

Deno.test("sizes out of range are refused by name", () => {
  assertThrows(() => new PacketRing({ bytesMax: 1_000 }), RangeError, '"bytesMax" must be');
  assertThrows(() => new PacketRing({ snapBytes: 10 }), RangeError, '"snapBytes" must be');
});
