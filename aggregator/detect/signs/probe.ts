/** What came of one attempt to reach a port: the common ground of the scan and flood detectors.
 *
 * In: the first segment of a flow. Out: an outcome, or null when the flow says nothing about its initiator's intent.
 * Invariant: an answer whose question was not captured is never taken for an attempt.
 * Why by the initiator's own flags: they are there even when the other direction took another route. @module */

import type { Segment } from "../../../shared/segment.ts";

/** `silent`: nothing came back. `refused`: reset. `open`: accepted, but nothing was said.
 * `used`: data was exchanged. */
export type ProbeOutcome = "silent" | "refused" | "open" | "used";

const fin = 1, syn = 2, rst = 4, ack = 16;
/** Flags that no ordinary stack ever sends alone: NULL,
 * FIN and Xmas scans (nmap.org/book, "TCP FIN, NULL, and Xmas Scans"). */
const stealthFlags = [0, fin, 1 | 8 | 32];
/** Default range of UDP traceroute: 30 hops of 3 probes from 33434 upwards (traceroute(8)), with room for more. */
const tracerouteFrom = 33_434, tracerouteTo = 33_633;
/** More packets than a scanner's retries; nmap sends a UDP probe up to 3 times where nothing limits the rate. */
const udpProbePacketsMax = 3;

/** Shorter than the shortest IP and TCP header together: the header was cut into fragments, which links that carry IP
 * never do (RFC 791, 3.2: 68 octets), and nmap -f and fragroute do to get past filters (RFC 1858, 3). */
const cutHeaderBytes = { ipv4: 40, ipv6: 60 };
/** More INITs than a scanner's tries; RFC 9260, 16 repeats one up to 8 times, 1 s and more apart. */
const sctpProbePacketsMax = 3;
/** An ABORT is 4 octets long, and with its causes seldom more than twice that; an INIT ACK 20 and more. */
const abortBytesMax = 12;

/** Outcome of the attempt that `segment`, the first of its flow, makes; null when it makes none. */
export function probeOutcome(segment: Segment, isToGroup: boolean, isToOwn = false): ProbeOutcome | null {
  if (segment.protocol === "tcp") return tcpOutcome(segment, isToOwn);
  if (segment.protocol === "udp" && !isToGroup) return udpOutcome(segment);
  if (segment.protocol === "sctp") return sctpOutcome(segment);
  return null;
}

function tcpOutcome(segment: Segment, isToOwn: boolean): ProbeOutcome | null {
  if (hasCutHeader(segment) && segment.bwd_payload_bytes === 0) {
    if ((segment.bwd_tcp_flags & syn) !== 0) return "open";
    return (segment.bwd_tcp_flags & rst) !== 0 ? "refused" : "silent";
  }
  const flags = segment.fwd_tcp_flags & 63;
  if ((flags & syn) === 0) {
    const answered = (segment.bwd_tcp_flags & rst) !== 0;
    // A lone ACK that nothing answers may be half of a conversation;
    // inside a network the other half would be seen, too.
    const isLoneAck = flags === ack &&
      (segment.bwd_tcp_flags === rst || isToOwn && segment.fwd_packets === 1 && segment.bwd_packets === 0);
    const isStealth = stealthFlags.includes(flags) || isLoneAck;
    if (!isStealth || segment.fwd_payload_bytes > 0 || isServicePort(segment.src_port)) return null;
    return answered ? "refused" : "silent";
  }
  if (
    (flags & ack) !== 0 && segment.fwd_syn_count > 0 && segment.bwd_syn_count === 0 &&
    segment.bwd_packets === 0
  ) {
    // A lone SYN-ACK is the answer to a question that was not captured, or backscatter of a spoofed flood.
    if (isServicePort(segment.src_port)) return null;
  }
  if (segment.fwd_payload_bytes + segment.bwd_payload_bytes > 0) return "used";
  if ((segment.bwd_tcp_flags & syn) !== 0) return "open";
  if ((segment.bwd_tcp_flags & rst) !== 0) return "refused";
  // An ACK from the initiator proves that it was answered out of our sight.
  if ((flags & ack) !== 0) return "open";
  return "silent";
}

/** Flags and payload of such a flow are not to be relied on. */
function hasCutHeader({ src_ip, packet_length_min }: Segment): boolean {
  return packet_length_min > 0 &&
    packet_length_min < (src_ip.includes(":") ? cutHeaderBytes.ipv6 : cutHeaderBytes.ipv4);
}

/** By the lengths: an INIT is answered by an INIT ACK, an ABORT, or not at all; a COOKIE ECHO out of nowhere by an
 * ABORT where the port is closed. Whoever goes on talks. */
function sctpOutcome(segment: Segment): ProbeOutcome | null {
  const { fwd_packets, bwd_packets, bwd_payload_bytes } = segment;
  if (bwd_packets === 0) return fwd_packets <= sctpProbePacketsMax ? "silent" : null;
  if (fwd_packets > sctpProbePacketsMax) return "used";
  return bwd_payload_bytes <= abortBytesMax * bwd_packets ? "refused" : "open";
}

function udpOutcome(segment: Segment): ProbeOutcome | null {
  if (segment.bwd_packets > 0) return "used";
  if (isServicePort(segment.src_port) && !isServicePort(segment.dst_port)) return null;
  if (segment.dst_port >= tracerouteFrom && segment.dst_port <= tracerouteTo) return null;
  return segment.fwd_packets <= udpProbePacketsMax ? "silent" : null;
}

/** Ports below 1024 belong to services, not to those who ask them (RFC 6335: system ports). */
function isServicePort(port: number): boolean {
  return port > 0 && port < 1024;
}
