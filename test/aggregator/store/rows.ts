/** Rows for the store's contract suite: one plausible row of each kind, with what a case changes.
 *
 * Invariant: times are fixed, so that two runs write the same. @module */

import type { Flow, Sighting } from "../../../aggregator/model/flow.ts";
import type { Threat } from "../../../aggregator/model/threat.ts";
import type { DeadLetter, IngestWrite, LedgerRow } from "../../../aggregator/model/ledger.ts";
import { flowIdText } from "../../../aggregator/model/flow_id.ts";
import { FlowRows } from "../../../aggregator/model/flow_rows.ts";
import { SightingRows } from "../../../aggregator/model/sighting_rows.ts";
import { bucketOf, communityId, flowDigest } from "../../../shared/community_id.ts";

export const t0 = 1_768_478_400;
export const nowMs = t0 * 1_000 + 60_000;

export function nothing(): IngestWrite {
  return {
    ledger: [],
    ...flowsOf([]),
    traffic: [],
    gaps: [],
    gapsReplaced: [],
    sequences: [],
    deadLetters: [],
    offsets: [],
  };
}

/** A flow to insert, or what to add to a stored one. */
export interface FlowWrite {
  kind: "insert" | "update";
  flow: Omit<Flow, "seen_by">;
  /** More than one: rows of their own. */
  sightings: Sighting[];
  newSightings: number;
}

/** The part of a transaction that writes flows. */
export function flowsOf(
  writes: readonly FlowWrite[],
): Pick<IngestWrite, "flows" | "sightings" | "newSightings"> {
  const flows = new FlowRows(), sightings = new SightingRows();
  let newSightings = 0;
  const places = new Map<string, number>();
  for (const write of writes) {
    const { flow } = write;
    const digest = flow.protocol === "arp" ? null : flowDigest(flow);
    const community = digest === null ? 0 : bucketOf(digest, 2 ** 32);
    const i = flows.put(flow, { isNew: write.kind === "insert", community });
    const place = places.get(flow.flow_id);
    if (place !== undefined) {
      flows.add(place, flows, i);
      flows.drop();
    } else places.set(flow.flow_id, i);
    const [only] = write.sightings;
    if (only) flows.columns.offsetUs[place ?? i] = only.clock_offset_ms * 1e3;
    newSightings += write.newSightings;
    if (write.sightings.length < 2) continue;
    for (const one of write.sightings) putSighting(sightings, flow.flow_id, one);
  }
  return { flows, sightings, newSightings };
}

function putSighting(rows: SightingRows, flowId: string, one: Sighting): void {
  const i = rows.append(one.sensor_id);
  const c = rows.columns;
  const low = parseInt(flowId.slice(8), 16);
  c.isNew[i] = 1;
  c.idUs[i] = parseInt(flowId.slice(0, 8), 16) * 2 ** 21 + Math.floor(low / 2_048);
  c.slot[i] = low % 2_048;
  c.vlan[i] = one.vlan;
  c.ipDepth[i] = one.ip_depth;
  c.startUs[i] = one.start * 1e6;
  c.endUs[i] = one.end * 1e6;
  c.fwdPackets[i] = one.fwd_packets;
  c.fwdBytes[i] = one.fwd_bytes;
  c.bwdPackets[i] = one.bwd_packets;
  c.bwdBytes[i] = one.bwd_bytes;
  c.segments[i] = one.segments;
  c.offsetUs[i] = one.clock_offset_ms * 1e3;
}

/** Id of the n-th flow, which starts n seconds after t0. */
export function idOf(n: number): string {
  return flowIdText((t0 + n) * 1e6, Math.abs(n) % 2_048);
}

/** Of the n-th flow, by a clock that is half a millisecond fast. */
export function sighting(sensor_id: string, n = 0): Sighting {
  return {
    sensor_id,
    vlan: 3,
    ip_depth: 1,
    start: t0 + n + 0.0005,
    end: t0 + n + 2.0005,
    fwd_packets: 10,
    fwd_bytes: 1_000,
    bwd_packets: 5,
    bwd_bytes: 2_000,
    segments: 1,
    clock_offset_ms: -0.5,
  };
}

export function flowWrite(n: number, changes: Partial<Flow> = {}, rest: Partial<FlowWrite> = {}): FlowWrite {
  const { seen_by: _, ...flow }: Flow = {
    flow_id: idOf(n),
    network: "lab",
    community_id: "",
    ip_depth: 1,
    tunnel: "",
    vlan: 3,
    vlan_inner: 0,
    protocol: "tcp",
    src_ip: "10.0.0.5",
    src_port: 40_000,
    dst_ip: "10.0.0.9",
    dst_port: 443,
    src_mac: "02:00:00:00:00:05",
    dst_mac: "",
    start: t0 + n,
    end: t0 + n + 2,
    fwd_packets: 10,
    fwd_bytes: 1_000,
    fwd_payload_bytes: 480,
    bwd_packets: 5,
    bwd_bytes: 2_000,
    bwd_payload_bytes: 1_700,
    total_packets: 15,
    total_bytes: 3_000,
    fwd_tcp_flags: 27,
    bwd_tcp_flags: 26,
    fwd_syn_count: 1,
    bwd_syn_count: 1,
    fwd_fin_count: 1,
    bwd_fin_count: 1,
    fwd_rst_count: 0,
    bwd_rst_count: 0,
    fwd_ttl: 64,
    bwd_ttl: 60,
    conn_state: "SF",
    handshake_rtt_us: 900,
    tcp_isn: null,
    packet_length_min: 52,
    packet_length_max: 1_500,
    packet_length_mean: 200,
    packet_length_deviation: 150,
    interarrival_us_min: 10.5,
    interarrival_us_max: 2_000_000,
    interarrival_us_mean: 143_000,
    interarrival_us_deviation: 90_000,
    end_reason: "fin",
    factor: 1,
    app_protocol: "tls",
    facts: null,
    fwd_sensor: "s-one",
    bwd_sensor: "s-one",
    time_suspect: false,
    stored_ms: nowMs,
    updated_ms: nowMs,
    seen_by: [],
    ...changes,
  };
  flow.community_id = communityId(flow);
  return { kind: "insert", flow, sightings: [sighting("s-one", n)], newSightings: 1, ...rest };
}

export function ledgerRow(seq: number): LedgerRow {
  return {
    sensor_id: "s-one",
    epoch: 5,
    bucket: 1,
    seq,
    sha256: "ab".repeat(32),
    flows: 10,
    packets: 100,
    sealed_ms: nowMs - 100,
    received_ms: nowMs,
  };
}

export function deadLetter(reason: string): DeadLetter {
  return {
    received_ms: nowMs,
    reason,
    origin: "kafka:t/0@5",
    sensor_id: "s-one",
    sample: new Uint8Array([0, 255, 39, 92, 10]),
  };
}

export function threat(id: string, changes: Partial<Threat> = {}): Threat {
  return {
    id,
    detector: "port_scan_vertical",
    identity: `port_scan_vertical|lab|${id}`,
    technique: "T1046",
    title: "Vertical port scan",
    network: "lab",
    src_ips: ["10.0.0.66"],
    dst_ips: ["10.0.0.9"],
    dst_port: null,
    first_seen: t0,
    last_seen: t0 + 5,
    count: 3,
    reasons: [{ name: "distinct_ports", points: 40, text: "40 ports in 2 s" }],
    evidence: [{ id: "e1", name: "ports tried", value: 40, hostile: false }],
    words: { summary: "240 ports were tried.", meaning: "m", action: "a", false_alarm: "f" },
    flow_ids: [],
    flows: 40,
    sensors: ["s-one"],
    explanation: "Somebody knocked at 40 doors. \u{1f6aa} 'quoted'",
    suggested_action: "Ask them.",
    engine: "rules",
    confidence: 1,
    fallback: null,
    score: 40,
    rules_severity: "medium",
    severity: "medium",
    episodes: 1,
    status: "open",
    stored_ms: nowMs,
    updated_ms: nowMs,
    suppressed_by: null,
    feedback: null,
    ...changes,
  };
}
