/** A packet whose line is longer than the 4 KB tshark keeps before it writes to a pipe.
 *
 * Out: a raw IPv4 packet with an SSDP request whose URI, host and user agent fill three columns, 2 KB each.
 * Invariant: one datagram, no state left behind in the dissector but a conversation that is always the same. @module */

const valueBytes = 2_100;

function build(): Uint8Array {
  const value = "x".repeat(valueBytes);
  const request = `NOTIFY /${value} HTTP/1.1\r\nHost: ${value}\r\nUser-Agent: ${value}\r\n\r\n`;
  const payload = new TextEncoder().encode(request);
  const packet = new Uint8Array(28 + payload.length);
  const view = new DataView(packet.buffer);
  packet[0] = 0x45;
  view.setUint16(2, packet.length);
  packet[8] = 1;
  packet[9] = 17;
  packet.set([127, 0, 0, 1], 12);
  packet.set([127, 0, 0, 1], 16);
  view.setUint16(20, 1900);
  view.setUint16(22, 1900);
  view.setUint16(24, 8 + payload.length);
  packet.set(payload, 28);
  return packet;
}

export const fillerPacket: Uint8Array = build();
