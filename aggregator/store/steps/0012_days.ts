/** Version 12: what belongs to a day lies together, so that it can leave without touching the rest.
 *
 * MariaDB: rollups of a day have partitions, as flows have. SQLite: the hours of hosts, and the indexes of flows by
 * address, begin with the hour: those of one hour are a few pages, written and deleted together. `id /
 * 7372800000000` is the hour of a flow: 3,600 s, in microseconds, of 2,048 slots each. @module */

const later = "(PARTITION p_later VALUES LESS THAN MAXVALUE)";

export const mariadb = [
  `ALTER TABLE conversations PARTITION BY RANGE (day) ${later}`,
  `ALTER TABLE host_hours PARTITION BY RANGE (hour) ${later}`,
];

export const sqlite = [
  "DROP INDEX IF EXISTS flows_by_src",
  "DROP INDEX IF EXISTS flows_by_dst",
  "CREATE INDEX IF NOT EXISTS flows_by_hour_src ON flows (id / 7372800000000, src_ip)",
  "CREATE INDEX IF NOT EXISTS flows_by_hour_dst ON flows (id / 7372800000000, dst_ip)",
  "CREATE TABLE host_hours_new (hour INTEGER NOT NULL, ip BLOB NOT NULL, network INTEGER NOT NULL, " +
  "packets INTEGER NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY (hour, ip, network)) WITHOUT ROWID",
  "INSERT INTO host_hours_new (ip, network, hour, packets, bytes) " +
  "SELECT ip, network, hour, packets, bytes FROM host_hours",
  "DROP TABLE host_hours",
  "ALTER TABLE host_hours_new RENAME TO host_hours",
];
