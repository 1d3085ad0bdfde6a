/** Packets of one flow out of the ring, as a file that tshark opens. @module */

import { assertEquals, assertRejects } from "@std/assert";
import { communityId } from "../../../shared/community_id.ts";
import { PacketRing } from "../../../sensor/ring/packet_ring.ts";
import { findPackets } from "../../../sensor/ring/search.ts";
import { bytes, ethernet, icmp, ipv4, ipv6, syn, tcp, u16, vlan } from "../frames.ts";

const baseUs = 1_700_000_000_000_000;
const udp = (from: number, to: number, payload: number[]) =>
  bytes(u16(from), u16(to), u16(8 + payload.length), [0, 0], payload);
const frameOf = (src: string, from: number, dst: string, to: number, payload: number) =>
  ethernet(0x0800, ipv4(17, udp(from, to, new Array(payload).fill(0x41)), { src, dst }));

function ringOf(...frames: Uint8Array[]): PacketRing {
  const ring = new PacketRing({ bytesMax: 1024 * 1024 });
  frames.forEach((frame, i) => ring.add(frame, 0, frame.length, frame.length, baseUs + i * 1_000, 1, 42));
  return ring;
}

const id = communityId({
  protocol: "udp",
  src_ip: "192.0.2.1",
  dst_ip: "198.51.100.2",
  src_port: 4_000,
  dst_port: 53,
});
const flow = { communityId: id, fromUs: 0, toUs: Infinity };
const query = { flows: [flow], bytesMax: 1_000_000 };
const turn = () => Promise.resolve();

Deno.test("both directions of a flow are found, and nothing else", async () => {
  const ring = ringOf(
    frameOf("192.0.2.1", 4_000, "198.51.100.2", 53, 20),
    frameOf("192.0.2.1", 4_001, "198.51.100.2", 53, 20),
    frameOf("198.51.100.2", 53, "192.0.2.1", 4_000, 300),
    frameOf("192.0.2.9", 4_000, "198.51.100.2", 53, 20),
  );
  const found = await findPackets(ring, query, turn);
  assertEquals([found.packets, found.left_out], [2, 0]);
  assertEquals(await linesOf(found.file), [
    "1700000000.000000000\t62\t62\t192.0.2.1",
    "1700000000.002000000\t106\t342\t198.51.100.2",
  ]);
  assertEquals(
    (await findPackets(ring, { ...query, flows: [{ ...flow, fromUs: baseUs + 1_500 }] }, turn)).packets,
    1,
  );
});

Deno.test("a flow inside a tunnel is found by its own name, and by that of the tunnel", async () => {
  const inner = ipv4(17, udp(4_000, 53, [1, 2]), { src: "192.0.2.1", dst: "198.51.100.2" });
  const ring = ringOf(ethernet(0x0800, ipv4(4, inner, { src: "203.0.113.1", dst: "203.0.113.2" })));
  assertEquals((await findPackets(ring, query, turn)).packets, 1);
  const tunnel = communityId({
    protocol: "ipip",
    src_ip: "203.0.113.1",
    dst_ip: "203.0.113.2",
    src_port: 0,
    dst_port: 0,
  });
  assertEquals(
    (await findPackets(ring, { ...query, flows: [{ ...flow, communityId: tunnel }] }, turn)).packets,
    1,
  );
});

Deno.test("flows of other kinds are found by the Community ID their segments carry: ICMP, IPv6 in a VLAN, TCP", async () => {
  const [a, b] = ["192.0.2.1", "198.51.100.2"], [six, other] = ["2001:db8::1", "2001:db8::2"];
  const ring = ringOf(
    ethernet(0x0800, ipv4(1, icmp(8), { src: a, dst: b })),
    ethernet(0x0800, ipv4(1, icmp(0), { src: b, dst: a })),
    ethernet(0x0800, ipv4(1, icmp(3, 3), { src: b, dst: a })),
    ethernet(
      0x8100,
      vlan(7, 0x86dd, ipv6(6, tcp({ src: 9, dst: 80, flags: syn }), { src: six, dst: other })),
    ),
    ethernet(0x8100, vlan(7, 0x86dd, ipv6(6, tcp({ src: 80, dst: 9 }), { src: other, dst: six }))),
    ethernet(0x0800, ipv4(6, tcp({ src: 9, dst: 80 }), { src: a, dst: b })),
  );
  const found = async (
    protocol: string,
    src_ip: string,
    dst_ip: string,
    src_port: number,
    dst_port: number,
  ) => {
    const searched = { ...flow, communityId: communityId({ protocol, src_ip, dst_ip, src_port, dst_port }) };
    return (await findPackets(ring, { ...query, flows: [searched] }, turn)).packets;
  };
  assertEquals(await found("icmp", a, b, 8, 0), 2);
  assertEquals(await found("icmp", b, a, 3, 3), 1);
  assertEquals(await found("tcp", other, six, 80, 9), 2);
  assertEquals(await found("tcp", a, b, 9, 80), 1);
  assertEquals(await found("udp", a, b, 9, 80), 0);
});

Deno.test("a file never grows beyond what was asked for; the rest is counted", async () => {
  const ring = ringOf(
    ...Array.from({ length: 50 }, () => frameOf("192.0.2.1", 4_000, "198.51.100.2", 53, 20)),
  );
  const found = await findPackets(ring, { ...query, bytesMax: 2_000 }, turn);
  assertEquals(found.file.length <= 2_000, true);
  assertEquals(found.packets + found.left_out, 50);
  assertEquals((await linesOf(found.file)).length, found.packets);
});

Deno.test("several flows are found at once, each within its own time", async () => {
  const ring = ringOf(
    frameOf("192.0.2.1", 4_000, "198.51.100.2", 53, 20),
    frameOf("192.0.2.1", 4_001, "198.51.100.2", 53, 20),
    frameOf("192.0.2.1", 4_000, "198.51.100.2", 53, 20),
    frameOf("192.0.2.1", 4_001, "198.51.100.2", 53, 20),
  );
  const ends = {
    protocol: "udp",
    src_ip: "192.0.2.1",
    dst_ip: "198.51.100.2",
    src_port: 4_001,
    dst_port: 53,
  };
  const other = { communityId: communityId(ends), fromUs: baseUs + 2_000, toUs: baseUs + 3_000 };
  const flows = [{ ...flow, toUs: baseUs + 1_000 }, other];
  const found = await findPackets(ring, { ...query, flows }, turn);
  assertEquals((await linesOf(found.file)).map((line) => line.slice(0, 17)), [
    "1700000000.000000",
    "1700000000.003000",
  ]);
});

Deno.test("a search that is told to end does so after the portion under way", async () => {
  const frame = frameOf("192.0.2.1", 4_000, "198.51.100.2", 53, 0);
  const ring = new PacketRing({ bytesMax: 4 * 1024 * 1024 });
  for (let i = 0; i < 25_000; i++) ring.add(frame, 0, frame.length, frame.length, baseUs + i, 1, 42);
  const found = await findPackets(ring, { ...query, bytesMax: 4_000_000 }, () => Promise.resolve(false));
  assertEquals(found.packets, 10_000);
});

Deno.test("what is no Community ID is refused by name", async () => {
  await assertRejects(
    () => findPackets(ringOf(), { ...query, flows: [{ ...flow, communityId: "1:../../etc" }] }, turn),
    RangeError,
    '"communityId" must be',
  );
});

/** Stamp, captured and wire length, source of each packet, by tshark. */
async function linesOf(file: Uint8Array): Promise<string[]> {
  const path = await Deno.makeTempFile({ suffix: ".pcapng" });
  try {
    await Deno.writeFile(path, file);
    const fields = ["frame.time_epoch", "frame.cap_len", "frame.len", "ip.src"];
    const { stdout } = await new Deno.Command("tshark", {
      args: ["-n", "-r", path, "-T", "fields", ...fields.flatMap((field) => ["-e", field])],
      stderr: "null",
    }).output();
    return new TextDecoder().decode(stdout).split("\n").filter(Boolean);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("a limit that a file's own header does not fit into gives an empty file, never one without its header", async () => {
  const ring = new PacketRing({ bytesMax: 1024 * 1024 });
  const packet = ipv4(17, udp(4_000, 53, []), { src: "192.0.2.1", dst: "198.51.100.2" });
  ring.add(packet, 0, packet.length, packet.length, baseUs, 101, 28);
  const sizes = new Set<number>();
  for (let bytesMax = 1; bytesMax <= 200; bytesMax++) {
    const { file, packets, left_out } = await findPackets(ring, { ...query, bytesMax }, turn);
    sizes.add(file.length);
    assertEquals(packets + left_out, 1);
    assertEquals([...file.subarray(0, 4)], file.length === 0 ? [] : [0x0a, 0x0d, 0x0d, 0x0a]);
  }
  assertEquals([...sizes], [0, 84, 164]);
});
