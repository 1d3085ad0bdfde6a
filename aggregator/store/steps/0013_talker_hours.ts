/** Version 13: the busiest addresses by the hour, as long ranges have too many minutes. @module */

const columns = "hour, ip, flows, sent_bytes, received_bytes, packets";
const sums = ["flows", "sent_bytes", "received_bytes", "packets"];

export const sqlite = [
  `CREATE TABLE IF NOT EXISTS talker_hours (
    hour INTEGER NOT NULL,
    ip BLOB NOT NULL,
    flows INTEGER NOT NULL,
    sent_bytes INTEGER NOT NULL,
    received_bytes INTEGER NOT NULL,
    packets INTEGER NOT NULL,
    PRIMARY KEY (hour, ip)
  ) WITHOUT ROWID`,
  `INSERT OR IGNORE INTO talker_hours (${columns}) SELECT minute - minute % 3600, ip, ${
    sums.map((sum) => `CAST(MIN(TOTAL(${sum}), 9007199254740991) AS INTEGER)`).join(", ")
  } FROM talkers GROUP BY 1, 2`,
];

export const mariadb = [
  `CREATE TABLE IF NOT EXISTS talker_hours (
    hour BIGINT NOT NULL,
    ip VARBINARY(16) NOT NULL,
    flows BIGINT NOT NULL,
    sent_bytes BIGINT NOT NULL,
    received_bytes BIGINT NOT NULL,
    packets BIGINT NOT NULL,
    PRIMARY KEY (hour, ip)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`,
  `INSERT IGNORE INTO talker_hours (${columns}) SELECT minute - minute % 3600 AS hour, ip, ${
    sums.map((sum) => `LEAST(SUM(${sum}), 9007199254740991)`).join(", ")
  } FROM talkers GROUP BY 1, 2`,
];
