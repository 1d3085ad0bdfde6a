CREATE TABLE IF NOT EXISTS sink_changes (
    threat_id TEXT PRIMARY KEY,
    changes INTEGER NOT NULL,
    told INTEGER NOT NULL,
    pending INTEGER NOT NULL
  ) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sink_changes_pending ON sink_changes (pending, threat_id);
CREATE TABLE IF NOT EXISTS sink_told (
    sink TEXT NOT NULL,
    subject TEXT NOT NULL,
    severity_rank INTEGER NOT NULL,
    until_s REAL NOT NULL,
    told_ms INTEGER NOT NULL,
    PRIMARY KEY (sink, subject)
  ) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sink_told_by_age ON sink_told (told_ms);
CREATE TABLE IF NOT EXISTS sink_messages (
    sink TEXT NOT NULL,
    id TEXT NOT NULL,
    state TEXT NOT NULL,
    made_ms INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    reason TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (sink, id)
  );
CREATE INDEX IF NOT EXISTS sink_messages_due ON sink_messages (sink, state, due_ms);
