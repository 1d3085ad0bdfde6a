/** Version 11: rollouts of versions to sensors. @module */

export const sqlite = [
  `CREATE TABLE IF NOT EXISTS rollouts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    version TEXT NOT NULL,
    canary TEXT NOT NULL,
    canary_ms INTEGER NOT NULL,
    step_percent INTEGER NOT NULL,
    step_ms INTEGER NOT NULL,
    allow_older INTEGER NOT NULL,
    state TEXT NOT NULL,
    percent INTEGER NOT NULL,
    stage_ms INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    reason TEXT,
    created_ms INTEGER NOT NULL,
    created_by TEXT NOT NULL
  )`,
];
export const mariadb = [
  `CREATE TABLE IF NOT EXISTS rollouts (
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
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='Rollouts of versions to sensors'`,
];
