/** Uploaded captures: what a sensor writes is read, anything else has a word,
 * and a download of several is one file that tshark reads. @module */

import { assert, assertEquals } from "@std/assert";
import {
  type CapturedPacket,
  captureFaults,
  readCapture,
  writeCapture,
} from "../../../aggregator/evidence/pcapng.ts";
import { communityId } from "../../../shared/community_id.ts";
import { PacketRing } from "../../../sensor/ring/packet_ring.ts";
import { findPackets } from "../../../sensor/ring/search.ts";
import { bytes, ethernet, ipv4, u16 } from "../../sensor/frames.ts";
import { uploadOf } from "./files.ts";

const baseUs = 1_700_000_000_000_000;
const good = uploadOf({ times: [baseUs, baseUs + 1] });

function partOf(file: Uint8Array) {
  return { file, packets: readCapture(file) as CapturedPacket[] };
}

Deno.test("what a sensor's search writes is what is read here", async () => {
  const udp = bytes(u16(4_000), u16(53), u16(28), [0, 0], new Array(20).fill(0x41));
  const frame = ethernet(0x0800, ipv4(17, udp, { src: "192.0.2.1", dst: "198.51.100.2" }));
  const ring = new PacketRing({ bytesMax: 1024 * 1024, payload: "full" });
  for (let i = 0; i < 3; i++) ring.add(frame, 0, frame.length, frame.length + 9, baseUs + i, 1, 42);
  const ends = {
    protocol: "udp",
    src_ip: "192.0.2.1",
    dst_ip: "198.51.100.2",
    src_port: 4_000,
    dst_port: 53,
  };
  const flow = { communityId: communityId(ends), fromUs: 0, toUs: Infinity };
  const { file } = await findPackets(ring, { flows: [flow], bytesMax: 10_000 }, () => Promise.resolve());
  const read = readCapture(file) as CapturedPacket[];
  assertEquals(
    read.map(({ timeUs, wireLength, linkType, at, length }) => [
      timeUs - baseUs,
      wireLength,
      linkType,
      file.slice(at, at + length),
    ]),
    [0, 1, 2].map((i) => [i, frame.length + 9, 1, frame]),
  );
});

Deno.test("a damaged capture is refused by a word, whatever octet is wrong, and never throws", () => {
  assertEquals((readCapture(good) as CapturedPacket[]).length, 2);
  const faults = new Map<string, number>();
  for (let at = 0; at < good.length; at++) {
    for (const value of [0, 1, 0x7f, 0xff]) {
      const file = good.slice();
      file[at] = value;
      const read = readCapture(file);
      if (typeof read === "string") faults.set(read, (faults.get(read) ?? 0) + 1);
      else assert(read.length <= 2);
    }
  }
  for (let length = 0; length < good.length; length++) {
    const read = readCapture(good.slice(0, length));
    // A file may end after any whole block.
    if (typeof read === "string") faults.set(read, (faults.get(read) ?? 0) + 1);
    else assert(read.length < 2);
  }
  assertEquals([...faults.keys()].sort(), [...captureFaults].sort());
});

Deno.test("a capture of another form is refused: big-endian, options of interfaces, blocks we do not write, odd lengths", () => {
  const change = (change: (view: DataView) => void) => {
    const file = good.slice();
    change(new DataView(file.buffer));
    return readCapture(file);
  };
  const section = new DataView(good.buffer).getUint32(4, true);
  const packet = section + 20;
  assertEquals(change((view) => view.setUint32(8, 0x1a2b3c4d, false)), "not_pcapng");
  assertEquals(change((view) => view.setUint32(section, 5, true)), "bad_block");
  assertEquals(change((view) => view.setUint32(section, 0x0a0d0d0a, true)), "bad_block");
  assertEquals(change((view) => view.setUint32(packet + 8, 1, true)), "bad_interface");
  assertEquals(change((view) => view.setUint32(packet + 20, 61, true)), "bad_packet");
  assertEquals(change((view) => view.setUint32(packet + 24, 59, true)), "bad_packet");
  assertEquals(
    readCapture(
      writeCapture("x", [{ name: "n", comment: "c", ...partOf(good) }]),
    ),
    "bad_interface",
  );
  assertEquals(readCapture(new TextEncoder().encode("<html>".repeat(20))), "not_pcapng");
});

Deno.test("packets of several sensors become one file, in the order of their stamps, each under its sensor's name", async () => {
  const part = (times: number[], linkType = 1) => partOf(uploadOf({ times, linkType }));
  const file = writeCapture("Packets of threat 00112233445566aa", [
    { name: "roof", comment: "Sensor roof, site lab", ...part([baseUs, baseUs + 20]) },
    { name: "cellar", comment: "Sensor cellar, site lab", ...part([baseUs + 10, baseUs + 30]) },
    { name: "roof", comment: "Sensor roof, site lab", ...part([baseUs + 40], 101) },
  ]);
  const path = await Deno.makeTempFile({ suffix: ".pcapng" });
  try {
    await Deno.writeFile(path, file);
    const fields = [
      "frame.time_epoch",
      "frame.interface_name",
      "frame.len",
      "frame.cap_len",
      "frame.encap_type",
    ];
    const { stdout } = await new Deno.Command("tshark", {
      args: ["-r", path, "-T", "fields", ...fields.flatMap((field) => ["-e", field])],
      stderr: "null",
    }).output();
    assertEquals(new TextDecoder().decode(stdout).trim().split("\n"), [
      "1700000000.000000000\troof\t100\t60\t1",
      "1700000000.000010000\tcellar\t100\t60\t1",
      "1700000000.000020000\troof\t100\t60\t1",
      "1700000000.000030000\tcellar\t100\t60\t1",
      "1700000000.000040000\troof\t100\t60\t7",
    ]);
    const info = await new Deno.Command("capinfos", { args: [path], stderr: "null" }).output();
    const text = new TextDecoder().decode(info.stdout);
    assert(text.includes("Packets of threat 00112233445566aa"), text);
    assert(text.includes("Name = cellar") && text.includes("Comment = Sensor roof, site lab"), text);
  } finally {
    await Deno.remove(path);
  }
});
