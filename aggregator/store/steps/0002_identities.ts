/** Version 2: tokens for several sensors, approval, names that are free again, keys that expire.
 *
 * `live_name` is the name while it is taken, and empty once the sensor is revoked or another one took its place.
 * @module */

const rows = [
  "UPDATE sensors SET live_name = CASE WHEN revoked_ms IS NULL THEN name END, approved_ms = enrolled_ms, join_token = (SELECT MIN(token_hash) FROM join_tokens WHERE used_by = sensor_id)",
  "UPDATE join_tokens SET uses_max = 1, uses = CASE WHEN used_by IS NULL THEN 0 ELSE 1 END, needs_approval = 0",
];
export const sqlite = [
  "ALTER TABLE sensors ADD COLUMN live_name TEXT",
  "ALTER TABLE sensors ADD COLUMN approved_ms INTEGER",
  "ALTER TABLE sensors ADD COLUMN join_token TEXT",
  "ALTER TABLE join_tokens ADD COLUMN uses_max INTEGER",
  "ALTER TABLE join_tokens ADD COLUMN uses INTEGER",
  "ALTER TABLE join_tokens ADD COLUMN needs_approval INTEGER",
  "ALTER TABLE join_tokens ADD COLUMN revoked_ms INTEGER",
  "ALTER TABLE api_keys ADD COLUMN expires_ms INTEGER",
  ...rows,
  "DROP INDEX IF EXISTS sensors_by_name",
  "CREATE UNIQUE INDEX IF NOT EXISTS sensors_by_live_name ON sensors (live_name)",
];
export const mariadb = [
  "ALTER TABLE sensors ADD COLUMN IF NOT EXISTS live_name VARCHAR(64)",
  "ALTER TABLE sensors ADD COLUMN IF NOT EXISTS approved_ms BIGINT",
  "ALTER TABLE sensors ADD COLUMN IF NOT EXISTS join_token VARCHAR(64)",
  "ALTER TABLE join_tokens ADD COLUMN IF NOT EXISTS uses_max BIGINT",
  "ALTER TABLE join_tokens ADD COLUMN IF NOT EXISTS uses BIGINT",
  "ALTER TABLE join_tokens ADD COLUMN IF NOT EXISTS needs_approval BIGINT",
  "ALTER TABLE join_tokens ADD COLUMN IF NOT EXISTS revoked_ms BIGINT",
  "ALTER TABLE api_keys ADD COLUMN IF NOT EXISTS expires_ms BIGINT",
  ...rows,
  "DROP INDEX IF EXISTS sensors_by_name ON sensors",
  "CREATE UNIQUE INDEX IF NOT EXISTS sensors_by_live_name ON sensors (live_name)",
];
