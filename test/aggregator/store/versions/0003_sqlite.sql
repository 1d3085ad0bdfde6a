CREATE TABLE IF NOT EXISTS ended_epochs (
    sensor_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    in_flows INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    missing INTEGER,
    found_ms INTEGER,
    PRIMARY KEY (sensor_id, epoch)
  ) WITHOUT ROWID;
