/** What somebody tried, and whether he tries it again and again: a scanner asks once, a client whose server is down
 * comes back.
 *
 * In: ports or hosts, with the packet time of each try. Out: how many different ones, and how many that were tried in
 * several rounds. Invariant: at most `max` are told apart; later ones are not remembered. @module */

/** Tries closer together than this are one round: a scanner waits for seconds before it repeats what was silent. */
const roundS = 10;
/** nmap repeats a silent port once, after its delay; clients and monitors do not stop at that. */
const roundsMin = 3;

interface Tries {
  lastS: number;
  rounds: number;
}

export class TriedOnce<Thing extends string | number> {
  /** Most only ever try one thing. */
  #only: Thing | undefined;
  readonly #onlyTries: Tries = { lastS: 0, rounds: 0 };
  #all: Map<Thing, Tries> | null = null;
  /** Tried in at least three rounds. */
  again = 0;

  constructor(readonly max: number) {}

  /** Whether `thing` is new. Beyond the bound nothing is. */
  add(thing: Thing, atS: number): boolean {
    const known = this.#all !== null
      ? this.#all.get(thing)
      : this.#only === thing
      ? this.#onlyTries
      : undefined;
    if (known === undefined) return this.#addNew(thing, atS);
    if (Math.abs(atS - known.lastS) >= roundS && ++known.rounds === roundsMin) this.again++;
    known.lastS = atS;
    return false;
  }

  get size(): number {
    return this.#all?.size ?? (this.#only === undefined ? 0 : 1);
  }

  /** The number as it is shown. */
  get count(): number | string {
    return this.size >= this.max ? `at least ${this.size}` : this.size;
  }

  /** Half of the things at least were tried again and again: a list of a client's or a monitor's own. */
  get isFixed(): boolean {
    return this.again > 0 && 2 * this.again >= this.size;
  }

  [Symbol.iterator](): IterableIterator<Thing> {
    return this.#all !== null ? this.#all.keys() : (this.#only === undefined ? [] : [this.#only]).values();
  }

  #addNew(thing: Thing, atS: number): boolean {
    if (this.#only === undefined) {
      this.#only = thing;
      Object.assign(this.#onlyTries, { lastS: atS, rounds: 1 });
      return true;
    }
    this.#all ??= new Map([[this.#only, this.#onlyTries]]);
    if (this.#all.size >= this.max) return false;
    this.#all.set(thing, { lastS: atS, rounds: 1 });
    return true;
  }
}
