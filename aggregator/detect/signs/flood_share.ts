/** What one update adds to a flood of any protocol.
 *
 * In: an update. Out: its share, or null when no flood is made of such flows.
 * Invariant: a conversation adds nothing to a flood of packets; half-open connections are the SYN flood's, unasked
 * answers the reflection's. A carrier of tunnels sends one way by its nature and adds nothing either. @module */

import type { Opening } from "../prepared.ts";

/** `connections`: complete ones to a web server. `held`: web requests that are kept open and never finished. */
export type FloodKind = "udp" | "icmp" | "tcp" | "ip" | "connections" | "held";

export interface FloodShare {
  kind: FloodKind;
  /** What the kind counts: packets, or flows of TCP. */
  amount: number;
  octets: number;
  /** The server sent payload back. */
  isAnswered: boolean;
}

const syn = 2, rst = 4;
/** VXLAN, Linux VXLAN, Geneve, GTP-U, Teredo: each direction has flows of its own. */
const carrierPorts = new Set([4789, 8472, 6081, 2152, 3544]);
/** Errors that routers and hosts send about the packets of others. */
const icmpErrors: Readonly<Record<string, readonly number[]>> = { icmp: [3, 4, 5, 11], icmp6: [1, 2, 3, 4] };
/** Neighbour discovery, RFC 4861. */
const neighbourTypes = [133, 134, 135, 136, 137];
const webPorts = new Set([80, 443, 8000, 8080, 8443]);
const webApps = new Set(["http", "tls"]);
/** Packets sent for one that comes back: below that it is a conversation.
 * QUIC and TCP acknowledge every second to tenth packet. */
const oneWayRatio = 20;
/** A web client that has said nothing complete for so long is not at work: Apache and nginx give a request's header 20
 * to 60 s. */
const heldS = 20;

export function readFloodShare(update: Opening): FloodShare | null {
  const { segment, dst, src } = update;
  const { protocol, fwd_packets, fwd_bytes, bwd_packets, factor } = segment;
  // What goes to all fills the segment; what goes to a group is video.
  if (fwd_packets === 0 || (dst.isGroup && dst.ip !== "255.255.255.255")) return null;
  if (protocol === "tcp") return readTcp(update);
  if (protocol === "arp") return null;
  const share = { amount: fwd_packets * factor, octets: fwd_bytes * factor, isAnswered: bwd_packets > 0 };
  if (protocol === "icmp" || protocol === "icmp6") {
    const isOther = icmpErrors[protocol].includes(segment.src_port) ||
      (protocol === "icmp6" && neighbourTypes.includes(segment.src_port));
    return isOther ? null : { kind: "icmp", ...share };
  }
  if (fwd_packets < oneWayRatio * bwd_packets) return null;
  if (protocol === "udp") return carrierPorts.has(segment.dst_port) ? null : { kind: "udp", ...share };
  // Mirrored traffic (ERSPAN) and tunnels between own routers.
  return src.isOwn && dst.isOwn ? null : { kind: "ip", ...share };
}

function readTcp({ segment, first, begins }: Opening): FloodShare | null {
  const { fwd_tcp_flags, bwd_tcp_flags, fwd_payload_bytes, bwd_payload_bytes, bwd_packets } = segment;
  const share = { amount: segment.factor, octets: segment.fwd_bytes * segment.factor, isAnswered: false };
  if ((fwd_tcp_flags & syn) === 0 && first) {
    const isRefused = (bwd_tcp_flags & rst) !== 0 && bwd_payload_bytes === 0;
    return begins && (bwd_packets === 0 || isRefused) ? { kind: "tcp", ...share } : null;
  }
  if (!begins || (bwd_tcp_flags & syn) === 0) return null;
  if (!webPorts.has(segment.dst_port) && !webApps.has(segment.app_protocol)) return null;
  const isHeld = fwd_payload_bytes > 0 && bwd_payload_bytes === 0 && segment.end - segment.start >= heldS;
  return { kind: isHeld ? "held" : "connections", ...share, isAnswered: bwd_payload_bytes > 0 };
}
