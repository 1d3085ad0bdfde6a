/** Which way round a flow is, and the same segment the other way round.
 *
 * In: a segment. Out: its mirror image, and the connection state of a flow whose two directions came from two vantages.
 * Invariant: turning twice gives the segment again, states without a mirror image excepted. @module */

import { icmpCounterpart } from "../../shared/community_id.ts";
import type { Facts } from "../../shared/facts.ts";
import type { ConnState, Segment } from "../../shared/segment.ts";

const mirrored: Partial<Record<ConnState, ConnState>> = {
  RSTO: "RSTR",
  RSTR: "RSTO",
  S2: "S3",
  S3: "S2",
  SH: "SHR",
  SHR: "SH",
  RSTOS0: "RSTRH",
  RSTRH: "RSTOS0",
  // An attempt seen from its wrong end says nothing that Zeek has a word for.
  S0: "OTH",
  REJ: "OTH",
};

/** Which of the two possible ways round a segment is: both sensors compare the same two ends. */
export function isHighFirst(segment: Pick<Segment, "src_ip" | "src_port" | "dst_ip" | "dst_port">): boolean {
  if (segment.src_ip !== segment.dst_ip) return segment.src_ip > segment.dst_ip;
  return segment.src_port > segment.dst_port;
}

/** The segment as a sensor would have reported it that took the other end for the initiator. */
export function turn(segment: Segment): Segment {
  const icmp = segment.protocol === "icmp" ? 1 : segment.protocol === "icmp6" ? 58 : 0;
  return {
    ...segment,
    src_ip: segment.dst_ip,
    dst_ip: segment.src_ip,
    src_port: icmp ? icmpCounterpart(icmp, segment.src_port) : segment.dst_port,
    dst_port: icmp ? segment.dst_port : segment.src_port,
    src_mac: segment.dst_mac,
    dst_mac: segment.src_mac,
    fwd_packets: segment.bwd_packets,
    fwd_bytes: segment.bwd_bytes,
    fwd_payload_bytes: segment.bwd_payload_bytes,
    bwd_packets: segment.fwd_packets,
    bwd_bytes: segment.fwd_bytes,
    bwd_payload_bytes: segment.fwd_payload_bytes,
    fwd_tcp_flags: segment.bwd_tcp_flags,
    bwd_tcp_flags: segment.fwd_tcp_flags,
    fwd_syn_count: segment.bwd_syn_count,
    bwd_syn_count: segment.fwd_syn_count,
    fwd_fin_count: segment.bwd_fin_count,
    bwd_fin_count: segment.fwd_fin_count,
    fwd_rst_count: segment.bwd_rst_count,
    bwd_rst_count: segment.fwd_rst_count,
    fwd_ttl: segment.bwd_ttl,
    bwd_ttl: segment.fwd_ttl,
    conn_state: segment.protocol === "tcp"
      ? mirrored[segment.conn_state] ?? segment.conn_state
      : segment.conn_state,
    facts: turnFacts(segment.facts),
  };
}

/** Of facts only the first octets tell the way they went. */
function turnFacts(facts: Facts | null): Facts | null {
  if (!facts?.first) return facts;
  const { fwd, bwd } = facts.first;
  return { ...facts, first: { ...bwd !== undefined && { fwd: bwd }, ...fwd !== undefined && { bwd: fwd } } };
}

const fin = 1, syn = 2, rst = 4;

/** State of a flow of which no single vantage saw both directions, from the flags of each. The order of resets is not known then. */
export function joinedState(protocol: string, fwdFlags: number, bwdFlags: number): ConnState {
  if (protocol !== "tcp") return "SF";
  if (!(fwdFlags & syn)) {
    return bwdFlags & syn && bwdFlags & rst ? "RSTRH" : bwdFlags & syn && bwdFlags & fin ? "SHR" : "OTH";
  }
  if (!(bwdFlags & syn)) return bwdFlags & rst ? "REJ" : "OTH";
  if (fwdFlags & fin && bwdFlags & fin) return "SF";
  if (fwdFlags & rst) return "RSTO";
  if (bwdFlags & rst) return "RSTR";
  return fwdFlags & fin ? "S2" : bwdFlags & fin ? "S3" : "S1";
}
