/** Version 10: the network of a threat beside its addresses, so that threats are counted by host without reading what
 * they say; and an index that tells which threats changed.
 *
 * A body that cannot be read leaves the network empty; such a threat is shown nowhere. @module */

const indexes = [
  "CREATE INDEX IF NOT EXISTS threat_ips_by_host ON threat_ips (ip, network)",
  "CREATE INDEX IF NOT EXISTS threats_by_sight ON threats (last_seen_us, id, updated_ms, severity_rank, status, first_seen_us)",
];

export const sqlite = [
  "ALTER TABLE threat_ips ADD COLUMN network TEXT NOT NULL DEFAULT ''",
  "UPDATE threat_ips SET network = COALESCE((SELECT CASE WHEN json_valid(body) THEN json_extract(body, '$.network') END FROM threats WHERE threats.id = threat_id), '')",
  ...indexes,
  "DROP INDEX IF EXISTS threat_ips_by_ip",
  "DROP INDEX IF EXISTS threats_by_time",
];
export const mariadb = [
  "ALTER TABLE threat_ips ADD COLUMN IF NOT EXISTS network VARCHAR(64) NOT NULL DEFAULT '' COMMENT 'of the threat'",
  "UPDATE threat_ips SET network = COALESCE((SELECT CASE WHEN JSON_VALID(body) THEN JSON_UNQUOTE(JSON_EXTRACT(body, '$.network')) END FROM threats WHERE threats.id = threat_id), '')",
  ...indexes,
  "DROP INDEX IF EXISTS threat_ips_by_ip ON threat_ips",
  "DROP INDEX IF EXISTS threats_by_time ON threats",
];
