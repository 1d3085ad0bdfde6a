/** The two dialects. See {@link Dialect} for what each part is for.
 *
 * Invariant: no value is ever part of SQL text; only names of tables and columns of ours are. @module */

import { Buffer } from "node:buffer";
import { formatIp, parseIp } from "../../shared/ip.ts";
import { type Dialect, marks, type Value } from "./database.ts";

/** Addresses are text, so that any SQLite tool can read them. */
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
  ipIn: canonical,
  ipOut: (value) => String(value),
  forUpdate: "",
};

/** Addresses are their 4 or 16 octets: INET6 would fold IPv4 and mapped IPv6 into one. */
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
  ipIn: (text) => {
    const bytes = parseIp(text);
    // What is no address matches nothing: no stored value is empty.
    return bytes === null ? Buffer.alloc(0) : Buffer.from(bytes);
  },
  ipOut: (value) => formatIp(value as Uint8Array),
  forUpdate: " FOR UPDATE",
};

function canonical(text: string): Value {
  const bytes = parseIp(text);
  return bytes === null ? "" : formatIp(bytes);
}
