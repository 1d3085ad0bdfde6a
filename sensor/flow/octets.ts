/** Octets: text written piece by piece into memory that grows.
 *
 * In: octets, ASCII, numbers, strings. Out: `bytes[0, length)`.
 * Invariant: `length` <= `bytes.length`; methods that say so need room asked for with {@link Octets.ensure} before.
 * Why: a string of each piece, and one of them all, costs more than reading the packets they came from.
 * Hot path: no allocation but growth.
 * @module */

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const zero = 0x30, dot = 0x2e;

/** Text under way.
 *
 * @example A line without a string of its own.
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Octets } from "./octets.ts";
 *
 * const line = new Octets();
 * line.ensure(64);
 * line.ascii('{"src_ip":"');
 * line.ipv4(0xc0000207 | 0);
 * line.ascii('","packets":');
 * line.integer(12);
 * line.ascii("}");
 * assertEquals(line.toString(), '{"src_ip":"192.0.2.7","packets":12}');
 * ``` */
export class Octets {
  bytes: Uint8Array<ArrayBuffer>;
  length = 0;

  constructor(room = 1_024) {
    this.bytes = new Uint8Array(room);
  }

  /** Empty again. Memory beyond `keptMax` octets is given back. */
  clear(keptMax = Infinity): void {
    this.length = 0;
    if (this.bytes.length > keptMax) this.bytes = new Uint8Array(keptMax);
  }

  /** Makes room for `count` octets more. */
  ensure(count: number): void {
    const wanted = this.length + count;
    if (wanted <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(wanted, 2 * this.bytes.length));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  /** One octet; there must be room. */
  put(octet: number): void {
    this.bytes[this.length++] = octet;
  }

  /** Text of ASCII alone; there must be room. */
  ascii(text: string): void {
    const bytes = this.bytes;
    let at = this.length;
    for (let i = 0; i < text.length; i++) bytes[at++] = text.charCodeAt(i);
    this.length = at;
  }

  /** `from[start, end)`. */
  append(from: Uint8Array, start: number, end: number): void {
    this.ensure(end - start);
    const bytes = this.bytes;
    let at = this.length;
    // A view for each piece would cost more than copying it.
    for (let i = start; i < end; i++) bytes[at++] = from[i];
    this.length = at;
  }

  /** Any text, as UTF-8. */
  utf8(text: string): void {
    this.ensure(3 * text.length);
    this.length += encoder.encodeInto(text, this.bytes.subarray(this.length)).written;
  }

  /** An integer from 0 to 2^53 - 1; there must be room for 16 octets. */
  integer(value: number): void {
    if (value < 1e9) return this.#digits(value, digitsOf(value));
    // V8 divides 32-bit integers several times faster than floats.
    const high = Math.floor(value / 1e9);
    if (high < 1e9) this.#digits(high, digitsOf(high));
    else this.ascii(String(high));
    this.#digits(value - high * 1e9, 9);
  }

  /** An IPv4 address in dotted form; there must be room for 15 octets. */
  ipv4(address: number): void {
    for (let shift = 24; shift >= 0; shift -= 8) {
      const octet = address >>> shift & 255;
      this.#digits(octet, digitsOf(octet));
      if (shift > 0) this.put(dot);
    }
  }

  toString(): string {
    return decoder.decode(this.bytes.subarray(0, this.length));
  }

  #digits(value: number, count: number): void {
    const bytes = this.bytes;
    let rest = value | 0;
    for (let at = this.length + count - 1; at >= this.length; at--) {
      const next = (rest / 10) | 0;
      bytes[at] = zero + rest - next * 10;
      rest = next;
    }
    this.length += count;
  }
}

function digitsOf(value: number): number {
  if (value < 10) return 1;
  if (value < 100) return 2;
  if (value < 1_000) return 3;
  if (value < 10_000) return 4;
  if (value < 100_000) return 5;
  if (value < 1_000_000) return 6;
  if (value < 10_000_000) return 7;
  return value < 100_000_000 ? 8 : 9;
}
