/** Packets written as pcap come back as they were. @module */

import { assertEquals } from "@std/assert";
import { CaptureReader } from "../../../../sensor/capture/capture_reader.ts";
import { PcapWriter } from "../../../../sensor/dissect/child/pcap_writer.ts";
import { prng } from "../../ship/helpers.ts";

Deno.test("packets come back byte for byte, over block borders", () => {
  const random = prng(7);
  const writer = new PcapWriter();
  const source = Uint8Array.from({ length: 70_000 }, () => Math.floor(random() * 256));
  const sent: { text: string; wire: number; timeUs: number }[] = [];
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
    const timeUs = 1_700_000_000_000_000 + i * 1_000_003;
    writer.append(source, offset, length, length + i, timeUs);
    sent.push({ text: source.subarray(offset, offset + length).join(), wire: length + i, timeUs });
    if (i % 50 === 0) collect();
  }
  collect();
  assertEquals(writer.bufferedBytes, 0);
  const got: typeof sent = [];
  const reader = new CaptureReader({
    packet(buffer, offset, captured, wire, timeUs, linkType) {
      assertEquals(linkType, 101);
      got.push({ text: buffer.subarray(offset, offset + captured).join(), wire, timeUs });
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

Deno.test("a giant is cut, and a stamp that does not fit is the nearest that does", () => {
  const writer = new PcapWriter();
  writer.append(new Uint8Array(70_000), 0, 70_000, 80_000, -5);
  writer.append(new Uint8Array(4), 0, 4, 4, 1e18);
  const octets = new Uint8Array(writer.bufferedBytes);
  for (let at = 0, block = writer.take(); block; at += block.length, block = writer.take()) {
    octets.set(block.bytes.subarray(0, block.length), at);
  }
  const got: number[][] = [];
  const reader = new CaptureReader({
    packet: (_buffer, _offset, captured, wire, timeUs) => void got.push([captured, wire, timeUs]),
  });
  reader.space().set(octets);
  reader.commit(octets.length);
  assertEquals(reader.end(), null);
  assertEquals(got, [[65_535, 80_000, 0], [4, 4, 0xffffffff * 1e6]]);
});
