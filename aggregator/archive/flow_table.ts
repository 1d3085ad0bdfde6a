/** Flows as rows of a table that people and their tools read: Parquet, CSV.
 *
 * In: flows of the API, or archived ones. Out: cells by column, and archived flows again.
 * Invariant: the columns are the API's fields, under the same names; lists and facts are JSON text. An archived flow is
 * restored exactly. `deno check` fails when a field of a flow has no column. @module */

import type { ArchivedFlow } from "../model/archived.ts";
import type { Flow } from "../model/flow.ts";
import type { PlacedEnds } from "../model/place.ts";
import type { Cells, Kind } from "./parquet.ts";

export const flowTable = {
  flow_id: "text",
  network: "text",
  community_id: "text",
  protocol: "text",
  app_protocol: "text",
  start: "time",
  end: "time",
  src_ip: "text",
  src_port: "small",
  dst_ip: "text",
  dst_port: "small",
  total_packets: "integer",
  total_bytes: "integer",
  fwd_packets: "integer",
  fwd_bytes: "integer",
  fwd_payload_bytes: "integer",
  bwd_packets: "integer",
  bwd_bytes: "integer",
  bwd_payload_bytes: "integer",
  conn_state: "text",
  end_reason: "text",
  fwd_tcp_flags: "small",
  bwd_tcp_flags: "small",
  fwd_syn_count: "integer",
  bwd_syn_count: "integer",
  fwd_fin_count: "integer",
  bwd_fin_count: "integer",
  fwd_rst_count: "integer",
  bwd_rst_count: "integer",
  fwd_ttl: "small",
  bwd_ttl: "small",
  handshake_rtt_us: "integer",
  tcp_isn: "integer or null",
  packet_length_min: "integer",
  packet_length_max: "integer",
  packet_length_mean: "real",
  packet_length_deviation: "real",
  interarrival_us_min: "real",
  interarrival_us_max: "real",
  interarrival_us_mean: "real",
  interarrival_us_deviation: "real",
  src_mac: "text",
  dst_mac: "text",
  ip_depth: "small",
  tunnel: "text",
  vlan: "small",
  vlan_inner: "small",
  factor: "small",
  time_suspect: "flag",
  facts: "json",
  fwd_sensor: "text",
  bwd_sensor: "text",
  stored_ms: "integer",
  updated_ms: "integer",
  seen_by: "json",
} as const satisfies Record<keyof Required<Omit<Flow, "direction_guess">>, Kind>;

/** Of an export: where the ends are, as far as GeoIP files know. */
export const placedFlowTable = {
  ...flowTable,
  src_country: "json",
  src_asn: "integer or null",
  src_as_org: "json",
  dst_country: "json",
  dst_asn: "integer or null",
  dst_as_org: "json",
} as const satisfies Record<string, Kind>;

/** Of an archive; its files can be read by every version that knows {@link archiveVersion}. */
export const archiveTable = {
  ...flowTable,
  segments: "integer",
  clock_offset_us: "integer",
  threat_ids: "json",
} as const satisfies Record<string, Kind>;
export const archiveVersion = 1;

export function cellsOfFlow(flow: Flow): Cells {
  const { facts, seen_by, direction_guess: _, ...plain } = flow;
  return {
    ...plain,
    facts: facts === null ? null : JSON.stringify(facts),
    seen_by: seen_by.length === 0 ? null : JSON.stringify(seen_by),
  };
}

export function cellsOfPlacedFlow({ src_place, dst_place, ...flow }: Flow & PlacedEnds): Cells {
  return {
    ...cellsOfFlow(flow),
    src_country: src_place?.country ?? null,
    src_asn: src_place?.asn ?? null,
    src_as_org: src_place?.as_org ?? null,
    dst_country: dst_place?.country ?? null,
    dst_asn: dst_place?.asn ?? null,
    dst_as_org: dst_place?.as_org ?? null,
  };
}

export function cellsOfArchived({ flow, segments, clock_offset_us, threat_ids }: ArchivedFlow): Cells {
  return {
    ...cellsOfFlow(flow),
    segments,
    clock_offset_us,
    threat_ids: threat_ids.length === 0 ? null : JSON.stringify(threat_ids),
  };
}

/** @throws {SyntaxError} when a JSON cell is damaged. */
export function archivedOf(cells: Cells): ArchivedFlow {
  const { segments, clock_offset_us, threat_ids, facts, seen_by, ...plain } = cells;
  const parsed = (cell: unknown) => cell === null ? null : JSON.parse(cell as string);
  return {
    flow: { ...plain, facts: parsed(facts), seen_by: parsed(seen_by) ?? [] } as unknown as Flow,
    segments: segments as number,
    clock_offset_us: clock_offset_us as number,
    threat_ids: parsed(threat_ids) ?? [],
  };
}
