CREATE TABLE IF NOT EXISTS policies (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    target TEXT NOT NULL,
    settings TEXT,
    created_ms INTEGER NOT NULL,
    created_by TEXT NOT NULL
  );
CREATE INDEX IF NOT EXISTS policies_by_name ON policies (name, version);
