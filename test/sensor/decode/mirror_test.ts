/** What mirrors and other systems put around frames: TZSP, and link types that share a number. @module */

import { assertEquals } from "@std/assert";
import { Decoder } from "../../../sensor/decode/decoder.ts";
import { tunnelNames } from "../../../sensor/decode/packet.ts";
import { innerFaults, leftOutReasons } from "../../../sensor/decode/reasons.ts";
import { bytes, ethernet, ipv4, macA, macB, tcp, u16, u32, udp, vlan } from "../frames.ts";

const decoder = new Decoder();
const segment = ipv4(6, tcp({ payload: new Uint8Array(10) }));
const frame = ethernet(0x0800, segment);

/** Protocols of the layers, the innermost tunnel, what is wrong. */
function decode(octets: Uint8Array, linkType = 101): string {
  const stopped = decoder.decode(octets, 0, octets.length, octets.length, linkType);
  if (stopped !== 0) return leftOutReasons[stopped];
  const layers = decoder.layers.slice(0, decoder.layerCount);
  const last = layers[layers.length - 1];
  const fault = decoder.innerFault ? ` ! ${innerFaults[decoder.innerFault]}` : "";
  const tag = last.vlan ? ` vlan ${last.vlan}` : "";
  return `${layers.map((p) => p.protocol).join(" ")} ${tunnelNames[last.tunnel]}${tag}${fault}`;
}

const mirrored = (header: readonly number[], inner: Uint8Array, port = 37_008) =>
  ipv4(17, udp(37_008, port, bytes(header, inner)));

Deno.test("decoder opens TZSP, whatever fields stand between header and frame", () => {
  assertEquals(decode(mirrored([1, 0, 0, 1, 1], frame)), "17 6 tzsp");
  // Padding, a signal strength, a count with four octets, the end.
  const fields = [0, 0, 10, 1, 200, 40, 4, 0, 0, 0, 9, 0, 1];
  assertEquals(decode(mirrored([1, 0, 0, 1, ...fields], frame)), "17 6 tzsp");
  assertEquals(decode(mirrored([1, 1, 0, 1, 1], frame)), "17 6 tzsp");
  assertEquals(
    decode(mirrored([1, 0, 0, 1, 1], ethernet(0x8100, vlan(7, 0x0800, segment)))),
    "17 6 tzsp vlan 7",
  );
});

Deno.test("decoder opens the radio frames that TZSP carries", () => {
  const data = bytes(0x08, 1, [0, 0], macB, macA, macB, [0, 0], [0xaa, 0xaa, 3, 0, 0, 0, 8, 0], segment);
  assertEquals(decode(mirrored([1, 0, 0, 18, 10, 1, 200, 1], data)), "17 6 tzsp");
  assertEquals(
    decode(mirrored([1, 0, 0, 119, 1], bytes(u32(0), [144, 0, 0, 0], new Uint8Array(136), data))),
    "17 6 tzsp",
  );
  assertEquals(
    decode(mirrored([1, 0, 0, 127, 1], bytes(0x80, 0x21, 0x10, 1, u32(64), new Uint8Array(56), data))),
    "17 6 tzsp",
  );
  assertEquals(decode(mirrored([1, 0, 0, 18, 1], bytes(0x80, 0, new Uint8Array(30)))), "17 ");
});

Deno.test("decoder takes for TZSP only what is, and follows its fields only so far", () => {
  assertEquals(decode(mirrored([1, 0, 0, 1, 1], frame, 37_009)), "17 ");
  assertEquals(decode(mirrored([2, 0, 0, 1, 1], frame)), "17 ");
  assertEquals(decode(mirrored([1, 4, 0, 0, 1], frame)), "17 ");
  assertEquals(decode(mirrored([1, 0, 0, 9, 1], frame)), "17 ");
  const padding = (count: number) => [1, 0, 0, 1, ...new Array(count).fill(0), 1];
  assertEquals(decode(mirrored(padding(63), frame)), "17 6 tzsp");
  assertEquals(decode(mirrored(padding(64), frame)), "17  ! inner_malformed");
  assertEquals(decode(mirrored([1, 0, 0, 1, 10, 255, 0, 0, 0, 0], bytes())), "17  ! inner_malformed");
  assertEquals(decode(mirrored([1, 0, 0, 1, 1], frame.subarray(0, 10))), "17  ! inner_malformed");
});

Deno.test("decoder tells link types that share a number by what stands there", () => {
  for (const linkType of [12, 14, 101]) {
    assertEquals(decode(segment, linkType), "6 ");
    assertEquals(decode(bytes([0, 0, 0, 2], segment), linkType), "6 ");
  }
  assertEquals(decode(bytes([0, 0, 0, 99], segment), 12), "other_ethertype");
  for (const linkType of [13, 109]) {
    assertEquals(decode(bytes([0, 0, 0, 2], u32(1), u32(0), segment), linkType), "6 ");
  }
  assertEquals(decode(bytes([0xff, 9, 9, 9], u32(1), u32(0), segment), 13), "link_type_unknown");
  for (const linkType of [17, 117]) {
    assertEquals(decode(bytes(61, new Uint8Array(63), segment), linkType), "6 ");
  }
  const pktap = bytes([108, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], new Uint8Array(96), frame);
  for (const linkType of [149, 258]) {
    assertEquals(decode(pktap, linkType), "6 ");
    assertEquals(decoder.layers[0].srcMacOffset, 114);
  }
  assertEquals(decode(bytes(u16(1), pktap), 149), "link_type_unknown");
});
