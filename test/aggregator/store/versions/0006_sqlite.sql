CREATE TABLE IF NOT EXISTS packet_requests (
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
  );
CREATE UNIQUE INDEX IF NOT EXISTS packet_requests_by_subject ON packet_requests (subject, sensor_id);
CREATE INDEX IF NOT EXISTS packet_requests_by_state ON packet_requests (state, at_ms);
