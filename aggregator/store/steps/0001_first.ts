/** Version 1: tables, indexes and views as they were first made. Frozen once released.
 *
 * Why few indexes: an id begins with the time, so the primary key serves every list by time; each further index costs
 * 13 to 20 % of insert speed. Rows of MariaDB also hold that time as a date of its own, `seen`,
 * by which people ask and days are partitioned.
 * What people filter, sort and sum by are columns; `more` (see flow_record.ts) holds the rest.
 * Why the odd condition of MariaDB's views: a view that asks for its own table once more cannot be written through; the
 * server drops the question, as nothing can meet it. @module */

export { sqlite } from "./0001_sqlite.ts";
export { mariadb } from "./0001_mariadb.ts";
