/** Numbers for the addresses of one write: open addressing, compared octet by octet. In: 4 or 16 octets.
 * Out: a number from 0. @module */

import { Buffer } from "node:buffer";

const firstSlots = 4_096;

export class AddressTable {
  size = 0;
  /** 17 octets an address: length, octets. */
  #bytes = new Uint8Array(17 * firstSlots / 2);
  #slots = new Uint32Array(firstSlots);
  #mask = firstSlots - 1;

  number(ips: Uint8Array, at: number, length: number): number {
    let slot = mix(ips, at, length) & this.#mask;
    for (let held = this.#slots[slot]; held !== 0; held = this.#slots[slot]) {
      if (this.#isSame(held - 1, ips, at, length)) return held - 1;
      slot = (slot + 1) & this.#mask;
    }
    if (this.size * 2 > this.#mask - 1) {
      this.#grow();
      return this.number(ips, at, length);
    }
    const to = 17 * this.size;
    this.#bytes[to] = length;
    for (let i = 0; i < length; i++) this.#bytes[to + 1 + i] = ips[at + i];
    this.#slots[slot] = ++this.size;
    return this.size - 1;
  }

  address(number: number): Uint8Array {
    const at = 17 * number;
    return Buffer.from(this.#bytes.subarray(at + 1, at + 1 + this.#bytes[at]));
  }

  #isSame(number: number, ips: Uint8Array, at: number, length: number): boolean {
    const from = 17 * number;
    if (this.#bytes[from] !== length) return false;
    for (let i = 0; i < length; i++) if (this.#bytes[from + 1 + i] !== ips[at + i]) return false;
    return true;
  }

  #grow(): void {
    const slots = this.#slots.length * 2;
    const bytes = new Uint8Array(17 * slots / 2);
    bytes.set(this.#bytes);
    this.#bytes = bytes;
    this.#slots = new Uint32Array(slots);
    this.#mask = slots - 1;
    for (let number = 0; number < this.size; number++) {
      let slot = mix(bytes, 17 * number + 1, bytes[17 * number]) & this.#mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask;
      this.#slots[slot] = number + 1;
    }
  }
}

function mix(ips: Uint8Array, at: number, length: number): number {
  let value = length;
  for (let i = 0; i < length; i++) value = Math.imul(value ^ ips[at + i], 0x01000193);
  return value ^ value >>> 15;
}
