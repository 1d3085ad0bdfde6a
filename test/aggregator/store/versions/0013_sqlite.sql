CREATE TABLE IF NOT EXISTS talker_hours (
    hour INTEGER NOT NULL,
    ip BLOB NOT NULL,
    flows INTEGER NOT NULL,
    sent_bytes INTEGER NOT NULL,
    received_bytes INTEGER NOT NULL,
    packets INTEGER NOT NULL,
    PRIMARY KEY (hour, ip)
  ) WITHOUT ROWID;
INSERT OR IGNORE INTO talker_hours (hour, ip, flows, sent_bytes, received_bytes, packets) SELECT minute - minute % 3600, ip, CAST(MIN(TOTAL(flows), 9007199254740991) AS INTEGER), CAST(MIN(TOTAL(sent_bytes), 9007199254740991) AS INTEGER), CAST(MIN(TOTAL(received_bytes), 9007199254740991) AS INTEGER), CAST(MIN(TOTAL(packets), 9007199254740991) AS INTEGER) FROM talkers GROUP BY 1, 2;
