/** Sums by a key of two 32-bit numbers: open addressing over typed arrays.
 *
 * In: key and counts. Out: rows in the order in which their keys came. Invariant: at most half of the slots are full;
 * no sum passes 2^53 - 1. Why: rollups add several sums a segment,
 * and a map of text keys costs more than all the rest of a segment. @module */

const firstSlots = 1_024;

export class SumTable {
  size = 0;
  first = new Uint32Array(firstSlots / 2);
  second = new Uint32Array(firstSlots / 2);
  /** `width` sums a row. */
  sums: Float64Array;
  readonly #width: number;
  /** Row + 1; 0 = empty. */
  #slots = new Uint32Array(firstSlots);
  #mask = firstSlots - 1;

  constructor(width: number) {
    this.#width = width;
    this.sums = new Float64Array(width * firstSlots / 2);
  }

  /** The row of a key, made when it is new. */
  row(first: number, second: number): number {
    let slot = mix(first, second) & this.#mask;
    for (let held = this.#slots[slot]; held !== 0; held = this.#slots[slot]) {
      if (this.first[held - 1] === first && this.second[held - 1] === second) return held - 1;
      slot = (slot + 1) & this.#mask;
    }
    if (this.size * 2 > this.#mask - 1) {
      this.#grow();
      return this.row(first, second);
    }
    this.first[this.size] = first;
    this.second[this.size] = second;
    this.#slots[slot] = ++this.size;
    return this.size - 1;
  }

  add(row: number, column: number, value: number): void {
    const at = row * this.#width + column;
    this.sums[at] = Math.min(Number.MAX_SAFE_INTEGER, this.sums[at] + value);
  }

  /** Keeps the greater value; a new row has 0. */
  raise(row: number, column: number, value: number): void {
    const at = row * this.#width + column;
    if (value > this.sums[at]) this.sums[at] = value;
  }

  /** Sets bits, of 32. */
  mark(row: number, column: number, bits: number): void {
    const at = row * this.#width + column;
    this.sums[at] = (this.sums[at] | bits) >>> 0;
  }

  get(row: number, column: number): number {
    return this.sums[row * this.#width + column];
  }

  #grow(): void {
    const slots = this.#slots.length * 2;
    const [first, second, sums] = [this.first, this.second, this.sums];
    this.first = new Uint32Array(slots / 2);
    this.second = new Uint32Array(slots / 2);
    this.sums = new Float64Array(this.#width * slots / 2);
    this.first.set(first);
    this.second.set(second);
    this.sums.set(sums);
    this.#slots = new Uint32Array(slots);
    this.#mask = slots - 1;
    for (let row = 0; row < this.size; row++) {
      let slot = mix(first[row], second[row]) & this.#mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask;
      this.#slots[slot] = row + 1;
    }
  }
}

function mix(first: number, second: number): number {
  const mixed = Math.imul(first ^ Math.imul(second, 0x9e3779b1), 0x85ebca6b);
  return mixed ^ mixed >>> 15;
}
