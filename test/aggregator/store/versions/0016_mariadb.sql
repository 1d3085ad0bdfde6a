CREATE INDEX IF NOT EXISTS hosts_by_first ON hosts (first_us);
