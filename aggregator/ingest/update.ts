/** What one merged segment adds to a flow, as the detectors see it.
 *
 * In: a row of a batch and what of it was accepted. Out: a {@link FlowUpdate} whose segment object is built on demand,
 * so that it lives no longer than the caller needs it.
 * Invariant: it says the same whenever it is asked:
 * it holds its own numbers and the batch's columns, never the merger's. @module */

import { formatCommunityId } from "../../shared/community_id.ts";
import type { Facts } from "../../shared/facts.ts";
import { connStates, endReasons, meansOf, type Segment } from "../../shared/segment.ts";
import type { FlowUpdate } from "../model/flow.ts";
import { flowIdText } from "../model/flow_id.ts";
import { macText } from "../model/flow_rows.ts";
import { type Arrival, sidesOf, turnedPorts } from "./arrival.ts";
import type { SegmentColumns } from "./columns.ts";

export interface Merged {
  idUs: number;
  slot: number;
  network: string;
  first: boolean;
  sensors: string[];
  facts: Facts | null;
  connState: number;
  factor: number;
  /** Whose counts each direction has. */
  hasFwd: boolean;
  hasBwd: boolean;
}

export class MergedUpdate implements FlowUpdate {
  readonly network: string;
  readonly first: boolean;
  readonly sensors: string[];
  readonly #columns: SegmentColumns;
  readonly #row: number;
  readonly #merged: Merged;
  readonly #isTurned: boolean;
  readonly #fwdPackets: number;
  readonly #fwdBytes: number;
  readonly #bwdPackets: number;
  readonly #bwdBytes: number;

  constructor(arrival: Arrival, merged: Merged) {
    this.network = merged.network;
    this.first = merged.first;
    this.sensors = merged.sensors;
    this.#merged = merged;
    this.#columns = arrival.columns;
    this.#row = arrival.row;
    this.#isTurned = arrival.isTurned;
    this.#fwdPackets = arrival.fwdPackets;
    this.#fwdBytes = arrival.fwdBytes;
    this.#bwdPackets = arrival.bwdPackets;
    this.#bwdBytes = arrival.bwdBytes;
  }

  get flow_id(): string {
    return flowIdText(this.#merged.idUs, this.#merged.slot);
  }

  get segment(): Segment {
    const columns = this.#columns, row = this.#row, isTurned = this.#isTurned;
    const n = columns.numbers;
    const { facts, connState, factor, hasFwd, hasBwd } = this.#merged;
    const sides = sidesOf(n, isTurned);
    const [src_port, dst_port] = isTurned
      ? turnedPorts(columns, row)
      : [n.src_port[row], n.dst_port[row]] as const;
    const mac = (end: number) =>
      columns.hasMacs[row] & 1 << end ? macText(columns.macs, 12 * row + 6 * end) : "";
    const [source, destination] = isTurned ? [1, 0] : [0, 1];
    const fwd_packets = n.fwd_packets[row], bwd_packets = n.bwd_packets[row];
    const fwd_bytes = n.fwd_bytes[row], bwd_bytes = n.bwd_bytes[row];
    const duration_us = n.duration_us[row];
    const means = meansOf({ fwd_packets, bwd_packets, fwd_bytes, bwd_bytes, duration_us });
    return {
      community_id: columns.isNamed[row]
        ? formatCommunityId(columns.digests.subarray(20 * row, 20 * row + 20))
        : "",
      ip_depth: n.ip_depth[row],
      tunnel: columns.tunnel[row],
      vlan: n.vlan[row],
      vlan_inner: n.vlan_inner[row],
      protocol: columns.protocol[row],
      src_ip: isTurned ? columns.dst_ip[row] : columns.src_ip[row],
      src_port,
      dst_ip: isTurned ? columns.src_ip[row] : columns.dst_ip[row],
      dst_port,
      src_mac: mac(source),
      dst_mac: mac(destination),
      start: n.start_us[row] / 1e6,
      end: (n.start_us[row] + duration_us) / 1e6,
      flow_start: (n.start_us[row] - n.flow_age_us[row]) / 1e6,
      segment: n.segment[row],
      fwd_packets: this.#fwdPackets,
      fwd_bytes: this.#fwdBytes,
      fwd_payload_bytes: hasFwd ? sides.fwdPayload[row] : 0,
      bwd_packets: this.#bwdPackets,
      bwd_bytes: this.#bwdBytes,
      bwd_payload_bytes: hasBwd ? sides.bwdPayload[row] : 0,
      fwd_tcp_flags: isTurned ? n.bwd_tcp_flags[row] : n.fwd_tcp_flags[row],
      bwd_tcp_flags: isTurned ? n.fwd_tcp_flags[row] : n.bwd_tcp_flags[row],
      fwd_syn_count: hasFwd ? sides.fwdSyn[row] : 0,
      bwd_syn_count: hasBwd ? sides.bwdSyn[row] : 0,
      fwd_fin_count: hasFwd ? sides.fwdFin[row] : 0,
      bwd_fin_count: hasBwd ? sides.bwdFin[row] : 0,
      fwd_rst_count: hasFwd ? sides.fwdRst[row] : 0,
      bwd_rst_count: hasBwd ? sides.bwdRst[row] : 0,
      fwd_ttl: sides.fwdTtl[row],
      bwd_ttl: sides.bwdTtl[row],
      conn_state: connStates[connState],
      handshake_rtt_us: n.handshake_rtt_us[row],
      tcp_isn: n.tcp_isn[row] < 0 ? null : n.tcp_isn[row],
      packet_length_min: n.packet_length_min[row],
      packet_length_max: n.packet_length_max[row],
      ...means,
      packet_length_deviation: n.packet_length_deviation[row],
      interarrival_us_min: n.interarrival_us_min[row],
      interarrival_us_max: n.interarrival_us_max[row],
      interarrival_us_deviation: n.interarrival_us_deviation[row],
      direction_guess: n.direction_guess[row],
      end_reason: endReasons[n.end_reason[row]],
      factor,
      app_protocol: columns.app_protocol[row],
      facts,
    };
  }
}
