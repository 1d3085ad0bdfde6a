/** Version 5: what hosts do, summed up: hosts, their hours, services, conversations, neighbours, names, domains.
 *
 * Times are microseconds since 1970; `day` and `hour` are seconds since 1970 of their beginning;
 * `network`, `protocol`, `app` are words. @module */

const sqliteTable = (name: string, columns: readonly string[], key: string) =>
  `CREATE TABLE IF NOT EXISTS ${name} (${
    columns.map((column) => {
      const [word, kind] = column.split(" ");
      return `${word} ${kind ? { octets: "BLOB", text: "TEXT" }[kind] : "INTEGER"} NOT NULL`;
    }).join(", ")
  }, PRIMARY KEY (${key})) WITHOUT ROWID`;

const mariadbTable = (name: string, columns: readonly string[], key: string) =>
  `CREATE TABLE IF NOT EXISTS ${name} (${
    columns.map((column) => {
      const [word, kind] = column.split(" ");
      return `${word} ${kind ? { octets: "VARBINARY(16)", text: "VARCHAR(255)" }[kind] : "BIGINT"} NOT NULL`;
    }).join(", ")
  }, PRIMARY KEY (${key})) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`;

const tables: readonly (readonly [string, readonly string[], string])[] = [
  ["hosts", [
    "ip octets",
    "network",
    "first_us",
    "last_us",
    "flows",
    "packets",
    "bytes",
    "flows_from",
    "sent_packets",
    "sent_bytes",
  ], "ip, network"],
  ["host_hours", ["ip octets", "network", "hour", "packets", "bytes"], "ip, network, hour"],
  [
    "services",
    ["ip octets", "network", "protocol", "port", "app", "first_us", "last_us", "flows", "bytes"],
    "ip, network, protocol, port",
  ],
  ["conversations", [
    "src_ip octets",
    "day",
    "dst_ip octets",
    "network",
    "protocol",
    "port",
    "app",
    "first_us",
    "last_us",
    "flows",
    "packets",
    "bytes",
    "sent_bytes",
  ], "src_ip, day, dst_ip, network, protocol, port"],
  ["neighbours", ["ip octets", "network", "mac octets", "first_us", "last_us"], "ip, network, mac"],
  [
    "host_names",
    ["ip octets", "network", "name text", "sources", "first_us", "last_us"],
    "ip, network, name",
  ],
  ["domains", [
    "name text",
    "network",
    "first_us",
    "last_us",
    "queries",
    "askers_0",
    "askers_1",
    "askers_2",
    "askers_3",
  ], "name, network"],
];

const indexes = [
  "CREATE INDEX IF NOT EXISTS hosts_by_time ON hosts (last_us)",
  "CREATE INDEX IF NOT EXISTS hosts_by_bytes ON hosts (bytes)",
  "CREATE INDEX IF NOT EXISTS host_hours_by_hour ON host_hours (hour)",
  "CREATE INDEX IF NOT EXISTS services_by_time ON services (last_us)",
  "CREATE INDEX IF NOT EXISTS conversations_by_dst ON conversations (dst_ip, day)",
  "CREATE INDEX IF NOT EXISTS conversations_by_bytes ON conversations (day, bytes)",
  "CREATE INDEX IF NOT EXISTS neighbours_by_time ON neighbours (last_us)",
  "CREATE INDEX IF NOT EXISTS host_names_by_time ON host_names (last_us)",
  "CREATE INDEX IF NOT EXISTS domains_by_time ON domains (last_us)",
  "CREATE INDEX IF NOT EXISTS threat_ips_by_ip ON threat_ips (ip)",
];

export const sqlite = [...tables.map((table) => sqliteTable(...table)), ...indexes];
export const mariadb = [...tables.map((table) => mariadbTable(...table)), ...indexes];
