CREATE TABLE IF NOT EXISTS sensor_health (
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
  ) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sensor_health_by_time ON sensor_health (at_ms, weight);
