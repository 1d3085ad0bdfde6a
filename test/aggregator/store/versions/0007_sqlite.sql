CREATE TABLE IF NOT EXISTS suppressions (
    id TEXT NOT NULL PRIMARY KEY,
    conditions TEXT NOT NULL,
    reason TEXT NOT NULL,
    made_by TEXT NOT NULL,
    made_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    ended_ms INTEGER
  );
CREATE INDEX IF NOT EXISTS suppressions_by_end ON suppressions (ended_ms, expires_ms);
CREATE TABLE IF NOT EXISTS threat_suppressions (
    threat_id TEXT NOT NULL,
    suppression_id TEXT NOT NULL,
    PRIMARY KEY (threat_id, suppression_id)
  ) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS threat_suppressions_by_suppression ON threat_suppressions (suppression_id);
CREATE TABLE IF NOT EXISTS threat_feedback (
    threat_id TEXT NOT NULL PRIMARY KEY,
    verdict TEXT NOT NULL,
    note TEXT NOT NULL,
    given_by TEXT NOT NULL,
    given_ms INTEGER NOT NULL
  );
CREATE TABLE IF NOT EXISTS audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    made_by TEXT NOT NULL,
    key_id TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL
  );
CREATE INDEX IF NOT EXISTS audit_by_time ON audit (at_ms);
