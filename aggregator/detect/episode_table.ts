/** Episodes by their keys: those by parts of an update in a hash table of their own, those by a text in maps.
 *
 * In: a key, and the update that it is of. Out: the episode, or undefined.
 * Invariant: at least half of the table's places are empty, so that every search ends. Bound: the caller's, by `size`.
 * Why no map for the parts: its keys would be texts that live for one look-up. @module */

import { ByNetwork } from "./by_network.ts";
import type { KeyEnds, KeyParts } from "./keys.ts";

/** What detectors name an episode by. */
export type Key = string | KeyParts;

export interface Keyed {
  readonly origin: KeyEnds;
}

const placesMin = 16;

export class EpisodeTable<Value extends Keyed> {
  size = 0;
  readonly #texts = new ByNetwork<Value>();
  /** 0 = empty; what was removed leaves its hash. */
  #hashes = new Int32Array(placesMin);
  /** Which key it is: {@link KeyParts.id}. */
  #kinds = new Uint16Array(placesMin);
  /** Null = removed. */
  #values: (Value | null)[] = new Array(placesMin).fill(null);
  /** Places that are not empty. */
  #taken = 0;

  /** `hash`: {@link hashOfKey}, for whoever looks for one key more than once. */
  get(key: Key, ends: KeyEnds, hash = hashOfKey(key, ends)): Value | undefined {
    if (typeof key === "string") return this.#texts.get(ends.network, key);
    return this.#values[this.#placeOf(key, ends, hash)] ?? undefined;
  }

  /** In place of the one that has this key, if there is one. */
  set(key: Key, ends: KeyEnds, value: Value, hash = hashOfKey(key, ends)): void {
    if (typeof key === "string") {
      const before = this.#texts.size;
      this.#texts.set(ends.network, key, value);
      this.size += this.#texts.size - before;
      return;
    }
    const place = this.#placeOf(key, ends, hash);
    if (this.#hashes[place] === 0) {
      this.size++;
      this.#taken++;
    }
    this.#hashes[place] = hash;
    this.#kinds[place] = key.id;
    this.#values[place] = value;
    if (2 * this.#taken > this.#values.length) this.#grow();
  }

  delete(key: Key, ends: KeyEnds, hash = hashOfKey(key, ends)): void {
    if (typeof key === "string") {
      const before = this.#texts.size;
      this.#texts.delete(ends.network, key);
      this.size += this.#texts.size - before;
      return;
    }
    const place = this.#placeOf(key, ends, hash);
    if (this.#hashes[place] === 0) return;
    this.#values[place] = null;
    this.size--;
  }

  /** Removes the episode of the text "network|key" and returns it. `parts`: what it may be made of. */
  take(text: string, parts: Iterable<KeyParts>): Value | undefined {
    for (const key of parts) {
      const ends = key.read(text), value = ends === null ? undefined : this.get(key, ends);
      if (ends === null || value === undefined) continue;
      this.delete(key, ends);
      return value;
    }
    const value = this.#texts.take(text);
    if (value !== undefined) this.size--;
    return value;
  }

  *values(): Generator<Value> {
    yield* this.#texts.values();
    for (const value of this.#values) if (value !== null) yield value;
  }

  /** Empties it; the room stays. */
  clear(): void {
    this.#texts.clear();
    this.#hashes.fill(0);
    this.#values.fill(null);
    this.#taken = this.size = 0;
  }

  /** Of the episode, or the empty one where it would be. */
  #placeOf(key: KeyParts, ends: KeyEnds, hash: number): number {
    const hashes = this.#hashes, mask = hashes.length - 1;
    let place = hash & mask;
    for (; hashes[place] !== 0; place = place + 1 & mask) {
      if (hashes[place] !== hash || this.#kinds[place] !== key.id) continue;
      const value = this.#values[place];
      if (value !== null && key.isSame(value.origin, ends)) break;
    }
    return place;
  }

  /** Twice the room, or the same without those removed. */
  #grow(): void {
    const values = this.#values, hashes = this.#hashes, kinds = this.#kinds;
    const places = 4 * this.size > values.length ? 2 * values.length : values.length, mask = places - 1;
    this.#hashes = new Int32Array(places);
    this.#kinds = new Uint16Array(places);
    this.#values = new Array(places).fill(null);
    this.#taken = 0;
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (value === null) continue;
      let place = hashes[i] & mask;
      while (this.#hashes[place] !== 0) place = place + 1 & mask;
      this.#values[place] = value;
      this.#hashes[place] = hashes[i];
      this.#kinds[place] = kinds[i];
      this.#taken++;
    }
  }
}

/** Not 0, unless the key is a text. */
export function hashOfKey(key: Key, ends: KeyEnds): number {
  return typeof key === "string" ? 0 : key.hashOf(ends) || 1;
}
