/** Columns of the table `flows`: type, what a later write does to each, and how a flow becomes a row and back.
 *
 * In: flows whose counts are increments. Out: one upsert statement; stored flows without their sightings.
 * Invariant: one statement serves first and later writes alike, so that a flow written twice as new is still one flow.
 * Why squares instead of deviations: means of values and of squares combine by weight, in SQL without a square root; and MariaDB
 * sets columns from left to right, so these come before the counts they weigh with. @module */

import { Buffer } from "node:buffer";
import type { Flow } from "../model/flow.ts";
import type { ColumnType, Dialect, Row, Value } from "./database.ts";
import { namesOf } from "./fact_names.ts";

type OnUpdate =
  | "keep"
  | "add"
  | "least"
  | "greatest"
  | "set"
  | "or"
  | "first" // The first value that is not 0 or "".
  | "known" // The last value that is not null.
  | "weighted" // By packets.
  | "least_weighted"; // Only among rows that have enough packets to have one.

interface FlowColumn {
  type: ColumnType;
  update: OnUpdate;
  /** Packets a row needs before the column means something. */
  packetsMin?: number;
}

const integer = (update: OnUpdate, packetsMin?: number): FlowColumn => ({
  type: "integer",
  update,
  ...(packetsMin === undefined ? {} : { packetsMin }),
});
const name = (update: OnUpdate): FlowColumn => ({ type: "name", update });
const real = (packetsMin: number): FlowColumn => ({ type: "real", update: "weighted", packetsMin });

/** In the order in which people read them. */
export const flowColumns = {
  flow_id: { type: "flow_id", update: "keep" },
  network: name("keep"),
  community_id: name("keep"),
  ip_depth: integer("keep"),
  tunnel: name("keep"),
  vlan: integer("keep"),
  vlan_inner: integer("keep"),
  protocol: name("keep"),
  src_ip: { type: "ip", update: "keep" },
  src_port: integer("keep"),
  dst_ip: { type: "ip", update: "keep" },
  dst_port: integer("keep"),
  src_mac: name("first"),
  dst_mac: name("first"),
  start_us: integer("least"),
  end_us: integer("greatest"),
  fwd_packets: integer("add"),
  fwd_bytes: integer("add"),
  fwd_payload_bytes: integer("add"),
  bwd_packets: integer("add"),
  bwd_bytes: integer("add"),
  bwd_payload_bytes: integer("add"),
  total_packets: integer("add"),
  total_bytes: integer("add"),
  fwd_tcp_flags: integer("or"),
  bwd_tcp_flags: integer("or"),
  fwd_syn_count: integer("add"),
  bwd_syn_count: integer("add"),
  fwd_fin_count: integer("add"),
  bwd_fin_count: integer("add"),
  fwd_rst_count: integer("add"),
  bwd_rst_count: integer("add"),
  fwd_ttl: integer("first"),
  bwd_ttl: integer("first"),
  conn_state: name("set"),
  handshake_rtt_us: integer("first"),
  tcp_isn: integer("known"),
  packet_length_min: integer("least_weighted", 1),
  packet_length_max: integer("greatest"),
  packet_length_mean: real(1),
  packet_length_square: real(1),
  interarrival_us_min: { type: "real", update: "least_weighted", packetsMin: 2 },
  interarrival_us_max: { type: "real", update: "greatest" },
  interarrival_us_mean: real(2),
  interarrival_us_square: real(2),
  end_reason: name("set"),
  factor: integer("least"),
  app_protocol: name("first"),
  facts: { type: "text", update: "known" },
  names: { type: "line", update: "known" },
  fwd_sensor: name("set"),
  bwd_sensor: name("set"),
  time_suspect: integer("or"),
  stored_ms: integer("least"),
  updated_ms: integer("greatest"),
} as const satisfies Record<string, FlowColumn>;

type FlowColumnName = keyof typeof flowColumns;
export const flowColumnNames = Object.keys(flowColumns) as FlowColumnName[];

/** The one statement that writes flows. */
export function flowUpsert(dialect: Dialect): string {
  const changes: Record<string, string> = {};
  for (const column of [...flowColumnNames].sort((a, b) => turnOf(a) - turnOf(b))) {
    const change = changeOf(dialect, column, flowColumns[column]);
    if (change !== null) changes[column] = change;
  }
  return dialect.upsert("flows", flowColumnNames, ["flow_id"], changes);
}

/** What is weighed by the stored counts is set before these change. */
function turnOf(column: FlowColumnName): number {
  return "packetsMin" in flowColumns[column] ? 0 : 1;
}

function changeOf(
  dialect: Dialect,
  column: string,
  { type, update, packetsMin = 1 }: FlowColumn,
): string | null {
  const old = dialect.stored("flows", column), fresh = dialect.fresh(column);
  const oldWeight = dialect.stored("flows", "total_packets"), freshWeight = dialect.fresh("total_packets");
  switch (update) {
    case "keep":
      return null;
    case "add":
      return `${old} + ${fresh}`;
    case "least":
      return dialect.least(old, fresh);
    case "greatest":
      return dialect.greatest(old, fresh);
    case "set":
      return fresh;
    case "or":
      return `${old} | ${fresh}`;
    case "first":
      return `CASE WHEN ${old} = ${type === "name" ? "''" : "0"} THEN ${fresh} ELSE ${old} END`;
    case "known":
      return `COALESCE(${fresh}, ${old})`;
    case "weighted":
      return `CASE WHEN ${freshWeight} < ${packetsMin} THEN ${old} WHEN ${oldWeight} < ${packetsMin} THEN ${fresh} ` +
        `ELSE (${old} * ${oldWeight} + ${fresh} * ${freshWeight}) / (${oldWeight} + ${freshWeight}) END`;
    case "least_weighted":
      return `CASE WHEN ${freshWeight} < ${packetsMin} THEN ${old} WHEN ${oldWeight} < ${packetsMin} THEN ${fresh} ` +
        `ELSE ${dialect.least(old, fresh)} END`;
  }
}

const microseconds = (seconds: number): number => Math.round(seconds * 1e6);
const squareOf = (mean: number, deviation: number): number => mean * mean + deviation * deviation;

/** A flow as the values of {@link flowColumnNames}. */
export function flowValues(dialect: Dialect, flow: Omit<Flow, "seen_by">): Value[] {
  const row: Record<FlowColumnName, Value> = {
    ...flow,
    flow_id: Buffer.from(flow.flow_id, "hex"),
    src_ip: dialect.ipIn(flow.src_ip),
    dst_ip: dialect.ipIn(flow.dst_ip),
    start_us: microseconds(flow.start),
    end_us: microseconds(flow.end),
    packet_length_square: squareOf(flow.packet_length_mean, flow.packet_length_deviation),
    interarrival_us_square: squareOf(flow.interarrival_us_mean, flow.interarrival_us_deviation),
    facts: flow.facts === null ? null : JSON.stringify(flow.facts),
    names: flow.facts === null ? null : namesOf(flow.facts),
    time_suspect: flow.time_suspect ? 1 : 0,
  };
  return flowColumnNames.map((column) => row[column]);
}

/** A row of `flows` as a flow whose sightings are not read yet. */
export function flowFromRow(dialect: Dialect, row: Row): Flow {
  const flow: Record<string, unknown> = {};
  for (const column of flowColumnNames) {
    const { field, read } = readers[column] ?? { field: column, read: null };
    if (field !== "") flow[field] = read === null ? row[column] : read(row, dialect);
  }
  flow.seen_by = [];
  return flow as unknown as Flow;
}

/** Columns that are not the field of the same name as it is; field "" = none. */
const readers: Partial<
  Record<FlowColumnName, { field: keyof Flow | ""; read: (row: Row, dialect: Dialect) => unknown }>
> = {
  flow_id: { field: "flow_id", read: (row) => hexOf(row.flow_id) },
  src_ip: { field: "src_ip", read: (row, dialect) => dialect.ipOut(row.src_ip) },
  dst_ip: { field: "dst_ip", read: (row, dialect) => dialect.ipOut(row.dst_ip) },
  start_us: { field: "start", read: (row) => row.start_us as number / 1e6 },
  end_us: { field: "end", read: (row) => row.end_us as number / 1e6 },
  packet_length_mean: {
    field: "packet_length_mean",
    read: (row) => rounded(row.packet_length_mean as number),
  },
  packet_length_square: {
    field: "packet_length_deviation",
    read: (row) => deviationOf(row.packet_length_mean as number, row.packet_length_square as number),
  },
  interarrival_us_mean: {
    field: "interarrival_us_mean",
    read: (row) => rounded(row.interarrival_us_mean as number),
  },
  interarrival_us_square: {
    field: "interarrival_us_deviation",
    read: (row) => deviationOf(row.interarrival_us_mean as number, row.interarrival_us_square as number),
  },
  facts: { field: "facts", read: (row) => row.facts === null ? null : JSON.parse(row.facts as string) },
  names: { field: "", read: () => null },
  time_suspect: { field: "time_suspect", read: (row) => row.time_suspect === 1 },
};

export function hexOf(id: Value): string {
  return Buffer.from(id as Uint8Array).toString("hex");
}

function deviationOf(mean: number, square: number): number {
  return rounded(Math.sqrt(Math.max(0, square - mean * mean)));
}

/** Three significant digits, as the sensor sends them. */
function rounded(value: number): number {
  return Number(value.toPrecision(3));
}
