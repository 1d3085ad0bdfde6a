/** Decoder: every link type, tag, extension and tunnel, and whatever else the wire brings. @module */

import { assert, assertEquals } from "@std/assert";
import { Decoder, layersMax } from "../../../sensor/decode/decoder.ts";
import { tunnelNames } from "../../../sensor/decode/packet.ts";
import { innerFaults, leftOutReasons } from "../../../sensor/decode/reasons.ts";
import { formatIp } from "../../../shared/ip.ts";
import {
  arp,
  bytes,
  ethernet,
  icmp,
  ipv4,
  ipv6,
  macA,
  macB,
  psh,
  tcp,
  u16,
  u32,
  udp,
  vlan,
} from "../frames.ts";

const decoder = new Decoder();

/** Decodes `frame` out of the middle of a buffer, and says in short what came out. */
function decode(frame: Uint8Array, linkType = 1, wireLength = frame.length): string {
  const buffer = new Uint8Array(frame.length + 64).fill(0xee);
  buffer.set(frame, 32);
  const stopped = decoder.decode(buffer, 32, frame.length, wireLength, linkType);
  if (stopped !== 0) return leftOutReasons[stopped];
  const layers = decoder.layers.slice(0, decoder.layerCount).map((p) => {
    const words = (v: number[]) => formatIp(bytes(...v.slice(0, p.family === 6 ? 4 : 1).map(u32)));
    const src = words([p.src0, p.src1, p.src2, p.src3]), dst = words([p.dst0, p.dst1, p.dst2, p.dst3]);
    const tags = p.vlan ? ` vlan ${p.vlan}${p.vlanInner ? `.${p.vlanInner}` : ""}` : "";
    const tunnel = p.tunnel ? `${tunnelNames[p.tunnel]} ` : "";
    return `${tunnel}${p.protocol} ${src}:${p.srcPort} ${dst}:${p.dstPort} ${p.ipBytes}/${p.payloadLength}${tags}`;
  });
  return layers.join(" | ") + (decoder.innerFault ? ` ! ${innerFaults[decoder.innerFault]}` : "");
}

const segment = ipv4(6, tcp({ payload: new Uint8Array(10) }));
const plain = "6 10.0.0.1:40000 10.0.0.2:80 50/10";
const datagram6 = ipv6(17, udp(5000, 53, new Uint8Array(4)));
const plain6 = "17 2001:db8::1:5000 2001:db8::2:53 52/4";
const mpls = (...labels: number[]) =>
  bytes(...labels.map((label, i) => u32(label << 12 | (i === labels.length - 1 ? 0x100 : 0) | 64)));
const pppoe = (protocol: number[], payload: Uint8Array) =>
  bytes(0x11, 0, u16(1), u16(protocol.length + payload.length), protocol, payload);

Deno.test("decoder reads IPv4 and IPv6 in Ethernet, padding not counted", () => {
  assertEquals(decode(ethernet(0x0800, segment)), plain);
  assertEquals(decode(bytes(ethernet(0x0800, segment), new Uint8Array(6))), plain);
  assertEquals(decode(ethernet(0x86dd, datagram6)), plain6);
  const first = decoder.layers[0];
  assertEquals([first.srcMacOffset, first.dstMacOffset], [38, 32]);
});

Deno.test("decoder reads VLAN tags, MPLS labels and PPPoE, alone and together", () => {
  assertEquals(decode(ethernet(0x8100, vlan(7, 0x0800, segment))), plain + " vlan 7");
  assertEquals(decode(ethernet(0x88a8, vlan(100, 0x8100, vlan(7, 0x0800, segment)))), plain + " vlan 100.7");
  assertEquals(decode(ethernet(0x8847, bytes(mpls(16, 17, 18), segment))), plain);
  assertEquals(decode(ethernet(0x8847, bytes(mpls(16), datagram6))), plain6);
  assertEquals(decode(ethernet(0x8847, bytes(mpls(16), [0, 0, 0, 0], ethernet(0x0800, segment)))), plain);
  const oui0 = ethernet(0x0800, segment, macA, [0, 1, 2, 3, 4, 5]);
  assertEquals(decode(ethernet(0x8847, bytes(mpls(16), oui0))), plain);
  assertEquals(
    decode(ethernet(0x8847, bytes(mpls(16), u32(0), ethernet(0x8100, vlan(9, 0x0800, segment))))),
    plain + " vlan 9",
  );
  assertEquals(decode(ethernet(0x8864, pppoe([0x00, 0x21], segment))), plain);
  assertEquals(decode(ethernet(0x8864, pppoe([0x21], segment))), plain);
  assertEquals(decode(ethernet(0x8100, vlan(5, 0x8864, pppoe([0x00, 0x57], datagram6)))), plain6 + " vlan 5");
  assertEquals(decode(ethernet(0x8864, pppoe([0xc0, 0x21], segment))), "ppp_control");
  let tower = segment;
  for (let i = 0; i < 20; i++) tower = vlan(i, i === 0 ? 0x0800 : 0x8100, tower);
  assertEquals(decode(ethernet(0x8100, tower)), "tags_too_many");
});

Deno.test("decoder reads 802.3 frames, and names those without an IP header by class", () => {
  const llc = (...parts: (number | number[] | Uint8Array)[]) =>
    ethernet(60, bytes(...parts, new Uint8Array(40)));
  assertEquals(decode(llc([0xaa, 0xaa, 3, 0, 0, 0, 0x08, 0x00], segment)), plain);
  assertEquals(decode(llc([0x06, 0x06, 3], segment)), plain);
  assertEquals(decode(llc([0x42, 0x42, 3])), "stp");
  assertEquals(decode(llc([0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0x00])), "cdp");
  assertEquals(decode(llc([0xaa, 0xaa, 3, 0, 0, 0x0c, 0x01, 0x0b])), "stp");
  assertEquals(decode(llc([0xf0, 0xf0, 3])), "other_ethertype");
  assertEquals(decode(ethernet(0x88cc, new Uint8Array(40))), "lldp");
  assertEquals(decode(ethernet(0x9999, new Uint8Array(40))), "other_ethertype");
});

Deno.test("decoder reads every link type it names", () => {
  const cooked = bytes(u16(0), u16(1), u16(6), macA, u16(0), u16(0x0800), segment);
  const cooked2 = bytes(u16(0x0800), u16(0), u32(3), u16(1), 0, 6, macA, u16(0), segment);
  assertEquals(decode(cooked, 113), plain);
  assertEquals(decoder.layers[0].srcMacOffset, 38);
  assertEquals(decode(cooked2, 276), plain);
  for (const linkType of [12, 14, 101]) {
    assertEquals(decode(segment, linkType), plain);
    assertEquals(decode(datagram6, linkType), plain6);
  }
  assertEquals(decode(segment, 228), plain);
  assertEquals(decode(datagram6, 229), plain6);
  assertEquals(decode(bytes([2, 0, 0, 0], segment), 0), plain);
  assertEquals(decode(bytes([0, 0, 0, 2], segment), 0), plain);
  assertEquals(decode(bytes([0, 0, 0, 24], datagram6), 108), plain6);
  assertEquals(decode(bytes([30, 0, 0, 0], datagram6), 0), plain6);
  assertEquals(decode(bytes([0xff, 3, 0, 0x21], segment), 9), plain);
  assertEquals(decode(bytes([0x21], segment), 9), plain);
  assertEquals(decode(bytes([0xff, 3, 0, 0x21], segment), 50), plain);
  assertEquals(decode(bytes([0x0f, 0, 8, 0], segment), 50), plain);
  assertEquals(decode(pppoe([0, 0x21], segment), 51), plain);
  assertEquals(decode(bytes([0x0f, 0, 8, 0], segment), 104), plain);
  assertEquals(decode(bytes([1, 0xff, 3, 0, 0x21], segment), 204), plain);
  assertEquals(decode(bytes([1, 3, 0, 0x21], segment), 166), plain);
});

Deno.test("decoder finds IP in a link type it does not know, if the header proves itself", () => {
  const summed = segment.slice();
  const view = new DataView(summed.buffer);
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += view.getUint16(at);
  view.setUint16(10, ~(sum % 0xffff) & 0xffff);
  assertEquals(decode(summed, 999), plain);
  // Zeros, a version's digit, an address: none of it is a header.
  const header = bytes(new Uint8Array(40), 0x45, 0x60, macA, [0x45, 0, 0, 20]);
  assertEquals(decode(bytes(header, summed), 998), plain);
  assertEquals(decode(bytes(header, summed, [1, 2, 3, 4]), 998), plain);
  assertEquals(decode(bytes(header, datagram6), 998), plain6);
  assertEquals(decode(segment, 999), "link_type_unknown", "a checksum that is wrong");
  assertEquals(
    decode(bytes(header, summed, new Uint8Array(33)), 998),
    "link_type_unknown",
    "a length that is wrong",
  );
  assertEquals(decode(bytes(new Uint8Array(200), summed), 998), "link_type_unknown", "too far in");
  assertEquals(decode(new Uint8Array(300), 998), "link_type_unknown");
  assertEquals(decode(bytes(), 998), "link_type_unknown");
});

Deno.test("decoder reads 802.11 data frames behind any radio header", () => {
  const snap = bytes([0xaa, 0xaa, 3, 0, 0, 0, 8, 0], segment);
  const data = bytes(0x08, 0x01, [0, 0], macB, macA, macB, [0, 0], snap);
  const qos = bytes(0x88, 0x02, [0, 0], macB, macA, macA, [0, 0], [0, 0], snap);
  const bridged = bytes(0x88, 0x03, [0, 0], macB, macA, macB, [0, 0], macA, [0, 0], snap);
  const radiotap = (flags: number) => bytes(0, 0, [10, 0], [2, 0, 0, 0], flags, 0);
  for (const frame of [data, qos, bridged]) {
    assertEquals(decode(frame, 105), plain);
    assertEquals(decode(bytes(radiotap(0), frame), 127), plain);
  }
  const padded = bytes(0x88, 0x02, [0, 0], macB, macA, macA, [0, 0], [0, 0], [0, 0], snap);
  assertEquals(decode(bytes(radiotap(0x20), padded), 127), plain);
  const withTime = bytes(0, 0, [25, 0], [3, 0, 0, 0x80], new Uint8Array(4), u32(0), new Uint8Array(8), 0x20);
  assertEquals(decode(bytes(withTime, padded), 127), plain);
  assertEquals(decode(bytes(0x80, 0, new Uint8Array(30)), 105), "wlan_control");
  assertEquals(decode(bytes(0x48, 1, new Uint8Array(30)), 105), "wlan_control");
  assertEquals(decode(bytes(0x08, 0x41, new Uint8Array(40)), 105), "wlan_encrypted");
  assertEquals(decode(bytes(new Uint8Array(4), [144, 0, 0, 0], new Uint8Array(136), data), 119), plain);
  assertEquals(decode(bytes(0x80, 0x21, 0x10, 1, u32(64), new Uint8Array(56), data), 163), plain);
  assertEquals(decode(bytes(0, 0, [8, 0], [105, 0, 0, 0], data), 192), plain);
});

Deno.test("decoder finds the packet among netfilter's attributes, in either byte order", () => {
  const little = bytes(
    [2, 0, 0, 0],
    [8, 0, 1, 0],
    u32(0),
    [5, 0, 10, 0, 65, 0, 0, 0],
    [54, 0, 9, 0],
    segment,
    [0, 0],
  );
  const big = bytes([2, 0, 0, 0], [0, 8, 0, 1], u32(0), [0, 54, 0, 9], segment, [0, 0]);
  assertEquals(decode(little, 239), plain);
  assertEquals(decode(big, 239), plain);
  assertEquals(decode(bytes([2, 0, 0, 0], [1, 0, 1, 0, 0, 0, 0, 0]), 239), "link_malformed");
});

Deno.test("decoder walks IPv6 extension headers", () => {
  const inner = udp(5000, 53, new Uint8Array(4));
  const hop = (next: number, rest: Uint8Array) => bytes(next, 0, [1, 4, 0, 0, 0, 0], rest);
  const routing = (next: number, rest: Uint8Array) => bytes(next, 2, new Uint8Array(22), rest);
  const auth = (next: number, rest: Uint8Array) => bytes(next, 4, new Uint8Array(22), rest);
  const all = ipv6(0, hop(43, routing(60, hop(51, auth(17, inner)))));
  assertEquals(decode(ethernet(0x86dd, all)), "17 2001:db8::1:5000 2001:db8::2:53 116/4");
  const atomic = ipv6(44, bytes(17, 0, [0, 0], u32(9), inner));
  assertEquals(decode(ethernet(0x86dd, atomic)), "17 2001:db8::1:5000 2001:db8::2:53 60/4");
  assertEquals(decoder.layers[0].isFragment, false);
  const later = ipv6(44, bytes(17, 0, u16(1480), u32(9), new Uint8Array(20)));
  assertEquals(decode(ethernet(0x86dd, later)), "17 2001:db8::1:0 2001:db8::2:0 68/20");
  assertEquals(decoder.layers[0].fragmentOffset, 1480);
  assertEquals(decode(ethernet(0x86dd, ipv6(59, bytes()))), "59 2001:db8::1:0 2001:db8::2:0 40/0");
  const jumbo = ipv6(0, bytes(17, 0, [0xc2, 4], u32(100_008 + 8), inner), { length: 0 });
  // 100,056 octets of IP and 14 of Ethernet were on the wire, a few were captured.
  assertEquals(
    decode(ethernet(0x86dd, jumbo), 1, 100_070),
    "17 2001:db8::1:5000 2001:db8::2:53 100056/4",
  );
});

Deno.test("decoder reads IPv4 options, authentication headers and fragments", () => {
  assertEquals(decode(segment.with(0, 0x45), 101), plain);
  const options = ipv4(6, tcp(), { options: [1, 1, 1, 0] });
  assertEquals(decode(options, 101), "6 10.0.0.1:40000 10.0.0.2:80 44/0");
  const authenticated = ipv4(51, bytes(6, 4, new Uint8Array(22), tcp()));
  assertEquals(decode(authenticated, 101), "6 10.0.0.1:40000 10.0.0.2:80 64/0");
  const first = ipv4(17, udp(7, 9, new Uint8Array(16)), { fragment: 0x2000 });
  assertEquals(decode(first, 101), "17 10.0.0.1:7 10.0.0.2:9 44/16");
  const later = ipv4(17, new Uint8Array(24), { fragment: 3 });
  assertEquals(decode(later, 101), "17 10.0.0.1:0 10.0.0.2:0 44/24");
  assertEquals([decoder.layers[0].isFragment, decoder.layers[0].fragmentOffset], [true, 24]);
});

Deno.test("decoder counts what headers say when the snapshot length cut the packet", () => {
  const long = ethernet(0x0800, ipv4(6, tcp({ payload: new Uint8Array(1000), flags: psh })));
  const full = "6 10.0.0.1:40000 10.0.0.2:80 1040/1000";
  for (const kept of [100, 60, 54, 48]) {
    assertEquals(decode(long.subarray(0, kept), 1, long.length), full, `${kept}`);
  }
  assertEquals(decoder.layers[0].payloadCaptured, 0);
  assertEquals(decode(long.subarray(0, 38), 1, long.length), "6 10.0.0.1:40000 10.0.0.2:80 1040/1000");
  assertEquals(decode(long.subarray(0, 36), 1, long.length), "6 10.0.0.1:0 10.0.0.2:0 1040/0");
  assertEquals(decode(long.subarray(0, 33), 1, long.length), "cut_packet");
  assertEquals(decode(long.subarray(0, 33)), "ip_malformed");
  assertEquals(decode(long.subarray(0, 13)), "link_malformed");
  assertEquals(decode(long.subarray(0, 13), 1, 60), "cut_packet");
  assertEquals(decode(bytes()), "link_malformed");
});

Deno.test("decoder takes the wire's length where segmentation offload wrote none", () => {
  const giant = ipv4(6, tcp({ payload: new Uint8Array(70_000) }), { total: 0 });
  assertEquals(decode(ethernet(0x0800, giant)), "6 10.0.0.1:40000 10.0.0.2:80 70040/70000");
  const giant6 = ipv6(6, tcp({ payload: new Uint8Array(70_000) }), { length: 0 });
  assertEquals(decode(ethernet(0x86dd, giant6)), "6 2001:db8::1:40000 2001:db8::2:80 70060/70000");
});

/** What is decoded, and how many octets are only claimed. */
function claimed(frame: Uint8Array, linkType = 1, wireLength = frame.length): [string, number] {
  const before = decoder.claimedBytes;
  return [decode(frame, linkType, wireLength), decoder.claimedBytes - before];
}

Deno.test("decoder counts no octet that a header claims and the wire did not carry", () => {
  const payload = new Uint8Array(10);
  const four = ipv4(17, udp(5000, 53, payload), { total: 65_535 });
  assertEquals(claimed(ethernet(0x0800, four)), ["17 10.0.0.1:5000 10.0.0.2:53 38/10", 65_497]);
  // One octet more is too many, padding or not.
  assertEquals(claimed(ipv4(6, tcp({ payload }), { total: 51 }), 101), [plain, 1]);
  assertEquals(claimed(ipv4(6, tcp({ payload }), { total: 50 }), 101), [plain, 0]);
  const six = ipv6(17, udp(5000, 53, new Uint8Array(4)), { length: 65_535 });
  assertEquals(claimed(ethernet(0x86dd, six)), [plain6, 65_523]);
  const jumbo = bytes(17, 0, [0xc2, 4], u32(2_000_000_000), udp(5000, 53, new Uint8Array(4)));
  assertEquals(claimed(ipv6(0, jumbo, { length: 0 }), 101), [
    "17 2001:db8::1:5000 2001:db8::2:53 60/4",
    1_999_999_980,
  ]);
  const liar = udp(5000, 53, payload).with(4, 255);
  assertEquals(claimed(ipv4(17, liar), 101), ["17 10.0.0.1:5000 10.0.0.2:53 38/10", 65_280]);
  // Both headers claim the same octets: they are counted once.
  assertEquals(claimed(ipv4(17, liar, { total: 65_535 }), 101)[1], 65_497);
});

Deno.test("decoder counts no octet that an inner header claims beyond the one around it", () => {
  const inner = ipv4(6, tcp(), { total: 60_000 });
  const [layers, bytesClaimed] = claimed(ethernet(0x0800, ipv4(4, inner)));
  assertEquals(layers, "4 10.0.0.1:0 10.0.0.2:0 60/40 | ipip 6 10.0.0.1:40000 10.0.0.2:80 40/0");
  assertEquals(bytesClaimed, 59_960);
  // The outer header claims more too, and the padding behind it belongs to neither.
  const vxlan = udp(4789, 4789, bytes([8, 0, 0, 0, 0, 0, 1, 0], ethernet(0x0800, inner)));
  const both = bytes(ethernet(0x0800, ipv4(17, vxlan)), new Uint8Array(20));
  assertEquals(claimed(both)[1], 59_960);
  assertEquals(claimed(ethernet(0x0800, ipv4(17, vxlan, { total: 10_000 })))[1], 59_960 + 9_910);
});

Deno.test("decoder takes what was on the wire, not what was captured, for what there was", () => {
  const long = ethernet(0x0800, ipv4(6, tcp({ payload: new Uint8Array(1_000) })));
  assertEquals(claimed(long.subarray(0, 60), 1, long.length), ["6 10.0.0.1:40000 10.0.0.2:80 1040/1000", 0]);
  assertEquals(claimed(long.subarray(0, 60), 1, 60), ["6 10.0.0.1:40000 10.0.0.2:80 46/6", 994]);
  const options = ipv4(6, tcp(), { options: new Array(40).fill(1) }).subarray(0, 50);
  assertEquals(claimed(options, 101), ["6 10.0.0.1:0 10.0.0.2:0 50/0", 30]);
});

Deno.test("decoder refuses headers that contradict themselves", () => {
  assertEquals(decode(segment.with(0, 0x44), 101), "ip_malformed");
  assertEquals(decode(ipv4(6, tcp(), { total: 19 }), 101), "ip_malformed");
  assertEquals(decode(segment.with(0, 0x35), 101), "ip_malformed");
  assertEquals(decode(ethernet(0x0806, arp(macA, "10.0.0.1", "10.0.0.2").with(4, 7))), "arp_malformed");
  assertEquals(decode(ethernet(0x0806, new Uint8Array(20))), "arp_malformed");
});

Deno.test("decoder reads ARP, ICMP, SCTP and protocols without ports", () => {
  assertEquals(decode(ethernet(0x0806, arp(macA, "10.0.0.1", "10.0.0.2"))), "256 10.0.0.1:1 10.0.0.2:0 28/0");
  assertEquals(decode(ipv4(1, icmp(8)), 101), "1 10.0.0.1:8 10.0.0.2:0 36/8");
  assertEquals(decode(ipv6(58, icmp(135, 1)), 101), "58 2001:db8::1:135 2001:db8::2:1 56/8");
  assertEquals(
    decode(ipv4(132, bytes(u16(7), u16(9), new Uint8Array(12))), 101),
    "132 10.0.0.1:7 10.0.0.2:9 36/4",
  );
  assertEquals(decode(ipv4(89, new Uint8Array(24)), 101), "89 10.0.0.1:0 10.0.0.2:0 44/24");
});

Deno.test("decoder enters every tunnel it names", () => {
  const gre = (flags: number, type: number, ...rest: (number[] | Uint8Array)[]) =>
    ipv4(47, bytes(u16(flags), u16(type), ...rest));
  const frame = ethernet(0x0800, segment);
  const inner = (packet: Uint8Array) => decode(packet, 101).split(" | ").slice(1).join(" | ");
  assertEquals(decode(ipv4(4, segment), 101), `4 10.0.0.1:0 10.0.0.2:0 70/50 | ipip ${plain}`);
  assertEquals(inner(ipv4(41, datagram6)), `6in4 ${plain6}`);
  assertEquals(inner(ipv6(4, segment)), `4in6 ${plain}`);
  assertEquals(inner(ipv6(41, datagram6)), `6in6 ${plain6}`);
  assertEquals(inner(gre(0, 0x0800, segment)), `gre ${plain}`);
  assertEquals(inner(gre(0xb000, 0x0800, u32(0), u32(1), u32(2), segment)), `gre ${plain}`);
  assertEquals(inner(gre(0x2000, 0x6558, u32(1), frame)), `gre ${plain}`);
  assertEquals(inner(gre(0, 0x8847, mpls(16), segment)), `gre ${plain}`);
  assertEquals(
    inner(gre(0x3081, 0x880b, u16(54), u16(1), u32(1), u32(2), [0xff, 3, 0, 0x21], segment)),
    `pptp ${plain}`,
  );
  assertEquals(inner(gre(0, 0x88be, frame)), `erspan ${plain}`);
  assertEquals(inner(gre(0x1000, 0x88be, u32(1), new Uint8Array(8), frame)), `erspan ${plain}`);
  assertEquals(inner(gre(0x1000, 0x22eb, u32(1), new Uint8Array(12), frame)), `erspan ${plain}`);
  assertEquals(
    inner(gre(0x1000, 0x22eb, u32(1), new Uint8Array(12).with(11, 1), new Uint8Array(8), frame)),
    `erspan ${plain}`,
  );
  assertEquals(inner(ipv4(97, bytes([0x30, 0], frame))), `etherip ${plain}`);
  assertEquals(inner(ipv4(137, bytes(mpls(16), segment))), `mpls ${plain}`);
  const over = (port: number, ...parts: (number[] | Uint8Array)[]) =>
    inner(ipv4(17, udp(50_000, port, bytes(...parts))));
  const vni = [0x08, 0, 0, 0, 0, 0, 42, 0];
  assertEquals(over(4789, vni, frame), `vxlan ${plain}`);
  assertEquals(over(8472, vni, ethernet(0x8100, vlan(3, 0x86dd, datagram6))), `vxlan ${plain6} vlan 3`);
  assertEquals(
    over(4789, vni, ethernet(0x0806, arp(macA, "10.0.0.1", "10.0.0.2"))),
    "vxlan 256 10.0.0.1:1 10.0.0.2:0 28/0",
  );
  assertEquals(over(4790, [0x0c, 0, 0, 1, 0, 0, 42, 0], segment), `vxlan ${plain}`);
  assertEquals(over(6081, [0x02, 0, 0x65, 0x58, 0, 0, 1, 0], new Uint8Array(8), frame), `geneve ${plain}`);
  assertEquals(over(6081, [0, 0, 0x86, 0xdd, 0, 0, 1, 0], datagram6), `geneve ${plain6}`);
  assertEquals(over(2152, [0x30, 0xff], u16(50), u32(1), segment), `gtpu ${plain}`);
  assertEquals(
    over(2152, [0x34, 0xff], u16(58), u32(1), [0, 0, 0, 0x85], [1, 0, 9, 0], datagram6),
    `gtpu ${plain6}`,
  );
  assertEquals(over(3544, datagram6), `teredo ${plain6}`);
  assertEquals(
    over(3544, [0, 1, 0, 0], new Uint8Array(9), [0, 0], new Uint8Array(6), datagram6),
    `teredo ${plain6}`,
  );
  const client = ipv6(17, udp(1, 2), { src: "2001:0:4137:9e50::1" });
  assertEquals(over(40_000, client), "teredo 17 2001:0:4137:9e50::1:1 2001:db8::2:2 48/0");
  assertEquals(over(1701, [0x00, 0x02], u16(1), u16(2), [0xff, 3, 0, 0x21], segment), `l2tp ${plain}`);
  assertEquals(over(6635, mpls(16), segment), `mpls ${plain}`);
});

Deno.test("decoder takes a payload for a tunnel only when it fits, and counts what is damaged inside", () => {
  const over = (port: number, payload: Uint8Array) => decode(ipv4(17, udp(50_000, port, payload)), 101);
  assert(!over(4789, new Uint8Array(60)).includes("|"));
  assert(!over(2152, new Uint8Array(60)).includes("|"));
  assert(!over(3544, new Uint8Array(60).fill(0x70)).includes("|"));
  assert(over(4341, bytes(new Uint8Array(8), segment)).includes("| lisp "));
  assert(over(4341, bytes(new Uint8Array(8), datagram6)).includes("| lisp "));
  assert(!over(4341, bytes(new Uint8Array(8), segment, 0)).includes("|"), "LISP's packet fills the rest");
  assert(!over(4341, new Uint8Array(60).fill(0x45)).includes("|"));
  assert(!over(40_000, datagram6).includes("|"), "IPv6 at any port is Teredo only with its prefix");
  assertEquals(
    decode(ipv4(4, segment.subarray(0, 12)), 101),
    "4 10.0.0.1:0 10.0.0.2:0 32/12 ! inner_malformed",
  );
  const cut = ipv4(4, segment);
  assertEquals(decode(cut.subarray(0, 30), 101, cut.length), "4 10.0.0.1:0 10.0.0.2:0 70/50 ! inner_cut");
  let tower = segment;
  for (let i = 0; i < 8; i++) tower = ipv4(4, tower);
  assertEquals(decode(tower, 101).endsWith("! inner_too_deep"), true);
  assertEquals(decoder.layerCount, layersMax);
  const later = ipv4(4, segment, { fragment: 5 });
  assert(!decode(later, 101).includes("|"));
});

Deno.test("decoder reads what switches put around a frame, and no more than is there", () => {
  const frame = ethernet(0x8100, vlan(5, 0x0800, segment));
  assertEquals(decode(ethernet(0x88a8, vlan(9, 0x88e7, bytes(u32(1), frame)))), `${plain} vlan 9.5`);
  assertEquals(
    decode(ethernet(0x22f3, bytes(u16(0x0041), u32(1), u32(0), frame))),
    `${plain} vlan 5`,
    "options",
  );
  assertEquals(
    decode(ethernet(0x88e5, bytes([0, 0], u32(1), u16(0x0800), segment))),
    plain,
    "no channel identifier",
  );
  assertEquals(
    decode(ethernet(0x88e5, bytes([0x0c, 0], u32(1), u16(0x0800), segment))),
    "other_ethertype",
    "encrypted",
  );
  assertEquals(
    decode(ethernet(0x894f, bytes([0, 0xc1, 1, 1], segment))),
    "link_malformed",
    "a header too short",
  );
  assertEquals(decode(ethernet(0x894f, bytes([0, 0xc2, 1, 4], u32(0), segment))), "other_ethertype");
  assertEquals(
    decode(ethernet(0x4305, bytes([0x00, 15], new Uint8Array(40)))),
    "other_ethertype",
    "not for one station",
  );
  const trunk = bytes([1, 0, 0x0c, 0, 0, 0], macA, u16(0), [0xaa, 0xaa, 3, 0, 0, 0x0c], u16(7 << 1), u32(0));
  assertEquals(decode(bytes(trunk, ethernet(0x0800, segment), u32(0))), `${plain} vlan 7`);
  assertEquals(decode(trunk.subarray(0, 20)), "link_malformed");
  for (const type of [0x8926, 0x8909, 0x88e7, 0x8903, 0x22f3, 0x88e5, 0x894f, 0x8870, 0x4305]) {
    assertEquals(decode(ethernet(type, new Uint8Array(0))), "link_malformed", type.toString(16));
    assertEquals(decode(ethernet(type, new Uint8Array(0)), 1, 200), "cut_packet", type.toString(16));
  }
});

Deno.test("decoder reads old networks and what capture cards write, each in its variants", () => {
  const snap = bytes([0xaa, 0xaa, 3, 0, 0, 0, 8, 0], segment);
  const ring = bytes([0x10, 0x40], macB, [0x82, ...macA.slice(1)]);
  assertEquals(decode(bytes(ring, [0x06, 0x30, 1, 2, 3, 4], snap), 6), plain, "over bridges");
  assertEquals(decode(bytes([0x10, 0x00], macB, macA, [0]), 6), "other_ethertype", "the ring's own");
  assertEquals(decode(bytes([0x41], macB, macA, snap), 10), "other_ethertype", "station management");
  const relay = [0x18, 0x41];
  assertEquals(decode(bytes(relay, u16(0x0800), segment), 107), plain, "as Cisco does");
  assertEquals(decode(bytes(relay, [3, 0, 0x80, 0, 0, 0], u16(0x0800), segment), 107), plain, "SNAP");
  assertEquals(decode(bytes(relay, [3, 0xcf, 0, 0x21], segment), 107), plain, "PPP");
  assertEquals(decode(bytes([0x18, 0x40, 0x41, 3, 0xcc], segment), 107), plain, "a longer address");
  assertEquals(decode(bytes([1], relay, [3, 0xcc], segment), 206), plain);
  assertEquals(decode(bytes([1], [0x0f, 0, 8, 0], segment), 205), plain);
  assertEquals(decode(bytes(relay, [3, 0x08, 0, 0, 0, 0], segment), 107), "other_ethertype", "Q.933");
  assertEquals(decode(bytes([1, 0], u16(5), u16(9), ethernet(0x0800, segment)), 123), plain, "LAN emulation");
  assertEquals(decode(bytes([5, 0], u16(5), segment), 123), "other_ethertype");
  const erf = (type: number, ...rest: (number[] | Uint8Array)[]) =>
    bytes(new Uint8Array(8), type, new Uint8Array(7), ...rest);
  const extension = (first: number) => bytes(first, new Uint8Array(7));
  const frame = ethernet(0x0800, segment);
  assertEquals(
    decode(erf(0x82, extension(0x83), extension(0x04), [0, 0], frame), 197),
    plain,
    "two extensions",
  );
  assertEquals(decode(erf(0x82, extension(0x83)), 197), "link_malformed");
  assertEquals(decode(bytes(mpls(16), segment), 219), plain);
  const multilink = (flags: number) => decode(bytes([0, 0x3d, flags, 0, 0, 1, 0x21], segment), 9);
  assertEquals([multilink(0xc0), multilink(0x80)], [plain, "ppp_control"], "whole, and in parts");
  const mesh = (flags: number, ...addresses: number[]) =>
    decode(
      bytes([0x88, 3, 0, 0], macB, macA, macB, [0, 0], macA, [0, 1], [flags, 5, 1, 0, 0, 0], addresses, snap),
      105,
    );
  assertEquals([mesh(0), mesh(1, ...macA), mesh(2, ...macA, ...macB)], [plain, plain, plain]);
  assertEquals(
    decode(bytes([44], new Uint8Array(60), segment), 117),
    "link_malformed",
    "no header is so short",
  );
});

Deno.test("decoder reads CAPWAP's data in the clear, and leaves the rest", () => {
  const over = (header: number[], payload: Uint8Array) =>
    decode(ipv4(17, udp(50_000, 5247, bytes(header, payload))), 101).split(" | ")[1];
  const frame = ethernet(0x0800, segment);
  assertEquals(over([0, 0x10, 0, 0, 0, 0, 0, 0], frame), `capwap ${plain}`);
  assertEquals(
    over([0, 0x20, 0, 0x10, 0, 0, 0, 0], bytes(new Uint8Array(8), frame)),
    `capwap ${plain}`,
    "a radio's address",
  );
  assertEquals(over([0, 0x10, 0, 0x80, 0, 1, 0, 0], frame), `capwap ${plain}`, "the first part");
  assertEquals(over([0, 0x10, 0, 0x80, 0, 1, 0, 8], frame), undefined, "a later part");
  assertEquals(over([0, 0x10, 0, 0x08, 0, 0, 0, 0], frame), undefined, "a keep-alive");
  assertEquals(over([1, 0, 0, 0, 0, 0, 0, 0], frame), undefined, "DTLS");
  const radio = (...control: number[]) =>
    bytes(control, [0, 0], macB, macA, macB, [0, 0], [0xaa, 0xaa, 3, 0, 0, 0, 8, 0], segment);
  assertEquals(over([0, 0x10, 3, 0, 0, 0, 0, 0], radio(8, 1)), `capwap ${plain}`);
  assertEquals(over([0, 0x10, 3, 0, 0, 0, 0, 0], radio(1, 8)), `capwap ${plain}`, "swapped");
  assertEquals(decode(radio(1, 8), 105), "wlan_control", "swapped, and not in CAPWAP");
});

Deno.test("decoder follows frames inside frames only so far, whatever a packet says", () => {
  const pseudowire = bytes(new Uint8Array(12).fill(0x20), u16(0x8847), mpls(16));
  const fabric = bytes(new Uint8Array(12).fill(0x20), u16(0x8903), u16(0));
  const multilink = [0x3d, 0xc0, 0, 0, 0];
  const tap = bytes([12, 0, 0, 0], new Uint8Array(4), [2, 1, 0, 0]);
  const repeated = (part: Uint8Array | number[], end: Uint8Array, times: number) =>
    bytes(...Array.from({ length: times }, () => part), end);
  const frame = ethernet(0x0800, segment);
  assertEquals(decode(repeated(pseudowire, frame, 10)), plain);
  assertEquals(decode(repeated(pseudowire, frame, 14_000)), "tags_too_many");
  assertEquals(decode(repeated(fabric, frame, 14_000)), "tags_too_many");
  assertEquals(decode(repeated(multilink, segment, 40_000), 9), "ppp_control");
  assertEquals(decode(repeated(tap, segment, 20_000), 258), "link_malformed");
});

Deno.test("decoder survives any octets, and reads none outside the frame", () => {
  let state = 12345;
  const random = () => (state = Math.imul(state, 1103515245) + 12345 & 0x7fffffff) >>> 8;
  const seeds = [
    ethernet(0x0800, segment),
    ethernet(
      0x86dd,
      ipv6(0, bytes(43, 0, new Uint8Array(6), 44, 0, new Uint8Array(6), 17, 0, new Uint8Array(6), udp(1, 2))),
    ),
    ethernet(
      0x8100,
      vlan(
        1,
        0x8847,
        bytes(
          mpls(1, 2),
          u32(0),
          ethernet(
            0x0800,
            ipv4(17, udp(1, 4789, bytes([8, 0, 0, 0, 0, 0, 0, 0], ethernet(0x0800, segment)))),
          ),
        ),
      ),
    ),
    ethernet(
      0x0800,
      ipv4(
        47,
        bytes(
          u16(0xf000),
          u16(0x6558),
          new Uint8Array(16),
          ethernet(
            0x0800,
            ipv4(17, udp(1, 2152, bytes([0x34, 0xff], u16(9), u32(1), [0, 0, 0, 0x85, 1, 0, 0, 0], segment))),
          ),
        ),
      ),
    ),
  ];
  const links = [
    1,
    0,
    6,
    9,
    10,
    11,
    12,
    50,
    104,
    105,
    107,
    109,
    113,
    117,
    119,
    123,
    127,
    138,
    163,
    192,
    197,
    205,
    206,
    219,
    239,
    242,
    258,
    276,
  ];
  for (let round = 0; round < 20_000; round++) {
    const mutant = seeds[round % seeds.length].slice();
    for (let flips = random() % 6; flips >= 0; flips--) mutant[random() % mutant.length] = random();
    const kept = mutant.subarray(0, random() % 4 === 0 ? random() % mutant.length : mutant.length);
    const linkType = round % 3 === 0 ? links[random() % links.length] : 1;
    const text = decode(kept, linkType, random() % 2 === 0 ? kept.length : mutant.length);
    assert(text !== "", "neither a layer nor a reason");
    for (let layer = 0; layer < decoder.layerCount; layer++) {
      const p = decoder.layers[layer];
      assert(p.payloadLength >= 0 && p.payloadCaptured >= 0 && p.payloadCaptured <= p.payloadLength);
      assert(p.payloadCaptured === 0 || p.payloadOffset + p.payloadCaptured <= 32 + kept.length);
      assert(p.ipBytes >= 20 && p.ipOffset >= 32);
    }
  }
});
