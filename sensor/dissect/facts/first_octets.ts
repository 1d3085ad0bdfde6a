/** First octets of the payload of flows, each way, until it is known that nothing names them.
 *
 * In: the first payload of a direction. Out: hexadecimal text, once. Invariant: a flow's octets are its own; when two
 * flows want one place the newer has it. Bound: {@link placesMax} flows, of 16 octets each way.
 * Hot path: no allocation until they are taken.
 * Why places by the last bits of the number: flow numbers rise one by one,
 * so those that share a place are far apart in time. @module */

import type { Facts } from "../../../shared/facts.ts";

/** A power of two. */
const placesMax = 65_536;
const octetsMax = 16;
const none = 255;

export class FirstOctets {
  readonly #flows = new Float64Array(placesMax).fill(NaN);
  /** By place and direction: how many octets there are, {@link none} = no payload was seen; and the octets. */
  readonly #lengths = new Uint8Array(2 * placesMax);
  readonly #octets = new Uint8Array(2 * placesMax * octetsMax);

  /** `direction` 0 = of the initiator. */
  keep(flowId: number, direction: number, buffer: Uint8Array, at: number, captured: number): void {
    const place = flowId & (placesMax - 1);
    if (this.#flows[place] !== flowId) {
      this.#flows[place] = flowId;
      this.#lengths[2 * place] = this.#lengths[2 * place + 1] = none;
    }
    const half = 2 * place + (direction === 0 ? 0 : 1);
    const count = captured < octetsMax ? captured : octetsMax;
    const start = half * octetsMax;
    for (let i = 0; i < count; i++) this.#octets[start + i] = buffer[at + i];
    this.#lengths[half] = count;
  }

  /** What is kept of a flow, and forgets it; null = nothing. */
  take(flowId: number): NonNullable<Facts["first"]> | null {
    const place = flowId & (placesMax - 1);
    if (this.#flows[place] !== flowId) return null;
    this.#flows[place] = NaN;
    const fwd = this.#hex(2 * place), bwd = this.#hex(2 * place + 1);
    if (fwd === "" && bwd === "") return null;
    return { ...fwd !== "" && { fwd }, ...bwd !== "" && { bwd } };
  }

  #hex(half: number): string {
    const length = this.#lengths[half];
    if (length === none) return "";
    return this.#octets.subarray(half * octetsMax, half * octetsMax + length).toHex();
  }
}
