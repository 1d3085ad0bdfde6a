/** Version 3: epochs that are over, with what the sensor's last check-in of each had counted, so that an aggregator
 * that started since still notices what never arrived. @module */

export const sqlite = [
  `CREATE TABLE IF NOT EXISTS ended_epochs (
    sensor_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    in_flows INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    missing INTEGER,
    found_ms INTEGER,
    PRIMARY KEY (sensor_id, epoch)
  ) WITHOUT ROWID`,
];
export const mariadb = [
  `CREATE TABLE IF NOT EXISTS ended_epochs (
    sensor_id VARCHAR(64) NOT NULL,
    epoch BIGINT NOT NULL,
    in_flows BIGINT NOT NULL,
    last_ms BIGINT NOT NULL,
    missing BIGINT,
    found_ms BIGINT,
    PRIMARY KEY (sensor_id, epoch)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`,
];
