ALTER TABLE sensors ADD COLUMN canary TEXT;
ALTER TABLE sensors ADD COLUMN canary_asked_ms INTEGER;
