/** Differential check on captures made here: what the decoder sees in each packet, layer by layer, is what tshark sees.
 * @module */

import { assertEquals } from "@std/assert";
import { CaptureReader } from "../../sensor/capture/capture_reader.ts";
import { Decoder } from "../../sensor/decode/decoder.ts";
import type { Packet } from "../../sensor/decode/packet.ts";
import { formatIp } from "../../shared/ip.ts";
import { pcap } from "../sensor/frames.ts";
import { skipLoudly } from "../services/services.ts";
import { ownCaptures } from "./own_captures.ts";
import { runCapture } from "./conversations.ts";

const hasTshark = await new Deno.Command("tshark", { args: ["--version"], stdout: "null", stderr: "null" })
  .output()
  .then(({ success }) => success, () => false);
const { ignore } = hasTshark
  ? { ignore: false }
  : skipLoudly("own captures against tshark", "tshark is not installed");

function address(p: Packet, ...words: number[]): string {
  const octets = words.slice(0, p.family === 6 ? 4 : 1).flatMap((
    w,
  ) => [w >>> 24, w >> 16 & 255, w >> 8 & 255, w & 255]);
  return formatIp(Uint8Array.from(octets));
}

/** One line a packet: addresses of every layer by family, then ports of every layer by protocol. */
function seenByDecoder(capture: Uint8Array): string[] {
  const lines: string[] = [];
  const decoder = new Decoder();
  const reader = new CaptureReader({
    packet(b, offset, captured, wire, _timeUs, linkType) {
      const stopped = decoder.decode(b, offset, captured, wire, linkType);
      const layers = stopped === 0 ? decoder.layers.slice(0, decoder.layerCount) : [];
      const pairs = (family: number) =>
        layers.filter((p) => p.family === family).map((p) => address(p, p.src0, p.src1, p.src2, p.src3)).join(
          ",",
        );
      const lengths = layers.filter((p) => p.family === 4).map((p) => p.ipBytes).join(",");
      const ports = (protocol: number) =>
        layers.filter((p) => p.protocol === protocol).map((p) => `${p.srcPort}`).join(",");
      lines.push([pairs(4), lengths, pairs(6), ports(6), ports(17)].join(" "));
    },
  });
  reader.space().set(capture);
  reader.commit(capture.length);
  assertEquals(reader.end(), null);
  return lines;
}

async function seenByTshark(path: string): Promise<string[]> {
  const fields = ["ip.src", "ip.len", "ipv6.src", "tcp.srcport", "udp.srcport"].flatMap((
    name,
  ) => ["-e", name]);
  // Only the well-known ports are to be dissected: a guess at 5000 or 6000 would add nothing but noise.
  const { stdout } = await new Deno.Command("tshark", {
    args: ["-n", "-r", path, "-T", "fields", "-E", "separator=/s", ...fields],
    stderr: "null",
  }).output();
  return new TextDecoder().decode(stdout).split("\n").slice(0, -1);
}

Deno.test({
  name: "decoder and tshark see the same headers in every wrapping",
  ignore,
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      for (const { name, linkType, packets } of ownCaptures()) {
        const path = `${folder}/${name}.pcap`;
        const capture = pcap(packets, { linkType });
        await Deno.writeFile(path, capture);
        assertEquals(seenByDecoder(capture), await seenByTshark(path), name);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("every packet of the own captures is in a flow, and none is lost in a tunnel", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const { name, linkType, packets } of ownCaptures()) {
      const path = `${folder}/${name}.pcap`;
      await Deno.writeFile(path, pcap(packets, { linkType }));
      const { segments, summary, error } = await runCapture(path);
      assertEquals([error, summary.in_flows, summary.left_out], [null, packets.length, {}], name);
      const counted = new Map<number, number>();
      for (const s of segments) {
        counted.set(s.ip_depth, (counted.get(s.ip_depth) ?? 0) + s.fwd_packets + s.bwd_packets);
      }
      // One of the packets is GRE already, so the depth below the last wrapping holds one.
      const depth = Math.max(...counted.keys());
      assertEquals([counted.get(1), counted.get(depth - 1), counted.get(depth)], [
        packets.length,
        packets.length,
        1,
      ], name);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
