CREATE TABLE IF NOT EXISTS policies (
    version BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(63) NOT NULL,
    target VARCHAR(80) NOT NULL COMMENT 'all, tag=NAME or sensor=NAME',
    settings TEXT COMMENT 'fields as JSON; NULL = the policy ended here',
    created_ms BIGINT NOT NULL,
    created_by VARCHAR(64) NOT NULL,
    KEY policies_by_name (name, version)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='What a fleet sets on its sensors, every version';
