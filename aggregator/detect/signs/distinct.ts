/** Different values seen, up to a bound: the counting of ports, hosts, names that most detectors do.
 *
 * In: values. Out: how many different ones, and which. Invariant: at most `max` are told apart; when that many were
 * seen the size reads "at least", and later values are not remembered.
 * Why not a Set: of a million hosts nearly all try one port; a Set for each costs more than all the rest. @module */

/** Different values, at most `max` of them told apart.
 *
 * @example What a detector says of many ports.
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Distinct } from "./distinct.ts";
 *
 * const ports = new Distinct<number>(3);
 * assertEquals([22, 22, 80].map((port) => ports.add(port)), [true, false, true]);
 * assertEquals([ports.count, ports.isFull], [2, false]);
 * ports.add(443);
 * ports.add(8080);
 * assertEquals([ports.count, [...ports]], ["at least 3", [22, 80, 443]]);
 * ``` */
export class Distinct<Value extends string | number> {
  size = 0;
  #only: Value | undefined;
  #all: Set<Value> | null = null;

  constructor(readonly max: number) {}

  /** Whether `value` is new. Beyond the bound nothing is. */
  add(value: Value): boolean {
    if (this.size >= this.max || this.has(value)) return false;
    if (this.size === 0) this.#only = value;
    else (this.#all ??= new Set([this.#only!])).add(value);
    this.size++;
    return true;
  }

  has(value: Value): boolean {
    return this.#all === null ? this.size > 0 && this.#only === value : this.#all.has(value);
  }

  /** There may be more than `size`. */
  get isFull(): boolean {
    return this.size >= this.max;
  }

  /** The number as it is shown. */
  get count(): number | string {
    return this.isFull ? `at least ${this.size}` : this.size;
  }

  [Symbol.iterator](): IterableIterator<Value> {
    if (this.#all !== null) return this.#all.values();
    return (this.size === 0 ? [] : [this.#only!]).values();
  }
}
