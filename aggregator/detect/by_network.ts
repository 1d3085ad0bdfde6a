/** A map for each network: the same private address is a different host in another network.
 *
 * In: network and key. Out: values.
 * The map of the last network is at hand, as nearly all of a batch is from one network.
 * Bound: the caller's, by `size`.
 * Why not one map with the network in its keys: detectors share the texts that they use as keys, and V8 hashes a text
 * once. Joining network and key for each detector and update made strings that lived for one lookup. @module */

export class ByNetwork<Value> {
  size = 0;
  readonly #maps = new Map<string, Map<string, Value>>();
  #network = "";
  #map: Map<string, Value> | undefined;

  get(network: string, key: string): Value | undefined {
    if (network !== this.#network) this.#choose(network);
    return this.#map?.get(key);
  }

  /** Not for a key that is there, unless its value is to be replaced. */
  set(network: string, key: string, value: Value): void {
    if (network !== this.#network) this.#choose(network);
    if (this.#map === undefined) this.#maps.set(network, this.#map = new Map());
    const before = this.#map.size;
    this.#map.set(key, value);
    this.size += this.#map.size - before;
  }

  delete(network: string, key: string): void {
    if (this.#maps.get(network)?.delete(key)) this.size--;
  }

  /** Removes what stands at "network|key" and returns it. */
  take(whole: string): Value | undefined {
    for (const [network, map] of this.#maps) {
      if (!whole.startsWith(`${network}|`)) continue;
      const key = whole.slice(network.length + 1), value = map.get(key);
      if (value === undefined) continue;
      map.delete(key);
      this.size--;
      return value;
    }
    return undefined;
  }

  clear(): void {
    this.#maps.clear();
    this.#map = undefined;
    this.size = 0;
  }

  *values(): Generator<Value> {
    for (const map of this.#maps.values()) yield* map.values();
  }

  #choose(network: string): void {
    this.#network = network;
    this.#map = this.#maps.get(network);
  }
}
