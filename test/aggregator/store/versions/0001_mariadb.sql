CREATE TABLE IF NOT EXISTS words (
    id SMALLINT UNSIGNED NOT NULL PRIMARY KEY AUTO_INCREMENT,
    word VARCHAR(64) NOT NULL,
    UNIQUE KEY words_by_word (word)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='Names that rows mean by number: sites, protocols, applications, tunnels, sensors; 0 is no name';
CREATE TABLE IF NOT EXISTS flows (
    seen TIMESTAMP(6) NOT NULL DEFAULT '2000-01-01 00:00:00' COMMENT 'first packet, or arrival where that time is not to be trusted',
    id BIGINT UNSIGNED NOT NULL COMMENT 'microseconds of seen since 1970, times 2048, plus a slot',
    network SMALLINT UNSIGNED NOT NULL COMMENT 'words: site when an address is private, else global',
    protocol SMALLINT UNSIGNED NOT NULL COMMENT 'words',
    app SMALLINT UNSIGNED NOT NULL COMMENT 'words: application protocol, 0 = not recognised',
    src_ip VARBINARY(16) NOT NULL COMMENT 'initiator, 4 or 16 octets: INET6_NTOA',
    src_port SMALLINT UNSIGNED NOT NULL COMMENT 'of ICMP the type',
    dst_ip VARBINARY(16) NOT NULL,
    dst_port SMALLINT UNSIGNED NOT NULL COMMENT 'of ICMP the code',
    community INT UNSIGNED NOT NULL COMMENT 'first four octets of the Community ID v1 digest, 0 = none',
    duration_us BIGINT UNSIGNED NOT NULL,
    fwd_packets BIGINT UNSIGNED NOT NULL COMMENT 'from the initiator',
    fwd_bytes BIGINT UNSIGNED NOT NULL COMMENT 'octets of IP packets',
    bwd_packets BIGINT UNSIGNED NOT NULL,
    bwd_bytes BIGINT UNSIGNED NOT NULL,
    fwd_tcp_flags TINYINT UNSIGNED NOT NULL COMMENT 'FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128',
    bwd_tcp_flags TINYINT UNSIGNED NOT NULL,
    conn_state ENUM('S0', 'S1', 'SF', 'REJ', 'S2', 'S3', 'RSTO', 'RSTR', 'RSTOS0', 'RSTRH', 'SH', 'SHR', 'OTH') NOT NULL COMMENT 'as in the conn.log of Zeek',
    end_reason ENUM('fin', 'rst', 'idle', 'active', 'evicted', 'reused', 'stopped') NOT NULL,
    vlan SMALLINT UNSIGNED NOT NULL COMMENT '0 = untagged',
    fwd_sensor SMALLINT UNSIGNED NOT NULL COMMENT 'words: whose counts these are, 0 = that direction is unseen',
    bwd_sensor SMALLINT UNSIGNED NOT NULL,
    factor SMALLINT UNSIGNED NOT NULL COMMENT 'the flow stands for so many, 1 = every flow was kept',
    time_suspect TINYINT UNSIGNED NOT NULL,
    more VARBINARY(255) NOT NULL COMMENT 'rarely read features, packed',
    facts MEDIUMTEXT COLLATE utf8mb4_general_ci COMMENT 'what was read in payloads: JSON with frequent parts as control characters',
    PRIMARY KEY (seen, id),
    KEY flows_by_id (id),
    KEY flows_by_src (src_ip, seen),
    KEY flows_by_dst (dst_ip, seen)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
  PAGE_COMPRESSED=1
  PARTITION BY RANGE (UNIX_TIMESTAMP(seen)) (PARTITION p_later VALUES LESS THAN MAXVALUE);
CREATE TABLE IF NOT EXISTS sightings (
    seen TIMESTAMP(6) NOT NULL DEFAULT '2000-01-01 00:00:00' COMMENT 'seen and id are the flow''s',
    id BIGINT UNSIGNED NOT NULL,
    sensor SMALLINT UNSIGNED NOT NULL COMMENT 'words',
    vlan SMALLINT UNSIGNED NOT NULL,
    ip_depth TINYINT UNSIGNED NOT NULL COMMENT '1 = outermost IP header, 2 = inside one tunnel',
    start_us BIGINT NOT NULL COMMENT 'microseconds since 1970 by the sensor''s own clock',
    end_us BIGINT NOT NULL,
    fwd_packets BIGINT UNSIGNED NOT NULL,
    fwd_bytes BIGINT UNSIGNED NOT NULL,
    bwd_packets BIGINT UNSIGNED NOT NULL,
    bwd_bytes BIGINT UNSIGNED NOT NULL,
    segments BIGINT UNSIGNED NOT NULL,
    offset_us BIGINT NOT NULL COMMENT 'what was added to the sensor''s times',
    PRIMARY KEY (seen, id, sensor, vlan, ip_depth)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
  PAGE_COMPRESSED=1
  PARTITION BY RANGE (UNIX_TIMESTAMP(seen)) (PARTITION p_later VALUES LESS THAN MAXVALUE);
CREATE TABLE IF NOT EXISTS recent (
    id BIGINT NOT NULL PRIMARY KEY AUTO_INCREMENT,
    updated_ms BIGINT NOT NULL,
    flows_before BIGINT NOT NULL COMMENT 'flows named in all rows before',
    flow_ids MEDIUMBLOB NOT NULL COMMENT '8 octets each, big-endian',
    KEY recent_by_time (updated_ms)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='Flows that each transaction wrote, to rebuild memory from; the oldest are removed';
CREATE TABLE IF NOT EXISTS ledger (
    sensor_id VARCHAR(64) NOT NULL,
    epoch BIGINT NOT NULL,
    bucket BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    sha256 VARCHAR(64) NOT NULL,
    flows BIGINT NOT NULL,
    packets BIGINT NOT NULL,
    sealed_ms BIGINT NOT NULL,
    received_ms BIGINT NOT NULL,
    PRIMARY KEY (sensor_id, epoch, bucket, seq)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX IF NOT EXISTS ledger_by_time ON ledger (received_ms);
CREATE TABLE IF NOT EXISTS positions (
    sensor_id VARCHAR(64) NOT NULL,
    epoch BIGINT NOT NULL,
    bucket BIGINT NOT NULL,
    seq_max BIGINT NOT NULL,
    batches BIGINT NOT NULL,
    PRIMARY KEY (sensor_id, epoch, bucket)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE IF NOT EXISTS epochs (
    sensor_id VARCHAR(64) NOT NULL,
    epoch BIGINT NOT NULL,
    first_sealed_ms BIGINT NOT NULL,
    first_received_ms BIGINT NOT NULL,
    last_sealed_ms BIGINT NOT NULL,
    PRIMARY KEY (sensor_id, epoch)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE IF NOT EXISTS offsets (
    topic VARCHAR(255) NOT NULL,
    partition_number BIGINT NOT NULL,
    next_offset VARCHAR(64) NOT NULL,
    mark VARCHAR(64),
    PRIMARY KEY (topic, partition_number)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE IF NOT EXISTS gaps (
    sensor_id VARCHAR(64) NOT NULL,
    epoch BIGINT NOT NULL,
    bucket BIGINT NOT NULL,
    from_seq BIGINT NOT NULL,
    to_seq BIGINT NOT NULL,
    found_ms BIGINT NOT NULL,
    closed_ms BIGINT,
    PRIMARY KEY (sensor_id, epoch, bucket, from_seq)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE IF NOT EXISTS dead_letters (
    id BIGINT PRIMARY KEY AUTO_INCREMENT,
    received_ms BIGINT NOT NULL,
    reason VARCHAR(64) NOT NULL,
    origin VARCHAR(1024) NOT NULL,
    sensor_id VARCHAR(64),
    sample BLOB NOT NULL
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE IF NOT EXISTS sensors (
    sensor_id VARCHAR(64) NOT NULL,
    name VARCHAR(64) NOT NULL,
    site VARCHAR(64) NOT NULL,
    tags MEDIUMTEXT NOT NULL,
    key_id VARCHAR(64) NOT NULL,
    public_key VARCHAR(64) NOT NULL,
    enrolled_ms BIGINT NOT NULL,
    revoked_ms BIGINT,
    quarantined_ms BIGINT,
    quarantine_reason VARCHAR(1024),
    last_check_in_ms BIGINT,
    last_batch_ms BIGINT,
    clock_offset_ms DOUBLE,
    check_in MEDIUMTEXT,
    PRIMARY KEY (sensor_id)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE UNIQUE INDEX IF NOT EXISTS sensors_by_name ON sensors (name);
CREATE UNIQUE INDEX IF NOT EXISTS sensors_by_key ON sensors (public_key);
CREATE TABLE IF NOT EXISTS join_tokens (
    token_hash VARCHAR(64) NOT NULL,
    site VARCHAR(64) NOT NULL,
    tags MEDIUMTEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    used_ms BIGINT,
    used_by VARCHAR(64),
    PRIMARY KEY (token_hash)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE IF NOT EXISTS api_keys (
    key_hash VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    role VARCHAR(64) NOT NULL,
    created_ms BIGINT NOT NULL,
    revoked_ms BIGINT,
    PRIMARY KEY (key_hash)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE IF NOT EXISTS traffic (
    step SMALLINT UNSIGNED NOT NULL,
    second BIGINT NOT NULL,
    sensor_id VARCHAR(64) NOT NULL,
    protocol VARCHAR(64) NOT NULL,
    flows BIGINT NOT NULL,
    packets BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (step, second, sensor_id, protocol)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE IF NOT EXISTS days (
    day BIGINT NOT NULL PRIMARY KEY,
    flows BIGINT NOT NULL,
    stored_ms BIGINT NOT NULL,
    gone BIGINT NOT NULL
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='Days of which flows were stored; gone: bits of what was dropped';
CREATE TABLE IF NOT EXISTS talkers (
    minute BIGINT NOT NULL,
    ip VARBINARY(16) NOT NULL,
    flows BIGINT NOT NULL,
    sent_bytes BIGINT NOT NULL,
    received_bytes BIGINT NOT NULL,
    packets BIGINT NOT NULL,
    PRIMARY KEY (minute, ip)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE IF NOT EXISTS protocols (
    minute BIGINT NOT NULL,
    protocol VARCHAR(64) NOT NULL,
    app_protocol VARCHAR(64) NOT NULL,
    flows BIGINT NOT NULL,
    packets BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (minute, protocol, app_protocol)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE IF NOT EXISTS totals (
    name VARCHAR(64) NOT NULL PRIMARY KEY,
    flows BIGINT NOT NULL,
    packets BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    sightings BIGINT NOT NULL,
    first_us BIGINT,
    last_us BIGINT
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE IF NOT EXISTS threats (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    detector VARCHAR(64) NOT NULL,
    severity VARCHAR(64) NOT NULL,
    severity_rank BIGINT NOT NULL,
    status VARCHAR(64) NOT NULL,
    first_seen_us BIGINT NOT NULL,
    last_seen_us BIGINT NOT NULL,
    stored_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    first_flow BIGINT UNSIGNED,
    explanation MEDIUMTEXT NOT NULL,
    suggested_action MEDIUMTEXT NOT NULL,
    body MEDIUMTEXT NOT NULL
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX IF NOT EXISTS threats_by_time ON threats (last_seen_us, id);
CREATE TABLE IF NOT EXISTS threat_flows (
    threat_id VARCHAR(64) NOT NULL,
    seen TIMESTAMP(6) NOT NULL DEFAULT '2000-01-01 00:00:00' COMMENT 'seen and id are the flow''s',
    id BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (threat_id, seen, id)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX IF NOT EXISTS threat_flows_by_flow ON threat_flows (id);
CREATE TABLE IF NOT EXISTS threat_ips (
    threat_id VARCHAR(64) NOT NULL,
    ip VARBINARY(16) NOT NULL,
    PRIMARY KEY (threat_id, ip)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE VIEW IF NOT EXISTS v_flows AS SELECT id, LOWER(LPAD(HEX(id), 16, '0')) AS flow_id, seen AS start_time,
    TIMESTAMPADD(MICROSECOND, duration_us, seen) AS end_time, duration_us / 1000000.0 AS duration_s,
    COALESCE((SELECT word FROM words WHERE words.id = flows.network), '') AS network, COALESCE((SELECT word FROM words WHERE words.id = flows.protocol), '') AS protocol, COALESCE((SELECT word FROM words WHERE words.id = flows.app), '') AS app_protocol,
    INET6_NTOA(src_ip) AS src_ip, src_port, INET6_NTOA(dst_ip) AS dst_ip, dst_port,
    fwd_packets, fwd_bytes, bwd_packets, bwd_bytes,
    fwd_packets + bwd_packets AS total_packets, fwd_bytes + bwd_bytes AS total_bytes,
    fwd_tcp_flags, bwd_tcp_flags, CAST(conn_state AS CHAR) AS conn_state, CAST(end_reason AS CHAR) AS end_reason, vlan,
    COALESCE((SELECT word FROM words WHERE words.id = flows.fwd_sensor), '') AS fwd_sensor, COALESCE((SELECT word FROM words WHERE words.id = flows.bwd_sensor), '') AS bwd_sensor, factor, time_suspect
    FROM flows WHERE NOT EXISTS (SELECT 1 FROM flows AS own WHERE FALSE);
CREATE VIEW IF NOT EXISTS traffic_logs AS SELECT id, seen AS event_time,
    INET6_NTOA(src_ip) AS source_ip, src_port AS source_port, INET6_NTOA(dst_ip) AS dest_ip, dst_port AS dest_port,
    COALESCE((SELECT word FROM words WHERE words.id = flows.protocol), '') AS protocol, fwd_bytes + bwd_bytes AS length,
    CONCAT_WS(' ', CAST(conn_state AS CHAR), COALESCE((SELECT word FROM words WHERE words.id = flows.app), ''), COALESCE(TRIM(REGEXP_REPLACE(LEFT(facts, 200), '[^[:alnum:].:/_-]+', ' ')), '')) AS info,
    EXISTS (SELECT 1 FROM threat_flows WHERE threat_flows.id = flows.id) AS is_suspicious
    FROM flows WHERE NOT EXISTS (SELECT 1 FROM flows AS own WHERE FALSE);
CREATE VIEW IF NOT EXISTS ai_threat_logs AS SELECT id, first_flow AS log_id, explanation AS ai_explanation,
    suggested_action, upper(severity) AS severity_level
    FROM threats WHERE NOT EXISTS (SELECT 1 FROM threats AS own WHERE FALSE);
CREATE VIEW IF NOT EXISTS network_flows AS SELECT id, LOWER(LPAD(HEX(id), 16, '0')) AS flow_id, seen AS start_time, TIMESTAMPADD(MICROSECOND, duration_us, seen) AS end_time,
    INET6_NTOA(src_ip) AS src_ip, INET6_NTOA(dst_ip) AS dst_ip, src_port, dst_port, COALESCE((SELECT word FROM words WHERE words.id = flows.protocol), '') AS protocol,
    COALESCE((SELECT word FROM words WHERE words.id = flows.app), '') AS app_protocol, CAST(conn_state AS CHAR) AS conn_state
    FROM flows WHERE NOT EXISTS (SELECT 1 FROM flows AS own WHERE FALSE);
CREATE VIEW IF NOT EXISTS flow_metrics AS SELECT id, LOWER(LPAD(HEX(id), 16, '0')) AS flow_id, seen AS start_time,
    INET6_NTOA(src_ip) AS src_ip, INET6_NTOA(dst_ip) AS dst_ip, COALESCE((SELECT word FROM words WHERE words.id = flows.protocol), '') AS protocol,
    fwd_packets + bwd_packets AS total_packets, fwd_bytes + bwd_bytes AS total_bytes,
    duration_us / 1000000.0 AS duration_s
    FROM flows WHERE NOT EXISTS (SELECT 1 FROM flows AS own WHERE FALSE);
