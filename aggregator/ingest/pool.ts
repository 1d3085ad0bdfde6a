/** Rows of numbers in typed arrays, taken and given back by index.
 *
 * In: a specification, column to array type. Out: indexes and columns. Invariant: a row that is given back is taken again before new ones;
 * between `begin` and `commit` the first `touch` of a row keeps its values, so that `rollback` restores them.
 * Why typed arrays: a merge keeps hundreds of thousands of flows for an hour; as objects each would cost several times as much. Columns
 * are replaced as the pool grows, so nobody holds on to one. @module */

type NumberArray = Float64Array | Uint32Array | Int32Array | Uint8Array;
type NumberArrayType = new (length: number) => NumberArray;
export type PoolSpec = Readonly<Record<string, NumberArrayType>>;

const firstRows = 1_024;

export class Pool<Spec extends PoolSpec> {
  columns: { [name in keyof Spec]: NumberArray };
  #spec: Spec;
  #names: (keyof Spec)[];
  #capacity = firstRows;
  /** Rows ever taken; those below are in use or free. */
  #end = 0;
  #free: number[] = [];
  #kept: Map<number, number[]> | null = null;

  constructor(spec: Spec) {
    this.#spec = spec;
    this.#names = Object.keys(spec);
    this.columns = this.#allocate(firstRows);
  }

  /** Rows in use. */
  get size(): number {
    return this.#end - this.#free.length;
  }

  /** Upper bound of indexes in use. */
  get end(): number {
    return this.#end;
  }

  /** A row of zeros. */
  take(): number {
    const index = this.#free.pop() ?? this.#end++;
    if (index >= this.#capacity) this.#grow();
    for (const name of this.#names) this.columns[name][index] = 0;
    return index;
  }

  give(index: number): void {
    this.#free.push(index);
  }

  begin(): void {
    this.#kept = new Map();
  }

  /** Says that row `index` is about to change. */
  touch(index: number): void {
    if (this.#kept === null || this.#kept.has(index)) return;
    this.#kept.set(index, this.#names.map((name) => this.columns[name][index]));
  }

  commit(): void {
    this.#kept = null;
  }

  rollback(): void {
    for (const [index, values] of this.#kept ?? []) {
      this.#names.forEach((name, i) => this.columns[name][index] = values[i]);
    }
    this.#kept = null;
  }

  #grow(): void {
    this.#capacity *= 2;
    const grown = this.#allocate(this.#capacity);
    for (const name of this.#names) grown[name].set(this.columns[name]);
    this.columns = grown;
  }

  #allocate(rows: number): { [name in keyof Spec]: NumberArray } {
    return Object.fromEntries(this.#names.map((name) => [name, new this.#spec[name](rows)])) as {
      [name in keyof Spec]: NumberArray;
    };
  }
}
