CREATE TABLE IF NOT EXISTS rollouts (
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
  );
