/** JSON columns: segments written as the value of a batch, straight from their words.
 *
 * In: slots of open rows, in the order wanted, facts as JSON. Out: octets of `{"start_us":[..],"src_ip":[..],..}`, as
 * shared/batch.ts documents it.
 * Invariant: parsed, it equals the objects of the same segments, field by field; a column that holds only its default
 * is left out, unless it is one that every reader needs ({@link alwaysColumns}).
 * Why not JSON.stringify: it wants an array of values a column; making those costs five times what writing digits does.
 * @module */

import { alwaysColumns, type SegmentColumn, segmentColumns } from "../../shared/segment.ts";
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
import { Octets } from "../flow/octets.ts";
import type { SealableRows } from "./parcel.ts";

/** Where rows stand, by slot. */
type RowMemory = Omit<SealableRows, "length">;

const columns = Object.entries(fields) as [SegmentColumn, Field][];
const bytesAtStart = 64 * 1024;
/** Octets of the longest cell: an IPv6 address in quotes, and its comma. */
const cellBytesMax = 48;
const encoder = new TextEncoder();
const quote = 0x22, comma = 0x2c, bracket = 0x5b, bracketEnd = 0x5d, brace = 0x7b, braceEnd = 0x7d;
const nullText = encoder.encode("null");
const hexDigits = encoder.encode("0123456789abcdef");

export class JsonColumns {
  #out = new Octets(bytesAtStart);
  #values = new Float64Array(0);
  /** JSON text of the names of each column, by code. */
  #names = new Map<string, Uint8Array[]>();

  /** Writes the rows of `slots`. The octets are good until the next call. */
  encode(rows: RowMemory, slots: Int32Array): Uint8Array {
    const out = this.#out;
    out.clear();
    out.ensure(2);
    if (this.#values.length < slots.length) this.#values = new Float64Array(slots.length);
    out.put(brace);
    for (const [name, field] of columns) this.#column(name, field, rows, slots);
    this.#apps(rows, slots);
    this.#facts(rows, slots);
    out.ensure(1);
    out.put(braceEnd);
    return out.bytes.subarray(0, out.length);
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
    let isStandard = !alwaysColumns.has(name);
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
        this.#out.put(comma);
      }
    } else {
      for (let i = 0; i < slots.length; i++) {
        this.#number(values[i]);
        this.#out.put(comma);
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
      this.#out.put(quote);
      if (field.kind === "mac") this.#mac(words, base, field.at);
      else if (addressWords(words, base) === 1) this.#out.ipv4(words[base + field.at]);
      else this.#out.ascii(ipText(words, base + field.at, 4));
      this.#out.put(quote);
      this.#out.put(comma);
    }
    this.#close();
  }

  #apps({ apps }: RowMemory, slots: Int32Array): void {
    if (slots.every((slot) => apps[slot] === "")) return;
    this.#open("app_protocol", slots.length);
    for (const slot of slots) {
      this.#out.put(quote);
      this.#out.ascii(apps[slot]);
      this.#out.put(quote);
      this.#out.put(comma);
    }
    this.#close();
  }

  #facts({ facts }: RowMemory, slots: Int32Array): void {
    let bytes = 0;
    for (let i = 0; i < slots.length; i++) bytes += facts[slots[i]].length;
    if (bytes === 0) return;
    this.#open("facts", slots.length);
    const out = this.#out;
    for (let i = 0; i < slots.length; i++) {
      const json = facts[slots[i]];
      if (json.length === 0) this.#raw(nullText);
      else out.append(json, 0, json.length);
      out.ensure(cellBytesMax);
      out.put(comma);
    }
    this.#close();
  }

  /** Begins a column with room for `cells`. */
  #open(name: string, cells: number): void {
    const out = this.#out;
    out.ensure(name.length + 8 + cells * cellBytesMax);
    if (out.bytes[out.length - 1] === bracketEnd) out.put(comma);
    out.put(quote);
    out.ascii(name);
    out.put(quote);
    out.put(0x3a);
    out.put(bracket);
  }

  /** The last comma becomes the end. */
  #close(): void {
    this.#out.bytes[this.#out.length - 1] = bracketEnd;
  }

  #raw(octets: Uint8Array): void {
    for (let i = 0; i < octets.length; i++) this.#out.put(octets[i]);
  }

  #number(value: number): void {
    if (value === -1) this.#raw(nullText);
    else if (value !== Math.floor(value)) this.#out.ascii(String(value));
    else this.#out.integer(value);
  }

  #mac(words: Int32Array, base: number, at: number): void {
    if (!hasMac(words, base, at)) return;
    const out = this.#out;
    for (let i = at; i < at + 6; i++) {
      const octet = macOctet(words, base + word.macs, i);
      if (i > at) out.put(0x3a);
      out.put(hexDigits[octet >> 4]);
      out.put(hexDigits[octet & 15]);
    }
  }
}
