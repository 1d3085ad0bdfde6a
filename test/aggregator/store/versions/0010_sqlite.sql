ALTER TABLE threat_ips ADD COLUMN network TEXT NOT NULL DEFAULT '';
UPDATE threat_ips SET network = COALESCE((SELECT CASE WHEN json_valid(body) THEN json_extract(body, '$.network') END FROM threats WHERE threats.id = threat_id), '');
CREATE INDEX IF NOT EXISTS threat_ips_by_host ON threat_ips (ip, network);
CREATE INDEX IF NOT EXISTS threats_by_sight ON threats (last_seen_us, id, updated_ms, severity_rank, status, first_seen_us);
DROP INDEX IF EXISTS threat_ips_by_ip;
DROP INDEX IF EXISTS threats_by_time;
