/** Version 14: how sensors were, over time. @module */

export const sqlite = [
  `CREATE TABLE IF NOT EXISTS sensor_health (
    sensor_id TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    weight INTEGER NOT NULL,
    status TEXT NOT NULL,
    kinds TEXT NOT NULL,
    reasons TEXT NOT NULL,
    epoch INTEGER,
    packets INTEGER,
    in_flows INTEGER,
    left_out INTEGER,
    dropped INTEGER,
    card_dropped INTEGER,
    spooled_batches INTEGER,
    missing_batches INTEGER NOT NULL,
    missing_packets INTEGER NOT NULL,
    clock_offset_ms INTEGER,
    PRIMARY KEY (sensor_id, at_ms)
  ) WITHOUT ROWID`,
  "CREATE INDEX IF NOT EXISTS sensor_health_by_time ON sensor_health (at_ms, weight)",
];

export const mariadb = [
  `CREATE TABLE IF NOT EXISTS sensor_health (
    sensor_id VARCHAR(64) NOT NULL,
    at_ms BIGINT NOT NULL,
    weight TINYINT NOT NULL COMMENT '2 = it changed, 1 = the first of its hour, 0 = any other',
    status VARCHAR(16) NOT NULL,
    kinds VARCHAR(400) NOT NULL,
    reasons TEXT NOT NULL COMMENT 'JSON; empty unless it changed',
    epoch BIGINT COMMENT 'NULL = the sensor had not checked in',
    packets BIGINT,
    in_flows BIGINT,
    left_out BIGINT,
    dropped BIGINT,
    card_dropped BIGINT,
    spooled_batches BIGINT,
    missing_batches BIGINT NOT NULL,
    missing_packets BIGINT NOT NULL,
    clock_offset_ms BIGINT,
    PRIMARY KEY (sensor_id, at_ms),
    INDEX sensor_health_by_time (at_ms, weight)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='How sensors were, over time'`,
];
