CREATE TABLE IF NOT EXISTS rollouts (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    version VARCHAR(40) NOT NULL,
    canary VARCHAR(80) NOT NULL COMMENT 'tag=NAME or percent=N',
    canary_ms BIGINT NOT NULL,
    step_percent INT NOT NULL,
    step_ms BIGINT NOT NULL,
    allow_older TINYINT NOT NULL,
    state VARCHAR(16) NOT NULL,
    percent INT NOT NULL COMMENT '0 = the canaries alone',
    stage_ms BIGINT NOT NULL,
    attempt INT NOT NULL,
    reason VARCHAR(400),
    created_ms BIGINT NOT NULL,
    created_by VARCHAR(64) NOT NULL
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='Rollouts of versions to sensors';
