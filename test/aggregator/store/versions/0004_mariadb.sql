CREATE TABLE IF NOT EXISTS leases (
    name VARCHAR(64) NOT NULL PRIMARY KEY,
    holder VARCHAR(64) NOT NULL,
    generation BIGINT NOT NULL COMMENT 'grows with each change of holder',
    expires_ms BIGINT NOT NULL COMMENT 'by the clock of this server',
    position VARCHAR(255) NOT NULL COMMENT 'how far the work is'
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='Work that one of several aggregators does';
CREATE TABLE IF NOT EXISTS threat_changes (
    threat_id VARCHAR(64) NOT NULL PRIMARY KEY,
    changes BIGINT NOT NULL
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='Threats that are not published as they are now';
