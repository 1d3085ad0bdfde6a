/** What a database looks like: every table with its columns, keys and indexes, as the database itself tells.
 *
 * In: an open database. Out: lines that two databases of one schema have alike. @module */

import type { Database, Row, Session } from "../../../aggregator/store/database.ts";

export async function describe(database: Database): Promise<string[]> {
  return await database.read(async (session) => {
    const rows = database.dialect.name === "sqlite" ? await describeSqlite(session) : await session.all(
      "SELECT CONCAT_WS(' ', table_name, column_name, column_type, is_nullable, column_default, collation_name) AS line " +
        "FROM information_schema.columns WHERE table_schema = DATABASE() UNION ALL " +
        "SELECT CONCAT_WS(' ', table_name, index_name, seq_in_index, column_name, non_unique) " +
        "FROM information_schema.statistics WHERE table_schema = DATABASE() UNION ALL " +
        "SELECT CONCAT_WS(' ', table_name, REPLACE(view_definition, CONCAT('`', DATABASE(), '`.'), '')) " +
        "FROM information_schema.views WHERE table_schema = DATABASE()",
    );
    return rows.map(({ line }) => String(line)).sort();
  });
}

async function describeSqlite(session: Session): Promise<Row[]> {
  const named = await session.all(
    "SELECT type, name, tbl_name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name",
    [],
  );
  const lines: Row[] = named.map(({ type, name, tbl_name }) => ({ line: `${type} ${name} on ${tbl_name}` }));
  for (const { type, name } of named) {
    const about = type === "index" ? "pragma_index_info(?)" : "pragma_table_info(?)";
    for (const row of await session.all(`SELECT * FROM ${about}`, [String(name)])) {
      lines.push({ line: `${name}: ${JSON.stringify(row)}` });
    }
  }
  return lines;
}
