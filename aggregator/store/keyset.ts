/** Pages by key for tables whose order is a value, the greatest first, and then their key.
 *
 * In: conditions, the cursor of the page before. Out: the end of a SELECT and its values. Invariant: no value is in the
 * SQL text; each row is on one page.
 * A cursor holds values of the last row: someone who changes it sees another page, never another table. @module */

import { Buffer } from "node:buffer";
import type { AddressRange } from "../model/host.ts";
import type { Condition, Row, Session, Value } from "./database.ts";
import { BadCursor } from "./store.ts";
import type { Words } from "./words.ts";

export class Keyset {
  readonly values: Value[] = [];
  readonly #where: string[] = [];
  readonly #value: string;
  readonly #keys: readonly string[];

  constructor(value: string, keys: readonly string[]) {
    this.#value = value;
    this.#keys = keys;
  }

  add(sql: string, ...values: Value[]): void {
    this.#where.push(sql);
    this.values.push(...values);
  }

  addRange({ first, last }: AddressRange): void {
    this.add("ip >= ? AND ip <= ? AND LENGTH(ip) = ?", Buffer.from(first), Buffer.from(last), first.length);
  }

  /** Rows behind it. @throws {BadCursor} */
  addCursor(cursor: readonly Value[]): void {
    const behind = this.#behind(cursor);
    this.add(`${this.#value} <= ? AND ${behind.sql}`, cursor[0], ...behind.values);
  }

  /** Rows up to it, itself included. @throws {BadCursor} */
  addEnd(cursor: readonly Value[]): void {
    const behind = this.#behind(cursor);
    this.add(`${this.#value} >= ? AND NOT ${behind.sql}`, cursor[0], ...behind.values);
  }

  #behind(cursor: readonly Value[]): Condition {
    if (cursor.length !== this.#keys.length + 1 || typeof cursor[0] !== "number") throw badCursor();
    // As OR of prefixes: MariaDB does not use an index for a comparison of rows.
    const parts: string[] = [];
    const values: Value[] = [];
    const all = [this.#value, ...this.#keys];
    for (let length = 1; length < all.length; length++) {
      const same = all.slice(0, length).map((column) => `${column} = ?`).join(" AND ");
      parts.push(`(${same} AND ${all[length]} < ?)`);
      values.push(...cursor.slice(0, length), cursor[length]);
    }
    return { sql: `(${this.#value} < ? OR ${parts.join(" OR ")})`, values: [cursor[0], ...values] };
  }

  /** `isByKey`: the key chooses the rows, and the order is made of them; else the index of the value does both. */
  sql(isByKey: boolean): string {
    const order = [isByKey ? `${this.#value} + 0` : this.#value, ...this.#keys];
    const where = this.#where.length === 0 ? "" : `WHERE ${this.#where.join(" AND ")} `;
    return `${where}ORDER BY ${order.map((column) => `${column} DESC`).join(", ")}`;
  }
}

export function cursorOf(row: Row, value: string, keys: readonly string[]): string {
  const parts = [value, ...keys].map((column) => {
    const cell = row[column];
    if (cell instanceof Uint8Array) return `x${Buffer.from(cell).toString("hex")}`;
    return typeof cell === "string" ? `t${cell}` : Number(cell);
  });
  return Buffer.from(JSON.stringify(parts)).toString("base64url");
}

/** @throws {BadCursor} */
export function readCursor(cursor: string): Value[] {
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(cursor, "base64url").toString());
  } catch {
    throw badCursor();
  }
  if (!Array.isArray(parts) || parts.length > 8) throw badCursor();
  return parts.map((part): Value => {
    if (typeof part === "number" && Number.isSafeInteger(part)) return part;
    if (typeof part !== "string" || part.length > 512) throw badCursor();
    if (part.startsWith("t")) return part.slice(1);
    if (/^x([0-9a-f]{2}){4,16}$/.test(part)) return Buffer.from(part.slice(1), "hex");
    throw badCursor();
  });
}

function badCursor(): BadCursor {
  return new BadCursor('Cannot read page as "cursor" must be one that a page gave');
}

/** The number of a word; -1 = no row has it. */
export async function wordNumber(session: Session, words: Words, word: string): Promise<number> {
  if (words.find(word) === null) await words.load(session);
  return words.find(word) ?? -1;
}
