/** Tests of the second look for the sensor's own traffic: whatever hides it from the kernel's filter. @module */

import { assertEquals } from "@std/assert";
import { Decoder } from "../../../sensor/decode/decoder.ts";
import { OwnTraffic } from "../../../sensor/prefilter/own_traffic.ts";
import { ethernet, ipv4, ipv6, tcp, udp } from "../frames.ts";

const own = new OwnTraffic();
own.set([
  { host: "192.0.2.1", port: 8_600 },
  { host: "2001:db8::1", port: 9_092 },
  { host: "a-name.example", port: 22 },
]);

function isOwn(frame: Uint8Array): boolean {
  const decoder = new Decoder();
  assertEquals(decoder.decode(frame, 0, frame.length, frame.length, 1), 0);
  return own.isIn(decoder.layers, decoder.layerCount);
}

const to = (port: number, dst = "192.0.2.1") =>
  ipv4(6, tcp({ src: 50_000, dst: port }), { src: "10.0.0.9", dst });
const from = (port: number) =>
  ipv4(6, tcp({ src: port, dst: 50_000 }), { src: "192.0.2.1", dst: "10.0.0.9" });
const tagged = (packet: Uint8Array) => ethernet(0x8100, new Uint8Array([0, 7, 8, 0, ...packet]));

Deno.test("own traffic is found both ways, tagged, in a tunnel, over IPv6", () => {
  assertEquals(isOwn(ethernet(0x0800, to(8_600))), true);
  assertEquals(isOwn(ethernet(0x0800, from(8_600))), true);
  assertEquals(isOwn(tagged(to(8_600))), true);
  assertEquals(isOwn(ethernet(0x0800, ipv4(4, to(8_600), { src: "10.9.0.1", dst: "10.9.0.2" }))), true);
  const six = { src: "2001:db8::9", dst: "2001:db8::1" };
  assertEquals(isOwn(ethernet(0x86dd, ipv6(6, tcp({ src: 50_000, dst: 9_092 }), six))), true);
});

Deno.test("own traffic is also what an aggregator on this machine takes in behind its front door, on any port", () => {
  const inner = (src: string, dst: string) =>
    ethernet(0x0800, ipv4(6, tcp({ src: 40_000, dst: 41_000 }), { src, dst }));
  assertEquals(isOwn(inner("127.0.0.1", "127.86.0.1")), true);
  assertEquals(isOwn(inner("127.86.0.1", "127.0.0.1")), true);
  assertEquals(isOwn(inner("127.0.0.1", "127.86.0.2")), false);
  assertEquals(isOwn(inner("127.0.0.1", "127.0.0.1")), false);
});

Deno.test("own traffic is nothing else: another port, another host, another protocol, a name", () => {
  assertEquals(isOwn(ethernet(0x0800, to(8_601))), false);
  assertEquals(isOwn(ethernet(0x0800, to(8_600, "192.0.2.2"))), false);
  // The port of one peer at the address of the other.
  assertEquals(isOwn(ethernet(0x0800, to(9_092))), false);
  assertEquals(
    isOwn(ethernet(0x0800, ipv4(6, tcp({ src: 8_600, dst: 50_000 }), { dst: "192.0.2.1" }))),
    false,
  );
  assertEquals(isOwn(ethernet(0x0800, ipv4(17, udp(50_000, 8_600), { dst: "192.0.2.1" }))), false);
  assertEquals(isOwn(ethernet(0x0800, to(22))), false);
});

Deno.test("own traffic keeps the newest 64 peers, and forgets them all when there are none", () => {
  const many = new OwnTraffic();
  const frame = (host: string) => {
    const packet = ethernet(0x0800, to(8_600, host));
    const decoder = new Decoder();
    decoder.decode(packet, 0, packet.length, packet.length, 1);
    return many.isIn(decoder.layers, decoder.layerCount);
  };
  many.set(Array.from({ length: 65 }, (_, i) => ({ host: `198.51.100.${i + 1}`, port: 8_600 })));
  assertEquals([frame("198.51.100.1"), frame("198.51.100.2"), frame("198.51.100.65")], [false, true, true]);
  many.set([]);
  assertEquals([many.isActive, frame("198.51.100.2")], [false, false]);
});
