/** Rows as the octets that `LOAD DATA LOCAL INFILE` reads, streamed from memory.
 *
 * In: a row source. Out: chunks of tab-separated text, made while the server works on earlier ones. Invariant: no file
 * is ever read; a server that asks for one gets nothing.
 * Special octets are escaped, so a value never ends a field or a row.
 * Why not the bulk protocol: measured with 5,000 rows and more a transaction it is slower, as its client converts every
 * value; see the bench. Why the server counts: this statement skips rows whose key is taken and alters values that do
 * not fit, both with a warning and no error;
 * so the caller compares how many rows were added, and any other warning fails the transaction. @module */

import { Buffer } from "node:buffer";
import { systemClock } from "../../shared/clock.ts";
import type { RowSink, RowSource } from "./database.ts";
import { clampDate, secondText } from "./date_text.ts";

const chunkBytes = 1024 * 1024;
/** Most octets that one row may take, escaped: facts are bounded by their batch. */
const rowBytesMax = 16 * 1024 * 1024;
const tab = 9, newline = 10, backslash = 92, zero = 48;

export function loadStatement(table: string, columns: readonly string[]): string {
  return `LOAD DATA LOCAL INFILE 'rows' INTO TABLE ${table} CHARACTER SET binary (${columns.join(", ")})`;
}

/** What the client reads of a stream: events alone. */
export interface ChunkStream {
  on(event: string, listener: (chunk: Uint8Array) => void): ChunkStream;
}

/** Gives the rows to the client chunk by chunk;
 * between two of them the event loop turns, so that the server works meanwhile. */
export function streamRows(rows: RowSource): ChunkStream {
  const listeners = new Map<string, (value: never) => void>();
  const text = new RowText();
  const emit = async () => {
    await systemClock.sleep(0); // Until the client has set its listeners.
    try {
      for (let row = 0; row < rows.count;) {
        text.clear();
        while (row < rows.count && text.length < chunkBytes) {
          rows.write(row++, text);
          text.endRow();
        }
        listeners.get("data")?.(text.copy() as never);
        await systemClock.sleep(0);
      }
      listeners.get("end")?.(undefined as never);
    } catch (error) {
      listeners.get("error")?.(error as never);
    }
  };
  const stream: ChunkStream = {
    on(event, listener) {
      listeners.set(event, listener as (value: never) => void);
      return stream;
    },
  };
  void emit();
  return stream;
}

class RowText implements RowSink {
  #bytes = Buffer.allocUnsafe(2 * chunkBytes);
  length = 0;
  /** Date of the second at hand, as ASCII. */
  #second = -1;
  #date = Buffer.alloc(20);

  clear(): void {
    this.length = 0;
  }

  copy(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.length));
  }

  endRow(): void {
    this.#bytes[this.length - 1] = newline;
  }

  integer(value: number): void {
    this.#room(24);
    if (value < 0) {
      this.#bytes[this.length++] = 45;
      value = -value;
    }
    this.#digits(value);
    this.#bytes[this.length++] = tab;
  }

  key(us: number, slot: number): void {
    this.#room(64);
    const bounded = clampDate(us);
    const second = Math.floor(bounded / 1e6);
    if (second !== this.#second) {
      this.#second = second;
      this.#date.write(`${secondText(second)}.`, "latin1");
    }
    for (let i = 0; i < 20; i++) this.#bytes[this.length++] = this.#date[i];
    this.#padded(bounded - second * 1e6, 6);
    this.#bytes[this.length++] = tab;
    // us * 2048 + slot in two parts, as it has more digits than a number holds.
    const high = Math.floor(us / 1e9), low = (us - high * 1e9) * 2_048 + slot;
    const carry = Math.floor(low / 1e9);
    const top = high * 2_048 + carry;
    if (top > 0) {
      this.#digits(top);
      this.#padded(low - carry * 1e9, 9);
    } else {
      this.#digits(low);
    }
    this.#bytes[this.length++] = tab;
  }

  octets(bytes: Uint8Array, from: number, to: number): void {
    this.#room(2 * (to - from) + 1);
    const out = this.#bytes;
    let at = this.length;
    for (let i = from; i < to; i++) {
      const octet = bytes[i];
      if (octet === tab || octet === newline || octet === backslash) out[at++] = backslash;
      if (octet === 0) {
        out[at++] = backslash;
        out[at++] = zero;
      } else {
        out[at++] = octet;
      }
    }
    out[at++] = tab;
    this.length = at;
  }

  text(value: string): void {
    this.#room(6 * value.length + 1);
    // JSON has no raw tab or newline; a backslash is the only octet to escape.
    const escaped = value.includes("\\") ? value.replaceAll("\\", "\\\\") : value;
    this.length += this.#bytes.write(escaped, this.length, "utf8");
    this.#bytes[this.length++] = tab;
  }

  choice(words: readonly string[], place: number): void {
    const word = words[place];
    this.#room(word.length + 1);
    for (let i = 0; i < word.length; i++) this.#bytes[this.length++] = word.charCodeAt(i);
    this.#bytes[this.length++] = tab;
  }

  nothing(): void {
    this.#room(3);
    this.#bytes[this.length++] = backslash;
    this.#bytes[this.length++] = 78;
    this.#bytes[this.length++] = tab;
  }

  #digits(value: number): void {
    if (value >= 1e9) {
      const high = Math.floor(value / 1e9);
      this.#digits(high);
      this.#padded(value - high * 1e9, 9);
      return;
    }
    let length = 1;
    for (let limit = 10; value >= limit; limit *= 10) length++;
    this.#padded(value, length);
  }

  #padded(value: number, length: number): void {
    let left = value | 0;
    for (let i = this.length + length - 1; i >= this.length; i--) {
      const next = left / 10 | 0;
      this.#bytes[i] = zero + left - 10 * next;
      left = next;
    }
    this.length += length;
  }

  #room(octets: number): void {
    if (this.length + octets <= this.#bytes.length) return;
    if (octets > rowBytesMax) throw new RangeError(`Cannot write row as it has ${octets} octets`);
    const grown = Buffer.allocUnsafe(2 * (this.length + octets));
    this.#bytes.copy(grown, 0, 0, this.length);
    this.#bytes = grown;
  }
}
