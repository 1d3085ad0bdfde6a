CREATE TABLE IF NOT EXISTS talker_hours (
    hour BIGINT NOT NULL,
    ip VARBINARY(16) NOT NULL,
    flows BIGINT NOT NULL,
    sent_bytes BIGINT NOT NULL,
    received_bytes BIGINT NOT NULL,
    packets BIGINT NOT NULL,
    PRIMARY KEY (hour, ip)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT IGNORE INTO talker_hours (hour, ip, flows, sent_bytes, received_bytes, packets) SELECT minute - minute % 3600 AS hour, ip, LEAST(SUM(flows), 9007199254740991), LEAST(SUM(sent_bytes), 9007199254740991), LEAST(SUM(received_bytes), 9007199254740991), LEAST(SUM(packets), 9007199254740991) FROM talkers GROUP BY 1, 2;
