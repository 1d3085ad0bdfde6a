CREATE TABLE IF NOT EXISTS packet_requests (
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
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='Packets that sensors were asked for';
