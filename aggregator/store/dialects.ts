/** The two dialects. See {@link Dialect} for what each part is for.
 *
 * Invariant: no value is ever part of SQL text; only names of tables and columns of ours are. @module */

import { type Dialect, marks } from "./database.ts";
import { flowIdNumber } from "../model/flow_id.ts";
import { dateText } from "./date_text.ts";

export const sqliteDialect: Dialect = {
  name: "sqlite",
  upsert(table, columns, keys, changes) {
    const sets = Object.entries(changes).map(([column, value]) => `${column} = ${value}`).join(", ");
    const end = sets === "" ? "DO NOTHING" : `DO UPDATE SET ${sets}`;
    return `INSERT INTO ${table} (${columns.join(", ")}) VALUES (${marks(columns.length)}) ` +
      `ON CONFLICT (${keys.join(", ")}) ${end}`;
  },
  insertMissing: (table, columns) =>
    `INSERT OR IGNORE INTO ${table} (${columns.join(", ")}) VALUES (${marks(columns.length)})`,
  stored: (table, column) => `${table}.${column}`,
  fresh: (column) => `excluded.${column}`,
  least: (a, b) => `MIN(${a}, ${b})`,
  greatest: (a, b) => `MAX(${a}, ${b})`,
  flowKey: ["id"],
  keyValues: (us, slot) => [flowIdNumber(us, slot)],
  choiceIn: (_words, place) => place + 1,
  forUpdate: "",
};

export const mariadbDialect: Dialect = {
  name: "mariadb",
  upsert(table, columns, keys, changes) {
    // Without changes a key is set to itself, which changes nothing.
    const all = Object.keys(changes).length === 0 ? { [keys[0]]: keys[0] } : changes;
    const sets = Object.entries(all).map(([column, value]) => `${column} = ${value}`).join(", ");
    return `INSERT INTO ${table} (${columns.join(", ")}) VALUES (${marks(columns.length)}) ` +
      `ON DUPLICATE KEY UPDATE ${sets}`;
  },
  insertMissing: (table, columns) =>
    `INSERT IGNORE INTO ${table} (${columns.join(", ")}) VALUES (${marks(columns.length)})`,
  stored: (_table, column) => column,
  fresh: (column) => `VALUES(${column})`,
  least: (a, b) => `LEAST(${a}, ${b})`,
  greatest: (a, b) => `GREATEST(${a}, ${b})`,
  flowKey: ["seen", "id"],
  keyValues: (us, slot) => [dateText(us), flowIdNumber(us, slot)],
  choiceIn: (words, place) => words[place],
  forUpdate: " FOR UPDATE",
};
