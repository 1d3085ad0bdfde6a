ALTER TABLE sensors ADD COLUMN IF NOT EXISTS canary TEXT COMMENT 'JSON: what became of its canaries';
ALTER TABLE sensors ADD COLUMN IF NOT EXISTS canary_asked_ms BIGINT COMMENT 'when one was asked for last';
