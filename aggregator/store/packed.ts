/** Numbers in few octets: what flow_record.ts packs with.
 *
 * Invariant: a reader never goes past its end; damaged octets are a {@link RangeError}.
 * Numbers are whole and below 2^53. @module */

const powers = Array.from({ length: 64 }, (_, i) => 10 ** (i - 10));

export class Writer {
  readonly bytes: Uint8Array;
  at = 0;

  constructor(octets: number) {
    this.bytes = new Uint8Array(octets);
  }

  octet(value: number): void {
    this.bytes[this.at++] = value;
  }

  word(value: number): void {
    this.octet(value >>> 24);
    this.octet(value >>> 16);
    this.octet(value >>> 8);
    this.octet(value);
  }

  number(value: number): void {
    while (value >= 128) {
      this.octet(value % 128 | 128);
      value = Math.floor(value / 128);
    }
    this.octet(value);
  }

  /** The sign stands in the first octet, beside six bits. */
  signed(value: number): void {
    const size = Math.abs(value), rest = Math.floor(size / 64);
    this.octet((rest > 0 ? 128 : 0) | (value < 0 ? 64 : 0) | size % 64);
    if (rest > 0) this.number(rest);
  }

  /** Three significant digits. */
  digits(value: number): void {
    let exponent = 0;
    if (value > 0) {
      exponent = Math.min(63, Math.max(0, Math.floor(Math.log10(value)) + 8));
      // The logarithm of a number just below a power of ten may round up, and rounding may carry.
      while (exponent < 63 && Math.round(value / powers[exponent]) > 999) exponent++;
    }
    const mantissa = value > 0 ? Math.min(999, Math.round(value / powers[exponent])) : 0;
    this.octet(exponent << 2 | mantissa >> 8);
    this.octet(mantissa);
  }

  copy(from: Uint8Array, at: number, count: number): void {
    for (let i = 0; i < count; i++) this.bytes[this.at++] = from[at + i];
  }
}

export class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  octet(): number {
    if (this.#at >= this.#bytes.length) {
      throw new RangeError("Cannot read flow: its packed part ends too early");
    }
    return this.#bytes[this.#at++];
  }

  word(): number {
    return (this.octet() << 24 | this.octet() << 16 | this.octet() << 8 | this.octet()) >>> 0;
  }

  number(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 56; scale *= 128) {
      const octet = this.octet();
      value += (octet & 127) * scale;
      if (octet < 128) return value;
    }
    throw new RangeError("Cannot read flow: a number of its packed part has no end");
  }

  signed(): number {
    const first = this.octet();
    const size = (first & 63) + (first & 128 ? 64 * this.number() : 0);
    return first & 64 ? -size : size;
  }

  digits(): number {
    const high = this.octet(), low = this.octet();
    const mantissa = (high & 3) << 8 | low, exponent = (high >> 2) - 10;
    return exponent < 0 ? mantissa / 10 ** -exponent : mantissa * 10 ** exponent;
  }

  copy(to: Uint8Array, at: number, count: number): void {
    for (let i = 0; i < count; i++) to[at + i] = this.octet();
  }
}
