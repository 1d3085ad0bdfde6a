CREATE TABLE IF NOT EXISTS ended_epochs (
    sensor_id VARCHAR(64) NOT NULL,
    epoch BIGINT NOT NULL,
    in_flows BIGINT NOT NULL,
    last_ms BIGINT NOT NULL,
    missing BIGINT,
    found_ms BIGINT,
    PRIMARY KEY (sensor_id, epoch)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
