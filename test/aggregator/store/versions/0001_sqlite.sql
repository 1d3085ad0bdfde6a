CREATE TABLE IF NOT EXISTS words (
    id INTEGER PRIMARY KEY,
    word TEXT NOT NULL UNIQUE
  );
CREATE TABLE IF NOT EXISTS flows (
    id INTEGER PRIMARY KEY,
    network INTEGER NOT NULL,
    protocol INTEGER NOT NULL,
    app INTEGER NOT NULL,
    src_ip BLOB NOT NULL,
    src_port INTEGER NOT NULL,
    dst_ip BLOB NOT NULL,
    dst_port INTEGER NOT NULL,
    community INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    fwd_packets INTEGER NOT NULL,
    fwd_bytes INTEGER NOT NULL,
    bwd_packets INTEGER NOT NULL,
    bwd_bytes INTEGER NOT NULL,
    fwd_tcp_flags INTEGER NOT NULL,
    bwd_tcp_flags INTEGER NOT NULL,
    conn_state INTEGER NOT NULL,
    end_reason INTEGER NOT NULL,
    vlan INTEGER NOT NULL,
    fwd_sensor INTEGER NOT NULL,
    bwd_sensor INTEGER NOT NULL,
    factor INTEGER NOT NULL,
    time_suspect INTEGER NOT NULL,
    more BLOB NOT NULL,
    facts TEXT
  );
CREATE INDEX IF NOT EXISTS flows_by_src ON flows (src_ip);
CREATE INDEX IF NOT EXISTS flows_by_dst ON flows (dst_ip);
CREATE TABLE IF NOT EXISTS sightings (
    id INTEGER NOT NULL,
    sensor INTEGER NOT NULL,
    vlan INTEGER NOT NULL,
    ip_depth INTEGER NOT NULL,
    start_us INTEGER NOT NULL,
    end_us INTEGER NOT NULL,
    fwd_packets INTEGER NOT NULL,
    fwd_bytes INTEGER NOT NULL,
    bwd_packets INTEGER NOT NULL,
    bwd_bytes INTEGER NOT NULL,
    segments INTEGER NOT NULL,
    offset_us INTEGER NOT NULL,
    PRIMARY KEY (id, sensor, vlan, ip_depth)
  ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS recent (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    updated_ms INTEGER NOT NULL,
    flows_before INTEGER NOT NULL,
    flow_ids BLOB NOT NULL
  );
CREATE INDEX IF NOT EXISTS recent_by_time ON recent (updated_ms);
CREATE TABLE IF NOT EXISTS ledger (
    sensor_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    flows INTEGER NOT NULL,
    packets INTEGER NOT NULL,
    sealed_ms INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    PRIMARY KEY (sensor_id, epoch, bucket, seq)
  ) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ledger_by_time ON ledger (received_ms);
CREATE TABLE IF NOT EXISTS positions (
    sensor_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    seq_max INTEGER NOT NULL,
    batches INTEGER NOT NULL,
    PRIMARY KEY (sensor_id, epoch, bucket)
  ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS epochs (
    sensor_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    first_sealed_ms INTEGER NOT NULL,
    first_received_ms INTEGER NOT NULL,
    last_sealed_ms INTEGER NOT NULL,
    PRIMARY KEY (sensor_id, epoch)
  ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS offsets (
    topic TEXT NOT NULL,
    partition_number INTEGER NOT NULL,
    next_offset TEXT NOT NULL,
    mark TEXT,
    PRIMARY KEY (topic, partition_number)
  ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gaps (
    sensor_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    from_seq INTEGER NOT NULL,
    to_seq INTEGER NOT NULL,
    found_ms INTEGER NOT NULL,
    closed_ms INTEGER,
    PRIMARY KEY (sensor_id, epoch, bucket, from_seq)
  ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    received_ms INTEGER NOT NULL,
    reason TEXT NOT NULL,
    origin TEXT NOT NULL,
    sensor_id TEXT,
    sample BLOB NOT NULL
  );
CREATE TABLE IF NOT EXISTS sensors (
    sensor_id TEXT NOT NULL,
    name TEXT NOT NULL,
    site TEXT NOT NULL,
    tags TEXT NOT NULL,
    key_id TEXT NOT NULL,
    public_key TEXT NOT NULL,
    enrolled_ms INTEGER NOT NULL,
    revoked_ms INTEGER,
    quarantined_ms INTEGER,
    quarantine_reason TEXT,
    last_check_in_ms INTEGER,
    last_batch_ms INTEGER,
    clock_offset_ms REAL,
    check_in TEXT,
    PRIMARY KEY (sensor_id)
  );
CREATE UNIQUE INDEX IF NOT EXISTS sensors_by_name ON sensors (name);
CREATE UNIQUE INDEX IF NOT EXISTS sensors_by_key ON sensors (public_key);
CREATE TABLE IF NOT EXISTS join_tokens (
    token_hash TEXT NOT NULL,
    site TEXT NOT NULL,
    tags TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    used_ms INTEGER,
    used_by TEXT,
    PRIMARY KEY (token_hash)
  );
CREATE TABLE IF NOT EXISTS api_keys (
    key_hash TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    revoked_ms INTEGER,
    PRIMARY KEY (key_hash)
  );
CREATE TABLE IF NOT EXISTS traffic (
    step INTEGER NOT NULL,
    second INTEGER NOT NULL,
    sensor_id TEXT NOT NULL,
    protocol TEXT NOT NULL,
    flows INTEGER NOT NULL,
    packets INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (step, second, sensor_id, protocol)
  ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS days (
    day INTEGER NOT NULL PRIMARY KEY,
    flows INTEGER NOT NULL,
    stored_ms INTEGER NOT NULL,
    gone INTEGER NOT NULL
  );
CREATE TABLE IF NOT EXISTS talkers (
    minute INTEGER NOT NULL,
    ip BLOB NOT NULL,
    flows INTEGER NOT NULL,
    sent_bytes INTEGER NOT NULL,
    received_bytes INTEGER NOT NULL,
    packets INTEGER NOT NULL,
    PRIMARY KEY (minute, ip)
  ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS protocols (
    minute INTEGER NOT NULL,
    protocol TEXT NOT NULL,
    app_protocol TEXT NOT NULL,
    flows INTEGER NOT NULL,
    packets INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (minute, protocol, app_protocol)
  ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS totals (
    name TEXT NOT NULL PRIMARY KEY,
    flows INTEGER NOT NULL,
    packets INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    sightings INTEGER NOT NULL,
    first_us INTEGER,
    last_us INTEGER
  );
CREATE TABLE IF NOT EXISTS threats (
    id TEXT NOT NULL PRIMARY KEY,
    detector TEXT NOT NULL,
    severity TEXT NOT NULL,
    severity_rank INTEGER NOT NULL,
    status TEXT NOT NULL,
    first_seen_us INTEGER NOT NULL,
    last_seen_us INTEGER NOT NULL,
    stored_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    first_flow INTEGER,
    explanation TEXT NOT NULL,
    suggested_action TEXT NOT NULL,
    body TEXT NOT NULL
  );
CREATE INDEX IF NOT EXISTS threats_by_time ON threats (last_seen_us, id);
CREATE TABLE IF NOT EXISTS threat_flows (
    threat_id TEXT NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (threat_id, id)
  ) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS threat_flows_by_flow ON threat_flows (id);
CREATE TABLE IF NOT EXISTS threat_ips (
    threat_id TEXT NOT NULL,
    ip BLOB NOT NULL,
    PRIMARY KEY (threat_id, ip)
  ) WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS v_flows AS SELECT id, printf('%016x', id) AS flow_id, strftime('%Y-%m-%d %H:%M:%f', (id >> 11) / 1000000.0, 'unixepoch') AS start_time,
    strftime('%Y-%m-%d %H:%M:%f', ((id >> 11) + duration_us) / 1000000.0, 'unixepoch') AS end_time, duration_us / 1000000.0 AS duration_s,
    COALESCE((SELECT word FROM words WHERE words.id = flows.network), '') AS network, COALESCE((SELECT word FROM words WHERE words.id = flows.protocol), '') AS protocol, COALESCE((SELECT word FROM words WHERE words.id = flows.app), '') AS app_protocol,
    CASE length(src_ip) WHEN 4 THEN ((instr('0123456789ABCDEF', substr(hex(src_ip), 1, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(src_ip), 2, 1)) - 1) || '.' || ((instr('0123456789ABCDEF', substr(hex(src_ip), 3, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(src_ip), 4, 1)) - 1) || '.' || ((instr('0123456789ABCDEF', substr(hex(src_ip), 5, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(src_ip), 6, 1)) - 1) || '.' || ((instr('0123456789ABCDEF', substr(hex(src_ip), 7, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(src_ip), 8, 1)) - 1) ELSE lower(substr(hex(src_ip), 1, 4) || ':' || substr(hex(src_ip), 5, 4) || ':' || substr(hex(src_ip), 9, 4) || ':' || substr(hex(src_ip), 13, 4) || ':' || substr(hex(src_ip), 17, 4) || ':' || substr(hex(src_ip), 21, 4) || ':' || substr(hex(src_ip), 25, 4) || ':' || substr(hex(src_ip), 29, 4)) END AS src_ip, src_port, CASE length(dst_ip) WHEN 4 THEN ((instr('0123456789ABCDEF', substr(hex(dst_ip), 1, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(dst_ip), 2, 1)) - 1) || '.' || ((instr('0123456789ABCDEF', substr(hex(dst_ip), 3, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(dst_ip), 4, 1)) - 1) || '.' || ((instr('0123456789ABCDEF', substr(hex(dst_ip), 5, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(dst_ip), 6, 1)) - 1) || '.' || ((instr('0123456789ABCDEF', substr(hex(dst_ip), 7, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(dst_ip), 8, 1)) - 1) ELSE lower(substr(hex(dst_ip), 1, 4) || ':' || substr(hex(dst_ip), 5, 4) || ':' || substr(hex(dst_ip), 9, 4) || ':' || substr(hex(dst_ip), 13, 4) || ':' || substr(hex(dst_ip), 17, 4) || ':' || substr(hex(dst_ip), 21, 4) || ':' || substr(hex(dst_ip), 25, 4) || ':' || substr(hex(dst_ip), 29, 4)) END AS dst_ip, dst_port,
    fwd_packets, fwd_bytes, bwd_packets, bwd_bytes,
    fwd_packets + bwd_packets AS total_packets, fwd_bytes + bwd_bytes AS total_bytes,
    fwd_tcp_flags, bwd_tcp_flags, CASE conn_state WHEN 1 THEN 'S0' WHEN 2 THEN 'S1' WHEN 3 THEN 'SF' WHEN 4 THEN 'REJ' WHEN 5 THEN 'S2' WHEN 6 THEN 'S3' WHEN 7 THEN 'RSTO' WHEN 8 THEN 'RSTR' WHEN 9 THEN 'RSTOS0' WHEN 10 THEN 'RSTRH' WHEN 11 THEN 'SH' WHEN 12 THEN 'SHR' WHEN 13 THEN 'OTH' END AS conn_state, CASE end_reason WHEN 1 THEN 'fin' WHEN 2 THEN 'rst' WHEN 3 THEN 'idle' WHEN 4 THEN 'active' WHEN 5 THEN 'evicted' WHEN 6 THEN 'reused' WHEN 7 THEN 'stopped' END AS end_reason, vlan,
    COALESCE((SELECT word FROM words WHERE words.id = flows.fwd_sensor), '') AS fwd_sensor, COALESCE((SELECT word FROM words WHERE words.id = flows.bwd_sensor), '') AS bwd_sensor, factor, time_suspect
    FROM flows;
CREATE VIEW IF NOT EXISTS traffic_logs AS SELECT id, strftime('%Y-%m-%d %H:%M:%f', (id >> 11) / 1000000.0, 'unixepoch') AS event_time,
    CASE length(src_ip) WHEN 4 THEN ((instr('0123456789ABCDEF', substr(hex(src_ip), 1, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(src_ip), 2, 1)) - 1) || '.' || ((instr('0123456789ABCDEF', substr(hex(src_ip), 3, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(src_ip), 4, 1)) - 1) || '.' || ((instr('0123456789ABCDEF', substr(hex(src_ip), 5, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(src_ip), 6, 1)) - 1) || '.' || ((instr('0123456789ABCDEF', substr(hex(src_ip), 7, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(src_ip), 8, 1)) - 1) ELSE lower(substr(hex(src_ip), 1, 4) || ':' || substr(hex(src_ip), 5, 4) || ':' || substr(hex(src_ip), 9, 4) || ':' || substr(hex(src_ip), 13, 4) || ':' || substr(hex(src_ip), 17, 4) || ':' || substr(hex(src_ip), 21, 4) || ':' || substr(hex(src_ip), 25, 4) || ':' || substr(hex(src_ip), 29, 4)) END AS source_ip, src_port AS source_port, CASE length(dst_ip) WHEN 4 THEN ((instr('0123456789ABCDEF', substr(hex(dst_ip), 1, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(dst_ip), 2, 1)) - 1) || '.' || ((instr('0123456789ABCDEF', substr(hex(dst_ip), 3, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(dst_ip), 4, 1)) - 1) || '.' || ((instr('0123456789ABCDEF', substr(hex(dst_ip), 5, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(dst_ip), 6, 1)) - 1) || '.' || ((instr('0123456789ABCDEF', substr(hex(dst_ip), 7, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(dst_ip), 8, 1)) - 1) ELSE lower(substr(hex(dst_ip), 1, 4) || ':' || substr(hex(dst_ip), 5, 4) || ':' || substr(hex(dst_ip), 9, 4) || ':' || substr(hex(dst_ip), 13, 4) || ':' || substr(hex(dst_ip), 17, 4) || ':' || substr(hex(dst_ip), 21, 4) || ':' || substr(hex(dst_ip), 25, 4) || ':' || substr(hex(dst_ip), 29, 4)) END AS dest_ip, dst_port AS dest_port,
    COALESCE((SELECT word FROM words WHERE words.id = flows.protocol), '') AS protocol, fwd_bytes + bwd_bytes AS length,
    CASE conn_state WHEN 1 THEN 'S0' WHEN 2 THEN 'S1' WHEN 3 THEN 'SF' WHEN 4 THEN 'REJ' WHEN 5 THEN 'S2' WHEN 6 THEN 'S3' WHEN 7 THEN 'RSTO' WHEN 8 THEN 'RSTR' WHEN 9 THEN 'RSTOS0' WHEN 10 THEN 'RSTRH' WHEN 11 THEN 'SH' WHEN 12 THEN 'SHR' WHEN 13 THEN 'OTH' END || ' ' || COALESCE((SELECT word FROM words WHERE words.id = flows.app), '') || ' ' || COALESCE(substr(facts, 2, 200), '') AS info,
    EXISTS (SELECT 1 FROM threat_flows WHERE threat_flows.id = flows.id) AS is_suspicious
    FROM flows;
CREATE VIEW IF NOT EXISTS ai_threat_logs AS SELECT id, first_flow AS log_id, explanation AS ai_explanation,
    suggested_action, upper(severity) AS severity_level
    FROM threats;
CREATE VIEW IF NOT EXISTS network_flows AS SELECT id, printf('%016x', id) AS flow_id, strftime('%Y-%m-%d %H:%M:%f', (id >> 11) / 1000000.0, 'unixepoch') AS start_time, strftime('%Y-%m-%d %H:%M:%f', ((id >> 11) + duration_us) / 1000000.0, 'unixepoch') AS end_time,
    CASE length(src_ip) WHEN 4 THEN ((instr('0123456789ABCDEF', substr(hex(src_ip), 1, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(src_ip), 2, 1)) - 1) || '.' || ((instr('0123456789ABCDEF', substr(hex(src_ip), 3, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(src_ip), 4, 1)) - 1) || '.' || ((instr('0123456789ABCDEF', substr(hex(src_ip), 5, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(src_ip), 6, 1)) - 1) || '.' || ((instr('0123456789ABCDEF', substr(hex(src_ip), 7, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(src_ip), 8, 1)) - 1) ELSE lower(substr(hex(src_ip), 1, 4) || ':' || substr(hex(src_ip), 5, 4) || ':' || substr(hex(src_ip), 9, 4) || ':' || substr(hex(src_ip), 13, 4) || ':' || substr(hex(src_ip), 17, 4) || ':' || substr(hex(src_ip), 21, 4) || ':' || substr(hex(src_ip), 25, 4) || ':' || substr(hex(src_ip), 29, 4)) END AS src_ip, CASE length(dst_ip) WHEN 4 THEN ((instr('0123456789ABCDEF', substr(hex(dst_ip), 1, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(dst_ip), 2, 1)) - 1) || '.' || ((instr('0123456789ABCDEF', substr(hex(dst_ip), 3, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(dst_ip), 4, 1)) - 1) || '.' || ((instr('0123456789ABCDEF', substr(hex(dst_ip), 5, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(dst_ip), 6, 1)) - 1) || '.' || ((instr('0123456789ABCDEF', substr(hex(dst_ip), 7, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(dst_ip), 8, 1)) - 1) ELSE lower(substr(hex(dst_ip), 1, 4) || ':' || substr(hex(dst_ip), 5, 4) || ':' || substr(hex(dst_ip), 9, 4) || ':' || substr(hex(dst_ip), 13, 4) || ':' || substr(hex(dst_ip), 17, 4) || ':' || substr(hex(dst_ip), 21, 4) || ':' || substr(hex(dst_ip), 25, 4) || ':' || substr(hex(dst_ip), 29, 4)) END AS dst_ip, src_port, dst_port, COALESCE((SELECT word FROM words WHERE words.id = flows.protocol), '') AS protocol,
    COALESCE((SELECT word FROM words WHERE words.id = flows.app), '') AS app_protocol, CASE conn_state WHEN 1 THEN 'S0' WHEN 2 THEN 'S1' WHEN 3 THEN 'SF' WHEN 4 THEN 'REJ' WHEN 5 THEN 'S2' WHEN 6 THEN 'S3' WHEN 7 THEN 'RSTO' WHEN 8 THEN 'RSTR' WHEN 9 THEN 'RSTOS0' WHEN 10 THEN 'RSTRH' WHEN 11 THEN 'SH' WHEN 12 THEN 'SHR' WHEN 13 THEN 'OTH' END AS conn_state
    FROM flows;
CREATE VIEW IF NOT EXISTS flow_metrics AS SELECT id, printf('%016x', id) AS flow_id, strftime('%Y-%m-%d %H:%M:%f', (id >> 11) / 1000000.0, 'unixepoch') AS start_time,
    CASE length(src_ip) WHEN 4 THEN ((instr('0123456789ABCDEF', substr(hex(src_ip), 1, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(src_ip), 2, 1)) - 1) || '.' || ((instr('0123456789ABCDEF', substr(hex(src_ip), 3, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(src_ip), 4, 1)) - 1) || '.' || ((instr('0123456789ABCDEF', substr(hex(src_ip), 5, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(src_ip), 6, 1)) - 1) || '.' || ((instr('0123456789ABCDEF', substr(hex(src_ip), 7, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(src_ip), 8, 1)) - 1) ELSE lower(substr(hex(src_ip), 1, 4) || ':' || substr(hex(src_ip), 5, 4) || ':' || substr(hex(src_ip), 9, 4) || ':' || substr(hex(src_ip), 13, 4) || ':' || substr(hex(src_ip), 17, 4) || ':' || substr(hex(src_ip), 21, 4) || ':' || substr(hex(src_ip), 25, 4) || ':' || substr(hex(src_ip), 29, 4)) END AS src_ip, CASE length(dst_ip) WHEN 4 THEN ((instr('0123456789ABCDEF', substr(hex(dst_ip), 1, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(dst_ip), 2, 1)) - 1) || '.' || ((instr('0123456789ABCDEF', substr(hex(dst_ip), 3, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(dst_ip), 4, 1)) - 1) || '.' || ((instr('0123456789ABCDEF', substr(hex(dst_ip), 5, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(dst_ip), 6, 1)) - 1) || '.' || ((instr('0123456789ABCDEF', substr(hex(dst_ip), 7, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(dst_ip), 8, 1)) - 1) ELSE lower(substr(hex(dst_ip), 1, 4) || ':' || substr(hex(dst_ip), 5, 4) || ':' || substr(hex(dst_ip), 9, 4) || ':' || substr(hex(dst_ip), 13, 4) || ':' || substr(hex(dst_ip), 17, 4) || ':' || substr(hex(dst_ip), 21, 4) || ':' || substr(hex(dst_ip), 25, 4) || ':' || substr(hex(dst_ip), 29, 4)) END AS dst_ip, COALESCE((SELECT word FROM words WHERE words.id = flows.protocol), '') AS protocol,
    fwd_packets + bwd_packets AS total_packets, fwd_bytes + bwd_bytes AS total_bytes,
    duration_us / 1000000.0 AS duration_s
    FROM flows;
