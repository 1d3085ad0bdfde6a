/** A bounded map that evicts what was asked for longest ago.
 *
 * In: keys, and how to make a value that is missing. Out: values. Invariant: at most `max` values; when it is full, the
 * half that was asked for longest ago is evicted.
 * Why halves and not one key at a time, as in an LRU list: deleting the oldest keys of a large Map one by one makes V8
 * walk over the holes that earlier deletions left. @module */

export class Halves<Key, Value> {
  #young = new Map<Key, Value>();
  #old = new Map<Key, Value>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  get(key: Key, make: (key: Key) => Value): Value {
    let value = this.#young.get(key);
    if (value !== undefined) return value;
    value = this.#old.get(key) ?? make(key);
    if (this.#young.size >= this.#max >> 1) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
    return value;
  }

  /** What was asked for longest ago first, each once. */
  all(): [Key, Value][] {
    return [...new Map([...this.#old, ...this.#young])];
  }
}
