/** Flows and threats for tests of what people see: plain by default, each field to be changed. @module */

import type { Flow } from "../../../aggregator/model/flow.ts";
import type { Threat } from "../../../aggregator/model/threat.ts";
import { flowIdText } from "../../../aggregator/model/flow_id.ts";
import { flowsOf } from "../store/rows.ts";
import type { IngestWrite } from "../../../aggregator/model/ledger.ts";

/** Fixed start of all samples, epoch seconds. */
export const sampleStart = 1_799_998_000;

export function sampleFlow(index: number, change: Partial<Flow> = {}): Flow {
  const start = sampleStart + index * 11;
  return {
    flow_id: flowIdText(start * 1e6, index),
    community_id: "1:" + "A".repeat(27) + "=",
    ip_depth: 1,
    tunnel: "",
    network: "lab",
    vlan: 0,
    vlan_inner: 0,
    protocol: "tcp",
    src_ip: `10.0.0.${5 + index % 7}`,
    src_port: 40_000 + index,
    dst_ip: "192.0.2.80",
    dst_port: 443,
    src_mac: "",
    dst_mac: "",
    start,
    end: start + 4,
    fwd_packets: 8,
    fwd_bytes: 1_200 + index * 90,
    fwd_payload_bytes: 800,
    bwd_packets: 11,
    bwd_bytes: 9_400 + (index % 13) * 4_000,
    bwd_payload_bytes: 8_800,
    total_packets: 19,
    total_bytes: 10_600 + index * 90 + (index % 13) * 4_000,
    fwd_tcp_flags: 27,
    bwd_tcp_flags: 27,
    fwd_syn_count: 1,
    bwd_syn_count: 1,
    fwd_fin_count: 1,
    bwd_fin_count: 1,
    fwd_rst_count: 0,
    bwd_rst_count: 0,
    fwd_ttl: 64,
    bwd_ttl: 57,
    conn_state: "SF",
    handshake_rtt_us: 12_000,
    tcp_isn: 1_000 + index,
    packet_length_min: 40,
    packet_length_max: 1_500,
    packet_length_mean: 560,
    packet_length_deviation: 600,
    interarrival_us_min: 10,
    interarrival_us_max: 90_000,
    interarrival_us_mean: 20_000,
    interarrival_us_deviation: 30_000,
    end_reason: "fin",
    factor: 1,
    app_protocol: "tls",
    facts: { tls: { sni: "files.example.com", version: "TLS 1.3" } },
    fwd_sensor: "s1",
    bwd_sensor: "s1",
    time_suspect: false,
    stored_ms: start * 1_000,
    updated_ms: start * 1_000,
    seen_by: [{
      sensor_id: "s1",
      vlan: 0,
      ip_depth: 1,
      start,
      end: start + 4,
      fwd_packets: 8,
      fwd_bytes: 1_200,
      bwd_packets: 11,
      bwd_bytes: 9_400,
      segments: 1,
      clock_offset_ms: 0,
    }],
    ...change,
  };
}

/** One transaction that stores `flows`. */
export function sampleWrite(flows: Flow[]): IngestWrite {
  return {
    ledger: [],
    ...flowsOf(flows.map(({ seen_by, ...flow }) => ({
      kind: "insert" as const,
      flow,
      sightings: seen_by,
      newSightings: seen_by.length,
    }))),
    traffic: flows.map((flow) => ({
      second: Math.floor(flow.start),
      sensor_id: "s1",
      protocol: flow.protocol,
      flows: 1,
      packets: flow.total_packets,
      bytes: flow.total_bytes,
    })),
    gaps: [],
    gapsReplaced: [],
    sequences: [],
    deadLetters: [],
    offsets: [],
  };
}

export function sampleThreat(change: Partial<Threat> = {}): Threat {
  return {
    id: "00112233445566aa",
    detector: "port_scan_vertical",
    identity: "port_scan_vertical|lab|10.0.0.5|10.0.0.9",
    technique: "T1046",
    title: "Vertical port scan",
    network: "lab",
    src_ips: ["10.0.0.5"],
    dst_ips: ["10.0.0.9"],
    dst_port: null,
    first_seen: 1_799_999_000,
    last_seen: 1_799_999_060,
    count: 240,
    reasons: [{ name: "distinct_ports", points: 75, text: "240 ports were tried in 60 s; 15 are the limit" }],
    evidence: [{ id: "e1", name: "ports tried", value: 240, hostile: false }],
    words: { summary: "240 ports were tried.", meaning: "m", action: "a", false_alarm: "f" },
    flow_ids: [],
    flows: 240,
    sensors: ["s1"],
    explanation: "One machine tried many ports of another.",
    suggested_action: "Ask who runs 10.0.0.5.",
    engine: "rules",
    confidence: 1,
    fallback: null,
    score: 75,
    rules_severity: "high",
    severity: "high",
    episodes: 1,
    status: "open",
    stored_ms: 1_800_000_000_000,
    updated_ms: 1_800_000_000_000,
    suppressed_by: null,
    feedback: null,
    ...change,
  };
}
