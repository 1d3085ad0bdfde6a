/** The values of rows as lists, for statements that bind them one by one.
 * Octets are copied, so a list outlives its row. @module */

import { Buffer } from "node:buffer";
import type { Dialect, RowSink, Value } from "./database.ts";

export class ValueList implements RowSink {
  list: Value[] = [];
  readonly #dialect: Dialect;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  integer(value: number): void {
    this.list.push(value);
  }

  key(us: number, slot: number): void {
    this.list.push(...this.#dialect.keyValues(us, slot));
  }

  octets(bytes: Uint8Array, from: number, to: number): void {
    this.list.push(Buffer.from(bytes.subarray(from, to)));
  }

  text(value: string): void {
    this.list.push(value);
  }

  choice(words: readonly string[], place: number): void {
    this.list.push(this.#dialect.choiceIn(words, place));
  }

  nothing(): void {
    this.list.push(null);
  }
}

/** As the client of MariaDB takes it, which binds octets only as `Buffer`. */
export function bindable(value: Value): string | number | bigint | null | Buffer {
  if (!(value instanceof Uint8Array) || value instanceof Buffer) return value;
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

/** In a bulk of MariaDB, a column whose type changes from row to row costs a round trip at each change, and a number is
 * of one of two types by its size: as text it is always of one. The server reads it back without loss. */
export function uniform(row: readonly Value[]): (string | null | Buffer)[] {
  return row.map((value) =>
    typeof value === "number" || typeof value === "bigint"
      ? String(value)
      : bindable(value) as string | null | Buffer
  );
}
