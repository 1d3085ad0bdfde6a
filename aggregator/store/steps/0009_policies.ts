/** Version 9: policies, every version of each.
 *
 * `version` is unique in the fleet. A row without settings says that the policy of this name ended there. @module */

export const sqlite = [
  `CREATE TABLE IF NOT EXISTS policies (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    target TEXT NOT NULL,
    settings TEXT,
    created_ms INTEGER NOT NULL,
    created_by TEXT NOT NULL
  )`,
  "CREATE INDEX IF NOT EXISTS policies_by_name ON policies (name, version)",
];
export const mariadb = [
  `CREATE TABLE IF NOT EXISTS policies (
    version BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(63) NOT NULL,
    target VARCHAR(80) NOT NULL COMMENT 'all, tag=NAME or sensor=NAME',
    settings TEXT COMMENT 'fields as JSON; NULL = the policy ended here',
    created_ms BIGINT NOT NULL,
    created_by VARCHAR(64) NOT NULL,
    KEY policies_by_name (name, version)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='What a fleet sets on its sensors, every version'`,
];
