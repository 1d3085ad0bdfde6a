/** Signs by which a datagram that begins a flow may belong to a protocol the dissector can name.
 *
 * In: the packet and its octets. Out: yes or no. Invariant: "no" is only said of what tshark would call plain data: no
 * port of a dissector we allow, no pattern its heuristics look for.
 * Hot path: one table look-up, integer comparisons, no allocation.
 * Why: file sharing and games begin thousands of flows a minute that nothing can name,
 * and trying costs tshark 25 us for each. @module */

import type { Packet } from "../decode/packet.ts";
import { isQuicVersion, isSipStart } from "./signs.ts";

/** Ports, beside those below 1024, on which tshark or a policy looks for a protocol of `profile.ts`. */
const ports = Uint8Array.from({ length: 65_536 }, (_, port) => port < 1_024 ? 1 : 0);
const knownPorts =
  `1194 1645 1646 1701 1718 1719 1812 1813 1883 1900 2055 2123 2152 2222 3074 3389 3478 3479 3544 3799 4433 4500 4789
  4790 4840 5004 5005 5060 5061 5349 5351 5353 5355 5683 5684 5938 6081 6343 6771 6881 6969 7400 8080 8333 8443 8472 9200 9201 9202 9203
  10001 11211 19132 19302 20000 27015 27017 30303 34962 41641 44818 47808 47809 48898 51820`.split(/\s+/).map(
    Number,
  );
for (const port of knownPorts) ports[port] = 1;

/** Four octets or more. */
export function mayHaveName(packet: Packet, buffer: Uint8Array): boolean {
  if (ports[packet.srcPort] === 1 || ports[packet.dstPort] === 1) return true;
  const at = packet.payloadOffset;
  const length = packet.payloadCaptured;
  const first = buffer[at];
  const second = buffer[at + 1];
  const announced = buffer[at + 2] << 8 | buffer[at + 3];
  if (first >= 0xc0 && length >= 5 && isQuicVersion(buffer, at)) return true;
  // RTP, where a call announced it, and its control packets, which tell their length in words (RFC 3550).
  if (first === 0x80 || first === 0x90) return true;
  if (first >> 6 === 2 && second >= 192 && second <= 223 && 4 * announced + 4 <= length) return true;
  // STUN with and without its cookie (RFC 5389, 3489), and TURN channels: the length stands in the header.
  if (first < 4 && length >= 20 && announced + 20 === length) return true;
  if (first >> 4 === 4 && announced + 4 <= length && announced + 8 > length) return true;
  if (isSipStart(buffer, at)) return true;
  if (length >= 13 && first >= 20 && first <= 25 && second === 0xfe) return true; // DTLS
  if (first >= 1 && first <= 4 && (second | buffer[at + 2] | buffer[at + 3]) === 0) return true; // WireGuard
  if (first === 0x64 && (second === 0x31 || second === 0x32) && buffer[at + 2] === 0x3a) return true; // BitTorrent DHT
  if (length >= 20 && (first & 15) === 1 && first >> 4 <= 4 && second <= 2) return true; // uTP
  if (length >= 80 && first === 4 && second <= 19) return true; // DCE/RPC
  return first === 0x42 && second === 0x54; // local peer discovery: "BT-SEARCH"
}
