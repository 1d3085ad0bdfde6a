/** How many connections of a client were open at the same time.
 *
 * In: begin and end of each, in any order. Out: the largest number at one moment that was looked at.
 * Invariant: moments are {@link stepS} apart, so what is told is never more than was true; of one connection at most
 * `momentsMax` moments count, and as many are kept in all, the first ones given up. @module */

const stepS = 5, momentsMax = 256;

export class OpenAtOnce {
  peak = 0;
  readonly #moments = new Map<number, number>();

  add(startS: number, endS: number, amount = 1): void {
    const first = Math.ceil(startS / stepS),
      last = Math.min(Math.floor(endS / stepS), first + momentsMax - 1);
    for (let moment = first; moment <= last; moment++) {
      const open = (this.#moments.get(moment) ?? 0) + amount;
      if (this.#moments.size >= momentsMax && !this.#moments.has(moment)) {
        this.#moments.delete(this.#moments.keys().next().value!);
      }
      this.#moments.set(moment, open);
      if (open > this.peak) this.peak = open;
    }
  }
}
