/** Version 7: what people decide: suppressions and what each hides, feedback on threats, and who changed what.
 * @module */

export const sqlite = [
  `CREATE TABLE IF NOT EXISTS suppressions (
    id TEXT NOT NULL PRIMARY KEY,
    conditions TEXT NOT NULL,
    reason TEXT NOT NULL,
    made_by TEXT NOT NULL,
    made_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    ended_ms INTEGER
  )`,
  "CREATE INDEX IF NOT EXISTS suppressions_by_end ON suppressions (ended_ms, expires_ms)",
  `CREATE TABLE IF NOT EXISTS threat_suppressions (
    threat_id TEXT NOT NULL,
    suppression_id TEXT NOT NULL,
    PRIMARY KEY (threat_id, suppression_id)
  ) WITHOUT ROWID`,
  "CREATE INDEX IF NOT EXISTS threat_suppressions_by_suppression ON threat_suppressions (suppression_id)",
  `CREATE TABLE IF NOT EXISTS threat_feedback (
    threat_id TEXT NOT NULL PRIMARY KEY,
    verdict TEXT NOT NULL,
    note TEXT NOT NULL,
    given_by TEXT NOT NULL,
    given_ms INTEGER NOT NULL
  )`,
  `CREATE TABLE IF NOT EXISTS audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    made_by TEXT NOT NULL,
    key_id TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL
  )`,
  "CREATE INDEX IF NOT EXISTS audit_by_time ON audit (at_ms)",
];

const table = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin";

export const mariadb = [
  `CREATE TABLE IF NOT EXISTS suppressions (
    id VARCHAR(16) NOT NULL PRIMARY KEY,
    conditions TEXT NOT NULL COMMENT 'as JSON; a threat must meet all',
    reason VARCHAR(400) NOT NULL,
    made_by VARCHAR(64) NOT NULL,
    made_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    ended_ms BIGINT,
    KEY suppressions_by_end (ended_ms, expires_ms)
  ) ${table} COMMENT='What threats people do not want to see'`,
  `CREATE TABLE IF NOT EXISTS threat_suppressions (
    threat_id VARCHAR(64) NOT NULL,
    suppression_id VARCHAR(16) NOT NULL,
    PRIMARY KEY (threat_id, suppression_id),
    KEY threat_suppressions_by_suppression (suppression_id)
  ) ${table} COMMENT='Threats that meet a suppression'`,
  `CREATE TABLE IF NOT EXISTS threat_feedback (
    threat_id VARCHAR(64) NOT NULL PRIMARY KEY,
    verdict VARCHAR(10) NOT NULL COMMENT 'true, benign, false',
    note VARCHAR(1000) NOT NULL,
    given_by VARCHAR(64) NOT NULL,
    given_ms BIGINT NOT NULL
  ) ${table}`,
  `CREATE TABLE IF NOT EXISTS audit (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    made_by VARCHAR(64) NOT NULL,
    key_id VARCHAR(12) NOT NULL COMMENT 'beginning of the hash of the API key',
    action VARCHAR(32) NOT NULL,
    subject VARCHAR(128) NOT NULL,
    detail VARCHAR(2000) NOT NULL,
    KEY audit_by_time (at_ms)
  ) ${table} COMMENT='Who changed what'`,
];
