/** A segment: the part of a flow reported in one record, and the columns it travels in.
 *
 * In: the flow table of a sensor.
 * Out: the columnar value of a batch, a line of `replay --flows`, the merger of the aggregator.
 * Invariant: {@link segmentColumns} names every field that travels, once;
 * `community_id`, `end` and means are derived, not sent.
 * Why columns and integers: one JSON array a field compresses to a fraction of one object a flow,
 * and any Kafka tool can read it.
 * @module */

import type { Facts } from "./facts.ts";

/** Why a segment was reported. `active`: the flow goes on in a later segment. `evicted`: the flow table was full.
 * `reused`: a new connection took over the ports. `stopped`: the capture or the sensor ended. */
export const endReasons = ["fin", "rst", "idle", "active", "evicted", "reused", "stopped"] as const;
export type EndReason = typeof endReasons[number];

/** Connection states in the words of Zeek's `conn_state` (docs.zeek.org, base/protocols/conn/main.zeek). */
export const connStates = [
  "S0",
  "S1",
  "SF",
  "REJ",
  "S2",
  "S3",
  "RSTO",
  "RSTR",
  "RSTOS0",
  "RSTRH",
  "SH",
  "SHR",
  "OTH",
] as const;
export type ConnState = typeof connStates[number];

/** `dst_port` of an ARP segment: about another's address; about the sender's own, which it announces (RFC 5227, 3);
 * from nobody, who looks whether the address is free (RFC 5227, 1.1). */
export const arpKinds = { ordinary: 0, announcement: 1, probe: 2 } as const;

/** One segment as a plain object.
 * Byte counts are IP-layer octets (IPFIX `octetDeltaCount`); ARP counts its 28 octets. */
export interface Segment {
  /** Community ID v1, seed 0; empty for protocols that have none (ARP). */
  community_id: string;
  /** 1 = outermost IP header of the frame, 2 = inside one tunnel, and so on. */
  ip_depth: number;
  /** Tunnel this flow travels in: "" at depth 1, else "gre", "vxlan", "geneve", "ipip", "6in4", "4in6",
   * "gtpu", "teredo", "erspan", ... */
  tunnel: string;
  /** Outermost VLAN id, 0 = untagged. */
  vlan: number;
  /** Inner VLAN id of a QinQ frame, 0 = none. */
  vlan_inner: number;
  /** Lower-case IANA keyword: "tcp", "udp", "icmp", "icmp6", "arp", "sctp", ...; "proto-N" where there is none here. */
  protocol: string;
  /** Initiator. For ARP the sender's protocol address. */
  src_ip: string;
  /** For ICMP the type, and `dst_port` the code, as in the Community ID specification. For ARP the operation, 1 =
   * request, 2 = reply, and `dst_port` what it is beside that, see {@link arpKinds}. */
  src_port: number;
  dst_ip: string;
  dst_port: number;
  src_mac: string;
  dst_mac: string;
  /** First packet of this segment, epoch seconds, microsecond resolution. */
  start: number;
  /** Last packet of this segment, epoch seconds. */
  end: number;
  /** First packet of the whole flow, epoch seconds; equals `start` in segment 0. */
  flow_start: number;
  /** 0 for the first segment of a flow, then 1, 2, ... */
  segment: number;
  fwd_packets: number;
  fwd_bytes: number;
  fwd_payload_bytes: number;
  bwd_packets: number;
  bwd_bytes: number;
  bwd_payload_bytes: number;
  /** Union of the TCP flag octets seen, as a number: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128. */
  fwd_tcp_flags: number;
  bwd_tcp_flags: number;
  fwd_syn_count: number;
  bwd_syn_count: number;
  fwd_fin_count: number;
  bwd_fin_count: number;
  fwd_rst_count: number;
  bwd_rst_count: number;
  /** TTL or hop limit of the first packet each way, 0 = none seen. */
  fwd_ttl: number;
  bwd_ttl: number;
  conn_state: ConnState;
  /** SYN to the ACK that completes the handshake, microseconds; 0 = handshake not seen. */
  handshake_rtt_us: number;
  /** Initiator's TCP initial sequence number (from its SYN, or the SYN-ACK's acknowledgement minus 1);
   * null = not seen. */
  tcp_isn: number | null;
  /** IP packet length over both directions, octets; mean and deviation rounded to 3 significant digits. */
  packet_length_min: number;
  packet_length_max: number;
  packet_length_mean: number;
  packet_length_deviation: number;
  /** Time between packets of the flow, microseconds, both directions together; 0 with fewer than 2 packets;
   * rounded to 3 significant digits. */
  interarrival_us_min: number;
  interarrival_us_max: number;
  interarrival_us_mean: number;
  interarrival_us_deviation: number;
  /** 1 = nothing told who began the flow: `src_ip` sent the first packet seen, or has the likelier port. Absent = 0. */
  direction_guess?: number;
  end_reason: EndReason;
  /** Sampling factor: the flow was kept as one of this many; 1 = every flow kept. Counts are what was seen of this
   * flow, never scaled; sums over flows (totals, talkers, protocols, series) multiply each flow and its counts by its
   * factor. */
  factor: number;
  /** Application protocol as the deep lane names it ("dns", "tls", "http", ...), "" = not recognised. */
  app_protocol: string;
  /** What tshark read in the flow's payload; null = nothing. */
  facts: Facts | null;
}

/** Bounds of one segment and of one batch,
 * so that whatever is computed from them can be stored and read back (2^53 - 1).
 * A sensor clamps what exceeds them; the aggregator refuses the batch. */
export const segmentLimits = {
  /** Microseconds since the epoch, of a segment's end too: in the year 2112.
   * Two such times add up to less than 2^53. */
  timeUsMax: 2 ** 52,
  /** Of each count: 16 TiB in one segment is more than any wire carries in a minute. */
  countMax: 2 ** 44,
  factorMax: 65_536,
  /** Packets, and octets, of all flows of a batch, each times its factor. */
  batchSumMax: 2 ** 46,
} as const;

/** What a column may hold; the aggregator refuses a batch that holds anything else. */
export type ColumnKind =
  | "time" // integer >= 0, up to 2^52: microseconds
  | "count" // integer >= 0, up to 2^44
  | "number" // finite, >= 0, up to 2^53 - 1
  | "factor" // 1..65536
  | "port" // 0..65535
  | "octet" // 0..255
  | "vlan" // 0..4095
  | "isn" // 0..2^32 - 1, or null
  | "ip" // textual IPv4 or IPv6 address
  | "mac" // "aa:bb:cc:dd:ee:ff" or ""
  | "name" // [a-z0-9._-]{0,32}
  | "conn_state"
  | "end_reason"
  | "facts"; // Facts or null

function column<Kind extends ColumnKind, Default>(kind: Kind, value: Default) {
  return { kind, default: value } as const;
}

/** Fields as they travel, in this order. Times travel as integer microseconds: `start_us` since the epoch,
 * `duration_us` = end - start, `flow_age_us` = start - flow_start. A column that holds only its `default` is left out,
 * but those of {@link alwaysColumns} never are. */
export const segmentColumns = {
  start_us: column("time", 0),
  duration_us: column("time", 0),
  flow_age_us: column("time", 0),
  segment: column("count", 0),
  ip_depth: column("octet", 1),
  tunnel: column("name", ""),
  vlan: column("vlan", 0),
  vlan_inner: column("vlan", 0),
  protocol: column("name", "tcp"),
  src_ip: column("ip", "0.0.0.0"),
  src_port: column("port", 0),
  dst_ip: column("ip", "0.0.0.0"),
  dst_port: column("port", 0),
  src_mac: column("mac", ""),
  dst_mac: column("mac", ""),
  fwd_packets: column("count", 0),
  fwd_bytes: column("count", 0),
  fwd_payload_bytes: column("count", 0),
  bwd_packets: column("count", 0),
  bwd_bytes: column("count", 0),
  bwd_payload_bytes: column("count", 0),
  fwd_tcp_flags: column("octet", 0),
  bwd_tcp_flags: column("octet", 0),
  fwd_syn_count: column("count", 0),
  bwd_syn_count: column("count", 0),
  fwd_fin_count: column("count", 0),
  bwd_fin_count: column("count", 0),
  fwd_rst_count: column("count", 0),
  bwd_rst_count: column("count", 0),
  fwd_ttl: column("octet", 0),
  bwd_ttl: column("octet", 0),
  conn_state: column("conn_state", "OTH"),
  handshake_rtt_us: column("count", 0),
  tcp_isn: column("isn", null),
  packet_length_min: column("count", 0),
  packet_length_max: column("count", 0),
  packet_length_deviation: column("number", 0),
  interarrival_us_min: column("number", 0),
  interarrival_us_max: column("number", 0),
  interarrival_us_deviation: column("number", 0),
  direction_guess: column("octet", 0),
  end_reason: column("end_reason", "idle"),
  factor: column("factor", 1),
  app_protocol: column("name", ""),
  facts: column("facts", null),
} as const;
export type SegmentColumn = keyof typeof segmentColumns;
/** Columns that every batch has: the flow key and the counts. A reader that joins columns by position would lose every
 * row of a batch without its ports, and take a batch without its protocol for whatever came before. */
export const alwaysColumns: ReadonlySet<SegmentColumn> = new Set<SegmentColumn>([
  "start_us",
  "duration_us",
  "vlan",
  "protocol",
  "src_ip",
  "src_port",
  "dst_ip",
  "dst_port",
  "fwd_packets",
  "fwd_bytes",
  "fwd_payload_bytes",
  "bwd_packets",
  "bwd_bytes",
  "bwd_payload_bytes",
]);
export const segmentColumnNames = Object.keys(segmentColumns) as SegmentColumn[];

/** Means of a segment, which follow from its other columns and do not travel; see {@link Segment}. */
export function meansOf(
  row: {
    fwd_packets: number;
    bwd_packets: number;
    fwd_bytes: number;
    bwd_bytes: number;
    duration_us: number;
  },
): Pick<Segment, "packet_length_mean" | "interarrival_us_mean"> {
  const packets = row.fwd_packets + row.bwd_packets;
  return {
    packet_length_mean: packets > 0 ? roundTo3((row.fwd_bytes + row.bwd_bytes) / packets) : 0,
    interarrival_us_mean: packets > 1 ? roundTo3(row.duration_us / (packets - 1)) : 0,
  };
}

/** Three significant digits: more would only make batches larger. */
export function roundTo3(value: number): number {
  if (value >= 100) {
    let unit = 1;
    while (value >= 999.5 * unit) unit *= 10;
    return Math.round(value / unit) * unit;
  }
  if (value >= 10) return Math.round(value * 10) / 10;
  if (value >= 1) return Math.round(value * 100) / 100;
  if (value < 1e-9) return 0;
  const unit = 10 ** (2 - Math.floor(Math.log10(value)));
  return Math.round(value * unit) / unit;
}

/** The value of a batch: one array a column, all of one length.
 * A column whose every value is its default may be absent. */
export type SegmentTable = { [column in SegmentColumn]?: unknown[] };
