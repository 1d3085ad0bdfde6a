/** Tunnels whose outer packet was too long and went in fragments. @module */

import { assertEquals } from "@std/assert";
import { Decoder } from "../../../sensor/decode/decoder.ts";
import { bytes, ethernet, ipv4, tcp, udp } from "../frames.ts";

const decoder = new Decoder();
const more = 0x2000;
/** An inner packet of 100 octets whose header says `total`. */
const ofTotal = (total: number) => ipv4(6, tcp({ payload: new Uint8Array(60) }), { total });

/** Octets of the inner packet, of its payload, of what is here of that, and of what is only claimed. */
function inner(packet: Uint8Array): number[] {
  const before = decoder.claimedBytes;
  assertEquals(decoder.decode(packet, 0, packet.length, packet.length, 101), 0);
  if (decoder.layerCount < 2) return [];
  const { ipBytes, payloadLength, payloadCaptured } = decoder.layers[1];
  return [ipBytes, payloadLength, payloadCaptured, decoder.claimedBytes - before];
}

Deno.test("an inner packet that begins in a first fragment counts whole, up to twice what the fragment holds", () => {
  assertEquals(inner(ipv4(4, ofTotal(200), { fragment: more })), [200, 160, 60, 0]);
  assertEquals(inner(ipv4(4, ofTotal(201), { fragment: more })), [200, 160, 60, 1]);
  assertEquals(inner(ipv4(4, ofTotal(200))), [100, 60, 60, 100]);
  assertEquals(inner(ipv4(4, ofTotal(200), { fragment: more | 1 })), []);
  const gre = bytes(0, 0, 0x08, 0, ofTotal(150));
  assertEquals(inner(ipv4(47, gre, { fragment: more })), [150, 110, 60, 0]);
  const vxlan = udp(4789, 4789, bytes([8, 0, 0, 0, 0, 0, 1, 0], ethernet(0x0800, ofTotal(150))));
  assertEquals(inner(ipv4(17, vxlan, { fragment: more })), [150, 110, 60, 0]);
});
