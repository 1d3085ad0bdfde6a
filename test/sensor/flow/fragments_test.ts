/** Fragments: each is counted to the flow of its datagram, or to one without ports. @module */

import { assertEquals } from "@std/assert";
import { entriesMax } from "../../../sensor/flow/fragments.ts";
import { bytes, ipv4, ipv6, u16, u32, udp } from "../frames.ts";
import { brief, Harness, startUs } from "./harness.ts";

const datagram = udp(5000, 53, new Uint8Array(100));

/** The three fragments of one datagram: 40, 40 and 28 octets. */
function parts(id: number): Uint8Array[] {
  return [
    ipv4(17, datagram.subarray(0, 40), { id, fragment: 0x2000 }),
    ipv4(17, datagram.subarray(40, 80), { id, fragment: 0x2005 }),
    ipv4(17, datagram.subarray(80), { id, fragment: 10 }),
  ];
}

Deno.test("fragments are counted to the flow of their datagram, in whatever order they come", () => {
  for (const order of [[0, 1, 2], [2, 1, 0], [1, 0, 2], [2, 0, 1]]) {
    const h = new Harness();
    order.forEach((part, index) => h.ip(parts(7)[part], index));
    const segments = h.segments();
    assertEquals(segments.map(brief), ["udp 10.0.0.1:5000 10.0.0.2:53 3/0 S0 stopped 0"], String(order));
    assertEquals([segments[0].fwd_bytes, segments[0].packet_length_min, segments[0].packet_length_max], [
      168,
      48,
      60,
    ]);
    assertEquals(segments[0].start, startUs / 1e6);
    assertEquals(h.fragments.orphans, 0);
  }
});

Deno.test("fragments of IPv6 are told apart by their 32-bit identification", () => {
  const part = (id: number, offset: number, more: number) =>
    ipv6(
      44,
      bytes(17, 0, u16(offset | more), u32(id), offset === 0 ? datagram.subarray(0, 40) : new Uint8Array(40)),
    );
  const h = new Harness();
  h.ip(part(0x10007, 0, 1), 0);
  h.ip(part(0x10007, 40, 0), 1);
  h.ip(part(0x20007, 40, 0), 2);
  assertEquals(h.segments().map(brief).sort(), [
    "udp 2001:db8::1:0 2001:db8::2:0 1/0 S0 stopped 0",
    "udp 2001:db8::1:5000 2001:db8::2:53 2/0 S0 stopped 0",
  ]);
});

Deno.test("fragments whose first was lost go to a flow without ports, and are counted", () => {
  const h = new Harness();
  h.ip(parts(7)[1], 0);
  h.ip(parts(7)[2], 1);
  h.ip(parts(8)[0], 2);
  assertEquals(h.segments().map(brief).sort(), [
    "udp 10.0.0.1:0 10.0.0.2:0 2/0 S0 stopped 0",
    "udp 10.0.0.1:5000 10.0.0.2:53 1/0 S0 stopped 0",
  ]);
  assertEquals(h.fragments.orphans, 2);
});

Deno.test("fragments wait 30 s for their first, then no longer", () => {
  const h = new Harness();
  h.ip(parts(7)[2], 0);
  h.ip(parts(9)[0], 40_000);
  assertEquals(h.fragments.orphans, 1);
  h.ip(parts(7)[0], 40_001);
  assertEquals(h.segments().map(brief).sort()[0], "udp 10.0.0.1:0 10.0.0.2:0 1/0 S0 stopped 0");
});

Deno.test("an identification used again belongs to the newer datagram", () => {
  const h = new Harness();
  const other = ipv4(17, udp(6000, 53, new Uint8Array(32)), { id: 7, fragment: 0x2000 });
  h.ip(parts(7)[0], 0);
  h.ip(other, 1);
  h.ip(parts(7)[1], 2);
  assertEquals(h.segments().map(brief).sort(), [
    "udp 10.0.0.1:5000 10.0.0.2:53 1/0 S0 stopped 0",
    "udp 10.0.0.1:6000 10.0.0.2:53 2/0 S0 stopped 0",
  ]);
});

Deno.test("a flood of lost first fragments stays bounded, and every packet is in a flow", () => {
  const h = new Harness();
  const count = entriesMax * 2;
  for (let i = 0; i < count; i++) {
    h.ip(ipv4(17, new Uint8Array(40), { id: i & 0xffff, fragment: 5, src: `10.0.${i >> 12}.9` }), i / 100);
  }
  assertEquals(h.segments().reduce((sum, s) => sum + s.fwd_packets, 0), count);
});
