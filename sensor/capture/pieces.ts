/** Pieces: exact numbers of octets out of chunks of any length.
 *
 * In: chunks as they come. Out: copies of what was asked for, or views of what there is.
 * Invariant: every octet is handed out once, in order. Bound: what one chunk leaves over, and what is asked for.
 * @module */

/** The octets ended in the middle of something. */
export class CutError extends Error {}

export class Pieces {
  #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Whether nothing comes any more. */
  async isOver(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      const { value, done } = await this.#chunks.next();
      if (done) return true;
      this.#chunk = value;
    }
    return false;
  }

  /** `count` octets. @throws {CutError} when there are fewer. */
  async take(count: number): Promise<Uint8Array> {
    const taken = new Uint8Array(count);
    for (let at = 0; at < count;) {
      const some = await this.some(count - at);
      taken.set(some, at);
      at += some.length;
    }
    return taken;
  }

  /** A number of four octets, the lowest first. @throws {CutError} */
  async number(): Promise<number> {
    const b = await this.take(4);
    return (b[0] | b[1] << 8 | b[2] << 16 | b[3] << 24) >>> 0;
  }

  /** At least one and at most `countMax` octets, good until the next call. @throws {CutError} when there is none. */
  async some(countMax: number): Promise<Uint8Array> {
    if (await this.isOver()) throw new CutError();
    const some = this.#chunk.subarray(0, countMax);
    this.#chunk = this.#chunk.subarray(some.length);
    return some;
  }

  /** Throws `count` octets away. @throws {CutError} */
  async skip(count: number): Promise<void> {
    for (let left = count; left > 0;) left -= (await this.some(left)).length;
  }
}
