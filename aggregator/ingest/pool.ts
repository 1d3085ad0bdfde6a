/** Rows of numbers in typed arrays, taken and given back by index.
 *
 * In: a specification, column to array type. Out: indexes and columns. Invariant: a row that is given back is taken
 * again before new ones; between `begin` and `commit` the first `touch` of a row keeps its values, so that `rollback`
 * restores them. A row taken since `begin` is not kept: whoever took it gives it back.
 * Why typed arrays: a merge keeps hundreds of thousands of flows for an hour; as objects each would cost several times
 * as much. Columns are replaced as the pool grows, so nobody holds on to one. @module */

type NumberArray = Float64Array | Uint32Array | Int32Array | Uint16Array | Uint8Array;
type NumberArrayType = new (length: number) => NumberArray;
export type PoolSpec = Readonly<Record<string, NumberArrayType>>;

const firstRows = 1_024;

export class Pool<Spec extends PoolSpec> {
  columns: { [name in keyof Spec]: InstanceType<Spec[name]> };
  readonly #spec: Spec;
  #arrays: NumberArray[];
  #capacity = firstRows;
  /** Rows ever taken; those below are in use or free. */
  #end = 0;
  readonly #free: number[] = [];
  /** Rows whose values are in {@link #log}, in turn; null outside a transaction. */
  #kept: number[] | null = null;
  readonly #log: number[] = [];
  /** The transaction that took or kept a row last. */
  #stamps = new Uint32Array(firstRows);
  #stamp = 1;

  constructor(spec: Spec) {
    this.#spec = spec;
    this.columns = this.#allocate(firstRows);
    this.#arrays = Object.values(this.columns);
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
    const free = this.#free.pop();
    const index = free ?? this.#end++;
    if (index >= this.#capacity) this.#grow();
    // A row that was never used is zero as it was allocated.
    if (free !== undefined) { for (const array of this.#arrays) array[index] = 0; }
    this.#stamps[index] = this.#stamp;
    return index;
  }

  give(index: number): void {
    this.#free.push(index);
  }

  begin(): void {
    this.#kept = [];
    this.#stamp++;
  }

  /** Says that row `index` is about to change. */
  touch(index: number): void {
    if (this.#kept === null || this.#stamps[index] === this.#stamp) return;
    this.#stamps[index] = this.#stamp;
    this.#kept.push(index);
    for (const array of this.#arrays) this.#log.push(array[index]);
  }

  commit(): void {
    this.#kept = null;
    this.#log.length = 0;
  }

  rollback(): void {
    let at = 0;
    for (const index of this.#kept ?? []) {
      for (const array of this.#arrays) array[index] = this.#log[at++];
    }
    this.commit();
  }

  #grow(): void {
    this.#capacity *= 2;
    const grown = this.#allocate(this.#capacity);
    for (const name of Object.keys(this.#spec)) grown[name].set(this.columns[name]);
    this.columns = grown;
    this.#arrays = Object.values(grown);
    const stamps = new Uint32Array(this.#capacity);
    stamps.set(this.#stamps);
    this.#stamps = stamps;
  }

  #allocate(rows: number): { [name in keyof Spec]: InstanceType<Spec[name]> } {
    return Object.fromEntries(
      Object.entries(this.#spec).map(([name, type]) => [name, new type(rows)]),
    ) as { [name in keyof Spec]: InstanceType<Spec[name]> };
  }
}
