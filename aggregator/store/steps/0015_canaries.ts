/** Version 15: canaries of sensors: what became of them, and who is asked for one. @module */

export const sqlite = [
  "ALTER TABLE sensors ADD COLUMN canary TEXT",
  "ALTER TABLE sensors ADD COLUMN canary_asked_ms INTEGER",
];

export const mariadb = [
  "ALTER TABLE sensors ADD COLUMN IF NOT EXISTS canary TEXT COMMENT 'JSON: what became of its canaries'",
  "ALTER TABLE sensors ADD COLUMN IF NOT EXISTS canary_asked_ms BIGINT COMMENT 'when one was asked for last'",
];
