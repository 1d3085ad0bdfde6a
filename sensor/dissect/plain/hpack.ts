/** Decodes the header blocks of HTTP/2 (HPACK, RFC 7541).
 *
 * In: the header blocks of one direction of a connection, whole and in their order. Out: their fields, one by one.
 * Invariant: a block that breaks a rule ends the decoder: its table would no longer be the sender's, and every name
 * after it might be wrong. A decoder that joins in the middle knows what is added from there on, as places are counted
 * from the newest entry; of an entry before that nothing is guessed, and `isLacking` says that a block refers to one.
 * Bounds: {@link fieldsMax} fields a block, {@link tableOctetsMax} octets of table; a text is at most 8/5 of its block.
 * Why the lengths of the Huffman code and not the codes: the code is canonical, so they follow from their lengths.
 * @module */

import { Octets } from "../../flow/octets.ts";
import { isPrintable, textAt } from "./read_octets.ts";

/** Of a block; servers refuse requests with far fewer. */
const fieldsMax = 512;
/** A sender may use as much of it as the receiver allows, which browsers do up to this size. */
const tableOctetsMax = 65_536;
const tableOctetsDefault = 4_096;
/** What RFC 7541, 4.1 counts for an entry beside its texts. */
const entryOctets = 32;
const indexMax = 61 + tableOctetsMax / entryOctets;
const numberMax = 2 ** 24;
const dot = 0x2e;

interface Field {
  /** "" = it stands in a part of the table that was not seen. */
  name: string;
  value: string;
}
/** An entry that was not seen. */
const unseen: Field = { name: "", value: "" };

/** RFC 7541, appendix A. */
const staticTable: Field[] =
  `:authority|:method=GET|:method=POST|:path=/|:path=/index.html|:scheme=http|:scheme=https|
:status=200|:status=204|:status=206|:status=304|:status=400|:status=404|:status=500|accept-charset|
accept-encoding=gzip, deflate|accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|authorization|
cache-control|content-disposition|content-encoding|content-language|content-length|content-location|content-range|
content-type|cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|
if-unmodified-since|last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|
refresh|retry-after|server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate`
    .split("|").map((entry) => {
      const [name, value = ""] = entry.trim().split("=");
      return { name, value };
    });

/** Bits of the code of each octet and of the end mark (RFC 7541, appendix B), as digits to the base of 36. */
const codeLengths = "dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6ca" +
  "d67777777777777777777777878djde6f56565666577666567655677777fbeds" +
  "kmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn" +
  "qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrqu";
const endMark = 256;
const codeBitsMax = 30;
/** By length: the first code, and where its symbol stands in `symbols`. */
const firstCodes = new Int32Array(codeBitsMax + 2);
const firstSymbols = new Int32Array(codeBitsMax + 2);
const symbols = new Int16Array(codeLengths.length);

/** Called with the first text that is coded: not every start is to pay for it. */
function makeCodes(): void {
  let code = 0, count = 0;
  for (let bits = 1; bits <= codeBitsMax; bits++) {
    firstCodes[bits] = code;
    firstSymbols[bits] = count;
    for (let symbol = 0; symbol < codeLengths.length; symbol++) {
      if (parseInt(codeLengths[symbol], 36) === bits) symbols[count++] = symbol;
    }
    code = (code + count - firstSymbols[bits]) << 1;
  }
  firstSymbols[codeBitsMax + 1] = count;
}

/** Text being decoded. */
const scratch = new Octets();

export class HpackDecoder {
  /** Oldest first. */
  readonly #entries: Field[] = [];
  #tableOctets = 0;
  #tableMax: number;
  /** The sender's table may hold older entries than this one. */
  #isJoined: boolean;
  /** The last block has fields that are not known. */
  isLacking = false;
  /** The block being decoded, where to go on, and where it ends; -1 = it breaks a rule. */
  #block: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;

  /** `isJoined`: blocks came before the first one that is decoded here. */
  constructor(isJoined = false) {
    this.#isJoined = isJoined;
    // How large the sender's table is was said before; to forget too late does no harm.
    this.#tableMax = isJoined ? tableOctetsMax : tableOctetsDefault;
  }

  /** Octets that its table keeps, as RFC 7541 counts them. */
  get octets(): number {
    return this.#tableOctets;
  }

  /** Hands the fields of `block[0, length)` to `take`; false = the block breaks a rule, or is beyond a bound. */
  decode(block: Uint8Array, length: number, take: (name: string, value: string) => void): boolean {
    this.#block = block;
    this.#at = 0;
    this.#end = length;
    this.isLacking = false;
    for (let fields = 0; this.#at >= 0 && this.#at < this.#end; fields++) {
      const field = fields < fieldsMax ? this.#field() : undefined;
      if (field === undefined) return false;
      if (field === null) continue;
      if (field.name === "") this.isLacking = true;
      else take(field.name, field.value);
    }
    return this.#at === this.#end;
  }

  /** The next field; null = a change of the table's size, undefined = a broken rule. */
  #field(): Field | null | undefined {
    const first = this.#block[this.#at];
    if ((first & 0x80) !== 0) return this.#find(this.#number(7));
    if ((first & 0xe0) === 0x20) {
      const octets = this.#number(5);
      if (octets < 0 || octets > tableOctetsMax) return undefined;
      this.#tableMax = octets;
      if (octets === 0) this.#isJoined = false;
      this.#evict();
      return null;
    }
    const isKept = (first & 0x40) !== 0;
    const index = this.#number(isKept ? 6 : 4);
    const name = index === 0 ? this.#text() : this.#find(index)?.name;
    const value = name === undefined ? undefined : this.#text();
    if (name === undefined || value === undefined) return undefined;
    const field = { name, value };
    if (isKept) {
      this.#entries.push(field);
      this.#tableOctets += sizeOf(field);
      this.#evict();
    }
    return field;
  }

  #find(index: number): Field | undefined {
    if (index < 1) return undefined;
    if (index <= staticTable.length) return staticTable[index - 1];
    const entry = this.#entries[this.#entries.length - (index - staticTable.length)];
    return entry ?? (this.#isJoined && index <= indexMax ? unseen : undefined);
  }

  #evict(): void {
    while (this.#tableOctets > this.#tableMax) this.#tableOctets -= sizeOf(this.#entries.shift()!);
  }

  /** A number that begins in the lowest `bits` of the next octet (5.1); -1 = it is cut, or too large. */
  #number(bits: number): number {
    const most = 2 ** bits - 1;
    let value = this.#at < this.#end ? this.#block[this.#at++] & most : -1;
    if (value < most) return value;
    for (let factor = 1; this.#at < this.#end && value < numberMax; factor *= 128) {
      const octet = this.#block[this.#at++];
      value += (octet & 0x7f) * factor;
      if (octet < 128) return value < numberMax ? value : -1;
    }
    return -1;
  }

  /** A text (5.2); undefined = it is cut, or its code is broken. */
  #text(): string | undefined {
    const isCoded = (this.#block[this.#at] & 0x80) !== 0;
    const length = this.#number(7);
    const start = this.#at, end = start + length;
    if (length < 0 || end > this.#end) return undefined;
    this.#at = end;
    if (isCoded) {
      return decodeCode(this.#block, start, end) ? textOf(scratch.bytes, 0, scratch.length) : undefined;
    }
    return textOf(this.#block, start, end);
  }
}

function sizeOf({ name, value }: Field): number {
  return name.length + value.length + entryOctets;
}

/** One character an octet; those that are not printable ASCII become dots. */
function textOf(buffer: Uint8Array, start: number, end: number): string {
  if (isPrintable(buffer, start, end)) return textAt(buffer, start, end);
  const octets = buffer.slice(start, end).map((octet) => octet >= 0x20 && octet <= 0x7e ? octet : dot);
  return textAt(octets, 0, octets.length);
}

/** Decodes Huffman's code into `scratch`; false = the code is broken. */
function decodeCode(buffer: Uint8Array, start: number, end: number): boolean {
  if (firstSymbols[codeBitsMax + 1] === 0) makeCodes();
  scratch.clear();
  scratch.ensure(2 * (end - start));
  let code = 0, bits = 0;
  for (let i = start; i < end; i++) {
    for (let mask = 0x80; mask > 0; mask >>= 1) {
      code = code << 1 | ((buffer[i] & mask) === 0 ? 0 : 1);
      if (++bits > codeBitsMax) return false;
      const place = firstSymbols[bits] + code - firstCodes[bits];
      if (place >= firstSymbols[bits + 1]) continue;
      if (symbols[place] === endMark) return false;
      scratch.put(symbols[place]);
      code = bits = 0;
    }
  }
  // Filled up with the beginning of the end mark, which is ones.
  return bits < 8 && code === (1 << bits) - 1;
}
