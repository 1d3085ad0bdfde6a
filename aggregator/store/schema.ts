/** Tables, indexes and views, and the forward-only steps that make them.
 *
 * In: a dialect. Out: the statements of each version. Invariant: a step that was released is never edited; a new one follows it.
 * Each statement can be run again, as MariaDB keeps what a step did before it broke.
 * Why few indexes: `flow_id` begins with the start time, so the primary key serves every list by time; each further index costs
 * 13 to 20 % of insert speed. Daily partitions need no other key: RANGE COLUMNS (flow_id) over that prefix. @module */

import type { ColumnType, Dialect } from "./database.ts";
import { flowColumnNames, flowColumns } from "./flow_columns.ts";

interface Table {
  columns: Record<string, ColumnType>;
  /** Primary key; empty when a column is `serial`. */
  primary: string[];
  /** Name to columns. */
  indexes?: Record<string, string[]>;
  unique?: Record<string, string[]>;
}

const integers = (...names: string[]): Record<string, ColumnType> =>
  Object.fromEntries(names.map((name) => [name, "integer"]));

const tablesOfVersion1: Record<string, Table> = {
  flows: {
    columns: Object.fromEntries(flowColumnNames.map((name) => [name, flowColumns[name].type])),
    primary: ["flow_id"],
    indexes: {
      flows_by_src: ["src_ip", "flow_id"],
      flows_by_dst: ["dst_ip", "flow_id"],
      flows_by_update: ["updated_ms"],
    },
  },
  sightings: {
    columns: {
      flow_id: "flow_id",
      sensor_id: "name",
      ...integers(
        "vlan",
        "ip_depth",
        "start_us",
        "end_us",
        "fwd_packets",
        "fwd_bytes",
        "bwd_packets",
        "bwd_bytes",
      ),
      segments: "integer",
      clock_offset_ms: "real",
    },
    primary: ["flow_id", "sensor_id", "vlan", "ip_depth"],
  },
  ledger: {
    columns: {
      sensor_id: "name",
      ...integers("epoch", "bucket", "seq"),
      sha256: "name",
      ...integers("flows", "packets", "sealed_ms", "received_ms"),
    },
    primary: ["sensor_id", "epoch", "bucket", "seq"],
  },
  positions: {
    columns: { sensor_id: "name", ...integers("epoch", "bucket", "seq_max", "batches") },
    primary: ["sensor_id", "epoch", "bucket"],
  },
  epochs: {
    columns: {
      sensor_id: "name",
      ...integers("epoch", "first_sealed_ms", "first_received_ms", "last_sealed_ms"),
    },
    primary: ["sensor_id", "epoch"],
  },
  offsets: {
    columns: { topic: "word", partition_number: "integer", next_offset: "name", mark: "name" },
    primary: ["topic", "partition_number"],
  },
  gaps: {
    columns: {
      sensor_id: "name",
      ...integers("epoch", "bucket", "from_seq", "to_seq", "found_ms", "closed_ms"),
    },
    primary: ["sensor_id", "epoch", "bucket", "from_seq"],
  },
  dead_letters: {
    columns: {
      id: "serial",
      received_ms: "integer",
      reason: "name",
      origin: "line",
      sensor_id: "name",
      sample: "octets",
    },
    primary: [],
  },
  traffic: {
    columns: {
      second: "integer",
      sensor_id: "name",
      protocol: "name",
      ...integers("flows", "packets", "bytes"),
    },
    primary: ["second", "sensor_id", "protocol"],
  },
  traffic_minutes: {
    columns: {
      second: "integer",
      sensor_id: "name",
      protocol: "name",
      ...integers("flows", "packets", "bytes"),
    },
    primary: ["second", "sensor_id", "protocol"],
  },
  talkers: {
    columns: { minute: "integer", ip: "ip", ...integers("flows", "sent_bytes", "received_bytes", "packets") },
    primary: ["minute", "ip"],
  },
  protocols: {
    columns: {
      minute: "integer",
      protocol: "name",
      app_protocol: "name",
      ...integers("flows", "packets", "bytes"),
    },
    primary: ["minute", "protocol", "app_protocol"],
  },
  totals: {
    columns: { name: "name", ...integers("flows", "packets", "bytes", "sightings", "first_us", "last_us") },
    primary: ["name"],
  },
  sensors: {
    columns: {
      sensor_id: "name",
      name: "name",
      site: "name",
      tags: "text",
      key_id: "name",
      public_key: "name",
      ...integers("enrolled_ms", "revoked_ms", "quarantined_ms"),
      quarantine_reason: "line",
      ...integers("last_check_in_ms", "last_batch_ms"),
      clock_offset_ms: "real",
      check_in: "text",
    },
    primary: ["sensor_id"],
    unique: { sensors_by_name: ["name"], sensors_by_key: ["public_key"] },
  },
  join_tokens: {
    columns: {
      token_hash: "name",
      site: "name",
      tags: "text",
      ...integers("created_ms", "expires_ms", "used_ms"),
      used_by: "name",
    },
    primary: ["token_hash"],
  },
  api_keys: {
    columns: { key_hash: "name", name: "word", role: "name", ...integers("created_ms", "revoked_ms") },
    primary: ["key_hash"],
  },
  threats: {
    columns: {
      id: "name",
      detector: "name",
      severity: "name",
      severity_rank: "integer",
      status: "name",
      ...integers("first_seen_us", "last_seen_us", "stored_ms", "updated_ms"),
      explanation: "text",
      suggested_action: "text",
      body: "text",
    },
    primary: ["id"],
    indexes: { threats_by_time: ["last_seen_us", "id"] },
  },
  threat_flows: {
    columns: { threat_id: "name", flow_id: "flow_id" },
    primary: ["threat_id", "flow_id"],
    indexes: { threat_flows_by_flow: ["flow_id"] },
  },
  threat_ips: { columns: { threat_id: "name", ip: "ip" }, primary: ["threat_id", "ip"] },
};

/** Statements of each version, the first being version 1. */
export function migrations(dialect: Dialect): string[][] {
  return [[
    ...Object.entries(tablesOfVersion1).flatMap(([name, table]) => createTable(dialect, name, table)),
    ...views(dialect),
  ]];
}

export const versionTable =
  "CREATE TABLE IF NOT EXISTS schema_versions (version INTEGER PRIMARY KEY, applied_ms BIGINT)";

function createTable(dialect: Dialect, name: string, table: Table): string[] {
  const columns = Object.entries(table.columns).map(([column, type]) => {
    // A key column of MariaDB has to say that it is never null; SQLite's STRICTness does not matter here.
    const isKey = table.primary.includes(column) && !dialect.columnType(type).includes("NOT NULL");
    return `${column} ${dialect.columnType(type)}${isKey ? " NOT NULL" : ""}`;
  });
  if (table.primary.length > 0) columns.push(`PRIMARY KEY (${table.primary.join(", ")})`);
  // Narrow rows live in their key's tree; wide ones would make that tree deep.
  const isNarrow = dialect.name === "sqlite" && table.primary.length > 1;
  const suffix = isNarrow ? " WITHOUT ROWID" : dialect.tableSuffix;
  const index = (kind: string) => ([indexName, on]: [string, string[]]) =>
    `CREATE ${kind} IF NOT EXISTS ${indexName} ON ${name} (${on.join(", ")})`;
  return [
    `CREATE TABLE IF NOT EXISTS ${name} (${columns.join(", ")})${suffix}`,
    ...Object.entries(table.indexes ?? {}).map(index("INDEX")),
    ...Object.entries(table.unique ?? {}).map(index("UNIQUE INDEX")),
  ];
}

/** What analysts' existing SQL asks for. */
function views(dialect: Dialect): string[] {
  const info = dialect.joinText(["conn_state", "app_protocol", "COALESCE(names, '')"]);
  return [
    `CREATE VIEW IF NOT EXISTS traffic_logs AS SELECT ${dialect.dateText("start_us")} AS event_time, ` +
    `${dialect.ipText("src_ip")} AS source_ip, src_port AS source_port, ${
      dialect.ipText("dst_ip")
    } AS dest_ip, ` +
    `dst_port AS dest_port, protocol, total_bytes AS length, ${info} AS info, ` +
    `EXISTS (SELECT 1 FROM threat_flows WHERE threat_flows.flow_id = flows.flow_id) AS is_suspicious FROM flows`,
    `CREATE VIEW IF NOT EXISTS ai_threat_logs AS SELECT id AS log_id, explanation AS ai_explanation, suggested_action, ` +
    `severity AS severity_level FROM threats`,
  ];
}
