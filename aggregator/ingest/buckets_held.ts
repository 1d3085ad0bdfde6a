/** The buckets whose flows are in memory.
 *
 * In: what was read from the store, what another instance has now, or wrote.
 * Out: buckets to forget, buckets to read before a group.
 * Invariant: a bucket is never merged into memory that is older than the store: an instance that loses it forgets it,
 * one that gets it reads it, and no other bucket is read because of that. With a consumer the buckets of its partitions
 * are read together, others when a batch of theirs comes (over HTTP, say). @module */

export class BucketsHeld {
  readonly #all: readonly number[];
  /** Not in memory as the store has them. */
  readonly #due: Set<number>;
  /** In memory, but older than the store may be. */
  readonly #stale = new Set<number>();
  /** Of our partitions; null = no consumer said. */
  #assigned: ReadonlySet<number> | null = null;

  constructor(buckets: number) {
    this.#all = Array.from({ length: buckets }, (_, bucket) => bucket);
    this.#due = new Set(this.#all);
  }

  /** Our partitions of `count`, and those of them that somebody else wrote since we did. */
  assign(partitions: readonly number[], changed: readonly number[], count: number): void {
    const ours = new Set(partitions), others = new Set(changed);
    const placeOf = (bucket: number) => bucket % Math.max(1, count);
    this.#assigned = new Set(this.#all.filter((bucket) => ours.has(placeOf(bucket))));
    this.drop(
      this.#all.filter((bucket) => !ours.has(placeOf(bucket)) || others.has(placeOf(bucket))),
    );
  }

  /** Another instance wrote these, or has them now. */
  drop(buckets: Iterable<number>): void {
    for (const bucket of buckets) {
      if (!this.#due.has(bucket)) this.#stale.add(bucket);
      this.#due.add(bucket);
    }
  }

  /** Buckets to be forgotten now; they are told once. */
  takeStale(): number[] {
    const stale = [...this.#stale];
    this.#stale.clear();
    return stale;
  }

  /** Buckets to be read before a group of these is merged. */
  dueFor(buckets: ReadonlySet<number>): number[] {
    if (![...buckets].some((bucket) => this.#due.has(bucket))) return [];
    return [...this.#due].filter((bucket) =>
      buckets.has(bucket) || this.#assigned === null || this.#assigned.has(bucket)
    );
  }

  read(buckets: Iterable<number>): void {
    for (const bucket of buckets) this.#due.delete(bucket);
  }
}
