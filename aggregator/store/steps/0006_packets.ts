/** Version 6: packets that were requested from sensors, and the outcomes.
 *
 * The files themselves are in the state folder; `id` is their name. @module */

export const sqlite = [
  `CREATE TABLE IF NOT EXISTS packet_requests (
    id TEXT PRIMARY KEY,
    subject TEXT NOT NULL,
    sensor_id TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    flows TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    expires_ms INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    packets INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    flow_us INTEGER NOT NULL
  )`,
  "CREATE UNIQUE INDEX IF NOT EXISTS packet_requests_by_subject ON packet_requests (subject, sensor_id)",
  "CREATE INDEX IF NOT EXISTS packet_requests_by_state ON packet_requests (state, at_ms)",
];
export const mariadb = [
  `CREATE TABLE IF NOT EXISTS packet_requests (
    id VARCHAR(16) NOT NULL PRIMARY KEY COMMENT 'name of the file in the state folder of the aggregator that took it',
    subject VARCHAR(32) NOT NULL COMMENT 'threat/ID or flow/ID',
    sensor_id VARCHAR(64) NOT NULL,
    state VARCHAR(10) NOT NULL COMMENT 'asked, arrived, gone, refused',
    reason VARCHAR(400) NOT NULL,
    flows MEDIUMTEXT NOT NULL COMMENT 'Community IDs and times as JSON',
    asked_by VARCHAR(64) NOT NULL,
    expires_ms BIGINT NOT NULL,
    at_ms BIGINT NOT NULL COMMENT 'last change',
    packets BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    sha256 VARCHAR(64) NOT NULL,
    flow_us BIGINT NOT NULL COMMENT 'start of the newest flow',
    UNIQUE KEY packet_requests_by_subject (subject, sensor_id),
    KEY packet_requests_by_state (state, at_ms)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='Packets that sensors were asked for'`,
];
