DROP INDEX IF EXISTS flows_by_src;
DROP INDEX IF EXISTS flows_by_dst;
CREATE INDEX IF NOT EXISTS flows_by_hour_src ON flows (id / 7372800000000, src_ip);
CREATE INDEX IF NOT EXISTS flows_by_hour_dst ON flows (id / 7372800000000, dst_ip);
CREATE TABLE host_hours_new (hour INTEGER NOT NULL, ip BLOB NOT NULL, network INTEGER NOT NULL, packets INTEGER NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY (hour, ip, network)) WITHOUT ROWID;
INSERT INTO host_hours_new (ip, network, hour, packets, bytes) SELECT ip, network, hour, packets, bytes FROM host_hours;
DROP TABLE host_hours;
ALTER TABLE host_hours_new RENAME TO host_hours;
