/** How often the dissector failed lately, and with which words.
 *
 * In: each end that nobody asked for. Out: how many there were, since the start and in the last ten minutes.
 * Bound: {@link keptMax} moments; of more the oldest are forgotten, and the count stays at that. @module */

const spanMs = 600_000;
const keptMax = 100;
const wordsMax = 200;

export class ChildFailures {
  total = 0;
  /** Of the last one; "" = there was none. */
  words = "";
  #momentsMs: number[] = [];

  add(words: string, nowMs: number): void {
    this.total++;
    this.words = words.slice(0, wordsMax);
    this.#momentsMs.push(nowMs);
    if (this.#momentsMs.length > keptMax) this.#momentsMs.shift();
  }

  lately(nowMs: number): number {
    return this.#momentsMs.filter((atMs) => nowMs - atMs < spanMs).length;
  }
}
