/** Version 8: what sinks are notified of.
 *
 * `sink_changes` has one row a threat, as `threat_changes` has for the topic; `told` is the change that sinks have
 * seen, 0 = none yet. `sink_told` says of which machine's incident a sink was told, and how severe it was then.
 * `sink_messages` waits to be sent. @module */

export const sqlite = [
  `CREATE TABLE IF NOT EXISTS sink_changes (
    threat_id TEXT PRIMARY KEY,
    changes INTEGER NOT NULL,
    told INTEGER NOT NULL,
    pending INTEGER NOT NULL
  ) WITHOUT ROWID`,
  "CREATE INDEX IF NOT EXISTS sink_changes_pending ON sink_changes (pending, threat_id)",
  `CREATE TABLE IF NOT EXISTS sink_told (
    sink TEXT NOT NULL,
    subject TEXT NOT NULL,
    severity_rank INTEGER NOT NULL,
    until_s REAL NOT NULL,
    told_ms INTEGER NOT NULL,
    PRIMARY KEY (sink, subject)
  ) WITHOUT ROWID`,
  "CREATE INDEX IF NOT EXISTS sink_told_by_age ON sink_told (told_ms)",
  `CREATE TABLE IF NOT EXISTS sink_messages (
    sink TEXT NOT NULL,
    id TEXT NOT NULL,
    state TEXT NOT NULL,
    made_ms INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    reason TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (sink, id)
  )`,
  "CREATE INDEX IF NOT EXISTS sink_messages_due ON sink_messages (sink, state, due_ms)",
];
export const mariadb = [
  `CREATE TABLE IF NOT EXISTS sink_changes (
    threat_id VARCHAR(64) NOT NULL PRIMARY KEY,
    changes BIGINT NOT NULL,
    told BIGINT NOT NULL COMMENT 'change that sinks have seen, 0 = none',
    pending INT NOT NULL,
    KEY sink_changes_pending (pending, threat_id)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='Threats that sinks have not seen as they are now'`,
  `CREATE TABLE IF NOT EXISTS sink_told (
    sink VARCHAR(64) NOT NULL,
    subject VARCHAR(128) NOT NULL COMMENT 'network|machine',
    severity_rank INT NOT NULL,
    until_s DOUBLE NOT NULL COMMENT 'packet time up to which another threat belongs to it',
    told_ms BIGINT NOT NULL,
    PRIMARY KEY (sink, subject),
    KEY sink_told_by_age (told_ms)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='Incidents that a sink was told of'`,
  `CREATE TABLE IF NOT EXISTS sink_messages (
    sink VARCHAR(64) NOT NULL,
    id VARCHAR(32) NOT NULL,
    state VARCHAR(10) NOT NULL COMMENT 'waiting, dead',
    made_ms BIGINT NOT NULL,
    due_ms BIGINT NOT NULL,
    attempts INT NOT NULL,
    reason VARCHAR(400) NOT NULL COMMENT 'of the last failure',
    body MEDIUMTEXT NOT NULL,
    PRIMARY KEY (sink, id),
    KEY sink_messages_due (sink, state, due_ms)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='Messages of sinks that wait, or were given up'`,
];
