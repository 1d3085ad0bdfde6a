/** From a 64-bit fingerprint to the newest row that has it: open addressing over two typed arrays.
 *
 * In: fingerprint as two 32-bit halves, a row. Out: the row, or -1. Invariant: at most half of the slots are full, so a
 * probe is short; a removal moves later entries of the probe back, so that no slot ever has to be marked as deleted.
 * @module */

const firstSlots = 4_096;

export class FingerprintIndex {
  #low = new Uint32Array(firstSlots);
  #high = new Uint32Array(firstSlots);
  /** Row + 1; 0 = empty. */
  #rows = new Uint32Array(firstSlots);
  #mask = firstSlots - 1;
  #size = 0;

  get(low: number, high: number): number {
    return this.#rows[this.#slot(low, high)] - 1;
  }

  set(low: number, high: number, row: number): void {
    const slot = this.#slot(low, high);
    const isNew = this.#rows[slot] === 0;
    this.#low[slot] = low;
    this.#high[slot] = high;
    this.#rows[slot] = row + 1;
    if (isNew && ++this.#size * 2 > this.#mask) this.#grow();
  }

  delete(low: number, high: number): void {
    let hole = this.#slot(low, high);
    if (this.#rows[hole] === 0) return;
    this.#size--;
    for (let slot = (hole + 1) & this.#mask; this.#rows[slot] !== 0; slot = (slot + 1) & this.#mask) {
      const home = this.#low[slot] & this.#mask;
      // An entry may move back to the hole unless its home lies after it.
      if (((slot - home) & this.#mask) < ((slot - hole) & this.#mask)) continue;
      this.#move(slot, hole);
      hole = slot;
    }
    this.#rows[hole] = 0;
  }

  /** The slot that has this fingerprint, or the empty one where it belongs. */
  #slot(low: number, high: number): number {
    let slot = low & this.#mask;
    while (this.#rows[slot] !== 0 && (this.#low[slot] !== low || this.#high[slot] !== high)) {
      slot = (slot + 1) & this.#mask;
    }
    return slot;
  }

  #move(from: number, to: number): void {
    this.#low[to] = this.#low[from];
    this.#high[to] = this.#high[from];
    this.#rows[to] = this.#rows[from];
  }

  #grow(): void {
    const [low, high, rows] = [this.#low, this.#high, this.#rows];
    const slots = rows.length * 2;
    this.#low = new Uint32Array(slots);
    this.#high = new Uint32Array(slots);
    this.#rows = new Uint32Array(slots);
    this.#mask = slots - 1;
    for (let i = 0; i < rows.length; i++) {
      if (rows[i] === 0) continue;
      const slot = this.#slot(low[i], high[i]);
      this.#low[slot] = low[i];
      this.#high[slot] = high[i];
      this.#rows[slot] = rows[i];
    }
  }
}
