/** Packets written as pcapng come back as they were. @module */

import { assert, assertEquals } from "@std/assert";
import { CaptureReader } from "../../../sensor/capture/capture_reader.ts";
import { PcapngWriter } from "../../../sensor/dissect/pcapng_writer.ts";
import { prng } from "../ship/helpers.ts";

Deno.test("packets of several link types come back byte for byte, over block borders", () => {
  const random = prng(7);
  const writer = new PcapngWriter();
  const source = Uint8Array.from({ length: 70_000 }, () => Math.floor(random() * 256));
  const sent: { text: string; wire: number; timeUs: number; linkType: number }[] = [];
  const octets: number[] = [];
  const collect = () => {
    for (let block = writer.take(); block; block = writer.take()) {
      for (const octet of block.bytes.subarray(0, block.length)) octets.push(octet);
      writer.release(block);
    }
  };
  for (let i = 0; i < 300; i++) {
    const offset = Math.floor(random() * 1_000);
    const length = Math.floor(random() * 3_000);
    const linkType = [1, 101, 113][i % 3];
    const timeUs = 1_700_000_000_000_000 + i * 1_000_003;
    assert(writer.append(source, offset, length, length + i, timeUs, linkType));
    sent.push({ text: source.subarray(offset, offset + length).join(), wire: length + i, timeUs, linkType });
    if (i % 50 === 0) collect();
  }
  collect();
  assertEquals(writer.bufferedBytes, 0);
  const got: typeof sent = [];
  const reader = new CaptureReader({
    packet(buffer, offset, captured, wire, timeUs, linkType) {
      got.push({ text: buffer.subarray(offset, offset + captured).join(), wire, timeUs, linkType });
    },
  });
  for (let at = 0; at < octets.length;) {
    const space = reader.space();
    const part = octets.slice(at, at + Math.min(space.length, 65_536));
    space.set(part);
    reader.commit(part.length);
    at += part.length;
  }
  assertEquals(reader.end(), null);
  assertEquals(got, sent);
});

Deno.test("a thirty-third link type is refused", () => {
  const writer = new PcapngWriter();
  for (let linkType = 0; linkType < 32; linkType++) {
    assert(writer.append(new Uint8Array(4), 0, 4, 4, 0, linkType));
  }
  assert(!writer.append(new Uint8Array(4), 0, 4, 4, 0, 99));
  assert(writer.append(new Uint8Array(4), 0, 4, 4, 0, 5));
});
