/** {@link Halves} by whole numbers of 32 bits, such as IPv4 addresses.
 *
 * In: numbers, and how to make a value that is missing of its text. Out: values. Invariant: as of Halves; at least half
 * of the places of each table are empty, so that every search ends.
 * Why no map: each update looks for both its ends, and the text of an address would be hashed and compared each time.
 * @module */

const placesMin = 64;
/** Drawn, so that nobody outside can choose numbers that collide. */
const factor = crypto.getRandomValues(new Int32Array(1))[0] | 1;

export class NumberHalves<Value extends object> {
  #young = new NumberTable<Value>();
  #old = new NumberTable<Value>();

  constructor(readonly max: number) {}

  /** `number`: signed, as of `| 0`. */
  get(number: number, text: string, make: (text: string) => Value): Value {
    const known = this.#young.get(number);
    if (known !== null) return known;
    const value = this.#old.get(number) ?? make(text);
    if (this.#young.size >= this.max >> 1) {
      this.#old.clear();
      [this.#old, this.#young] = [this.#young, this.#old];
    }
    this.#young.add(number, value);
    return value;
  }
}

class NumberTable<Value extends object> {
  size = 0;
  #numbers = new Int32Array(placesMin);
  /** Null = empty. */
  #values: (Value | null)[] = new Array(placesMin).fill(null);

  get(number: number): Value | null {
    return this.#values[this.#placeOf(number)];
  }

  /** One that is not there. */
  add(number: number, value: Value): void {
    if (2 * (this.size + 1) > this.#values.length) this.#grow();
    const place = this.#placeOf(number);
    this.#numbers[place] = number;
    this.#values[place] = value;
    this.size++;
  }

  /** Empties it; the room stays. */
  clear(): void {
    this.#values.fill(null);
    this.size = 0;
  }

  /** Of the number, or the empty one where it would be. */
  #placeOf(number: number): number {
    const numbers = this.#numbers, values = this.#values, mask = numbers.length - 1;
    const hash = Math.imul(number, factor);
    let place = (hash ^ hash >>> 15) & mask;
    while (values[place] !== null && numbers[place] !== number) place = place + 1 & mask;
    return place;
  }

  #grow(): void {
    const numbers = this.#numbers, values = this.#values;
    this.#numbers = new Int32Array(2 * numbers.length);
    this.#values = new Array(2 * values.length).fill(null);
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (value === null) continue;
      const place = this.#placeOf(numbers[i]);
      this.#numbers[place] = numbers[i];
      this.#values[place] = value;
    }
  }
}
