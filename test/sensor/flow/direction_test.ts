/** Direction: whatever packet comes first, the initiator is who asked;
 * after silence, eviction, a restart, and while sampling. @module */

import { assertEquals } from "@std/assert";
import type { Segment } from "../../../shared/segment.ts";
import { ack, bytes, ethernet, fin, icmp, ipv4, ipv6, macA, macB, psh, syn, tcp, udp } from "../frames.ts";
import { Harness } from "./harness.ts";

const text = (words: string) => new TextEncoder().encode(words);
const client = "10.0.0.1", server = "10.0.0.2";

/** Who is said to have begun each segment, "?" = a guess. */
function initiators(segments: readonly Segment[]): string[] {
  return segments.map((s) => `${s.src_ip}:${s.src_port}${s.direction_guess ? "?" : ""}`);
}

/** What is said of a flow whose first packet this is, from the second address. */
function first(protocol: number, payload: Uint8Array, dst = client): string {
  const harness = new Harness();
  harness.ip(ipv4(protocol, payload, { src: server, dst }), 0);
  return initiators(harness.segments())[0];
}

/** A connection between ports of which neither is well-known, and its silence. */
function connected(harness: Harness, ports: { src: number; dst: number }): void {
  const { src, dst } = ports;
  harness.a(syn, 0, { src, dst, seq: 1 });
  harness.b(syn | ack, 10, { src: dst, dst: src, ack: 2 });
  harness.a(ack, 20, { src, dst, seq: 2 });
}

Deno.test("direction outlives the silence after which a server pushes, or ends the connection", () => {
  for (const dst of [443, 50_443]) {
    for (const flags of [psh | ack, fin | ack]) {
      const harness = new Harness();
      const ports = { src: 48_000, dst };
      connected(harness, ports);
      harness.b(flags, 300_000, { src: dst, dst: 48_000, payload: bytes(1, 2, 3, 4, 5, 6, 7) });
      harness.a(ack, 300_001, ports);
      const segments = harness.segments();
      assertEquals(segments.map((s) => [s.fwd_packets, s.bwd_packets]), [[2, 1], [1, 1]]);
      assertEquals(initiators(segments), ["10.0.0.1:48000", "10.0.0.1:48000"]);
    }
  }
});

Deno.test("direction of HTTP/2 joined in its middle is told by a request or an answer, not by other frames", () => {
  const ports = { src: 50_051, dst: 48_000 };
  const headers = (block: number, flags = 4, stream = 9) =>
    bytes(0, 0, 3, 1, flags, 0, 0, 0, stream, block, 0xbe, 0xbf);
  const cases = [
    [bytes(headers(0x88), 0, 0, 0), "10.0.0.1:48000"],
    [bytes(headers(0x83), 0, 0, 0), "10.0.0.2:50051"],
    [bytes(0, 0, 8, 1, 0x24, 0, 0, 0, 1, 0, 0, 0, 3, 200, 0x82, 0xbe, 0xbf), "10.0.0.2:50051"],
    [bytes(headers(0xbe), 0, 0, 0), "10.0.0.2:50051?"],
    [bytes(headers(0x88, 4, 8), 0, 0, 0), "10.0.0.2:50051?"],
    [bytes(headers(0x88, 0x44), 0, 0, 0), "10.0.0.2:50051?"],
    [bytes(0, 0, 0x40, 1, 4, 0, 0, 0, 9, 0x88, 0xbe, 0xbf, 0, 0, 0), "10.0.0.2:50051?"],
    [bytes(0, 0, 8, 6, 0, 0, 0, 0, 0, new Uint8Array(8)), "10.0.0.2:50051?"],
  ] as const;
  for (const [payload, initiator] of cases) {
    assertEquals(first(6, tcp({ ...ports, flags: psh | ack, payload })), initiator, String(payload));
  }
});

Deno.test("direction is remembered for two hours and five minutes of packet time, and no longer", () => {
  for (const [ms, second] of [[7_619_000, "10.0.0.1:48000"], [7_640_000, "10.0.0.2:50000?"]] as const) {
    const harness = new Harness();
    connected(harness, { src: 48_000, dst: 50_000 });
    // Other traffic ends the flow at its time-out, not when its next packet comes.
    harness.udp("192.0.2.1", 40_000, "192.0.2.2", 53, 130_000);
    harness.b(psh | ack, ms, { src: 50_000, dst: 48_000, payload: bytes(0, 0, 0, 0, 0, 0) });
    assertEquals(initiators(harness.segments()).at(-1), second);
  }
});

Deno.test("direction of UDP outlives its silence, of both families", () => {
  const harness = new Harness();
  const data = new Uint8Array(40).fill(0x40);
  const [a, b] = ["2001:db8::a", "2001:db8::b"];
  harness.ip(
    ipv4(17, udp(53, 53, bytes(0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0)), { src: client, dst: server }),
    0,
  );
  harness.ip(ipv6(17, udp(41_000, 42_000, data), { src: a, dst: b }), 0);
  harness.ip(ipv6(17, udp(42_000, 41_000, data), { src: b, dst: a }), 1);
  harness.ip(ipv6(17, udp(42_000, 41_000, data), { src: b, dst: a }), 100_000);
  // What was a guess stays one, and stays the same.
  assertEquals(initiators(harness.segments()).sort(), [
    "10.0.0.1:53",
    "2001:db8::a:41000?",
    "2001:db8::a:41000?",
  ]);
  const quic = new Harness();
  const initial = bytes(
    0xc3,
    [0, 0, 0, 1],
    8,
    [1, 2, 3, 4, 5, 6, 7, 8],
    0,
    0,
    new Uint8Array(30),
  ) as Uint8Array<ArrayBuffer>;
  quic.udp(client, 41_000, server, 42_000, 0, initial);
  quic.udp(server, 42_000, client, 41_000, 10, data);
  quic.udp(server, 42_000, client, 41_000, 60_000, data);
  assertEquals(initiators(quic.segments()), ["10.0.0.1:41000", "10.0.0.1:41000"]);
});

Deno.test("direction outlives eviction from a full table", () => {
  const harness = new Harness({ flowsMax: 16 });
  connected(harness, { src: 48_000, dst: 50_000 });
  for (let i = 0; i < 16; i++) harness.udp("192.0.2.1", 20_000 + i, "192.0.2.2", 53, 30 + i);
  harness.b(psh | ack, 200, { src: 50_000, dst: 48_000, payload: bytes(0, 0, 0, 0, 0, 0) });
  const own = harness.segments().filter((s) => s.protocol === "tcp");
  assertEquals(own.map((s) => s.end_reason), ["evicted", "stopped"]);
  assertEquals(initiators(own), ["10.0.0.1:48000", "10.0.0.1:48000"]);
});

Deno.test("direction of a connection left out by sampling is known when it is counted again", () => {
  const harness = new Harness();
  harness.table.sampler.setLevel(10, 0);
  const left = Array.from({ length: 20 }, (_, i) => 48_000 + i);
  for (const port of left) harness.b(syn | ack, 0, { src: 50_000, dst: port, ack: 1 });
  harness.table.sampler.setLevel(0, 0);
  for (const port of left) harness.b(psh | ack, 200_000, { src: 50_000, dst: port, payload: text("pushed") });
  const again = harness.segments().filter((s) => s.start > 1_700_000_100);
  assertEquals([again.length, again.every((s) => s.src_ip === client)], [20, true]);
});

Deno.test("direction is what the protocol says, on any port, whoever is seen first", () => {
  const stream = (words: Uint8Array) => first(6, tcp({ src: 40_001, dst: 40_002, payload: words }));
  const asked = "10.0.0.2:40001", answered = "10.0.0.1:40002", unknown = "10.0.0.2:40001?";
  assertEquals(stream(text("GET / HTTP/1.1\r\n")), asked);
  assertEquals(stream(text("HTTP/1.1 200 OK\r\n")), answered);
  assertEquals(stream(text("CONNECT a:443 HTTP/1.1\r\n")), asked);
  assertEquals(stream(text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")), asked);
  assertEquals(stream(text("GETTING / nowhere")), asked);
  assertEquals(stream(text("HELLO there, who is it?")), unknown);
  assertEquals(stream(bytes([22, 3, 1, 0, 60, 1, 0, 0, 56], new Uint8Array(56))), asked);
  assertEquals(stream(bytes([22, 3, 3, 0, 60, 2, 0, 0, 56], new Uint8Array(56))), answered);
  // Encrypted, a handshake message may begin with any octet.
  assertEquals(stream(bytes([22, 3, 3, 0, 60, 2, 77, 0, 56], new Uint8Array(56))), unknown);
  const datagram = (words: Uint8Array) => first(17, udp(40_001, 40_002, words));
  assertEquals(datagram(bytes(0x80, [0, 0, 0, 0], 8, new Uint8Array(20))), unknown);
  assertEquals(datagram(bytes(0xc0, [0, 0, 0, 0], 8, new Uint8Array(20))), answered);
  assertEquals(datagram(bytes(0xf0, [0, 0, 0, 1], 8, new Uint8Array(20))), answered);
  assertEquals(datagram(bytes(0xd0, [0, 0, 0, 1], 8, new Uint8Array(20))), asked);
  assertEquals(datagram(bytes(0xc0, [0, 0, 0, 1], 0, 8, new Uint8Array(20))), answered);
  assertEquals(datagram(bytes(0xc0, [0, 0, 0, 1], 8, new Uint8Array(8), 8, new Uint8Array(20))), unknown);
  const stun = (type: number[]) => bytes(type, [0, 0, 0x21, 0x12, 0xa4, 0x42], new Uint8Array(12));
  assertEquals(datagram(stun([0, 1])), asked);
  assertEquals(datagram(stun([1, 1])), answered);
  assertEquals(datagram(stun([0, 0x11])), unknown);
});

Deno.test("direction of DNS, DHCP and NTP is told by the message, of ICMP by the type", () => {
  const dns = (flags: number) => bytes(0, 1, flags, 0, [0, 1, 0, 0, 0, 0, 0, 0]);
  assertEquals(first(17, udp(53, 53, dns(0x81))), "10.0.0.1:53");
  assertEquals(first(17, udp(53, 53, dns(0x01))), "10.0.0.2:53");
  assertEquals(first(6, tcp({ src: 5353, dst: 5353, payload: bytes(0, 12, dns(0x81)) })), "10.0.0.1:5353");
  assertEquals(first(17, udp(137, 137, dns(0x85))), "10.0.0.1:137");
  assertEquals(first(17, udp(5353, 5353, dns(0x84)), "224.0.0.251"), "10.0.0.2:5353");
  assertEquals(first(17, udp(67, 68, new Uint8Array(240).fill(2))), "10.0.0.1:68");
  assertEquals(first(17, udp(67, 68, new Uint8Array(240).fill(2)), "255.255.255.255"), "10.0.0.2:67");
  assertEquals(first(17, udp(123, 123, new Uint8Array(48).fill(0x24))), "10.0.0.1:123");
  assertEquals(first(17, udp(123, 123, new Uint8Array(48).fill(0x23))), "10.0.0.2:123");
  assertEquals(first(1, icmp(0)), "10.0.0.1:8");
  assertEquals(first(1, icmp(8)), "10.0.0.2:8");
  assertEquals(first(1, icmp(3)), "10.0.0.2:3");
});

Deno.test("direction of a connection joined in its middle is told by a service's port against a client's", () => {
  const joined = (src: number, dst: number) => first(6, tcp({ src, dst }));
  const datagram = (src: number, dst: number) => first(17, udp(src, dst, bytes(0, 0, 0, 0)));
  assertEquals(joined(443, 50_000), "10.0.0.1:50000");
  assertEquals(joined(50_000, 443), "10.0.0.2:50000");
  assertEquals(joined(1_023, 2_220), "10.0.0.1:2220");
  assertEquals(joined(3_306, 32_768), "10.0.0.1:32768");
  // 32,767 is no client's port, and 1,024 none of a well-known service: better than nothing, and said to be a guess.
  assertEquals(joined(1_024, 32_767), "10.0.0.2:1024?");
  assertEquals(joined(1_024, 32_768), "10.0.0.1:32768?");
  assertEquals(joined(40_000, 50_000), "10.0.0.2:40000?");
  assertEquals(joined(443, 80), "10.0.0.2:443?");
  assertEquals(datagram(443, 32_768), "10.0.0.1:32768");
  assertEquals(datagram(443, 32_767), "10.0.0.2:443?");
  assertEquals(datagram(1_024, 40_000), "10.0.0.2:1024?");
});

Deno.test("a guess is given up for the first payload that tells, with everything counted so far", () => {
  const harness = new Harness();
  const ports = { src: 40_000, dst: 50_000 };
  harness.b(psh | ack, 0, { src: 50_000, dst: 40_000, payload: text("??????????") });
  harness.b(ack, 1, { src: 50_000, dst: 40_000 });
  harness.a(psh | ack, 2, { ...ports, payload: text("GET /x HTTP/1.1\r\n\r\n") });
  const [s, ...others] = harness.segments();
  assertEquals(others, []);
  assertEquals(initiators([s]), ["10.0.0.1:40000"]);
  assertEquals([s.dst_ip, s.dst_port, s.fwd_packets, s.bwd_packets], ["10.0.0.2", 50_000, 1, 2]);
  assertEquals([s.fwd_payload_bytes, s.bwd_payload_bytes, s.fwd_bytes, s.bwd_bytes], [19, 10, 59, 90]);
  assertEquals([s.fwd_tcp_flags, s.bwd_tcp_flags, s.fwd_ttl, s.bwd_ttl], [24, 24, 64, 64]);
});

Deno.test("a guess given up takes the MAC addresses along", () => {
  const harness = new Harness();
  const answer = tcp({ src: 50_000, dst: 40_000, payload: text("HTTP/1.1 200 OK\r\n\r\n") });
  const nothing = ipv4(6, tcp({ src: 50_000, dst: 40_000 }), { src: server, dst: client });
  harness.ip(ethernet(0x0800, nothing, macB, macA), 0, 1);
  harness.ip(ethernet(0x0800, ipv4(6, answer, { src: server, dst: client }), macB, macA), 1, 1);
  const [s] = harness.segments();
  assertEquals([s.src_ip, s.src_mac, s.dst_mac], [client, "02:00:00:00:00:0a", "02:00:00:00:00:0b"]);
});

Deno.test("a guess stays where a part of the flow was reported already", () => {
  const harness = new Harness();
  harness.b(psh | ack, 0, { src: 50_000, dst: 40_000, payload: text("??????????") });
  harness.a(ack, 1, { src: 40_000, dst: 50_000 });
  harness.b(ack, 61_000, { src: 50_000, dst: 40_000 });
  harness.a(psh | ack, 62_000, { src: 40_000, dst: 50_000, payload: text("GET /x HTTP/1.1\r\n\r\n") });
  assertEquals(initiators(harness.segments()), ["10.0.0.2:50000?", "10.0.0.2:50000?"]);
});
