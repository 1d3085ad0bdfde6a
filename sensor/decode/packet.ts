/** Packet: one network header of a frame and what is inside it, in one reused struct.
 *
 * In: the decoder fills it. Out: the flow table,
 * the prefilter and the chooser read it before the next frame is decoded.
 * Invariant: offsets point into the buffer of the frame and are valid only until the next frame;
 * nothing here is allocated per packet.
 * Hot path: plain integer fields, addresses as four 32-bit words (IPv4 in the first),
 * so that V8 keeps one hidden class. @module */

/** How the addresses of a packet are to be read. */
export const family = { ipv4: 4, ipv6: 6, arp: 1 } as const;

/** Tunnels by number, as kept in flow keys; the names are those of `Segment.tunnel`. */
export const tunnelNames = [
  "",
  "gre",
  "ipip",
  "6in4",
  "4in6",
  "6in6",
  "vxlan",
  "geneve",
  "gtpu",
  "teredo",
  "erspan",
  "pptp",
  "etherip",
  "mpls",
  "l2tp",
  "capwap",
  "lisp",
  "tzsp",
] as const;
export type TunnelName = typeof tunnelNames[number];

export class Packet {
  /** 1 = outermost network header of the frame. */
  depth = 1;
  /** Index into {@link tunnelNames}: what this header travels in. */
  tunnel = 0;
  /** 4, 6 or 1 (ARP), see {@link family}. */
  family = 0;
  /** IP protocol number after extension headers, 256 for ARP. */
  protocol = 0;
  src0 = 0;
  src1 = 0;
  src2 = 0;
  src3 = 0;
  dst0 = 0;
  dst1 = 0;
  dst2 = 0;
  dst3 = 0;
  /** For ICMP the type, for ARP the operation; 0 where there is none, and in fragments after the first. */
  srcPort = 0;
  /** For ICMP the code, for ARP of `arpKinds`. */
  dstPort = 0;
  vlan = 0;
  vlanInner = 0;
  /** Offset of six bytes in the frame, -1 = no such address. */
  srcMacOffset = -1;
  dstMacOffset = -1;
  ttl = 0;
  /** IP-layer octets by the header (ARP: 28), at most those on the wire;
   * by the wire alone where segmentation offload left 0. */
  ipBytes = 0;
  /** Where the IP header begins. */
  ipOffset = 0;
  /** Where the transport payload begins; for TCP, UDP and SCTP after their header. */
  payloadOffset = 0;
  /** Payload octets by the headers, at most those on the wire, whatever was captured. */
  payloadLength = 0;
  /** Payload octets that are in the buffer, <= payloadLength. */
  payloadCaptured = 0;
  /** TCP flag octet, 0 for other protocols. */
  tcpFlags = 0;
  /** Sequence numbers as signed 32-bit integers. */
  tcpSeq = 0;
  tcpAck = 0;
  /** More fragments follow, or this is a later fragment. */
  isFragment = false;
  /** Octets of the datagram before this fragment, 0 = first or whole. */
  fragmentOffset = 0;
  /** Identification of the datagram, only meaningful when `isFragment`. */
  fragmentId = 0;
}
