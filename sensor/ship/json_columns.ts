/** JSON columns: segments written as the value of a batch, straight from their words.
 *
 * In: slots of open rows, in the order wanted, facts as JSON text. Out: octets of `{"start_us":[..],"src_ip":[..],..}`, as shared/batch.ts
 * documents it.
 * Invariant: parsed, it equals the objects of the same segments, field by field; a column that holds only its default is left out.
 * Why not JSON.stringify: it wants an array of values a column; making those costs five times what writing digits does. @module */

import { type SegmentColumn, segmentColumns } from "../../shared/segment.ts";
import {
  type AddressField,
  addressWords,
  type Field,
  fields,
  hasMac,
  ipText,
  macOctet,
} from "../flow/fields.ts";
import { strideWords, word } from "../flow/layout.ts";
import type { SealableRows } from "./sealable.ts";

/** Where rows stand, by slot. */
type RowMemory = Omit<SealableRows, "length">;

const columns = Object.entries(fields) as [SegmentColumn, Field][];
const bytesAtStart = 64 * 1024;
/** Octets of the longest cell: an IPv6 address in quotes, and its comma. */
const cellBytesMax = 48;
const encoder = new TextEncoder();
const quote = 0x22, comma = 0x2c, bracket = 0x5b, bracketEnd = 0x5d, brace = 0x7b, braceEnd = 0x7d;
const zero = 0x30;
const hexDigits = encoder.encode("0123456789abcdef");

export class JsonColumns {
  #bytes = new Uint8Array(bytesAtStart);
  #at = 0;
  #values = new Float64Array(0);
  /** JSON text of the names of each column, by code. */
  #names = new Map<string, Uint8Array[]>();

  /** Writes the rows of `slots`. The octets are good until the next call. */
  encode(rows: RowMemory, slots: Int32Array): Uint8Array {
    this.#at = 0;
    if (this.#values.length < slots.length) this.#values = new Float64Array(slots.length);
    this.#put(brace);
    for (const [name, field] of columns) this.#column(name, field, rows, slots);
    this.#apps(rows, slots);
    this.#facts(rows, slots);
    this.#put(braceEnd);
    return this.#bytes.subarray(0, this.#at);
  }

  #column(
    name: SegmentColumn,
    field: Field,
    rows: RowMemory,
    slots: Int32Array,
  ): void {
    if ("at" in field) {
      return this.#addresses(name, field, rows, slots);
    }
    const values = this.#values;
    const { words, floats } = rows;
    const { read } = field;
    const standard = segmentColumns[name].default;
    let isStandard = name !== "start_us";
    const first = read(words, floats, slots[0] * strideWords);
    for (let i = 0; i < slots.length; i++) {
      const value = read(words, floats, slots[i] * strideWords);
      values[i] = value;
      if (value !== first) isStandard = false;
    }
    if (isStandard) {
      const only = field.kind === "name" ? field.nameOf(first) : first === -1 ? null : first;
      if (only === standard) return;
    }
    this.#open(name, slots.length);
    if (field.kind === "name") {
      for (let i = 0; i < slots.length; i++) {
        this.#raw(this.#nameText(name, field.nameOf, values[i]));
        this.#put(comma);
      }
    } else {
      for (let i = 0; i < slots.length; i++) {
        this.#number(values[i]);
        this.#put(comma);
      }
    }
    this.#close();
  }

  #nameText(column: string, nameOf: (code: number) => string, code: number): Uint8Array {
    let texts = this.#names.get(column);
    if (texts === undefined) this.#names.set(column, texts = []);
    return texts[code] ??= encoder.encode(JSON.stringify(nameOf(code)));
  }

  #addresses(
    name: SegmentColumn,
    field: AddressField,
    { words }: RowMemory,
    slots: Int32Array,
  ): void {
    if (field.kind === "mac") {
      let isSeen = false;
      for (let i = 0; i < slots.length && !isSeen; i++) {
        isSeen = hasMac(words, slots[i] * strideWords, field.at);
      }
      if (!isSeen) return;
    }
    this.#open(name, slots.length);
    for (let i = 0; i < slots.length; i++) {
      const base = slots[i] * strideWords;
      this.#put(quote);
      if (field.kind === "mac") this.#mac(words, base, field.at);
      else if (addressWords(words, base) === 1) this.#ipv4(words[base + field.at]);
      else this.#ascii(ipText(words, base + field.at, 4));
      this.#put(quote);
      this.#put(comma);
    }
    this.#close();
  }

  #apps({ apps }: RowMemory, slots: Int32Array): void {
    if (slots.every((slot) => apps[slot] === "")) return;
    this.#open("app_protocol", slots.length);
    for (const slot of slots) {
      this.#put(quote);
      this.#ascii(apps[slot]);
      this.#put(quote);
      this.#put(comma);
    }
    this.#close();
  }

  #facts({ facts }: RowMemory, slots: Int32Array): void {
    let text = "", isAny = false;
    for (let i = 0; i < slots.length; i++) {
      const fact = facts[slots[i]];
      if (fact !== "") isAny = true;
      text += (fact === "" ? "null" : fact) + ",";
    }
    if (!isAny) return;
    this.#open("facts", 0);
    this.#ensure(text.length * 3);
    this.#at += encoder.encodeInto(text, this.#bytes.subarray(this.#at)).written;
    this.#close();
  }

  /** Begins a column with room for `cells`. */
  #open(name: string, cells: number): void {
    this.#ensure(name.length + 8 + cells * cellBytesMax);
    if (this.#bytes[this.#at - 1] === bracketEnd) this.#put(comma);
    this.#put(quote);
    this.#ascii(name);
    this.#put(quote);
    this.#put(0x3a);
    this.#put(bracket);
  }

  /** The last comma becomes the end. */
  #close(): void {
    this.#bytes[this.#at - 1] = bracketEnd;
  }

  #put(octet: number): void {
    this.#bytes[this.#at++] = octet;
  }

  #raw(octets: Uint8Array): void {
    const bytes = this.#bytes;
    for (let i = 0; i < octets.length; i++) bytes[this.#at++] = octets[i];
  }

  #ascii(text: string): void {
    const bytes = this.#bytes;
    for (let i = 0; i < text.length; i++) bytes[this.#at++] = text.charCodeAt(i);
  }

  #number(value: number): void {
    if (value === -1) this.#ascii("null");
    else if (value !== Math.floor(value)) this.#ascii(String(value));
    else if (value < 1e9) this.#digits(value, digitsOf(value));
    else {
      // V8 divides 32-bit integers several times faster than floats.
      const high = Math.floor(value / 1e9);
      if (high < 1e9) this.#digits(high, digitsOf(high));
      else this.#ascii(String(high));
      this.#digits(value - high * 1e9, 9);
    }
  }

  #digits(value: number, count: number): void {
    const bytes = this.#bytes;
    let rest = value | 0;
    for (let at = this.#at + count - 1; at >= this.#at; at--) {
      const next = (rest / 10) | 0;
      bytes[at] = zero + rest - next * 10;
      rest = next;
    }
    this.#at += count;
  }

  #ipv4(address: number): void {
    for (let shift = 24; shift >= 0; shift -= 8) {
      const octet = address >>> shift & 255;
      this.#digits(octet, digitsOf(octet));
      if (shift > 0) this.#put(0x2e);
    }
  }

  #mac(words: Int32Array, base: number, at: number): void {
    if (!hasMac(words, base, at)) return;
    for (let i = at; i < at + 6; i++) {
      const octet = macOctet(words, base + word.macs, i);
      if (i > at) this.#put(0x3a);
      this.#put(hexDigits[octet >> 4]);
      this.#put(hexDigits[octet & 15]);
    }
  }

  #ensure(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#at + bytes, 2 * this.#bytes.length));
    grown.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = grown;
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
