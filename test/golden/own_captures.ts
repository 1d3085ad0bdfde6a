/** Captures made here, one for each way a packet can be wrapped, for machines without ../shared/data.
 *
 * Out: named captures with their link types. Each packet carries TCP or UDP between 10.0.0.1 and 10.0.0.2 (or
 * 2001:db8::1 and ::2), so that any other tool can be asked what it sees in them. @module */

import {
  ack,
  bytes,
  type CapturedPacket,
  ethernet,
  ipv4,
  ipv6,
  macA,
  macB,
  psh,
  syn,
  tcp,
  u16,
  u32,
  udp,
  vlan,
} from "../sensor/frames.ts";

export interface OwnCapture {
  name: string;
  linkType: number;
  packets: CapturedPacket[];
}

const plain = [
  ipv4(6, tcp({ flags: syn })),
  ipv4(6, tcp({ flags: syn | ack, src: 80, dst: 40_000 }), { src: "10.0.0.2", dst: "10.0.0.1" }),
  ipv4(6, tcp({ flags: psh | ack, payload: new Uint8Array(100) }), { options: [1, 1, 1, 0] }),
  ipv4(17, udp(5_000, 6_000, new Uint8Array(30).fill(0x55))),
  ipv4(47, bytes(u16(0x2000), u16(0x0800), u32(1), ipv4(17, udp(5_000, 6_000, new Uint8Array(9))))),
];
const plain6 = [
  ipv6(6, tcp({ flags: syn })),
  ipv6(17, udp(5_000, 6_000, new Uint8Array(30).fill(0x55))),
  ipv6(0, bytes(17, 0, [1, 4, 0, 0, 0, 0], udp(5_000, 6_000, new Uint8Array(4).fill(0x55)))),
  ipv6(60, bytes(6, 1, [1, 12], new Uint8Array(12), tcp({ flags: ack }))),
];

/** Addresses of makers that tshark knows: it takes an unmarked payload for Ethernet only between such. */
const known = [[0x00, 0x10, 0xdb, 1, 2, 3], [0x00, 0x0c, 0x29, 4, 5, 6]];
const mpls = (...labels: number[]) =>
  bytes(...labels.map((label, i) => u32(label << 12 | (i === labels.length - 1 ? 0x100 : 0) | 64)));
const etherTypeOf = (packet: Uint8Array) => packet[0] >> 4 === 4 ? 0x0800 : 0x86dd;
const pppOf = (packet: Uint8Array) => packet[0] >> 4 === 4 ? 0x0021 : 0x0057;
const framed = (packet: Uint8Array) => ethernet(etherTypeOf(packet), packet);
const overUdp = (port: number, ...parts: (number[] | Uint8Array)[]) =>
  ipv4(17, udp(50_000, port, bytes(...parts)));
const snap = (packet: Uint8Array) => bytes([0xaa, 0xaa, 3, 0, 0, 0], u16(etherTypeOf(packet)), packet);
const pppoe = (packet: Uint8Array) =>
  bytes([0x11, 0], u16(1), u16(packet.length + 2), u16(pppOf(packet)), packet);

type Wrap = (packet: Uint8Array) => Uint8Array;
const wraps: [name: string, linkType: number, wrap: Wrap][] = [
  ["ethernet", 1, framed],
  ["vlan", 1, (p) => ethernet(0x8100, vlan(7, etherTypeOf(p), p))],
  ["qinq", 1, (p) => ethernet(0x88a8, vlan(100, 0x8100, vlan(7, etherTypeOf(p), p)))],
  ["mpls", 1, (p) => ethernet(0x8847, bytes(mpls(16, 17), p))],
  [
    "mpls-pseudowire",
    1,
    (p) => ethernet(0x8847, bytes(mpls(16), u32(0), ethernet(etherTypeOf(p), p, known[0], known[1]))),
  ],
  ["pppoe", 1, (p) => ethernet(0x8864, pppoe(p))],
  ["vn-tag", 1, (p) => ethernet(0x8926, bytes(u32(0x80010000), u16(etherTypeOf(p)), p))],
  ["e-tag", 1, (p) => ethernet(0x893f, bytes(u32(1), u16(0), u16(etherTypeOf(p)), p))],
  ["hsr", 1, (p) => ethernet(0x892f, bytes(u16(p.length + 6), u16(1), u16(etherTypeOf(p)), p))],
  ["cisco-metadata", 1, (p) => ethernet(0x8909, bytes([1, 1], u16(1), u16(42), u16(etherTypeOf(p)), p))],
  ["backbone", 1, (p) => ethernet(0x88e7, bytes(u32(0x1234), framed(p)))],
  ["backbone-tagged", 1, (p) => ethernet(0x88a8, vlan(9, 0x88e7, bytes(u32(0x1234), framed(p))))],
  ["fabricpath", 1, (p) => ethernet(0x8903, bytes(u16(0x0440), framed(p)))],
  ["trill", 1, (p) => ethernet(0x22f3, bytes(u16(0x0005), u16(1), u16(2), framed(p)))],
  [
    "macsec",
    1,
    (p) =>
      ethernet(0x88e5, bytes([0x20, 0], u32(1), macA, u16(1), u16(etherTypeOf(p)), p, new Uint8Array(16))),
  ],
  ["nsh", 1, (p) => ethernet(0x894f, bytes([0x0f, 0xc2, 2, p[0] >> 4 === 4 ? 1 : 2], u32(0x100ff), p))],
  [
    "nsh-ethernet",
    1,
    (p) => ethernet(0x894f, bytes([0x0f, 0xc6, 1, 3], u32(0x100ff), new Uint8Array(16), framed(p))),
  ],
  ["jumbo-llc", 1, (p) => ethernet(0x8870, snap(p))],
  [
    "isl",
    1,
    (p) =>
      bytes(
        [1, 0, 0x0c, 0, 0],
        [0],
        macA,
        u16(framed(p).length + 12),
        [0xaa, 0xaa, 3],
        [0, 0, 0x0c],
        u16(7 << 1),
        u16(0),
        u16(0),
        framed(p),
        u32(0),
      ),
  ],
  [
    "pppoe-multilink",
    1,
    (p) =>
      ethernet(
        0x8864,
        bytes([0x11, 0], u16(1), u16(p.length + 8), u16(0x003d), [0xc0, 0, 0, 1], u16(pppOf(p)), p),
      ),
  ],
  ["fddi", 10, (p) => bytes([0x50], macB, macA, snap(p))],
  ["token-ring", 6, (p) => bytes([0x10, 0x40], macB, macA, snap(p))],
  ["frame-relay", 107, (p) => bytes([0x18, 0x41, 3], [p[0] >> 4 === 4 ? 0xcc : 0x8e], p)],
  ["pflog", 117, (p) => bytes([61, p[0] >> 4 === 4 ? 2 : 24, 0, 0], new Uint8Array(60), p)],
  ["pktap", 258, (p) => bytes([108, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], new Uint8Array(96), framed(p))],
  ["firewire", 138, (p) => bytes(new Uint8Array(16), u16(etherTypeOf(p)), p)],
  ["infiniband", 242, (p) => bytes(new Uint8Array(40), u16(etherTypeOf(p)), u16(0), p)],
  [
    "erf",
    197,
    (p) =>
      bytes(
        new Uint8Array(8),
        [2, 4],
        u16(18 + framed(p).length),
        u16(0),
        u16(framed(p).length),
        [0, 0],
        framed(p),
      ),
  ],
  ["bsd-enc", 109, (p) => bytes([2, 0, 0, 0], u32(1), u32(0), p)],
  ["atm-llc", 100, (p) => snap(p)],
  ["sunatm", 123, (p) => bytes([2, 0], u16(100), snap(p))],
  [
    "gre-mikrotik",
    101,
    (p) => ipv4(47, bytes(u16(0x2001), u16(0x6400), u16(framed(p).length), u16(0), framed(p))),
  ],
  ["batman", 1, (p) => ethernet(0x4305, bytes([0x40, 15, 50, 1], macB, framed(p)))],
  ["ppp-bridged", 9, (p) => bytes([0xff, 3, 0x00, 0x31, 0, 1], framed(p))],
  [
    "802.11-mesh",
    105,
    (p) => bytes([0x88, 3, 0, 0], macB, macA, macB, [0, 0], macA, [0, 1], [0, 5, 1, 0, 0, 0], snap(p)),
  ],
  [
    "geneve-nsh",
    101,
    (p) =>
      overUdp(
        6081,
        [0, 0, 0x89, 0x4f, 0, 0, 42, 0],
        [0x0f, 0xc2, 2, p[0] >> 4 === 4 ? 1 : 2],
        u32(0x100ff),
        p,
      ),
  ],
  ["snap", 1, (p) => ethernet(snap(p).length, snap(p))],
  ["cooked", 113, (p) => bytes(u16(0), u16(1), u16(6), macA, u16(0), u16(etherTypeOf(p)), p)],
  ["cooked2", 276, (p) => bytes(u16(etherTypeOf(p)), u16(0), u32(3), u16(1), [0, 6], macA, u16(0), p)],
  ["raw", 101, (p) => p],
  ["null", 0, (p) => bytes([p[0] >> 4 === 4 ? 2 : 30, 0, 0, 0], p)],
  ["loop", 108, (p) => bytes([0, 0, 0, p[0] >> 4 === 4 ? 2 : 30], p)],
  ["ppp", 9, (p) => bytes([0xff, 3], u16(pppOf(p)), p)],
  ["ppp-hdlc", 50, (p) => bytes([0xff, 3], u16(pppOf(p)), p)],
  ["cisco-hdlc", 104, (p) => bytes([0x0f, 0], u16(etherTypeOf(p)), p)],
  ["802.11", 105, (p) => bytes([0x08, 1, 0, 0], macB, macA, macB, [0, 0], snap(p))],
  ["802.11-qos", 105, (p) => bytes([0x88, 2, 0, 0], macB, macA, macA, [0, 0, 0, 0], snap(p))],
  [
    "radiotap",
    127,
    (p) => bytes([0, 0, 8, 0, 0, 0, 0, 0], [0x08, 1, 0, 0], macB, macA, macB, [0, 0], snap(p)),
  ],
  [
    "nflog",
    239,
    (p) => bytes([p[0] >> 4 === 4 ? 2 : 10, 0, 0, 0], [p.length + 4 & 255, p.length + 4 >> 8, 9, 0], p),
  ],
  ["ipip", 101, (p) => ipv4(etherTypeOf(p) === 0x0800 ? 4 : 41, p)],
  ["in-ipv6", 101, (p) => ipv6(etherTypeOf(p) === 0x0800 ? 4 : 41, p)],
  ["gre", 101, (p) => ipv4(47, bytes(u16(0x3000), u16(etherTypeOf(p)), u32(1), u32(2), p))],
  ["gre-ethernet", 101, (p) => ipv4(47, bytes(u16(0), u16(0x6558), framed(p)))],
  [
    "erspan-2",
    101,
    (p) => ipv4(47, bytes(u16(0x1000), u16(0x88be), u32(1), [0x10, 1, 0, 0], u32(0), framed(p))),
  ],
  ["vxlan", 101, (p) => overUdp(4789, [8, 0, 0, 0, 0, 0, 42, 0], framed(p))],
  [
    "vxlan-gpe-nsh",
    101,
    (p) =>
      overUdp(4790, [0x0c, 0, 0, 4, 0, 0, 42, 0], [0x0f, 0xc2, 2, p[0] >> 4 === 4 ? 1 : 2], u32(0x100ff), p),
  ],
  ["lisp", 101, (p) => overUdp(4341, [0x80, 0, 0, 1, 0, 0, 0, 1], p)],
  ["capwap", 101, (p) => overUdp(5247, [0, 0x10, 0x02, 0], u32(0), framed(p))],
  [
    "capwap-802.11",
    101,
    (p) => overUdp(5247, [0, 0x10, 0x03, 0], u32(0), [1, 0x08, 0, 0], macB, macA, macB, [0, 0], snap(p)),
  ],
  ["geneve", 101, (p) => overUdp(6081, [0, 0, 0x65, 0x58, 0, 0, 42, 0], framed(p))],
  ["gtpu", 101, (p) => overUdp(2152, [0x30, 0xff], u16(p.length), u32(1), p)],
  ["tzsp", 101, (p) => overUdp(37_008, [1, 0, 0, 1, 0, 10, 1, 200, 1], framed(p))],
  [
    "tzsp-802.11",
    101,
    (p) => overUdp(37_008, [1, 0, 0, 18, 1], [0x08, 1, 0, 0], macB, macA, macB, [0, 0], snap(p)),
  ],
  ["l2tp", 101, (p) => overUdp(1701, [0, 2], u16(1), u16(2), [0xff, 3], u16(pppOf(p)), p)],
];

/** All of them. */
export function ownCaptures(): OwnCapture[] {
  return wraps.map(([name, linkType, wrap]) => ({
    name,
    linkType,
    packets: [...plain, ...plain6].map((packet, index) => ({
      timeUs: 1_700_000_000_000_000 + index * 1_000,
      frame: wrap(packet),
    })),
  }));
}
