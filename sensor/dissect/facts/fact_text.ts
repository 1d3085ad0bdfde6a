/** Facts as they are written: JSON, kept within {@link factLimits}.
 *
 * In: octets or text from the wire. Out: a quoted JSON string; what was left out is counted in `cut`.
 * Invariant: the same text gives the same octets, whether it was read on the spot or by the dissector. @module */

import { factLimits } from "../../../shared/facts.ts";
import { Octets } from "../../flow/octets.ts";

const quote = 0x22, backslash = 0x5c;

export class FactText extends Octets {
  /** Characters and answers left out since {@link begin}. */
  cut = 0;

  /** Empty, nothing cut. */
  begin(): void {
    this.length = 0;
    this.cut = 0;
  }

  /** Printable ASCII of `buffer[start, end)` in quotes. */
  quotedOctets(buffer: Uint8Array, start: number, end: number): void {
    let last = end;
    if (end - start > factLimits.charactersMax) {
      last = start + factLimits.charactersMax;
      this.cut += end - last;
    }
    this.ensure(2 * (last - start) + 2);
    const bytes = this.bytes;
    let at = this.length;
    bytes[at++] = quote;
    for (let i = start; i < last; i++) {
      const octet = buffer[i];
      if (octet === quote || octet === backslash) bytes[at++] = backslash;
      bytes[at++] = octet;
    }
    bytes[at++] = quote;
    this.length = at;
  }

  /** Any text in quotes. */
  quoted(text: string): void {
    const { charactersMax } = factLimits;
    if (text.length > charactersMax) this.cut += text.length - charactersMax;
    this.utf8(JSON.stringify(text.length > charactersMax ? text.slice(0, charactersMax) : text));
  }

  /** Text of ours, as it is. */
  words(text: string): void {
    this.ensure(text.length);
    this.ascii(text);
  }
}
