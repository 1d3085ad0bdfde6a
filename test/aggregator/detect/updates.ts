/** Flow updates for the tests of detectors: an ordinary web request, with the fields that a test is about. @module */

import type { Segment } from "../../../shared/segment.ts";
import type { DnsFact } from "../../../shared/facts.ts";
import type { FlowUpdate } from "../../../aggregator/model/flow.ts";
import { type Declaration, startDetector } from "../../../aggregator/detect/detector.ts";
import { prepare, PrepareBooks } from "../../../aggregator/detect/prepared.ts";
import { type Finding, scoreOf, severityOf } from "../../../aggregator/model/threat.ts";

export const baseS = 1_700_000_000;

let made = 0;

/** One update. `atS` counts from {@link baseS}. */
export function update(atS: number, change: Partial<Segment> = {}, first = true): FlowUpdate {
  const start = baseS + atS;
  const segment: Segment = {
    community_id: "",
    ip_depth: 1,
    tunnel: "",
    vlan: 0,
    vlan_inner: 0,
    protocol: "tcp",
    src_ip: "10.0.0.5",
    src_port: 50_000,
    dst_ip: "198.51.100.7",
    dst_port: 443,
    src_mac: "",
    dst_mac: "",
    start,
    end: start + 0.5,
    flow_start: start,
    segment: 0,
    fwd_packets: 8,
    fwd_bytes: 1_200,
    fwd_payload_bytes: 700,
    bwd_packets: 7,
    bwd_bytes: 5_000,
    bwd_payload_bytes: 4_600,
    fwd_tcp_flags: 27,
    bwd_tcp_flags: 27,
    fwd_syn_count: 1,
    bwd_syn_count: 1,
    fwd_fin_count: 1,
    bwd_fin_count: 1,
    fwd_rst_count: 0,
    bwd_rst_count: 0,
    fwd_ttl: 64,
    bwd_ttl: 52,
    conn_state: "SF",
    handshake_rtt_us: 10_000,
    tcp_isn: 1,
    packet_length_min: 40,
    packet_length_max: 1_500,
    packet_length_mean: 400,
    packet_length_deviation: 300,
    interarrival_us_min: 1,
    interarrival_us_max: 100_000,
    interarrival_us_mean: 30_000,
    interarrival_us_deviation: 20_000,
    end_reason: "fin",
    factor: 1,
    app_protocol: "",
    facts: null,
    ...change,
  };
  return { flow_id: `f${++made}`, network: "site", first, segment, sensors: ["s1"] };
}

const nothing = { fwd_payload_bytes: 0, bwd_payload_bytes: 0, fwd_fin_count: 0, bwd_fin_count: 0 };

/** A SYN that nobody answers. */
export const silent: Partial<Segment> = {
  ...nothing,
  fwd_packets: 1,
  fwd_bytes: 44,
  bwd_packets: 0,
  bwd_bytes: 0,
  fwd_tcp_flags: 2,
  bwd_tcp_flags: 0,
  bwd_syn_count: 0,
  conn_state: "S0",
  end_reason: "idle",
};

/** A SYN that is answered with a reset. */
export const refused: Partial<Segment> = {
  ...silent,
  bwd_packets: 1,
  bwd_bytes: 40,
  bwd_tcp_flags: 20,
  bwd_rst_count: 1,
  conn_state: "REJ",
  end_reason: "rst",
};

/** A datagram without an answer. */
export const unansweredDatagram: Partial<Segment> = {
  ...silent,
  protocol: "udp",
  fwd_tcp_flags: 0,
  fwd_syn_count: 0,
  fwd_payload_bytes: 20,
  tcp_isn: null,
};

/** A question to a resolver and its answer. */
export function lookUp(atS: number, name: string, type: string, change: Partial<Segment> = {}): FlowUpdate {
  const dns: DnsFact[] = [{ name, type, rcode: "NOERROR", answers: ["192.0.2.1"] }];
  return update(atS, {
    protocol: "udp",
    dst_ip: "10.0.0.2",
    dst_port: 53,
    app_protocol: "dns",
    fwd_packets: 1,
    bwd_packets: 1,
    fwd_payload_bytes: 60,
    bwd_payload_bytes: 120,
    fwd_syn_count: 0,
    fwd_tcp_flags: 0,
    bwd_tcp_flags: 0,
    facts: { dns },
    ...change,
  });
}

/** Findings after all updates. `limits` are set as by `--limit`. */
export function run(
  declaration: Declaration,
  updates: readonly FlowUpdate[],
  limits: Record<string, number> = {},
): Finding[] {
  return inBatches(declaration, [updates], limits);
}

/** The same of updates that come in several batches, with what the first ones taught. */
export function inBatches(
  declaration: Declaration,
  batches: readonly (readonly FlowUpdate[])[],
  limits: Record<string, number> = {},
  books = new PrepareBooks(),
): Finding[] {
  const detector = startDetector(declaration, limits);
  for (const batch of batches) {
    for (const one of prepare(batch, books)) if (isShown(declaration, one.segment)) detector.step(one);
  }
  return detector.collect();
}

/** Whether the engine shows a detector the segment. */
function isShown({ needs, seesAll }: Declaration, { facts }: Segment): boolean {
  return needs === undefined || seesAll === true || needs.some((kind) => facts?.[kind] !== undefined);
}

/** Value of a labelled piece of evidence; throws when there is none. */
export function evidenceValue({ evidence }: Pick<Finding, "evidence">, label: string): string | number {
  const piece = evidence.find(({ name }) => name === label);
  if (!piece) throw new Error(`no "${label}" among ${evidence.map(({ name }) => name).join(", ")}`);
  return piece.value;
}

export function severity(finding: Finding): string {
  return severityOf(scoreOf(finding.reasons));
}

/** `count` items made from their index. */
export function times<Item>(count: number, make: (index: number) => Item): Item[] {
  return Array.from({ length: count }, (_, index) => make(index));
}
