/** Copies of a mirror port: counted as packets, and said to be copies; what is said twice in good faith is none.
 * @module */

import { assertEquals } from "@std/assert";
import { Decoder } from "../../../sensor/decode/decoder.ts";
import { Copies } from "../../../sensor/flow/copies.ts";
import { ack, bytes, ethernet, icmp, ipv4, ipv6, macA, macB, psh, syn, tcp, udp, vlan } from "../frames.ts";

const decoder = new Decoder();
const now = 1_700_000_000_000_000;

/** How many of these frames, each so many microseconds after the first, are copies. */
function copiesOf(...frames: [frame: Uint8Array, us: number][]): number {
  const copies = new Copies();
  for (const [frame, us] of frames) {
    assertEquals(decoder.decode(frame, 0, frame.length, frame.length, 1), 0);
    copies.note(decoder.layers[0], frame, now + us);
  }
  return copies.count;
}

const four = (protocol: number, payload: Uint8Array, given = {}) =>
  ethernet(0x0800, ipv4(protocol, payload, given));
const data = tcp({ flags: psh | ack, payload: new Uint8Array(20).fill(1) });
const plainAck = tcp({ flags: ack });

Deno.test("a packet seen twice within five milliseconds is a copy, a third time another", () => {
  for (const payload of [data, plainAck, tcp({ flags: syn })]) {
    const frame = four(6, payload);
    assertEquals(copiesOf([frame, 0], [frame, 3]), 1);
    assertEquals(copiesOf([frame, 0], [frame, 5_000], [frame, 10_000]), 2);
    assertEquals(copiesOf([frame, 0], [frame, 5_001]), 0);
    assertEquals(copiesOf([frame, 0], [frame, -1]), 0);
  }
});

Deno.test("a copy from behind a router, or from another VLAN, is one", () => {
  const routed = ethernet(0x0800, ipv4(6, data, { ttl: 63 }), macB, macA);
  assertEquals(copiesOf([four(6, data), 0], [routed, 30]), 1);
  assertEquals(copiesOf([four(6, data), 0], [ethernet(0x8100, vlan(7, 0x0800, ipv4(6, data))), 30]), 1);
});

Deno.test("copies are told of UDP, ICMP, fragments and IPv6 too", () => {
  const query = udp(5_000, 53, bytes(0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0));
  const six = (next: number, payload: Uint8Array) => ethernet(0x86dd, ipv6(next, payload));
  for (
    const frame of [
      four(17, query),
      four(1, icmp(8)),
      four(17, query, { fragment: 0x2000 }),
      six(6, data),
      six(17, query),
    ]
  ) {
    assertEquals(copiesOf([frame, 0], [frame, 200]), 1);
  }
  // Without identification it may be said again: only at once it is a copy.
  assertEquals(copiesOf([six(17, query), 0], [six(17, query), 201]), 0);
});

Deno.test("a retransmission, a repeated acknowledgement, an answer and a neighbour are no copies", () => {
  assertEquals(copiesOf([four(6, data), 0], [four(6, data, { id: 8 }), 100]), 0);
  assertEquals(copiesOf([four(6, plainAck, { id: 0 }), 0], [four(6, plainAck, { id: 0 }), 100]), 0);
  const six = ethernet(0x86dd, ipv6(6, plainAck));
  assertEquals(copiesOf([six, 0], [six, 100]), 0);
  assertEquals(copiesOf([four(6, data), 0], [four(6, data, { src: "10.0.0.2", dst: "10.0.0.1" }), 1]), 0);
  assertEquals(copiesOf([four(6, data), 0], [four(6, data, { src: "10.0.0.3" }), 1]), 0);
  const next = tcp({ flags: psh | ack, seq: 1_020, payload: new Uint8Array(20).fill(1) });
  assertEquals(copiesOf([four(6, data), 0], [four(6, next), 1]), 0);
  const fragments = [0x2000, 0x2001].map((fragment) => four(17, new Uint8Array(16), { fragment }));
  assertEquals(copiesOf([fragments[0], 0], [fragments[1], 1]), 0);
});

Deno.test("of a long capture a sample is judged, and stands for the rest", () => {
  const copies = new Copies();
  const frame = four(6, data);
  decoder.decode(frame, 0, frame.length, frame.length, 1);
  const p = decoder.layers[0];
  for (let i = 0; i < 200_000; i++) {
    p.tcpSeq = 1_000 * i | 0;
    for (const us of [0, 3]) copies.note(p, frame, now + 10 * i + us);
  }
  assertEquals(Math.abs(copies.count - 200_000) < 10_000, true, `${copies.count} of 200,000 copies`);
});

Deno.test("copies of a fast link are found though thousands of packets stand between", () => {
  const frame = four(6, data);
  decoder.decode(frame, 0, frame.length, frame.length, 1);
  const p = decoder.layers[0];
  const apart = (packets: number, us: number) => {
    const copies = new Copies();
    for (const from of [0, us]) {
      for (let i = 0; i < packets; i++) {
        p.tcpSeq = 1_448 * i | 0;
        copies.note(p, frame, now + from + i * us / packets);
      }
    }
    return copies.count / packets;
  };
  assertEquals([apart(4_096, 2_500) > 0.95, apart(8_192, 5_000) > 0.85], [true, true]);
  assertEquals(apart(8_192, 5_001), 0);
  // Stamps that pass 2^32 microseconds.
  p.tcpSeq = 1;
  const copies = new Copies();
  const turn = Math.ceil(now / 2 ** 32) * 2 ** 32;
  for (const us of [turn - 2, turn + 3, turn + 3 + 2 ** 31]) copies.note(p, frame, us);
  assertEquals(copies.count, 1);
});
