ALTER TABLE threat_ips ADD COLUMN IF NOT EXISTS network VARCHAR(64) NOT NULL DEFAULT '' COMMENT 'of the threat';
UPDATE threat_ips SET network = COALESCE((SELECT CASE WHEN JSON_VALID(body) THEN JSON_UNQUOTE(JSON_EXTRACT(body, '$.network')) END FROM threats WHERE threats.id = threat_id), '');
CREATE INDEX IF NOT EXISTS threat_ips_by_host ON threat_ips (ip, network);
CREATE INDEX IF NOT EXISTS threats_by_sight ON threats (last_seen_us, id, updated_ms, severity_rank, status, first_seen_us);
DROP INDEX IF EXISTS threat_ips_by_ip ON threat_ips;
DROP INDEX IF EXISTS threats_by_time ON threats;
