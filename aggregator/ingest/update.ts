/** What one merged segment adds to a flow, as the detectors see it.
 *
 * In: a row of a batch and what of it was accepted. Out: a {@link FlowUpdate} whose segment object is built on demand,
 * so that it lives no longer than the caller needs it, and makes texts that few ask for when they do.
 * Invariant: it says the same whenever it is asked:
 * it holds its own numbers and the batch's columns, never the merger's. @module */

import { formatCommunityId } from "../../shared/community_id.ts";
import type { Facts } from "../../shared/facts.ts";
import { connStates, endReasons, meansOf, type Segment } from "../../shared/segment.ts";
import type { FlowUpdate } from "../model/flow.ts";
import { flowIdText } from "../model/flow_id.ts";
import { Halves } from "../model/halves.ts";
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
    return new MergedSegment(this.#columns, this.#row, this.#isTurned, this.#merged, {
      fwdPackets: this.#fwdPackets,
      fwdBytes: this.#fwdBytes,
      bwdPackets: this.#bwdPackets,
      bwdBytes: this.#bwdBytes,
    });
  }
}

/** By their 48 bits: detectors keep them for many flows of few machines. */
const macTexts = new Halves<number, string>(4_096);

/** What few detectors ask for is worked out when they do: texts of MACs and the Community ID cost more than all the
 * numbers. */
interface MergedSegment
  extends
    Omit<Segment, "community_id" | "src_mac" | "dst_mac" | "packet_length_mean" | "interarrival_us_mean"> {}

class MergedSegment implements Segment {
  readonly #columns: SegmentColumns;
  readonly #row: number;
  readonly #isTurned: boolean;

  constructor(
    columns: SegmentColumns,
    row: number,
    isTurned: boolean,
    { facts, connState, factor, hasFwd, hasBwd }: Merged,
    counts: Pick<Arrival, "fwdPackets" | "fwdBytes" | "bwdPackets" | "bwdBytes">,
  ) {
    this.#columns = columns;
    this.#row = row;
    this.#isTurned = isTurned;
    const n = columns.numbers, sides = sidesOf(n, isTurned);
    const turned = isTurned ? turnedPorts(columns, row) : null;
    this.ip_depth = n.ip_depth[row];
    this.tunnel = columns.tunnel[row];
    this.vlan = n.vlan[row];
    this.vlan_inner = n.vlan_inner[row];
    this.protocol = columns.protocol[row];
    this.src_ip = isTurned ? columns.dst_ip[row] : columns.src_ip[row];
    this.src_port = turned === null ? n.src_port[row] : turned[0];
    this.dst_ip = isTurned ? columns.src_ip[row] : columns.dst_ip[row];
    this.dst_port = turned === null ? n.dst_port[row] : turned[1];
    this.start = n.start_us[row] / 1e6;
    this.end = (n.start_us[row] + n.duration_us[row]) / 1e6;
    this.flow_start = (n.start_us[row] - n.flow_age_us[row]) / 1e6;
    this.segment = n.segment[row];
    this.fwd_packets = counts.fwdPackets;
    this.fwd_bytes = counts.fwdBytes;
    this.fwd_payload_bytes = hasFwd ? sides.fwdPayload[row] : 0;
    this.bwd_packets = counts.bwdPackets;
    this.bwd_bytes = counts.bwdBytes;
    this.bwd_payload_bytes = hasBwd ? sides.bwdPayload[row] : 0;
    this.fwd_tcp_flags = isTurned ? n.bwd_tcp_flags[row] : n.fwd_tcp_flags[row];
    this.bwd_tcp_flags = isTurned ? n.fwd_tcp_flags[row] : n.bwd_tcp_flags[row];
    this.fwd_syn_count = hasFwd ? sides.fwdSyn[row] : 0;
    this.bwd_syn_count = hasBwd ? sides.bwdSyn[row] : 0;
    this.fwd_fin_count = hasFwd ? sides.fwdFin[row] : 0;
    this.bwd_fin_count = hasBwd ? sides.bwdFin[row] : 0;
    this.fwd_rst_count = hasFwd ? sides.fwdRst[row] : 0;
    this.bwd_rst_count = hasBwd ? sides.bwdRst[row] : 0;
    this.fwd_ttl = sides.fwdTtl[row];
    this.bwd_ttl = sides.bwdTtl[row];
    this.conn_state = connStates[connState];
    this.handshake_rtt_us = n.handshake_rtt_us[row];
    this.tcp_isn = n.tcp_isn[row] < 0 ? null : n.tcp_isn[row];
    this.packet_length_min = n.packet_length_min[row];
    this.packet_length_max = n.packet_length_max[row];
    this.packet_length_deviation = n.packet_length_deviation[row];
    this.interarrival_us_min = n.interarrival_us_min[row];
    this.interarrival_us_max = n.interarrival_us_max[row];
    this.interarrival_us_deviation = n.interarrival_us_deviation[row];
    this.direction_guess = n.direction_guess[row];
    this.end_reason = endReasons[n.end_reason[row]];
    this.factor = factor;
    this.app_protocol = columns.app_protocol[row];
    this.facts = facts;
  }

  get community_id(): string {
    const { isNamed, digests } = this.#columns, at = 20 * this.#row;
    return isNamed[this.#row] ? formatCommunityId(digests.subarray(at, at + 20)) : "";
  }

  get src_mac(): string {
    return this.#mac(this.#isTurned ? 1 : 0);
  }

  get dst_mac(): string {
    return this.#mac(this.#isTurned ? 0 : 1);
  }

  get packet_length_mean(): number {
    return this.#means().packet_length_mean;
  }

  get interarrival_us_mean(): number {
    return this.#means().interarrival_us_mean;
  }

  #mac(end: number): string {
    const { hasMacs, macs } = this.#columns, row = this.#row;
    if (!(hasMacs[row] & 1 << end)) return "";
    const at = 12 * row + 6 * end;
    let number = 0;
    for (let i = 0; i < 6; i++) number = number * 256 + macs[at + i];
    return macTexts.get(number, () => macText(macs, at));
  }

  #means() {
    const n = this.#columns.numbers, row = this.#row;
    return meansOf({
      fwd_packets: n.fwd_packets[row],
      bwd_packets: n.bwd_packets[row],
      fwd_bytes: n.fwd_bytes[row],
      bwd_bytes: n.bwd_bytes[row],
      duration_us: n.duration_us[row],
    });
  }
}
