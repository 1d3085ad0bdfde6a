/** The busiest second that was measured.
 *
 * In: events with their packet times, in any order. Out: the largest number in one second of the clock.
 * Invariant: at most `secondsMax` seconds are counted at a time, the first of them given up; the peak stays. What lasts
 * is spread evenly over its time. @module */

const secondsMax = 64;

export class PeakRate {
  #peak = 0;
  #second = NaN;
  #inSecond = 0;
  /** Seconds besides the first one. */
  #others: Map<number, number> | null = null;

  /** Adds `amount`, spread over `startS` to `endS`. */
  add(startS: number, endS = startS, amount = 1): void {
    const first = Math.floor(startS), seconds = Math.floor(endS) - first + 1;
    if (!(seconds > 1) || amount === 1) return this.#count(first, amount);
    // In proportion, so that what goes on in the next segment is not counted twice in the second they share.
    const perS = amount / (endS - startS), counted = Math.min(seconds, secondsMax);
    for (let i = 0; i < counted; i++) {
      const second = first + i;
      this.#count(second, perS * (Math.min(endS, second + 1) - Math.max(startS, second)));
    }
  }

  /** Events in the busiest second, at least 1 when there were any. */
  get peak(): number {
    return Math.round(this.#peak);
  }

  #count(second: number, amount: number): void {
    if (Number.isNaN(this.#second)) this.#second = second;
    let total: number;
    if (second === this.#second) total = this.#inSecond += amount;
    else {
      this.#others ??= new Map();
      total = (this.#others.get(second) ?? 0) + amount;
      if (this.#others.size >= secondsMax && !this.#others.has(second)) {
        this.#others.delete(this.#others.keys().next().value!);
      }
      this.#others.set(second, total);
    }
    if (total > this.#peak) this.#peak = total;
  }
}
