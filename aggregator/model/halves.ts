/** A bounded map that forgets what was asked for longest ago.
 *
 * In: keys, and how to make a value that is missing. Out: values. Invariant: at most `max` values; when there is no room, the half that
 * was asked for longest ago goes.
 * Why halves and not one key at a time, as in an LRU list: taking single oldest keys out of a large Map makes V8 walk over the holes
 * that those before them left. @module */

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
}
