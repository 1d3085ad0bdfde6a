/** A capture in which every packet is a flow of its own that only tshark can read: a fact lost is one flow without
 * facts.
 *
 * Out: DHCP requests, each from another address and with another host name; no payload that the sensor reads by itself.
 * @module */

import { bytes, ethernet, ipv4, pcap, u16, udp } from "../sensor/frames.ts";

/** Address of the request with this number. */
export function dhcpAddress(index: number): string {
  return `10.1.${index >> 8}.${index & 255}`;
}

/** `gapUs` apart. */
export function dhcpCapture(packets: number, gapUs: number): Uint8Array {
  return pcap(Array.from({ length: packets }, (_, index) => ({
    timeUs: 1_700_000_000_000_000 + index * gapUs,
    frame: dhcpRequest(index),
  })));
}

function dhcpRequest(index: number): Uint8Array {
  const name = new TextEncoder().encode(`host-${index}`);
  const options = bytes([0x63, 0x82, 0x53, 0x63, 53, 1, 3, 12, name.length], name, 255);
  const message = bytes([1, 1, 6, 0], u16(index), u16(1), new Uint8Array(228), options);
  return ethernet(0x0800, ipv4(17, udp(68, 67, message), { src: dhcpAddress(index) }));
}
