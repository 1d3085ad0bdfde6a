CREATE TABLE IF NOT EXISTS leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    generation INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    position TEXT NOT NULL
  );
CREATE TABLE IF NOT EXISTS threat_changes (
    threat_id TEXT PRIMARY KEY,
    changes INTEGER NOT NULL
  );
