/** Flow table: what becomes one flow, what its segments say, when they end, and that nothing is lost. @module */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { communityId, flowDigest } from "../../../shared/community_id.ts";
import {
  ack,
  arp,
  ethernet,
  fin,
  icmp,
  ipv4,
  ipv6,
  macA,
  macB,
  psh,
  rst,
  syn,
  tcp,
  udp,
  vlan,
} from "../frames.ts";
import { brief, Harness, startUs } from "./harness.ts";

/** A whole connection: handshake, request, answer, FIN both ways. */
function connection(h: Harness, atMs: number, isn = 1000): void {
  h.a(syn, atMs, { seq: isn });
  h.b(syn | ack, atMs + 10, { seq: 5000, ack: isn + 1 });
  h.a(ack, atMs + 20, { seq: isn + 1 });
  h.a(psh | ack, atMs + 30, { payload: new Uint8Array(100) });
  h.b(psh | ack, atMs + 40, { payload: new Uint8Array(400) });
  h.a(fin | ack, atMs + 50);
  h.b(fin | ack, atMs + 60);
  h.a(ack, atMs + 70);
}

Deno.test("table makes one segment of a whole connection, with everything a segment says", () => {
  const h = new Harness();
  connection(h, 0);
  const [s, ...others] = h.segments();
  assertEquals(others.length, 0);
  assertEquals(s, {
    community_id: communityId({
      protocol: "tcp",
      src_ip: "10.0.0.1",
      dst_ip: "10.0.0.2",
      src_port: 40_000,
      dst_port: 80,
    }),
    ip_depth: 1,
    tunnel: "",
    vlan: 0,
    vlan_inner: 0,
    protocol: "tcp",
    src_ip: "10.0.0.1",
    src_port: 40_000,
    dst_ip: "10.0.0.2",
    dst_port: 80,
    src_mac: "",
    dst_mac: "",
    start: startUs / 1e6,
    end: (startUs + 70_000) / 1e6,
    flow_start: startUs / 1e6,
    segment: 0,
    fwd_packets: 5,
    fwd_bytes: 300,
    fwd_payload_bytes: 100,
    bwd_packets: 3,
    bwd_bytes: 520,
    bwd_payload_bytes: 400,
    fwd_tcp_flags: syn | ack | psh | fin,
    bwd_tcp_flags: syn | ack | psh | fin,
    fwd_syn_count: 1,
    bwd_syn_count: 1,
    fwd_fin_count: 1,
    bwd_fin_count: 1,
    fwd_rst_count: 0,
    bwd_rst_count: 0,
    fwd_ttl: 64,
    bwd_ttl: 64,
    conn_state: "SF",
    handshake_rtt_us: 20_000,
    tcp_isn: 1000,
    packet_length_min: 40,
    packet_length_max: 440,
    packet_length_mean: 103,
    packet_length_deviation: 132,
    interarrival_us_min: 10_000,
    interarrival_us_max: 10_000,
    interarrival_us_mean: 10_000,
    interarrival_us_deviation: 0,
    direction_guess: 0,
    end_reason: "fin",
    factor: 1,
    app_protocol: "",
    facts: null,
  });
});

Deno.test("table takes the SYN's sender for the initiator, whatever came first", () => {
  const reordered = new Harness();
  reordered.b(syn | ack, 0, { ack: 1001 });
  reordered.a(syn, 1, { seq: 1000 });
  reordered.a(ack, 2);
  const [s] = reordered.segments();
  assertEquals(brief(s), "tcp 10.0.0.1:40000 10.0.0.2:80 2/1 S1 stopped 0");
  assertEquals(s.tcp_isn, 1000);
  const answerOnly = new Harness();
  answerOnly.b(syn | ack, 0, { ack: 1001 });
  assertEquals([answerOnly.segments()[0].src_ip, answerOnly.segments()[0].tcp_isn], ["10.0.0.1", 1000]);
  const midstream = new Harness();
  midstream.b(ack, 0);
  midstream.a(ack, 1);
  assertEquals(brief(midstream.segments()[0]), "tcp 10.0.0.1:40000 10.0.0.2:80 1/1 OTH stopped 0");
  assertEquals(midstream.segments()[0].tcp_isn, null);
});

Deno.test("table names connection states as Zeek does", () => {
  const cases: [string, (h: Harness) => void][] = [
    ["S0", (h) => h.a(syn, 0)],
    ["REJ", (h) => (h.a(syn, 0), h.b(rst | ack, 1))],
    ["S1", (h) => (h.a(syn, 0), h.b(syn | ack, 1), h.a(ack, 2))],
    ["S2", (h) => (h.a(syn, 0), h.b(syn | ack, 1), h.a(ack, 2), h.a(fin | ack, 3))],
    ["S3", (h) => (h.a(syn, 0), h.b(syn | ack, 1), h.a(ack, 2), h.b(fin | ack, 3))],
    ["RSTO", (h) => (h.a(syn, 0), h.b(syn | ack, 1), h.a(ack, 2), h.a(rst, 3))],
    ["RSTR", (h) => (h.a(syn, 0), h.b(syn | ack, 1), h.a(ack, 2), h.b(rst, 3))],
    ["RSTOS0", (h) => (h.a(syn, 0), h.a(rst, 1))],
    ["RSTRH", (h) => (h.b(syn | ack, 0), h.b(rst, 1))],
    ["SH", (h) => (h.a(syn, 0), h.a(fin | ack, 1))],
    ["SHR", (h) => (h.b(syn | ack, 0), h.b(fin | ack, 1))],
    ["OTH", (h) => (h.a(ack, 0), h.b(ack, 1))],
  ];
  for (const [state, play] of cases) {
    const h = new Harness();
    play(h);
    assertEquals(h.segments()[0].conn_state, state);
  }
});

Deno.test("table names UDP states as Zeek does, across segments", () => {
  const h = new Harness({ activeMs: 1_000 });
  h.udp("10.0.0.1", 5000, "10.0.0.2", 53, 0);
  h.udp("10.0.0.2", 53, "10.0.0.1", 5000, 1);
  h.udp("10.0.0.1", 5000, "10.0.0.2", 53, 2_000);
  h.udp("10.0.0.3", 5000, "10.0.0.2", 53, 2_001);
  assertEquals(h.segments().map(brief).sort(), [
    "udp 10.0.0.1:5000 10.0.0.2:53 1/0 SF stopped 1",
    "udp 10.0.0.1:5000 10.0.0.2:53 1/1 SF active 0",
    "udp 10.0.0.3:5000 10.0.0.2:53 1/0 S0 stopped 0",
  ]);
});

Deno.test("table ends flows after the silence of their kind", () => {
  const h = new Harness();
  h.a(syn, 0);
  h.udp("10.0.0.1", 1, "10.0.0.2", 2, 0);
  h.ip(ipv4(6, tcp({ src: 1, flags: ack })), 0);
  h.ip(ipv4(6, tcp({ src: 80, dst: 1, flags: ack }), { src: "10.0.0.2", dst: "10.0.0.1" }), 0);
  const openAt = (ms: number) => {
    h.table.advance(startUs + ms * 1000);
    return h.table.openFlows;
  };
  assertEquals([
    openAt(9_900),
    openAt(10_600),
    openAt(29_900),
    openAt(30_600),
    openAt(119_900),
    openAt(120_600),
  ], [
    3,
    2,
    2,
    1,
    1,
    0,
  ]);
  assertEquals(h.segments(false).map((s) => s.end_reason), ["idle", "idle", "active"]);
});

Deno.test("table cuts a flow exactly at its time-outs, whatever else happens in between", () => {
  for (const gapMs of [30_000, 30_001]) {
    const h = new Harness();
    h.udp("10.0.0.1", 1, "10.0.0.2", 2, 0);
    h.udp("10.0.0.1", 1, "10.0.0.2", 2, gapMs);
    assertEquals(h.segments().length, gapMs > 30_000 ? 2 : 1);
    assertEquals(h.table.flowsTotal, gapMs > 30_000 ? 2 : 1);
  }
});

Deno.test("table reports a long flow every 60 s, the same whether others are there or not", () => {
  const run = (withOthers: boolean) => {
    const h = new Harness();
    for (let ms = 0; ms <= 150_000; ms += 5_000) {
      h.udp("10.0.0.1", 1, "10.0.0.2", 2, ms);
      if (withOthers) h.udp("10.9.0.1", 1, "10.0.0.2", 2, ms + 1);
    }
    return h.segments().filter((s) => s.src_ip === "10.0.0.1").map((s) => [brief(s), s.start, s.flow_start]);
  };
  const at = (ms: number) => startUs / 1e6 + ms / 1000;
  const expected = [
    ["udp 10.0.0.1:1 10.0.0.2:2 12/0 S0 active 0", at(0), at(0)],
    ["udp 10.0.0.1:1 10.0.0.2:2 12/0 S0 active 1", at(60_000), at(0)],
    ["udp 10.0.0.1:1 10.0.0.2:2 7/0 S0 stopped 2", at(120_000), at(0)],
  ];
  assertEquals(run(false), expected);
  assertEquals(run(true), expected);
});

Deno.test("table gives each segment the flags of its own packets", () => {
  const h = new Harness();
  h.a(syn, 0, { seq: 1 });
  h.b(syn | ack, 10, { ack: 2 });
  h.a(ack, 20);
  h.a(psh | ack, 61_000, { payload: new Uint8Array(10) });
  assertEquals(h.segments().map((s) => [s.fwd_tcp_flags, s.bwd_tcp_flags]), [[0x12, 0x12], [0x18, 0]]);
});

Deno.test("table begins a flow anew where the clock stepped back behind its beginning", () => {
  const at = (ms: number) => startUs / 1e6 + ms / 1000;
  const h = new Harness();
  for (const ms of [0, 10_000]) h.udp("10.0.0.1", 1, "10.0.0.2", 2, ms);
  for (let ms = -50_000; ms <= 20_000; ms += 5_000) h.udp("10.0.0.1", 1, "10.0.0.2", 2, ms);
  assertEquals(h.table.stepsBack, 1);
  assertEquals(h.segments().map((s) => [s.start, s.flow_start]), [
    [at(0), at(0)],
    [at(-50_000), at(-50_000)],
    [at(10_000), at(-50_000)],
  ]);
});

Deno.test("table keeps a connection that one side alone has ended", () => {
  const h = new Harness();
  h.a(syn, 0, { seq: 1 });
  h.b(syn | ack, 10, { ack: 2 });
  h.a(fin | ack, 20);
  for (const ms of [10_000, 100_000]) h.b(psh | ack, ms, { payload: new Uint8Array(10) });
  assertEquals(h.segments().map(brief), [
    "tcp 10.0.0.1:40000 10.0.0.2:80 2/2 S2 active 0",
    "tcp 10.0.0.1:40000 10.0.0.2:80 0/1 S2 stopped 1",
  ]);
});

Deno.test("table exports a closed connection at once, and counts stragglers to the same flow", () => {
  const h = new Harness();
  connection(h, 0);
  h.table.advance(startUs + 900_000);
  assertEquals(h.segments(false).map(brief), ["tcp 10.0.0.1:40000 10.0.0.2:80 5/3 SF fin 0"]);
  h.a(ack, 1_000);
  assertEquals(h.segments().map(brief).slice(1), ["tcp 10.0.0.1:40000 10.0.0.2:80 1/0 SF fin 1"]);
  assertEquals(h.table.flowsTotal, 1);
});

Deno.test("table begins another flow when a SYN begins another connection", () => {
  const h = new Harness();
  connection(h, 0);
  connection(h, 100, 9000);
  assertEquals(h.segments().map(brief), [
    "tcp 10.0.0.1:40000 10.0.0.2:80 5/3 SF reused 0",
    "tcp 10.0.0.1:40000 10.0.0.2:80 5/3 SF fin 0",
  ]);
  const retransmitted = new Harness();
  retransmitted.a(syn, 0);
  retransmitted.a(syn, 1_000);
  retransmitted.a(syn, 3_000);
  assertEquals(retransmitted.segments().map(brief), ["tcp 10.0.0.1:40000 10.0.0.2:80 3/0 S0 stopped 0"]);
  const other = new Harness();
  other.a(syn, 0, { seq: 1 });
  other.a(syn, 1_000, { seq: 2 });
  assertEquals(other.segments().map((s) => s.tcp_isn), [1, 2]);
});

Deno.test("table evicts what is due first when it is full, and counts it", () => {
  const h = new Harness({ flowsMax: 16 });
  for (let port = 1; port <= 40; port++) h.udp("10.0.0.1", port, "10.0.0.2", 53, port * 1_000);
  assertEquals([h.table.openFlows, h.table.evicted], [16, 24]);
  const early = h.segments(false);
  assertEquals(early.length, 24);
  assert(early.every((s) => s.end_reason === "evicted"));
  assertEquals(Math.max(...early.map((s) => s.src_port)), 24);
  assertEquals(h.segments().reduce((sum, s) => sum + s.fwd_packets, 0), 40);
});

Deno.test("table grows, and keeps every flow while it does", () => {
  const h = new Harness();
  for (let i = 0; i < 20_000; i++) h.udp(`10.1.${i >> 8}.${i & 255}`, 9, "10.0.0.2", 53, i / 100);
  for (let i = 0; i < 20_000; i++) h.udp("10.0.0.2", 53, `10.1.${i >> 8}.${i & 255}`, 9, 200 + i / 100);
  const segments = h.segments();
  assertEquals(segments.length, 20_000);
  assert(segments.every((s) => s.fwd_packets === 1 && s.bwd_packets === 1 && s.conn_state === "SF"));
});

Deno.test("table keeps flows apart by VLAN, protocol, depth and address family", () => {
  const h = new Harness();
  const packet = ipv4(17, udp(1, 2));
  h.ip(ethernet(0x0800, packet), 0, 1);
  h.ip(ethernet(0x8100, vlan(5, 0x0800, packet)), 1, 1);
  h.ip(ethernet(0x88a8, vlan(5, 0x8100, vlan(6, 0x0800, packet))), 2, 1);
  h.ip(ethernet(0x0800, ipv4(6, tcp({ src: 1, dst: 2 }))), 3, 1);
  h.ip(ethernet(0x0800, ipv4(4, packet)), 4, 1);
  h.ip(ethernet(0x86dd, ipv6(17, udp(1, 2), { src: "::a00:1", dst: "::a00:2" })), 5, 1);
  const segments = h.segments();
  assertEquals(segments.length, 7);
  assertEquals(
    segments.map((s) => `${s.vlan}.${s.vlan_inner} ${s.ip_depth}${s.tunnel} ${s.protocol}`).sort(),
    [
      "0.0 1 ipip",
      "0.0 1 tcp",
      "0.0 1 udp",
      "0.0 1 udp",
      "0.0 2ipip udp",
      "5.0 1 udp",
      "5.6 1 udp",
    ],
  );
});

Deno.test("table pairs ICMP requests with answers, and keeps one-way types apart", () => {
  const h = new Harness();
  const back = { src: "10.0.0.2", dst: "10.0.0.1" };
  h.ip(ipv4(1, icmp(0), back), 0);
  h.ip(ipv4(1, icmp(8)), 1);
  h.ip(ipv4(1, icmp(3, 3)), 2);
  h.ip(ipv4(1, icmp(3, 3), back), 3);
  h.ip(ipv6(58, icmp(136), { dst: "ff02::1" }), 4);
  const segments = h.segments();
  assertEquals(segments.map(brief).sort(), [
    "icmp 10.0.0.1:3 10.0.0.2:3 1/0 OTH stopped 0",
    "icmp 10.0.0.1:8 10.0.0.2:0 1/1 OTH stopped 0",
    "icmp 10.0.0.2:3 10.0.0.1:3 1/0 OTH stopped 0",
    "icmp6 2001:db8::1:136 ff02::1:0 1/0 OTH stopped 0",
  ]);
  for (const s of segments) assertEquals(s.community_id, communityId(s));
});

Deno.test("table keys ARP by the sender's MAC, so that two who claim one address are two flows", () => {
  const h = new Harness();
  h.ip(ethernet(0x0806, arp(macA, "10.0.0.1", "10.0.0.9")), 0, 1);
  h.ip(ethernet(0x0806, arp(macA, "10.0.0.1", "10.0.0.9")), 1, 1);
  h.ip(ethernet(0x0806, arp(macB, "10.0.0.1", "10.0.0.9")), 2, 1);
  h.ip(ethernet(0x0806, arp(macB, "10.0.0.9", "10.0.0.1", 2)), 3, 1);
  const segments = h.segments();
  const told = segments.map((s) => `${s.src_mac} ${s.src_ip} ${s.dst_ip} ${s.fwd_packets} ${s.fwd_bytes}`)
    .sort();
  assertEquals(told, [
    "02:00:00:00:00:0a 10.0.0.1 10.0.0.9 2 56",
    "02:00:00:00:00:0b 10.0.0.1 10.0.0.9 1 28",
    "02:00:00:00:00:0b 10.0.0.9 10.0.0.1 1 28",
  ]);
  assertEquals(segments[0].community_id, "");
});

Deno.test("table tells ARP's questions from answers, announcements and probes, all in one bucket for two hosts", () => {
  const h = new Harness();
  const said = [
    arp(macA, "10.0.0.1", "10.0.0.9"),
    arp(macB, "10.0.0.9", "10.0.0.1", 2),
    arp(macB, "10.0.0.9", "10.0.0.1"),
  ];
  said.push(
    arp(macA, "10.0.0.1", "10.0.0.1"),
    arp(macA, "10.0.0.1", "10.0.0.1", 2),
    arp(macA, "0.0.0.0", "10.0.0.1"),
  );
  said.forEach((one, i) => h.ip(ethernet(0x0806, one), i, 1));
  const segments = h.segments();
  assertEquals(
    segments.map((s) => `${s.src_ip} ${s.dst_ip} ${s.src_port} ${s.dst_port} ${s.fwd_packets}`).sort(),
    [
      "0.0.0.0 10.0.0.1 1 2 1",
      "10.0.0.1 10.0.0.1 1 1 1",
      "10.0.0.1 10.0.0.1 2 1 1",
      "10.0.0.1 10.0.0.9 1 0 1",
      "10.0.0.9 10.0.0.1 1 0 1",
      "10.0.0.9 10.0.0.1 2 0 1",
    ],
  );
  const digests = segments.filter((s) => s.dst_port === 0).map((s) => flowDigest(s)?.toHex());
  assertEquals(new Set(digests).size, 1);
});

Deno.test("table gives each end its MAC, the initiator's first", () => {
  const h = new Harness();
  const answer = ipv4(6, tcp({ flags: syn | ack, src: 80, dst: 40_000 }), {
    src: "10.0.0.2",
    dst: "10.0.0.1",
  });
  h.ip(ethernet(0x0800, answer, macB, macA), 0, 1);
  const [s] = h.segments();
  assertEquals([s.src_ip, s.src_mac, s.dst_mac], ["10.0.0.1", "02:00:00:00:00:0a", "02:00:00:00:00:0b"]);
});

Deno.test("table takes packets out of order without a negative number anywhere", () => {
  const h = new Harness();
  for (const ms of [100, 90, 110, 50, 120]) h.udp("10.0.0.1", 1, "10.0.0.2", 2, ms);
  const [s] = h.segments();
  assertEquals([s.start, s.end], [(startUs + 50_000) / 1e6, (startUs + 120_000) / 1e6]);
  assertEquals([s.interarrival_us_min, s.interarrival_us_max, s.fwd_packets], [0, 10_000, 5]);
});

Deno.test("table survives stamps of 1970, 2100 and back, and goes on ending flows", () => {
  const h = new Harness();
  const year2100Ms = 4_102_444_800_000;
  const stamps = [
    0,
    5,
    year2100Ms,
    1_000_000_000_000,
    1_000_000_000_100,
    10,
    year2100Ms * 2,
    1_700_000_000_000,
  ];
  for (const ms of stamps) h.ip(ipv4(17, udp(1, 2)), ms, 101, true);
  assert(h.table.stepsBack > 0);
  const segments = h.segments();
  assertEquals(segments.reduce((sum, s) => sum + s.fwd_packets, 0), stamps.length);
  for (const s of segments) {
    assert(s.end >= s.start && s.end - s.start < 60, `${s.start} to ${s.end}`);
    assert(s.flow_start <= s.start);
  }
  h.ip(ipv4(17, udp(7, 7)), 1_700_000_000_000, 101, true);
  h.ip(ipv4(17, udp(8, 8)), 1_700_000_040_000, 101, true);
  assertEquals(h.table.openFlows, 1);
});

Deno.test("table refuses options out of range, and says which", () => {
  assertThrows(
    () => new Harness({ flowsMax: 1 }),
    RangeError,
    `"flowsMax" must be 16 to 4194304: current value is 1`,
  );
  assertThrows(() => new Harness({ tcpIdleMs: 0 }), RangeError, `"tcpIdleMs"`);
  assertThrows(() => new Harness({ hashSeed: 0.5 }), RangeError, `"hashSeed"`);
});

Deno.test("table puts the same packets in the same flows whatever its hash seed", () => {
  const run = (hashSeed: number) => {
    const h = new Harness({ hashSeed });
    for (let i = 0; i < 500; i++) h.udp(`10.0.${i % 7}.1`, i % 11, `10.0.${i % 5}.1`, i % 13, i);
    return h.segments().map(brief).sort();
  };
  assertEquals(run(1), run(-77));
});
