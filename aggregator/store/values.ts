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
