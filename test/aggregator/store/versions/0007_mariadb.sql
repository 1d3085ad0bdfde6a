CREATE TABLE IF NOT EXISTS suppressions (
    id VARCHAR(16) NOT NULL PRIMARY KEY,
    conditions TEXT NOT NULL COMMENT 'as JSON; a threat must meet all',
    reason VARCHAR(400) NOT NULL,
    made_by VARCHAR(64) NOT NULL,
    made_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    ended_ms BIGINT,
    KEY suppressions_by_end (ended_ms, expires_ms)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='What threats people do not want to see';
CREATE TABLE IF NOT EXISTS threat_suppressions (
    threat_id VARCHAR(64) NOT NULL,
    suppression_id VARCHAR(16) NOT NULL,
    PRIMARY KEY (threat_id, suppression_id),
    KEY threat_suppressions_by_suppression (suppression_id)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='Threats that meet a suppression';
CREATE TABLE IF NOT EXISTS threat_feedback (
    threat_id VARCHAR(64) NOT NULL PRIMARY KEY,
    verdict VARCHAR(10) NOT NULL COMMENT 'true, benign, false',
    note VARCHAR(1000) NOT NULL,
    given_by VARCHAR(64) NOT NULL,
    given_ms BIGINT NOT NULL
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE IF NOT EXISTS audit (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    made_by VARCHAR(64) NOT NULL,
    key_id VARCHAR(12) NOT NULL COMMENT 'beginning of the hash of the API key',
    action VARCHAR(32) NOT NULL,
    subject VARCHAR(128) NOT NULL,
    detail VARCHAR(2000) NOT NULL,
    KEY audit_by_time (at_ms)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='Who changed what';
